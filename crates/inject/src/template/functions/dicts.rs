//! Maps. `set`, `unset` and the merging functions change the map that they are given, and whoever holds it sees that.

use std::collections::btree_map::Entry;
use std::rc::Rc;

use super::conversions::text_of;
use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::value::{Entries, Map};

pub(super) fn dict(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut entries = Entries::new();
    for pair in args.rest(0).chunks(2) {
        let key = text_of(runtime, &pair[0])?;
        let value = match pair.get(1) {
            Some(value) => value.clone(),
            None => runtime.text("")?,
        };
        entries.insert(Rc::from(key), value);
    }
    runtime.map(Type::Any, entries)
}

/// The value of a key, without a copy of the whole map.
fn look_up(value: &Value, key: &str) -> Option<Value> {
    match value {
        Value::Map(map) => map.entries.borrow().get(key).cloned(),
        _ => None,
    }
}

pub(super) fn get(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match look_up(args.any(0), args.text(1)?) {
        Some(value) => Ok(value),
        None => runtime.text(""),
    }
}

fn map(value: &Value) -> Result<&Rc<Map>, Fault> {
    match value {
        Value::Map(map) => Ok(map),
        _ => Fault::said("assignment to entry in nil map"),
    }
}

pub(super) fn set(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let key = args.text(1)?;
    runtime.meter.bytes(key.len() + 2 * size_of::<Value>())?;
    map(args.any(0))?.entries.borrow_mut().insert(Rc::from(key), args.any(2).clone());
    Ok(args.any(0).clone())
}

pub(super) fn unset(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    if let Value::Map(map) = args.any(0) {
        map.entries.borrow_mut().remove(args.text(1)?);
    }
    Ok(args.any(0).clone())
}

pub(super) fn has_key(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(look_up(args.any(0), args.text(1)?).is_some()))
}

pub(super) fn pluck(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let key = args.text(0)?;
    runtime.list(Type::Any, args.rest(1).iter().filter_map(|dict| look_up(dict, key)).collect())
}

/// In the order of the keys, where Go has none.
pub(super) fn keys(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut keys = Vec::new();
    for dict in args.rest(0) {
        if let Value::Map(map) = dict {
            runtime.meter.steps(map.entries.borrow().len())?;
            keys.extend(map.entries.borrow().keys().cloned());
        }
    }
    runtime.texts(keys)
}

/// In the order of the keys, where Go has none.
pub(super) fn values(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let values = match args.any(0) {
        Value::Map(map) => map.entries.borrow().values().cloned().collect(),
        _ => Vec::new(),
    };
    runtime.list(Type::Any, values)
}

pub(super) fn pick(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut entries = Entries::new();
    for key in args.rest(1).iter().filter_map(Value::text) {
        if let Some(value) = look_up(args.any(0), key) {
            entries.insert(Rc::from(key), value);
        }
    }
    runtime.map(Type::Any, entries)
}

/// `dig "key" "key" default dict`.
pub(super) fn dig(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let [keys @ .., default, dict] = args.rest(0) else { return Fault::said("dig needs at least three arguments") };
    if keys.is_empty() {
        return Fault::said("dig needs at least three arguments");
    }
    let mut current = dict.clone();
    for key in keys {
        let Value::Text(key) = key else { return Fault::said(not_a(key, "string")) };
        match &current {
            Value::Map(map) if map.of == Type::Any => {}
            Value::Nil(Type::Map(of)) if **of == Type::Any => {}
            _ => return Fault::said(not_a(&current, "map[string]interface {}")),
        }
        match look_up(&current, key) {
            Some(value) => current = value,
            None => return Ok(default.clone()),
        }
    }
    Ok(current)
}

fn not_a(value: &Value, wanted: &str) -> String {
    let found = if value.is_nothing() { "nil".to_owned() } else { value.type_name() };
    format!("interface conversion: interface {{}} is {found}, not {wanted}")
}

pub(super) fn merge(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    merged(runtime, args, false)
}

pub(super) fn merge_overwrite(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    merged(runtime, args, true)
}

fn merged(runtime: &Runtime<'_>, args: &Args<'_>, overwrites: bool) -> Outcome {
    let mut target = args.any(0).clone();
    for source in args.rest(1) {
        match (&target, source) {
            (Value::Map(into), Value::Map(from)) => merge_into(runtime, into, from, overwrites, 0)?,
            (Value::Nil(_), Value::Map(from)) => {
                let fresh = runtime.map(Type::Any, Entries::new())?;
                if let Value::Map(into) = &fresh {
                    merge_into(runtime, into, from, overwrites, 0)?;
                }
                target = fresh;
            }
            _ => {}
        }
    }
    Ok(target)
}

/// What is missing or empty in a map comes from the other one, or everything that it has; maps in both are merged in turn.
fn merge_into(
    runtime: &Runtime<'_>,
    into: &Rc<Map>,
    from: &Rc<Map>,
    overwrites: bool,
    depth: usize,
) -> Result<(), Fault> {
    runtime.meter.nested(depth)?;
    let source = from.entries.borrow().clone();
    runtime.meter.steps(source.len())?;
    for (key, value) in source {
        let before = into.entries.borrow().get(&key).cloned();
        if value.is_nothing() {
            if overwrites {
                into.entries.borrow_mut().insert(key, Value::Null);
            }
            continue;
        }
        if let (Some(Value::Map(inner)), Value::Map(other)) = (&before, &value) {
            if inner.of != other.of {
                return Fault::said("reflect.Value.SetMapIndex: value of another type");
            }
            merge_into(runtime, inner, other, overwrites, depth + 1)?;
            if !inner.entries.borrow().is_empty() {
                continue;
            }
        }
        runtime.meter.bytes(2 * size_of::<Value>())?;
        let mut entries = into.entries.borrow_mut();
        match entries.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(mut occupied) if overwrites || !occupied.get().truth() => {
                occupied.insert(value);
            }
            Entry::Occupied(_) => {}
        }
    }
    Ok(())
}
