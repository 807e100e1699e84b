//! What the API server says of an object by its schema, without one: types and bounds here, conditions by `kube_cel`. The test on a real
//! API server (`tests/kubernetes/crds.rs`) has the same objects.

use serde_json::{Map, Value};

/// Everything that is wrong with a value.
pub(super) fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    let mut value = value.clone();
    drop_nulls(schema, &mut value);
    let mut found = Vec::new();
    node(schema, &value, "", &mut found);
    // Conditions may count on types.
    if found.is_empty() {
        let judged = kube_cel::validate(schema, &value, None);
        let broken = judged.err().map(kube_cel::ValidationErrors::into_vec).unwrap_or_default();
        found.extend(broken.iter().map(|error| format!("{}: {}", error.field_path, error.message)));
    }
    found
}

/// A null that is not allowed is as good as missing.
fn drop_nulls(schema: &Value, value: &mut Value) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true && schema.get("properties").is_none() {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !value.is_null() || below(schema, key)["nullable"] == true);
            map.iter_mut().for_each(|(key, value)| drop_nulls(below(schema, key), value));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(&schema["items"], item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of a field.
fn below<'s>(schema: &'s Value, key: &str) -> &'s Value {
    schema["properties"].get(key).unwrap_or(&schema["additionalProperties"])
}

fn node(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let mut say = |what: &str| found.push(format!("{path}: {what}"));
    let fits = match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(_)) | (Some("array"), Value::Array(_)) => true,
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => true,
        (Some("number"), Value::Number(_)) | (None, _) => true,
        (Some("integer"), Value::Number(number)) => number.is_i64() || number.is_u64(),
        _ => false,
    };
    if !fits {
        return say(&format!("must be of type {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        say("is none of the words");
    }
    logic(schema, value, &mut say);
    match value {
        Value::Object(map) => object(schema, map, path, found),
        Value::Array(items) => list(schema, items, path, found),
        Value::String(text) => string(schema, text, &mut say),
        Value::Number(number) => bounds(schema, number.as_f64().unwrap(), "imum", &mut say),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Unions: which fields are there.
fn logic(schema: &Value, value: &Value, say: &mut dyn FnMut(&str)) {
    let fitting =
        |key: &str| schema[key].as_array().map(|parts| parts.iter().filter(|part| holds(part, value)).count());
    if fitting("oneOf").is_some_and(|fitting| fitting != 1) {
        say("must be one of oneOf");
    }
    if fitting("allOf").is_some_and(|fitting| fitting != schema["allOf"].as_array().unwrap().len()) {
        say("must be all of allOf");
    }
}

/// Whether a part of a union holds. It asks for nothing but fields that are there.
fn holds(part: &Value, value: &Value) -> bool {
    let all =
        |key: &str| part[key].as_array().map(|parts| parts.iter().map(|part| holds(part, value)).collect::<Vec<_>>());
    let required =
        part["required"].as_array().into_iter().flatten().all(|name| value.get(name.as_str().unwrap()).is_some());
    let one = all("oneOf").is_none_or(|parts| parts.iter().filter(|holds| **holds).count() == 1);
    let any = all("anyOf").is_none_or(|parts| parts.contains(&true));
    let not = part.get("not").is_none_or(|part| !holds(part, value));
    required && one && any && not
}

fn object(schema: &Value, map: &Map<String, Value>, path: &str, found: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            found.push(format!("{path}.{name}: required"));
        }
    }
    bounds(schema, map.len() as f64, "Properties", &mut |what| found.push(format!("{path}: {what}")));
    let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
    for (key, value) in map {
        match below(schema, key) {
            Value::Null if open => {}
            Value::Null => found.push(format!("{path}.{key}: unknown field")),
            inner => node(inner, value, &format!("{path}.{key}"), found),
        }
    }
}

fn list(schema: &Value, items: &[Value], path: &str, found: &mut Vec<String>) {
    bounds(schema, items.len() as f64, "Items", &mut |what| found.push(format!("{path}: {what}")));
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    for (at, item) in items.iter().enumerate() {
        node(&schema["items"], item, &format!("{path}[{at}]"), found);
        let same = |other: &Value| {
            keys.is_some_and(|keys| keys.iter().all(|key| item[key.as_str().unwrap()] == other[key.as_str().unwrap()]))
        };
        if items[..at].iter().any(same) {
            found.push(format!("{path}[{at}]: there twice"));
        }
    }
}

fn string(schema: &Value, text: &str, say: &mut dyn FnMut(&str)) {
    bounds(schema, text.chars().count() as f64, "Length", say);
    if let Some(pattern) = schema["pattern"].as_str()
        && !regex::Regex::new(pattern).unwrap().is_match(text)
    {
        say(&format!("must match {pattern}"));
    }
    let base64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$";
    if schema["format"] == "byte" && !regex::Regex::new(base64).unwrap().is_match(text) {
        say("must be base64");
    }
}

fn bounds(schema: &Value, measure: f64, of: &str, say: &mut dyn FnMut(&str)) {
    let int32 = schema["format"] == "int32" && of == "imum";
    let least = schema[format!("min{of}")].as_f64().or(int32.then_some(i32::MIN.into()));
    let most = schema[format!("max{of}")].as_f64().or(int32.then_some(i32::MAX.into()));
    if least.is_some_and(|least| measure < least) {
        say("too little");
    }
    if most.is_some_and(|most| measure > most) {
        say("too much");
    }
}
