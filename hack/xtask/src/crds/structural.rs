//! From a schema as schemars makes it to one that the API server takes: each node has one type, a missing value is a missing field and not
//! a null, numbers are those of protobuf, and nothing is said twice.

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

/// What may stand in a node. Anything else is a word that nobody thought of, and would be dropped or refused by the API server.
const KEYWORDS: [&str; 25] = [
    "additionalProperties",
    "allOf",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
    api::schema::REQUIRED,
];

/// Brings a node and all below it into form.
pub(super) fn bring(node: Value) -> anyhow::Result<Value> {
    let Value::Object(mut node) = node else { bail!("a mapping is needed, not {node}") };
    for said in ["$schema", "default", "title"] {
        node.remove(said);
    }
    optional(&mut node);
    words(&mut node);
    numbers(&mut node);
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = node.get_mut(key) {
            *inner = bring(inner.take()).context(key)?;
        }
    }
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        let mut needed = Vec::new();
        for (name, property) in properties {
            *property = bring(property.take()).with_context(|| name.clone())?;
            let marked = property.as_object_mut().and_then(|property| property.remove(api::schema::REQUIRED));
            needed.extend(marked.map(|_| name.clone()));
        }
        if !needed.is_empty() {
            node.insert("required".to_owned(), needed.into());
        }
    }
    match node.keys().find(|key| !KEYWORDS.contains(&key.as_str())) {
        Some(unknown) => bail!("{unknown:?} is not a word for the API server"),
        None => Ok(Value::Object(node)),
    }
}

/// `Option` is a type or null; here it is the type.
fn optional(node: &mut Map<String, Value>) {
    let is_null = |choice: &Value| *choice == json!({ "type": "null" });
    if let Some(Value::Array(choices)) = node.get("anyOf")
        && let [Value::Object(inner), null] = choices.as_slice()
        && is_null(null)
    {
        let inner = inner.clone();
        node.remove("anyOf");
        for (key, value) in inner {
            match (node.get_mut(&key), value) {
                (None, value) => drop(node.insert(key, value)),
                // Conditions of the type come before those of the field; of anything else the field knows more.
                (Some(Value::Array(outer)), Value::Array(mut conditions)) => {
                    conditions.append(outer);
                    *outer = conditions;
                }
                (Some(_), _) => {}
            }
        }
    }
    if let Some(Value::Array(types)) = node.get("type")
        && let [one, Value::String(null)] = types.as_slice()
        && null == "null"
    {
        let one = one.clone();
        node.insert("type".to_owned(), one);
    }
    if let Some(Value::Array(words)) = node.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
}

/// A choice between constants is a list of words; what each says of itself has no place there.
fn words(node: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = node.get("oneOf") else { return };
    let words: Option<Vec<Value>> = choices.iter().map(|choice| choice.get("const").cloned()).collect();
    if let Some(words) = words {
        node.remove("oneOf");
        node.insert("type".to_owned(), "string".into());
        node.insert("enum".to_owned(), words.into());
    }
}

/// The API server knows no formats of unsigned numbers: they become bounds.
fn numbers(node: &mut Map<String, Value>) {
    let Some(format) = node.get("format").and_then(Value::as_str) else { return };
    let most = match format {
        "uint16" => Some(u64::from(u16::MAX)),
        "uint32" => Some(u64::from(u32::MAX)),
        // Larger than what a number of JSON holds exactly.
        "uint64" => None,
        _ => return,
    };
    node.remove("format");
    node.entry("minimum").or_insert_with(|| 0.into());
    if let Some(most) = most {
        node.entry("maximum").or_insert_with(|| most.into());
    }
}
