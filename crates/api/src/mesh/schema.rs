//! Judges mesh settings against the table of their messages, field by field: one wrong field does not take the others along.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::messages::MESSAGES;
use crate::scalars::Duration;
use crate::typed::{self, join};
use crate::{Severity, expressions, rules};

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// A string.
    Text,
    /// A string that says something.
    Filled,
    /// true or false.
    Flag,
    /// A whole number, not below and not above.
    Whole(i64, i64),
    /// A number of 0 to 100.
    Percent,
    /// A duration, at least this many milliseconds, in multiples of the second number.
    Lasting(u64, u64),
    /// `host:port`.
    Address,
    /// Strings.
    Texts,
    /// Namespaces that see something, as in `exportTo`.
    Export,
    /// Expressions.
    Expressions,
    /// Strings by name.
    Labels,
    /// Any object.
    Object,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// A message of the table.
    One(&'static str),
    /// Several of it.
    Many(&'static str),
    /// Several of it by name.
    Named(&'static str),
    /// A message that the kinds have too.
    Shared(fn(&Value) -> Vec<Found>),
}

/// A message: its fields, those that are needed, and those of which at most one is set.
pub(super) struct Message {
    pub(super) name: &'static str,
    pub(super) fields: &'static [(&'static str, Shape)],
    pub(super) needed: &'static [&'static str],
    pub(super) one_of: &'static [&'static str],
}

/// Something to say of a field.
pub(super) struct Found {
    pub(super) severity: Severity,
    pub(super) path: String,
    pub(super) message: String,
}

fn wrong(path: &str, message: impl Into<String>) -> Found {
    Found { severity: Severity::Error, path: path.to_owned(), message: message.into() }
}

/// What is to be said of a value that should be a message.
pub(super) fn judge(name: &str, path: &str, value: &Value, found: &mut Vec<Found>) {
    let Some(message) = MESSAGES.iter().find(|message| message.name == name) else {
        unreachable!("the table has no message {name}; its test says so")
    };
    let Value::Object(map) = value else { return found.push(wrong(path, "a mapping is needed")) };
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let path = join(path, key);
        match message.fields.iter().find(|(name, _)| name == key) {
            Some((_, shape)) => field(*shape, &path, value, found),
            None => {
                let message = "there is no such field".to_owned();
                found.push(Found { severity: Severity::Warning, path, message });
            }
        }
    }
    let set = |key: &&&str| map.get(**key).is_some_and(|value| !value.is_null());
    for key in message.needed.iter().filter(|key| !set(key)) {
        found.push(wrong(&join(path, key), "is needed"));
    }
    let said: Vec<&str> = message.one_of.iter().filter(set).copied().collect();
    if said.len() > 1 {
        found.push(wrong(path, format!("{} exclude each other", said.join(" and "))));
    }
}

fn field(shape: Shape, path: &str, value: &Value, found: &mut Vec<Found>) {
    match shape {
        Shape::One(name) => judge(name, path, value, found),
        Shape::Many(name) => {
            let Some(items) = value.as_array() else { return found.push(wrong(path, "a list is needed")) };
            for (at, item) in items.iter().enumerate() {
                judge(name, &format!("{path}[{at}]"), item, found);
            }
        }
        Shape::Named(name) => {
            let Some(items) = value.as_object() else { return found.push(wrong(path, "a mapping is needed")) };
            for (key, item) in items {
                judge(name, &join(path, key), item, found);
            }
        }
        Shape::Texts | Shape::Export | Shape::Expressions | Shape::Words(_) => list(shape, path, value, found),
        Shape::Labels => {
            let Some(items) = value.as_object() else { return found.push(wrong(path, "a mapping is needed")) };
            for (key, _) in items.iter().filter(|(_, value)| !value.is_string()) {
                found.push(wrong(&join(path, key), "a string is needed"));
            }
        }
        Shape::Object if !value.is_object() => found.push(wrong(path, "a mapping is needed")),
        Shape::Object => {}
        Shape::Shared(judge) => found.extend(judge(value).into_iter().map(|each| {
            let path = join(path, &each.path);
            Found { path, ..each }
        })),
        Shape::Flag if !value.is_boolean() => found.push(wrong(path, format!("true or false is needed, not {value}"))),
        Shape::Flag => {}
        Shape::Whole(..) | Shape::Percent => number(shape, path, value, found),
        Shape::Text | Shape::Filled | Shape::Lasting(..) | Shape::Address | Shape::Word(_) => {
            text(shape, path, value, found)
        }
    }
}

