//! Which image a container runs (`istio: pkg/kube/inject/inject.go`, ProxyImage and imageURL).

use serde_json::{Map, Value};

use crate::annotations::{IMAGE, IMAGE_TYPE};
use crate::pod::Strings;
use crate::settings::Values;

/// Kinds of images that a tag may name at its end.
const TYPES: [&str; 2] = ["distroless", "debug"];

/// The image of the proxy.
pub(crate) fn proxy(values: &Values, config: &Map<String, Value>, annotations: &Strings) -> String {
    let kind = config.get("image").and_then(|image| image["imageType"].as_str()).unwrap_or_default();
    image(values, &values.global.proxy.image, kind, annotations)
}

/// The image of the container that sets the rules of capture.
pub(crate) fn init(values: &Values, annotations: &Strings) -> String {
    image(values, &values.global.proxy_init.image, "", annotations)
}

/// What has a `/` is an image as a whole, of the annotation first; else hub, name, tag and type make it.
fn image(values: &Values, name: &str, kind: &str, annotations: &Strings) -> String {
    let whole = annotations.get(IMAGE).map_or(name, String::as_str);
    if whole.contains('/') {
        return whole.to_owned();
    }
    composed(values, name, kind, annotations)
}

/// Hub, name, tag and type, as templates know the image.
pub(crate) fn composed(values: &Values, name: &str, kind: &str, annotations: &Strings) -> String {
    let global = &values.global;
    let name = if name.is_empty() { "proxyv2" } else { name };
    let kind = if kind.is_empty() { global.variant.as_str() } else { kind };
    let kind = annotations.get(IMAGE_TYPE).map_or(kind, String::as_str);
    format!("{}/{name}:{}", global.hub, tag(&global.tag, kind))
}

/// A tag of this type instead of the one that it names.
fn tag(tag: &str, kind: &str) -> String {
    if kind.is_empty() {
        return tag.to_owned();
    }
    let bare = TYPES.iter().find_map(|each| tag.strip_suffix(each)?.strip_suffix('-')).unwrap_or(tag);
    if kind == "default" { bare.to_owned() } else { format!("{bare}-{kind}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_name_tag_and_type_make_an_image_unless_one_is_given_whole() {
        let values = |text: &str| Values::from_yaml(text).unwrap();
        let none = Strings::new();
        let plain = values("global: {hub: h.test/mesh, tag: 1.27}");
        assert_eq!(proxy(&plain, &Map::new(), &none), "h.test/mesh/proxyv2:1.27");
        let typed = values("global: {hub: h, tag: 1.2.3-debug, variant: distroless}");
        assert_eq!(proxy(&typed, &Map::new(), &none), "h/proxyv2:1.2.3-distroless");
        let config = serde_json::json!({"image": {"imageType": "debug"}});
        assert_eq!(proxy(&typed, config.as_object().unwrap(), &none), "h/proxyv2:1.2.3-debug");
        let default = [(IMAGE_TYPE.to_owned(), "default".to_owned())].into();
        assert_eq!(proxy(&typed, config.as_object().unwrap(), &default), "h/proxyv2:1.2.3");
        let whole = values("global: {hub: h, tag: t, proxy: {image: other.test/p:1}}");
        assert_eq!(proxy(&whole, &Map::new(), &none), "other.test/p:1");
        assert_eq!(init(&whole, &none), "h/proxyv2:t");
        let mine = [(IMAGE.to_owned(), "mine.test/p:2".to_owned())].into();
        assert_eq!(
            (proxy(&whole, &Map::new(), &mine), init(&whole, &mine)),
            ("mine.test/p:2".into(), "mine.test/p:2".into())
        );
        let short = [(IMAGE.to_owned(), "mine".to_owned())].into();
        assert_eq!(proxy(&plain, &Map::new(), &short), "h.test/mesh/proxyv2:1.27");
    }
}
