//! The ProxyConfig of a pod: the mesh's, that of ProxyConfig resources, that of its annotation. Sources:
//! istio: pilot/pkg/model/proxy_config.go (precedence), pkg/kube/inject/template.go (what a pod is told).

use api::ProxyConfig;
use api::mesh::{proxy_defaults, strictly};
use names::Labels;
use serde_json::{Map, Value, json};

use crate::annotations;
use crate::error::Error;
use crate::pod::Strings;
use crate::settings::{Mesh, lay};

/// A ProxyConfig resource.
#[derive(Clone, Copy, Debug)]
pub struct ProxyConfigResource<'a> {
    /// Where it is.
    pub namespace: &'a str,
    /// What it says.
    pub spec: &'a ProxyConfig,
}

/// Whose ProxyConfig is asked for.
pub(crate) struct Pod<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) labels: &'a Strings,
    pub(crate) annotations: &'a Strings,
}

/// The ProxyConfig that holds for a pod: mesh, root namespace, namespace, annotation, workload, later ones over earlier ones. Of
/// resources for the same, the first counts; the oldest is to come first.
pub(crate) fn effective(
    mesh: &Mesh,
    resources: &[ProxyConfigResource<'_>],
    pod: &Pod<'_>,
) -> Result<Map<String, Value>, Error> {
    let mut config = mesh.proxy.clone();
    let labels: Labels = pod.labels.iter().collect();
    let general = |namespace: &str| {
        resources
            .iter()
            .find(|each| each.namespace == namespace && selected(each).is_none())
            .map(|each| said(each.spec))
    };
    let root = mesh.root_namespace();
    let mine = general(pod.namespace).filter(|_| pod.namespace != root);
    for over in [general(root), mine].into_iter().flatten() {
        lay(&mut config, &over);
    }
    if let Some(text) = pod.annotations.get(annotations::CONFIG) {
        let path = format!("metadata.annotations.{}", annotations::CONFIG);
        let read = strictly("ProxyConfig", text).map_err(|message| Error::pod(path, message))?;
        read.as_object().into_iter().for_each(|over| lay(&mut config, over));
    }
    let chosen = resources
        .iter()
        .find(|each| each.namespace == pod.namespace && selected(each).is_some_and(|wanted| labels.contain(wanted)));
    if let Some(chosen) = chosen {
        lay(&mut config, &said(chosen.spec));
    }
    Ok(config)
}

/// Labels of the workloads that a resource is for; none when it is for all.
fn selected<'a>(resource: &ProxyConfigResource<'a>) -> Option<&'a Labels> {
    resource.spec.selector.as_ref().map(|selector| &selector.match_labels).filter(|labels| !labels.is_empty())
}

/// What a resource says, in the words of the other ProxyConfig.
fn said(spec: &ProxyConfig) -> Map<String, Value> {
    let mut said = Map::new();
    if let Some(concurrency) = spec.concurrency {
        said.insert("concurrency".to_owned(), json!(concurrency));
    }
    if !spec.environment_variables.is_empty() {
        said.insert("proxyMetadata".to_owned(), json!(spec.environment_variables));
    }
    if let Some(image) = &spec.image {
        said.insert("image".to_owned(), json!({ "imageType": image.image_type }));
    }
    said
}

/// What a pod is told: without what an agent assumes anyway.
pub(crate) fn told(config: &Map<String, Value>) -> String {
    let defaults = proxy_defaults();
    let assumed = |key: &str, value: &Value| {
        defaults.get(key) == Some(value)
            || (key == "interceptionMode" && value == "REDIRECT")
            || (key == "proxyMetadata" && value.as_object().is_some_and(Map::is_empty))
    };
    let told: Map<String, Value> = config
        .iter()
        .filter(|(key, value)| !assumed(key, value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(told).to_string()
}
