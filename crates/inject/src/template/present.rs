//! From JSON to values: what a template sees of the data. With a type, JSON becomes what Go would have decoded it to; without one, what
//! `encoding/json` makes of it, so that each number is a `float64`.

use std::rc::Rc;

use serde_json::{Map as Object, Value as Json};

use super::duration;
use super::meter::Fault;
use super::shape::{self, Field, Shape, Type, Whole};
use super::value::{Entries, Outcome, Record, Runtime, Value};

/// JSON as a value of a type.
pub(crate) fn present(runtime: &Runtime<'_>, json: &Json, of: &Type, depth: usize) -> Outcome {
    runtime.meter.nested(depth)?;
    match (of, json) {
        (Type::Any, _) => untyped(runtime, json, depth),
        (_, Json::Null) => Ok(Value::zero(of)),
        (Type::Pointer(to), _) => Ok(Value::Pointer(Rc::new(present(runtime, json, to, depth)?))),
        (Type::Record(name), _) => record(runtime, json, shape::of(name), depth),
        (Type::List(of), Json::Array(items)) => {
            let items = items.iter().enumerate().map(|(index, item)| {
                present(runtime, item, of, depth + 1).map_err(|fault| inside(fault, &format!("[{index}]")))
            });
            runtime.list((**of).clone(), items.collect::<Result<_, _>>()?)
        }
        (Type::Map(of), Json::Object(object)) => runtime.map((**of).clone(), entries(runtime, object, of, depth)?),
        _ => scalar(runtime, json, of),
    }
}

