//! Values as strings, copies and types of them, and comparing whole values; versions, which are values of a type of their own.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::value::Entries;
use crate::template::{format, versions};

/// A value as text, as sprig does it.
pub(super) fn text_of(runtime: &Runtime<'_>, value: &Value) -> Result<String, Fault> {
    format::plain(runtime, value)
}

pub(super) fn to_string(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(text_of(runtime, args.any(0))?)
}

/// The elements of a list as strings, without those that are nil; another value as the only one.
pub(super) fn strings(runtime: &Runtime<'_>, value: &Value) -> Result<Vec<String>, Fault> {
    match value.items() {
        Some(items) => items.iter().filter(|item| !item.is_nothing()).map(|item| text_of(runtime, item)).collect(),
        None if value.is_nothing() => Ok(Vec::new()),
        None => Ok(vec![text_of(runtime, value)?]),
    }
}

pub(super) fn to_strings(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match args.any(0) {
        Value::List(list) if list.of == Type::Text => Ok(args.any(0).clone()),
        value @ Value::Nil(Type::List(of)) if **of == Type::Text => Ok(value.clone()),
        value => runtime.texts(strings(runtime, value)?),
    }
}

pub(super) fn type_of(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(args.any(0).type_name())
}

pub(super) fn type_is(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.any(1).type_name() == args.text(0)?))
}

/// A pointer to the type will do as well.
pub(super) fn type_is_like(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (target, name) = (args.text(0)?, args.any(1).type_name());
    Ok(Value::Bool(name == target || name.strip_prefix('*') == Some(target)))
}

pub(super) fn kind_of(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(args.any(0).kind())
}

pub(super) fn kind_is(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(args.any(1).kind() == args.text(0)?))
}

pub(super) fn deep_copy(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match args.any(0) {
        value if value.is_nothing() => Fault::said("reflect: call of reflect.Value.Type on zero Value"),
        value => copy(runtime, value, 0),
    }
}

fn copy(runtime: &Runtime<'_>, value: &Value, depth: usize) -> Outcome {
    runtime.meter.nested(depth)?;
    match value {
        Value::List(list) => {
            let items = list.items.iter().map(|item| copy(runtime, item, depth + 1)).collect::<Result<_, _>>()?;
            runtime.list(list.of.clone(), items)
        }
        Value::Map(map) => {
            let mut entries = Entries::new();
            for (key, value) in map.entries.borrow().iter() {
                entries.insert(Rc::clone(key), copy(runtime, value, depth + 1)?);
            }
            runtime.map(map.of.clone(), entries)
        }
        _ => Ok(value.clone()),
    }
}

pub(super) fn deep_equal(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(equal(runtime, args.any(0), args.any(1), 0)?))
}

/// `reflect.DeepEqual`: values of different types are never equal.
pub(super) fn equal(runtime: &Runtime<'_>, a: &Value, b: &Value, depth: usize) -> Result<bool, Fault> {
    runtime.meter.nested(depth)?;
    Ok(match (a, b) {
        (a, b) if a.is_nothing() || b.is_nothing() => a.is_nothing() && b.is_nothing(),
        (Value::Nil(a), Value::Nil(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Whole(a, of), Value::Whole(b, other)) => a == b && of == other,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => {
            runtime.meter.bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::Named(a, of), Value::Named(b, other)) => a == b && of == other,
        (Value::Enum(a, of), Value::Enum(b, other)) => a == b && of == other,
        (Value::List(a), Value::List(b)) => {
            a.of == b.of && a.items.len() == b.items.len() && all_equal(runtime, a.items.iter().zip(&b.items), depth)?
        }
        (Value::Map(a), Value::Map(b)) => {
            let (left, right) = (a.entries.borrow(), b.entries.borrow());
            let keys = left.keys().eq(right.keys());
            a.of == b.of && keys && all_equal(runtime, left.values().zip(right.values()), depth)?
        }
        (Value::Record(a), Value::Record(b)) => {
            let fields: Vec<_> = (0..a.shape.fields.len()).map(|index| (a.at(index), b.at(index))).collect();
            a.shape.name == b.shape.name && all_equal(runtime, fields.iter().map(|(a, b)| (a, b)), depth)?
        }
        (Value::Pointer(a), Value::Pointer(b)) => equal(runtime, a, b, depth + 1)?,
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Time(a), Value::Time(b)) => a == b,
        (Value::Version(a), Value::Version(b)) => a == b,
        _ => false,
    })
}

fn all_equal<'v>(
    runtime: &Runtime<'_>,
    mut pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
    depth: usize,
) -> Result<bool, Fault> {
    pairs.try_fold(true, |so_far, (a, b)| Ok(so_far && equal(runtime, a, b, depth + 1)?))
}

pub(super) fn semver(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match versions::parse(args.text(0)?) {
        Ok(version) => Ok(Value::Version(Rc::new(version))),
        Err(problem) => Fault::said(problem),
    }
}

pub(super) fn semver_compare(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let (constraint, version) = (args.text(0)?, args.text(1)?);
    runtime.meter.bytes(constraint.len().saturating_mul(64))?;
    match versions::meets(constraint, version) {
        Ok(met) => Ok(Value::Bool(met)),
        Err(problem) => Fault::said(problem),
    }
}

/// -1, 0 or 1.
pub(super) fn sign(order: Ordering) -> Value {
    Value::int(match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    })
}
