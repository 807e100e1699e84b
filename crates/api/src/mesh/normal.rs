//! Mesh settings as proto3 JSON writes them: camelCase names, durations in seconds, numbers as numbers, no nulls, no unknown fields.

use serde_json::{Map, Value};

use super::messages::MESSAGES;
use super::schema::Shape;
use crate::scalars::Duration;

/// A message of the table, cleaned; what is no message stays as it is.
pub(super) fn message(name: &str, value: &Value) -> Value {
    let (Some(message), Value::Object(map)) = (MESSAGES.iter().find(|message| message.name == name), value) else {
        return value.clone();
    };
    let known = |key: &str| message.fields.iter().find(|(name, _)| *name == key).map(|(_, shape)| *shape);
    let fields = map.iter().filter(|(_, value)| !value.is_null()).filter_map(|(key, value)| {
        let shape = known(key)?;
        Some((key.clone(), field(shape, value)))
    });
    Value::Object(fields.collect())
}

fn field(shape: Shape, value: &Value) -> Value {
    let each = |items: &[Value], name| Value::Array(items.iter().map(|item| message(name, item)).collect());
    match (shape, value) {
        (Shape::One(name), _) => message(name, value),
        (Shape::Many(name), Value::Array(items)) => each(items, name),
        (Shape::Named(name), Value::Object(map)) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), message(name, item))).collect())
        }
        (Shape::Whole(..), Value::String(text)) => text.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        (Shape::Lasting(..), Value::String(text)) => {
            Duration::parse(text).map_or_else(|_| value.clone(), |duration| Value::String(duration.to_string()))
        }
        _ => value.clone(),
    }
}

/// Names of fields as the table has them: protocol buffers take them in snake_case too. What users name themselves stays.
pub(super) fn camel(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut renamed = Map::new();
            for (key, value) in map {
                let theirs = ["proxyMetadata", "proxy_metadata", "runtimeValues", "runtime_values", "matchLabels"];
                let value = if theirs.contains(&key.as_str()) { value.clone() } else { camel(value) };
                renamed.insert(camel_key(key), value);
            }
            Value::Object(renamed)
        }
        Value::Array(items) => Value::Array(items.iter().map(camel).collect()),
        other => other.clone(),
    }
}

fn camel_key(key: &str) -> String {
    let mut parts = key.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}