/// JSON as `encoding/json` decodes it into an empty interface.
pub(crate) fn untyped(runtime: &Runtime<'_>, json: &Json, depth: usize) -> Outcome {
    runtime.meter.nested(depth)?;
    match json {
        Json::Null => Ok(Value::Null),
        Json::Bool(value) => Ok(Value::Bool(*value)),
        Json::Number(number) => Ok(Value::Float(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => runtime.text(text.as_str()),
        Json::Array(items) => {
            let items = items.iter().map(|item| untyped(runtime, item, depth + 1)).collect::<Result<_, _>>()?;
            runtime.list(Type::Any, items)
        }
        Json::Object(object) => runtime.map(Type::Any, entries(runtime, object, &Type::Any, depth)?),
    }
}

fn entries(runtime: &Runtime<'_>, object: &Object<String, Json>, of: &Type, depth: usize) -> Result<Entries, Fault> {
    let entry = |(key, json): (&String, &Json)| {
        let value = present(runtime, json, of, depth + 1).map_err(|fault| inside(fault, &format!(".{key}")))?;
        Ok((Rc::from(key.as_str()), value))
    };
    object.iter().map(entry).collect()
}

fn scalar(runtime: &Runtime<'_>, json: &Json, of: &Type) -> Outcome {
    let value = match (of, json) {
        (Type::Bool, Json::Bool(value)) => Some(Value::Bool(*value)),
        (Type::Whole(whole), _) => whole_number(json).map(|number| Value::Whole(number, *whole)),
        (Type::Float, Json::Number(number)) => number.as_f64().map(Value::Float),
        (Type::Text, Json::String(text)) => Some(runtime.text(text.as_str())?),
        (Type::Named(name), Json::String(text)) => {
            runtime.meter.bytes(text.len())?;
            Some(Value::Named(Rc::from(text.as_str()), name))
        }
        (Type::Named(name), Json::Number(number)) => Some(Value::Named(Rc::from(number.to_string()), name)),
        (Type::Enum(name), Json::String(text)) => Some(enumerated(name, text)),
        (Type::Enum(name), Json::Number(number)) => {
            number.as_i64().and_then(|number| i32::try_from(number).ok()).map(|number| Value::Enum(number, name))
        }
        (Type::Duration, Json::String(text)) => duration::parse_span(text).map(Value::Duration),
        _ => None,
    };
    let kind = match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    value.map_or_else(|| Fault::said(format!(": {kind} is no {}", of.name())), Ok)
}

/// A name that the enumeration does not have stays a string: it is newer than the tables.
fn enumerated(name: &'static str, text: &str) -> Value {
    match shape::enumeration(name).values.iter().find(|(known, _)| *known == text) {
        Some((_, number)) => Value::Enum(*number, name),
        None => Value::Named(Rc::from(text), name),
    }
}

/// Also a number in a string: so protobuf writes those of 64 bits.
fn whole_number(json: &Json) -> Option<i128> {
    match json {
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(signed), _, _) => Some(i128::from(signed)),
            (_, Some(unsigned), _) => Some(i128::from(unsigned)),
            (_, _, Some(float)) if float.fract() == 0.0 => Some(float as i128),
            _ => None,
        },
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn record(runtime: &Runtime<'_>, json: &Json, shape: &'static Shape, depth: usize) -> Outcome {
    let wrapped;
    let object = match json {
        Json::Object(object) => object,
        // a port by number or name, and messages around one value, are written as that value
        _ if shape.name == "intstr.IntOrString" => {
            let field = if json.is_string() { "strVal" } else { "intVal" };
            wrapped = Object::from_iter([
                (field.to_owned(), json.clone()),
                ("type".to_owned(), Json::from(u8::from(json.is_string()))),
            ]);
            &wrapped
        }
        _ if shape.name.starts_with("wrapperspb.") => {
            wrapped = Object::from_iter([("value".to_owned(), json.clone())]);
            &wrapped
        }
        _ => return Fault::said(format!(": no object where {} is expected", shape.name)),
    };
    let mut fields = Vec::with_capacity(shape.fields.len());
    for field in &shape.fields {
        fields.push(field_of(runtime, object, field, depth)?);
    }
    let mut extra = Entries::new();
    for (key, json) in object.iter().filter(|(key, _)| !knows(shape, key)) {
        extra.insert(Rc::from(key.as_str()), untyped(runtime, json, depth + 1)?);
    }
    runtime.meter.bytes(size_of::<Record>() + fields.len() * size_of::<Value>())?;
    Ok(Value::Record(Rc::new(Record { shape, fields, extra })))
}

fn field_of(
    runtime: &Runtime<'_>,
    object: &Object<String, Json>,
    field: &Field,
    depth: usize,
) -> Result<Option<Value>, Fault> {
    let given = object.get(&field.json).or_else(|| object.get(field.name));
    let around;
    let json = match given {
        Some(json) => json,
        None if field.inline => {
            around = Json::Object(
                object
                    .iter()
                    .filter(|(key, _)| knows_type(&field.kind, key))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect(),
            );
            &around
        }
        None => return Ok(None),
    };
    present(runtime, json, &field.kind, depth + 1).map(Some).map_err(|fault| inside(fault, &format!(".{}", field.name)))
}

fn knows(shape: &Shape, key: &str) -> bool {
    shape
        .fields
        .iter()
        .any(|field| field.json == key || field.name == key || field.inline && knows_type(&field.kind, key))
}

fn knows_type(of: &Type, key: &str) -> bool {
    match of {
        Type::Pointer(to) => knows_type(to, key),
        Type::Record(name) => knows(shape::of(name), key),
        _ => false,
    }
}

fn inside(fault: Fault, place: &str) -> Fault {
    match fault {
        Fault::Said(text) => Fault::Said(format!("{place}{text}")),
        over @ Fault::Over(_) => over,
    }
}

/// The type that stands for the data of sidecars, behind a pointer as istiod hands it over.
pub(crate) fn sidecar() -> Type {
    Type::pointer(Type::Record("inject.SidecarTemplateData"))
}

/// The type that stands for the data of gateways' deployments.
pub(crate) fn gateway() -> Type {
    Type::Record("gatewaycommon.derivedInput")
}

/// Whether a number has 64 bits: protobuf's JSON writes it as a string.
pub(crate) fn is_long(whole: Whole) -> bool {
    matches!(whole, Whole::Int64 | Whole::Uint64 | Whole::Int)
}