fn number(shape: Shape, path: &str, value: &Value, found: &mut Vec<Found>) {
    let (least, most) = match shape {
        Shape::Whole(least, most) => (least, most),
        _ => (0, 100),
    };
    #[expect(clippy::cast_precision_loss, reason = "limits are far below 2^53")]
    let (low, high) = (least as f64, most as f64);
    // Protocol buffers take whole numbers as strings too.
    let written = || value.as_str().filter(|_| matches!(shape, Shape::Whole(..)))?.parse::<f64>().ok();
    match value.as_f64().or_else(written) {
        None => found.push(wrong(path, format!("a number is needed, not {value}"))),
        Some(number) if matches!(shape, Shape::Whole(..)) && number.fract() != 0.0 => {
            found.push(wrong(path, format!("a whole number is needed, not {value}")));
        }
        Some(number) if !(low..=high).contains(&number) => {
            found.push(wrong(path, format!("{value} is not in {least}..{most}")));
        }
        Some(_) => {}
    }
}

fn text(shape: Shape, path: &str, value: &Value, found: &mut Vec<Found>) {
    let Some(text) = value.as_str() else {
        // YAML reads words such as OFF so.
        let hint = if value.is_boolean() { "; write it in quotes" } else { "" };
        return found.push(wrong(path, format!("a string is needed, not {value}{hint}")));
    };
    let mistake = match shape {
        Shape::Filled if text.is_empty() => Some("must not be empty".to_owned()),
        Shape::Lasting(least, multiple) => lasting(text, least, multiple),
        Shape::Address if !text.is_empty() && !is_address(text) => Some(format!("{text:?} is not host:port")),
        Shape::Word(words) if !words.contains(&text) => Some(format!("{text:?} is none of {}", words.join(", "))),
        _ => None,
    };
    found.extend(mistake.map(|message| wrong(path, message)));
}

fn lasting(text: &str, least: u64, multiple: u64) -> Option<String> {
    let duration = match Duration::parse(text) {
        Ok(duration) => duration.std(),
        Err(error) => return Some(error),
    };
    let millis = duration.as_millis();
    let whole = duration.subsec_nanos() % 1_000_000 == 0 && millis % u128::from(multiple) == 0;
    let long = millis >= u128::from(least);
    (!whole || !long).then(|| format!("{text}: at least {least} ms in multiples of {multiple} ms is needed"))
}

/// A host or an address, and a port.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let port = port.parse::<u32>().is_ok_and(|port| (1..=65535).contains(&port));
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // What stands in `$(…)` is filled in where the proxy starts.
    port && (bare.parse::<std::net::IpAddr>().is_ok() || bare.contains("$(") || bare.split('.').all(rules::dns_label))
}

fn list(shape: Shape, path: &str, value: &Value, found: &mut Vec<Found>) {
    let Some(items) = value.as_array() else { return found.push(wrong(path, "a list is needed")) };
    for (at, item) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(text) = item.as_str() else {
            found.push(wrong(&path, format!("a string is needed, not {item}")));
            continue;
        };
        let twice = items[..at].contains(item);
        let mistake = match shape {
            Shape::Export if twice => Some(format!("{text} is there twice")),
            Shape::Export if items.len() > 1 && ["*", "~"].contains(&text) => Some(format!("{text} stands alone")),
            Shape::Export if !["*", ".", "~"].contains(&text) && !rules::dns_label(text) => {
                Some(format!("{text:?} is not a namespace"))
            }
            Shape::Expressions => expressions::check(text).err().map(|error| format!("not an expression: {error}")),
            Shape::Words(words) if !words.contains(&text) => Some(format!("{text:?} is none of {}", words.join(", "))),
            Shape::Words(_) if twice => Some(format!("{text} is there twice")),
            _ => None,
        };
        found.extend(mistake.map(|message| wrong(&path, message)));
    }
}

/// Judges a message that has a type of its own.
pub(super) fn shared<T: DeserializeOwned>(value: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    let unknown = |path| {
        let message = "there is no such field".to_owned();
        found.push(Found { severity: Severity::Warning, path, message });
    };
    let read = typed::parse::<T>(value, Some(unknown));
    if let Err((path, message)) = read {
        found.push(wrong(&path, message));
    }
    found
}
