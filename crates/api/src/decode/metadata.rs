//! `metadata`: what is read of it, and the rules that all kinds share.

use std::collections::BTreeMap;
use std::sync::Arc;

use names::{Labels, Name};
use serde_json::{Map, Value};

use crate::yaml::Document;
use crate::{Issues, Kind, ObjectMeta, Origin, Said, rules};

/// What Kubernetes keeps in `metadata`.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The fields that `metadata` does not have.
pub(super) fn unknown(value: &Value) -> impl Iterator<Item = String> {
    let keys = value.get("metadata").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    keys.filter(|key| !FIELDS.contains(&key.as_str())).map(|key| format!("metadata.{key}"))
}

/// Reads `metadata`; a mistake is a path and a message.
pub(super) fn read(value: &Value, kind: Kind, document: &Document) -> Result<(ObjectMeta, Origin), (String, String)> {
    let empty = Map::new();
    let meta = mapping(value, "metadata", "metadata")?.unwrap_or(&empty);
    let text = |key: &str| match meta.get(key) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err((format!("metadata.{key}"), format!("a string is needed, not {other}"))),
    };
    let strings = |key: &str| -> Result<BTreeMap<Name, Name>, (String, String)> {
        let path = format!("metadata.{key}");
        let Some(map) = meta.get(key).map(|_| mapping(&value["metadata"], key, &path)).transpose()?.flatten() else {
            return Ok(BTreeMap::new());
        };
        let read = map.iter().map(|(name, value)| match value {
            Value::String(text) => Ok((Name::common(name), Name::common(text))),
            Value::Null => Ok((Name::common(name), Name::default())),
            other => Err((format!("{path}.{name}"), format!("a string is needed, not {other}"))),
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
        namespace: Name::common(namespace),
        uid: Name::from(text("uid")?),
        labels,
        annotations: strings("annotations")?,
        created,
    };
    let origin = Origin {
        file: document.file().cloned(),
        line: document.line,
        generation: meta.get("generation").and_then(Value::as_i64).unwrap_or(0),
        resource_version: Name::from(text("resourceVersion")?),
        said: kind.definition().and_then(|_| Said::of(value)).map(Arc::new),
    };
    Ok((meta_read, origin))
}

/// The mapping under a key, if there is something.
fn mapping<'v>(value: &'v Value, key: &str, path: &str) -> Result<Option<&'v Map<String, Value>>, (String, String)> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err((path.to_owned(), format!("a mapping is needed, not {other}"))),
    }
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
    annotations(meta, issues);
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

/// As much as an object may carry in them (`k8s.io/apimachinery: pkg/api/validation/objectmeta.go`).
const MOST_ANNOTATED: usize = 256 * 1024;

fn annotations(meta: &ObjectMeta, issues: &mut Issues) {
    for key in meta.annotations.keys().filter(|key| !rules::qualified_name(&key.to_ascii_lowercase())) {
        issues.error(format!("metadata.annotations.{key}"), format!("{key:?} is not the name of an annotation"));
    }
    if meta.annotations.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > MOST_ANNOTATED {
        issues.error("metadata.annotations", "at most 256 KiB");
    }
}

fn lower_label(label: &str) -> bool {
    rules::dns_label(label) && !label.bytes().any(|byte| byte.is_ascii_uppercase())
}
