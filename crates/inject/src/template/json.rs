//! JSON as Go's `encoding/json` reads and writes it, and messages of protobuf as its JSON.

use serde_json::Value as Json;

use super::format::{float, int_or_string};
use super::meter::Fault;
use super::shape::{self, Field, Type};
use super::value::{Outcome, Record, Runtime, Span, Value};
use super::{dates, present, versions};

/// A value as compact JSON; with `html`, the characters that mean something in HTML are escaped, as Go does unless told otherwise.
pub(crate) fn encode(runtime: &Runtime<'_>, value: &Value, html: bool) -> Result<String, Fault> {
    let mut writer = Writer { runtime, out: String::new(), html, counted: 0 };
    writer.value(value, 0)?;
    writer.count()?;
    Ok(writer.out)
}

/// A value as JSON in lines, two spaces a level.
pub(crate) fn pretty(runtime: &Runtime<'_>, value: &Value) -> Result<String, Fault> {
    let compact = encode(runtime, value, true)?;
    indented(runtime, &compact)
}

/// A message of protobuf as its JSON: fields that have their default are left out.
pub(crate) fn message(runtime: &Runtime<'_>, value: &Value, depth: usize) -> Result<String, Fault> {
    let mut writer = Writer { runtime, out: String::new(), html: true, counted: 0 };
    match value.indirect() {
        Value::Record(record) => writer.message(record, depth)?,
        _ => writer.value(value, depth)?,
    }
    writer.count()?;
    Ok(writer.out)
}

/// JSON as a value without types.
pub(crate) fn decode(runtime: &Runtime<'_>, text: &str) -> Outcome {
    runtime.meter.bytes(text.len())?;
    match serde_json::from_str::<Json>(text) {
        Ok(json) => present::untyped(runtime, &json, 0),
        Err(error) => Fault::said(error.to_string()),
    }
}

struct Writer<'a> {
    runtime: &'a Runtime<'a>,
    out: String,
    html: bool,
    counted: usize,
}

