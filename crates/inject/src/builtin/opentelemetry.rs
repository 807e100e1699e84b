//! Attributes of the workload by OpenTelemetry's conventions for Kubernetes, where a tracing provider of the mesh wants them
//! (`istio: pkg/kube/inject/template.go`, otelResourceAttributes).

use serde_json::Value;

use super::{Context, pod};

/// The attributes, as `OTEL_RESOURCE_ATTRIBUTES` has them.
pub(crate) fn attributes(context: &Context<'_>) -> Option<String> {
    if !context.mesh().has_opentelemetry_attributes() {
        return None;
    }
    let annotation = |name: &str| {
        let said = context.annotations.get(&format!("resource.opentelemetry.io/{name}"));
        said.filter(|value| !value.is_empty()).cloned()
    };
    let namespace = context.workload.namespace.as_str();
    let containers: Vec<&Value> = context.applications().collect();
    let labelled = || context.labels.get("app.kubernetes.io/version").filter(|value| !value.is_empty()).cloned();
    let imaged = || if let [only] = containers[..] { version(only["image"].as_str()?) } else { None };
    // Kubernetes fills the pod's name in.
    let instance = |first: &Value| format!("{namespace}.$(POD_NAME).{}", pod::name(first));
    let all = [
        (
            "service.namespace",
            annotation("service.namespace").or(Some(namespace.to_owned()).filter(|name| !name.is_empty())),
        ),
        ("service.version", annotation("service.version").or_else(labelled).or_else(imaged)),
        (
            "service.instance.id",
            annotation("service.instance.id").or_else(|| containers.first().map(|first| instance(first))),
        ),
    ];
    let said: Vec<String> = all.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    Some(said.join(",")).filter(|said| !said.is_empty())
}

/// Tag and digest of an image.
fn version(image: &str) -> Option<String> {
    let (image, digest) = image.split_once('@').map_or((image, None), |(image, digest)| (image, Some(digest)));
    let name = image.rsplit('/').next().unwrap_or(image);
    match (name.rsplit_once(':').map(|(_, tag)| tag), digest) {
        (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
        (None, Some(digest)) => Some(digest.to_owned()),
        (tag, None) => tag.map(str::to_owned),
    }
}
