//! A pod as JSON, as it was written: nothing of it is lost, what this program does not know included. Here is what is looked up in it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, Fault};

/// Name of the proxy's container.
pub(crate) const PROXY: &str = "istio-proxy";
/// Name of the container that sets the rules of capture.
pub(crate) const INIT: &str = "istio-init";
/// Name of the container that checks the rules which a CNI plugin set.
pub(crate) const VALIDATION: &str = "istio-validation";
/// Lists of containers, those of the start first.
pub(crate) const LISTS: [&str; 2] = ["initContainers", "containers"];

/// Strings by name.
pub(crate) type Strings = BTreeMap<String, String>;

/// Says what of a pod has not the form that a pod has, as far as it matters here.
pub(crate) fn check(pod: &Value) -> Result<(), Error> {
    let mut faults = Vec::new();
    if !pod["spec"].is_object() {
        faults.push(Fault::new("spec", "a pod needs a spec"));
    }
    for key in ["labels", "annotations"] {
        let path = format!("metadata.{key}");
        match &pod["metadata"][key] {
            Value::Null => {}
            Value::Object(map) => {
                let wrong = map.iter().filter(|(_, value)| !value.is_string());
                faults.extend(wrong.map(|(name, value)| {
                    Fault::new(format!("{path}.{name}"), format!("a string is needed, not {value}; quotes make it one"))
                }));
            }
            other => faults.push(Fault::new(path, format!("a mapping is needed, not {other}"))),
        }
    }
    for list in ["containers", "initContainers", "volumes", "imagePullSecrets"] {
        named(&pod["spec"][list], &format!("spec.{list}"), &mut faults);
    }
    for list in LISTS {
        for (at, container) in items(&pod["spec"][list]).iter().enumerate() {
            inside(container, &format!("spec.{list}[{at}]"), &mut faults);
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Pod(faults)) }
}

/// Judges a list of things with names.
fn named(list: &Value, path: &str, faults: &mut Vec<Fault>) {
    match list {
        Value::Null => {}
        Value::Array(items) => {
            let nameless = items.iter().enumerate().filter(|(_, item)| !item["name"].is_string());
            faults.extend(nameless.map(|(at, _)| Fault::new(format!("{path}[{at}].name"), "a name is needed")));
        }
        other => faults.push(Fault::new(path, format!("a list is needed, not {other}"))),
    }
}

/// Judges what is read or changed in a container.
fn inside(container: &Value, path: &str, faults: &mut Vec<Fault>) {
    named(&container["env"], &format!("{path}.env"), faults);
    for (list, key) in [("ports", "containerPort"), ("volumeMounts", "mountPath")] {
        match &container[list] {
            Value::Null => {}
            Value::Array(items) => {
                let without = items.iter().enumerate().filter(|(_, item)| item[key].is_null());
                faults.extend(without.map(|(at, _)| Fault::new(format!("{path}.{list}[{at}].{key}"), "is needed")));
            }
            other => faults.push(Fault::new(format!("{path}.{list}"), format!("a list is needed, not {other}"))),
        }
    }
    for key in ["readinessProbe", "livenessProbe", "startupProbe", "lifecycle", "securityContext"] {
        if !container[key].is_null() && !container[key].is_object() {
            faults.push(Fault::new(format!("{path}.{key}"), format!("a mapping is needed, not {}", container[key])));
        }
    }
}

/// Items of what may be a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// Labels, or annotations.
pub(crate) fn strings(pod: &Value, key: &str) -> Strings {
    let map = pod["metadata"][key].as_object().into_iter().flatten();
    map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Name of a container, a volume and so on.
pub(crate) fn name(item: &Value) -> &str {
    item["name"].as_str().unwrap_or_default()
}

/// A container of a list.
pub(crate) fn find<'a>(pod: &'a Value, list: &str, wanted: &str) -> Option<&'a Value> {
    items(&pod["spec"][list]).iter().find(|container| name(container) == wanted)
}

/// The same, to change it.
pub(crate) fn find_mut<'a>(pod: &'a mut Value, list: &str, wanted: &str) -> Option<&'a mut Value> {
    let found = pod.pointer_mut(&format!("/spec/{list}"))?.as_array_mut()?;
    found.iter_mut().find(|container| name(container) == wanted)
}

/// The proxy's container, wherever it stands: beside the others first.
pub(crate) fn sidecar(pod: &Value) -> Option<&Value> {
    find(pod, "containers", PROXY).or_else(|| find(pod, "initContainers", PROXY))
}

/// The same, to change it.
pub(crate) fn sidecar_mut(pod: &mut Value) -> Option<&mut Value> {
    let list = if find(pod, "containers", PROXY).is_some() { "containers" } else { "initContainers" };
    find_mut(pod, list, PROXY)
}

/// A mapping inside, made if it is not there.
pub(crate) fn object<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut at = value;
    for key in path {
        at = into_object(at).entry(*key).or_insert(Value::Null);
    }
    into_object(at)
}

/// Takes a value for a mapping; what was something else is one from now on.
fn into_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made a mapping above"),
    }
}

/// The list of containers, made if it is not there.
pub(crate) fn list_mut<'a>(pod: &'a mut Value, list: &str) -> &'a mut Vec<Value> {
    let entry = object(pod, &["spec"]).entry(list).or_insert(Value::Null);
    if !entry.is_array() {
        *entry = Value::Array(Vec::new());
    }
    match entry {
        Value::Array(items) => items,
        _ => unreachable!("it was made a list above"),
    }
}

/// Sets a variable of a container's environment to a text, where it stands or at the end.
pub(crate) fn set_env(container: &mut Value, key: &str, text: &str) {
    let value = serde_json::json!({ "name": key, "value": text });
    let env = into_object(container).entry("env").or_insert(Value::Null);
    if !env.is_array() {
        *env = Value::Array(Vec::new());
    }
    let Value::Array(env) = env else { return };
    match env.iter_mut().find(|each| name(each) == key) {
        Some(known) => *known = value,
        None => env.push(value),
    }
}

/// A value without the nulls in its mappings: to Kubernetes they say nothing.
pub(crate) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let said = map.iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