impl Writer<'_> {
    fn count(&mut self) -> Result<(), Fault> {
        self.runtime.meter.bytes(self.out.len() - self.counted)?;
        self.counted = self.out.len();
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        self.runtime.meter.nested(depth)?;
        self.count()?;
        match value {
            Value::Missing | Value::Null | Value::Nil(_) => self.out.push_str("null"),
            Value::Bool(on) => self.out.push_str(if *on { "true" } else { "false" }),
            Value::Whole(number, _) => self.out.push_str(&number.to_string()),
            Value::Enum(number, _) => self.out.push_str(&number.to_string()),
            Value::Float(number) if !number.is_finite() => {
                return Fault::said(format!("json: unsupported value: {}", float::format(*number, 'g', None)));
            }
            Value::Float(number) => self.out.push_str(&float::json(*number)),
            Value::Named(text, "v1.Time") if text.is_empty() => self.out.push_str("null"),
            Value::Named(text, "resource.Quantity") if text.is_empty() => self.out.push_str("\"0\""),
            Value::Text(text) | Value::Named(text, _) => self.text(text),
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items.iter().enumerate() {
                    self.comma(index > 0);
                    self.value(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => {
                self.out.push('{');
                for (index, (key, value)) in map.entries.borrow().iter().enumerate() {
                    self.comma(index > 0);
                    self.key(key);
                    self.value(value, depth + 1)?;
                }
                self.out.push('}');
            }
            Value::Record(record) if record.shape.message => self.message(record, depth)?,
            Value::Record(record) => self.record(record, depth)?,
            Value::Pointer(to) => self.value(to, depth)?,
            Value::Duration(span) => self.span(*span),
            Value::Time(time) => self.text(&dates::format(time, "2006-01-02T15:04:05.999999999Z07:00")?),
            Value::Version(version) => self.text(&versions::written(version)),
        }
        Ok(())
    }

    /// A duration that is not inside of a message: the fields of its struct.
    fn span(&mut self, span: Span) {
        let fields = [("seconds", span.seconds), ("nanos", i64::from(span.nanos))];
        let given = fields.iter().filter(|(_, value)| *value != 0).map(|(name, value)| format!("\"{name}\":{value}"));
        self.out.push_str(&format!("{{{}}}", given.collect::<Vec<_>>().join(",")));
    }

    fn comma(&mut self, wanted: bool) {
        if wanted {
            self.out.push(',');
        }
    }

    fn key(&mut self, key: &str) {
        self.text(key);
        self.out.push(':');
    }

    fn record(&mut self, record: &Record, depth: usize) -> Result<(), Fault> {
        if record.shape.name == "intstr.IntOrString" {
            match record.get("Type") {
                Some(Value::Whole(0, _)) | None => self.out.push_str(&int_or_string(record)),
                _ => self.text(&int_or_string(record)),
            }
            return Ok(());
        }
        self.out.push('{');
        let mut first = true;
        self.fields(record, &mut first, depth)?;
        self.out.push('}');
        Ok(())
    }

    fn fields(&mut self, record: &Record, first: &mut bool, depth: usize) -> Result<(), Fault> {
        for (index, field) in record.shape.fields.iter().enumerate() {
            let value = record.at(index);
            if field.inline {
                if let Value::Record(inner) = value.indirect() {
                    self.runtime.meter.nested(depth)?;
                    self.fields(inner, first, depth + 1)?;
                }
            } else if field.always || !is_empty(&value) {
                self.comma(!std::mem::replace(first, false));
                self.key(&field.json);
                self.value(&value, depth + 1)?;
            }
        }
        for (key, value) in &record.extra {
            self.comma(!std::mem::replace(first, false));
            self.key(key);
            self.value(value, depth + 1)?;
        }
        Ok(())
    }

    fn message(&mut self, record: &Record, depth: usize) -> Result<(), Fault> {
        self.runtime.meter.nested(depth)?;
        if record.shape.name.starts_with("wrapperspb.") {
            return self.proto_value(&record.at(0), depth);
        }
        self.out.push('{');
        let mut first = true;
        for (index, field) in record.shape.fields.iter().enumerate() {
            let Some(Some(value)) = record.fields.get(index) else { continue };
            if is_default(field, value) {
                continue;
            }
            self.comma(!std::mem::replace(&mut first, false));
            self.key(&field.json);
            self.proto_value(value, depth + 1)?;
        }
        for (key, value) in &record.extra {
            self.comma(!std::mem::replace(&mut first, false));
            self.key(key);
            self.value(value, depth + 1)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// In protobuf's JSON, enumerations are names and numbers of 64 bits are strings.
    fn proto_value(&mut self, value: &Value, depth: usize) -> Result<(), Fault> {
        self.runtime.meter.nested(depth)?;
        match value {
            Value::Enum(number, name) => self.text(&shape::enumeration(name).written(*number)),
            Value::Whole(number, whole) if present::is_long(*whole) => self.text(&number.to_string()),
            Value::Float(number) if !number.is_finite() => self.text(&float::format(*number, 'g', None)),
            Value::Pointer(to) => self.proto_value(to, depth)?,
            Value::Duration(span) => self.text(&span.json()),
            Value::Record(record) => self.message(record, depth + 1)?,
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items.iter().enumerate() {
                    self.comma(index > 0);
                    self.proto_value(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) if map.of != Type::Any => {
                self.out.push('{');
                for (index, (key, value)) in map.entries.borrow().iter().enumerate() {
                    self.comma(index > 0);
                    self.key(key);
                    self.proto_value(value, depth + 1)?;
                }
                self.out.push('}');
            }
            _ => self.value(value, depth)?,
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '<' | '>' | '&' if self.html => self.out.push_str(&format!("\\u{:04x}", character as u32)),
                '\u{2028}' | '\u{2029}' => self.out.push_str(&format!("\\u{:04x}", character as u32)),
                _ if character < ' ' => self.out.push_str(&format!("\\u{:04x}", character as u32)),
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }
}

/// What `omitempty` leaves out, and `omitzero` of structs.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Named(text, _) => text.is_empty(),
        Value::Record(record) => {
            record.extra.is_empty()
                && record.fields.iter().flatten().all(is_empty)
                && record.shape.name != "intstr.IntOrString"
        }
        _ => !value.truth(),
    }
}

fn is_default(field: &Field, value: &Value) -> bool {
    match field.kind {
        // it is there, whatever is in it
        Type::Pointer(_) | Type::Duration => matches!(value, Value::Nil(_)),
        _ => !value.truth(),
    }
}

/// Compact JSON in lines, as `json.Indent` does it.
fn indented(runtime: &Runtime<'_>, compact: &str) -> Result<String, Fault> {
    let mut out = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let mut characters = compact.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        runtime.meter.bytes(1 + 2 * depth)?;
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
        Ok(())
    };
    while let Some(character) = characters.next() {
        if in_text {
            out.push(character);
            in_text = escaped || character != '"';
            escaped = character == '\\' && !escaped;
            continue;
        }
        match character {
            '{' | '[' => {
                out.push(character);
                if characters.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(characters.next());
                } else {
                    depth += 1;
                    line(&mut out, depth)?;
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth)?;
                out.push(character);
            }
            ',' => {
                out.push(',');
                line(&mut out, depth)?;
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = character == '"';
                out.push(character);
            }
        }
    }
    Ok(out)
}
