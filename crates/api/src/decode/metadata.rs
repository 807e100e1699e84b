//! `metadata`: what is read of it, and the rules that all kinds share.

use std::collections::BTreeMap;

use names::{Labels, Name};
use serde_json::{Map, Value};

use crate::yaml::Document;
use crate::{Issues, Kind, ObjectMeta, Origin, rules};

/// Reads `metadata`; a mistake is a path and a message.
pub(super) fn read(value: &Value, kind: Kind, document: &Document) -> Result<(ObjectMeta, Origin), (String, String)> {
    let empty = Map::new();
    let meta = value.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let text = |key: &str| match meta.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err((format!("metadata.{key}"), format!("a string is needed, not {other}"))),
    };
    let strings = |key: &str| -> Result<BTreeMap<Name, Name>, (String, String)> {
        let Some(map) = meta.get(key).and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
        let read = map.iter().map(|(name, value)| match value {
            Value::String(text) => Ok((Name::from(name.as_str()), Name::from(text.as_str()))),
            Value::Null => Ok((Name::from(name.as_str()), Name::default())),
            other => Err((format!("metadata.{key}.{name}"), format!("a string is needed, not {other}"))),
        });
        read.collect()
    };
    let name = text("name")?;
    let generated = text("generateName")?;
    if name.is_empty() && generated.is_empty() {
        return Err(("metadata.name".into(), "an object needs a name".into()));
    }
    // The server appends something to it.
    let name = if name.is_empty() { generated.trim_end_matches('-') } else { name };
    let namespace = match (kind.namespaced(), text("namespace")?) {
        (false, _) => "",
        (true, "") => "default",
        (true, namespace) => namespace,
    };
    let created = match text("creationTimestamp")? {
        "" => None,
        time => match time.parse::<jiff::Timestamp>() {
            Ok(time) => Some(time.as_second()),
            Err(error) => return Err(("metadata.creationTimestamp".into(), format!("not a time: {error}"))),
        },
    };
    let labels: Labels = strings("labels")?.into_iter().collect();
    let meta_read = ObjectMeta {
        name: Name::from(name),
        namespace: Name::from(namespace),
        labels,
        annotations: strings("annotations")?,
        created,
    };
    let origin = Origin {
        file: document.file().cloned(),
        line: document.line,
        generation: meta.get("generation").and_then(Value::as_i64).unwrap_or(0),
        resource_version: Name::from(text("resourceVersion")?),
    };
    Ok((meta_read, origin))
}

/// Annotations with which the control plane marks its own objects: from outside they would lend rights.
const RESERVED: [&str; 3] =
    ["internal.istio.io/webhook-always-reject", "internal.istio.io/parents", "internal.istio.io/parent-namespace"];
/// Switches a policy to trial.
const DRY_RUN: &str = "istio.io/dry-run";

/// Names, labels and annotations, as the API server and the webhook take them.
pub(super) fn check(meta: &ObjectMeta, kind: Kind, issues: &mut Issues) {
    if meta.name.len() > 253 || !meta.name.split('.').all(lower_label) {
        issues.error("metadata.name", format!("{:?} is not a lower-case name of letters, digits, - and .", meta.name));
    }
    if !meta.namespace.is_empty() && !lower_label(&meta.namespace) {
        let message = format!("{:?} is not a lower-case name of letters, digits and -", meta.namespace);
        issues.error("metadata.namespace", message);
    }
    rules::labels("metadata.labels", &meta.labels, issues);
    if !kind.group().ends_with(".istio.io") {
        return;
    }
    for name in RESERVED.iter().filter(|name| meta.annotations.contains_key(**name)) {
        issues.error(format!("metadata.annotations.{name}"), "is not for users");
    }
    if kind != Kind::AuthorizationPolicy && meta.annotations.contains_key(DRY_RUN) {
        issues.error(format!("metadata.annotations.{DRY_RUN}"), "only an AuthorizationPolicy can be tried");
    }
}

fn lower_label(label: &str) -> bool {
    rules::dns_label(label) && !label.bytes().any(|byte| byte.is_ascii_uppercase())
}
