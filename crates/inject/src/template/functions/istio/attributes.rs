//! Attributes of a workload for OpenTelemetry, by its conventions for Kubernetes.

use super::super::{Args, Outcome, Runtime, Value};

/// The kind of enrichment that asks for them.
const SEMANTIC_CONVENTIONS: i32 = 1;

pub(in super::super) fn otel_resource_attributes(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    if !is_asked_for(args.any(0)) {
        return runtime.text("");
    }
    let annotation = |name: &str| entry(args.any(1), &format!("resource.opentelemetry.io/{name}"));
    let (labels, namespace) = (args.any(2), args.text(3)?);
    let containers = args.any(4).items().unwrap_or_default();
    let mut attributes = Vec::new();

    let own = (!namespace.is_empty()).then(|| namespace.to_owned());
    if let Some(namespace) = annotation("service.namespace").or(own) {
        attributes.push(format!("service.namespace={namespace}"));
    }
    let version = || match containers {
        [only] => image_version(&text_field(only, "Image")),
        _ => None,
    };
    let labelled = || entry(labels, "app.kubernetes.io/version");
    if let Some(version) = annotation("service.version").or_else(labelled).or_else(version) {
        attributes.push(format!("service.version={version}"));
    }
    // kubelet puts the pod's name in: it is not known yet
    let instance = || containers.first().map(|first| format!("{namespace}.$(POD_NAME).{}", text_field(first, "Name")));
    if let Some(instance) = annotation("service.instance.id").or_else(instance) {
        attributes.push(format!("service.instance.id={instance}"));
    }
    runtime.text(attributes.join(","))
}

fn is_asked_for(mesh: &Value) -> bool {
    let field = |value: &Value, name: &str| match value.indirect() {
        Value::Record(record) => record.get(name).unwrap_or(Value::Missing),
        _ => Value::Missing,
    };
    let providers = field(mesh, "ExtensionProviders");
    providers.items().unwrap_or_default().iter().any(|provider| {
        let telemetry = field(provider, "Opentelemetry");
        matches!(field(&telemetry, "ServiceAttributeEnrichment"), Value::Enum(SEMANTIC_CONVENTIONS, _))
    })
}

fn text_field(value: &Value, name: &str) -> String {
    match value {
        Value::Record(record) => record.get(name).and_then(|value| value.text().map(str::to_owned)).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The value of a key, if it is not empty.
fn entry(map: &Value, key: &str) -> Option<String> {
    match map {
        Value::Map(map) => map
            .entries
            .borrow()
            .get(key)
            .and_then(|value| value.text().map(str::to_owned))
            .filter(|text| !text.is_empty()),
        _ => None,
    }
}

/// The tag and digest of an image: `registry:5000/name:tag@digest`.
fn image_version(image: &str) -> Option<String> {
    let (name, digest) = image.split_once('@').unwrap_or((image, ""));
    let tag = match name.rfind(':') {
        Some(colon) if name.rfind('/').is_none_or(|slash| slash < colon) => &name[colon + 1..],
        _ => "",
    };
    match (tag.is_empty(), digest.is_empty()) {
        (true, true) => None,
        (false, false) => Some(format!("{tag}@{digest}")),
        _ => Some(format!("{tag}{digest}")),
    }
}
