//! Strategic merge: lays a part of a pod over a pod as Kubernetes does. Mappings are merged; lists of containers, variables, mounts and the
//! like are merged by the key that makes an item; other lists are replaced; a null takes a field away. The directives of Kubernetes
//! (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`) hold.
//! (k8s.io/apimachinery: pkg/util/strategicpatch/patch.go; keys: k8s.io/api: core/v1/types.go, `patchMergeKey`)

use serde_json::{Map, Value};

/// Where in a pod something stands, as far as merging knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pod,
    Metadata,
    Spec,
    Container,
    Other,
}

/// What a list is to merging.
enum List {
    /// Replaced as a whole.
    Atomic,
    /// Merged by this field of its items.
    By(&'static str),
    /// Values that are added if they are not there.
    Set,
}

impl Kind {
    fn child(self, key: &str) -> Self {
        match (self, key) {
            (Self::Pod, "metadata") => Self::Metadata,
            (Self::Pod, "spec") => Self::Spec,
            (Self::Spec, "containers" | "initContainers" | "ephemeralContainers") => Self::Container,
            _ => Self::Other,
        }
    }

    fn list(self, key: &str) -> List {
        match (self, key) {
            (Self::Metadata, "finalizers") => List::Set,
            (Self::Metadata, "ownerReferences") => List::By("uid"),
            (
                Self::Spec,
                "containers"
                | "initContainers"
                | "ephemeralContainers"
                | "volumes"
                | "imagePullSecrets"
                | "schedulingGates"
                | "resourceClaims",
            ) => List::By("name"),
            (Self::Spec, "hostAliases") => List::By("ip"),
            (Self::Spec, "topologySpreadConstraints") => List::By("topologyKey"),
            (Self::Container, "env") => List::By("name"),
            (Self::Container, "ports") => List::By("containerPort"),
            (Self::Container, "volumeMounts") => List::By("mountPath"),
            (Self::Container, "volumeDevices") => List::By("devicePath"),
            _ => List::Atomic,
        }
    }
}

/// Lays a part of a pod over a pod.
///
/// # Errors
/// A path and what is wrong there: the part has not the form of a pod, or a directive makes no sense.
pub(crate) fn lay(pod: &mut Value, part: &Value) -> Result<(), String> {
    let Value::Object(part) = part else { return Err("a mapping is needed".to_owned()) };
    let mut merged = pod.as_object().cloned().unwrap_or_default();
    mapping(&mut merged, part, Kind::Pod, "")?;
    *pod = Value::Object(merged);
    Ok(())
}

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

fn mapping(under: &mut Map<String, Value>, over: &Map<String, Value>, kind: Kind, path: &str) -> Result<(), String> {
    match over.get(PATCH).map(|word| word.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => {
            *under = plain(over);
            return Ok(());
        }
        Some("delete") => {
            under.clear();
            return Ok(());
        }
        Some(other) => return Err(format!("{path}: $patch {other:?} is none of merge, replace, delete")),
    }
    if let Some(Value::Array(kept)) = over.get(RETAIN) {
        under.retain(|key, _| kept.iter().any(|each| each == key));
    }
    for (key, values) in over.iter().filter_map(|(key, values)| Some((key.strip_prefix(DELETE)?, values))) {
        if let Some(Value::Array(known)) = under.get_mut(key) {
            known.retain(|each| !values.as_array().is_some_and(|values| values.contains(each)));
        }
    }
    for (key, value) in over.iter().filter(|(key, _)| !key.starts_with('$')) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        field(under, key, value, kind, &path)?;
    }
    for (key, order) in over.iter().filter_map(|(key, order)| Some((key.strip_prefix(ORDER)?, order))) {
        sort(under, key, order, kind);
    }
    Ok(())
}

