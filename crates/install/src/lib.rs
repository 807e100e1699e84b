//! What an installation consists of: settings in, Kubernetes objects out, in the order in which one `kubectl apply` of them all works on an
//! empty cluster. `manifests/` and `meltemi install` are made of the same.

mod config;
mod control_plane;
mod crds;
mod gateways;
mod rights;
mod values;
mod webhooks;

use serde_json::{Value, json};

pub use values::{Error, Values};

/// The namespace, then what others refer to, then the control plane, then the webhooks that ask it, then what needs to be injected: the
/// API server refuses its pods until the control plane answers, and the controllers try again.
#[must_use]
pub fn objects(values: &Values) -> Vec<Value> {
    let mut objects = vec![namespace(values)];
    objects.extend(crds::all());
    objects.extend(rights::all(values));
    objects.extend(config::all(values));
    objects.extend(control_plane::all(values));
    objects.extend(webhooks::all(values));
    objects.extend(gateways::all(values));
    objects
}

/// The same as YAML, one document each.
///
/// # Errors
/// When an object cannot be written, which would be a fault of ours.
pub fn yaml(objects: &[Value]) -> Result<String, Error> {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        let written = serde_saphyr::to_string(object).map_err(|error| Error::Unwritable(error.to_string()))?;
        text.push_str(&written);
    }
    Ok(text)
}

fn namespace(values: &Values) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": values.namespace() } })
}

/// The metadata of an object of the control plane; Kiali and istioctl know it by these labels.
fn meta(values: &Values, name: &str, namespaced: bool) -> Value {
    let mut meta = json!({
        "name": name,
        "labels": {
            "app": "istiod",
            "istio.io/rev": values.revision(),
            "app.kubernetes.io/name": "istiod",
            "app.kubernetes.io/instance": "istio",
            "app.kubernetes.io/part-of": "istio",
            "app.kubernetes.io/managed-by": "meltemi",
            "app.kubernetes.io/version": env!("CARGO_PKG_VERSION"),
        },
    });
    if namespaced {
        meta["namespace"] = values.namespace().into();
    }
    meta
}

#[cfg(test)]
mod tests;