fn field(under: &mut Map<String, Value>, key: &str, value: &Value, kind: Kind, path: &str) -> Result<(), String> {
    match value {
        Value::Null => drop(under.remove(key)),
        Value::Object(over) => {
            let known = under.entry(key).or_insert(Value::Null);
            let mut inner = known.as_object().cloned().unwrap_or_default();
            mapping(&mut inner, over, kind.child(key), path)?;
            if over.get(PATCH).is_some_and(|word| word == "delete") {
                under.remove(key);
            } else {
                under.insert(key.to_owned(), Value::Object(inner));
            }
        }
        Value::Array(over) => {
            let known = under.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            let merged = match kind.list(key) {
                List::Atomic => over.iter().map(tidy).collect(),
                List::Set => {
                    let new = over.iter().filter(|each| !known.contains(each)).cloned();
                    known.iter().cloned().chain(new).collect()
                }
                List::By(by) => list(known, over, by, kind.child(key), path)?,
            };
            under.insert(key.to_owned(), Value::Array(merged));
        }
        other => drop(under.insert(key.to_owned(), other.clone())),
    }
    Ok(())
}

/// Merges items by one of their fields.
fn list(mut known: Vec<Value>, over: &[Value], by: &'static str, kind: Kind, path: &str) -> Result<Vec<Value>, String> {
    if over.iter().any(|item| item.get(PATCH).is_some_and(|word| word == "replace")) {
        known.clear();
    }
    let before: Vec<Value> = known.iter().map(|item| item[by].clone()).collect();
    let mut named = Vec::new();
    for (at, item) in over.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Value::Object(item) = item else { return Err(format!("{path}: a mapping is needed")) };
        let word = item.get(PATCH).and_then(Value::as_str);
        let Some(key) = item.get(by).filter(|key| !key.is_null()) else {
            if word == Some("replace") && item.len() == 1 {
                continue;
            }
            return Err(format!("{path}: {by} is needed"));
        };
        let found = known.iter().position(|each| &each[by] == key);
        match (word, found) {
            (Some("delete"), Some(at)) => drop(known.remove(at)),
            (Some("delete"), None) => {}
            (Some("replace"), _) | (_, None) => named.push(Value::Object(plain(item))),
            (_, Some(at)) => {
                let mut inner = known.remove(at).as_object().cloned().unwrap_or_default();
                mapping(&mut inner, item, kind, &path)?;
                named.push(Value::Object(inner));
            }
        }
    }
    Ok(interleaved(known, named, |item| before.iter().position(|key| *key == item[by])))
}

/// Both lists in one, each in its own order. What was not named stands before the first that is named and stood behind it; new items
/// have no place of their own and come before what was not named. (strategicpatch: mergeSortedSlice)
fn interleaved(rest: Vec<Value>, named: Vec<Value>, place: impl Fn(&Value) -> Option<usize>) -> Vec<Value> {
    let mut all = Vec::with_capacity(rest.len() + named.len());
    let mut rest = rest.into_iter().peekable();
    for item in named {
        while let Some(next) =
            rest.next_if(|next| place(next).zip(place(&item)).is_some_and(|(rest, item)| rest < item))
        {
            all.push(next);
        }
        all.push(item);
    }
    all.extend(rest);
    all
}

/// Puts items that an order names where it names them; the others stay behind those that they follow.
fn sort(under: &mut Map<String, Value>, key: &str, order: &Value, kind: Kind) {
    let (Some(Value::Array(known)), Value::Array(order)) = (under.get_mut(key), order) else { return };
    let rank = |item: &Value| match kind.list(key) {
        List::By(by) => order.iter().position(|each| each[by] == item[by]),
        List::Set | List::Atomic => order.iter().position(|each| each == item),
    };
    let mut last = 0;
    let mut ranked: Vec<(usize, Value)> = Vec::new();
    for item in known.drain(..) {
        last = rank(&item).unwrap_or(last);
        ranked.push((last, item));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    known.extend(ranked.into_iter().map(|(_, item)| item));
}

/// What is new as a whole: without directives, without nulls.
fn plain(map: &Map<String, Value>) -> Map<String, Value> {
    let said = map.iter().filter(|(key, value)| !value.is_null() && !key.starts_with('$'));
    said.map(|(key, value)| (key.clone(), tidy(value))).collect()
}

fn tidy(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(plain(map)),
        Value::Array(items) => Value::Array(items.iter().map(tidy).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
