//! The functions of Go's `text/template` itself. `and` and `or` are where functions are called: they do not evaluate all arguments.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Args, Fault, Outcome, Runtime, Type, Value};
use crate::template::format;
use crate::template::shape::{Whole, is_struct};

pub(super) fn print(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(format::sprint(runtime, args.rest(0))?)
}

pub(super) fn println(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(format::sprintln(runtime, args.rest(0))?)
}

pub(super) fn printf(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    runtime.text(format::sprintf(runtime, args.text(0)?, args.rest(1))?)
}

/// No value of a template's data is a function.
pub(super) fn call(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    match args.any(0) {
        value if value.is_nothing() => Fault::said("call of nil"),
        value => Fault::said(format!("non-function of type {}", value.type_name())),
    }
}

pub(super) fn not(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(!args.any(0).truth()))
}

pub(super) fn len(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let length = match args.any(0).indirect() {
        Value::Missing => return Fault::said("reflect: call of reflect.Value.Type on zero Value"),
        Value::Null => return Fault::said("len of nil pointer"),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.borrow().len(),
        Value::Text(text) | Value::Named(text, _) => text.len(),
        Value::Nil(Type::List(_) | Type::Map(_)) => 0,
        Value::Nil(_) => return Fault::said("len of nil pointer"),
        value => return Fault::said(format!("len of type {}", value.type_name())),
    };
    Ok(Value::int(length as i64))
}

pub(super) fn index(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    let mut item = args.any(0).clone();
    if item.is_nothing() {
        return Fault::said("index of untyped nil");
    }
    for index in args.rest(1) {
        item = element(item.indirect(), index)?;
        runtime.meter.steps(1)?;
    }
    Ok(item)
}

fn element(item: &Value, index: &Value) -> Outcome {
    match item {
        Value::Missing | Value::Null => Fault::said("index of nil pointer"),
        Value::Nil(Type::List(_)) => position(index, 0).and_then(|_| Fault::said("reflect: slice index out of range")),
        Value::List(list) => match list.items.get(position(index, list.items.len())?) {
            Some(element) => Ok(element.clone()),
            None => Fault::said("reflect: slice index out of range"),
        },
        Value::Text(text) | Value::Named(text, _) => match text.as_bytes().get(position(index, text.len())?) {
            Some(byte) => Ok(Value::Whole(i128::from(*byte), Whole::Uint8)),
            None => Fault::said("reflect: string index out of range"),
        },
        Value::Nil(Type::Map(of)) => key(index).map(|_| Value::zero(of)),
        Value::Map(map) => {
            let key = key(index)?;
            let found = map.entries.borrow().get(key.as_ref()).cloned();
            Ok(found.unwrap_or_else(|| Value::zero(&map.of)))
        }
        Value::Nil(_) => Fault::said("index of nil pointer"),
        value => Fault::said(format!("can't index item of type {}", value.type_name())),
    }
}

fn position(index: &Value, length: usize) -> Result<usize, Fault> {
    match index {
        Value::Whole(number, _) => match usize::try_from(*number) {
            Ok(position) if position <= length => Ok(position),
            _ => Fault::said(format!("index out of range: {number}")),
        },
        value if value.is_nothing() => Fault::said("cannot index slice/array with nil"),
        value => Fault::said(format!("cannot index slice/array with type {}", value.type_name())),
    }
}

fn key(index: &Value) -> Result<Rc<str>, Fault> {
    match index {
        Value::Text(key) => Ok(Rc::clone(key)),
        value if value.is_nothing() => Fault::said("value is nil; should be of type string"),
        value => Fault::said(format!("value has type {}; should be string", value.type_name())),
    }
}

/// What values are to comparisons.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Whole { signed: bool },
    Float,
    Text,
    Other,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Whole(_, whole) => Basic::Whole { signed: whole.is_signed() },
        Value::Enum(..) => Basic::Whole { signed: true },
        Value::Float(_) => Basic::Float,
        Value::Named(_, name) if is_struct(name) => Basic::Other,
        Value::Text(_) | Value::Named(..) => Basic::Text,
        _ => Basic::Other,
    }
}

fn number(value: &Value) -> i128 {
    match value {
        Value::Whole(number, _) => *number,
        Value::Enum(number, _) => i128::from(*number),
        _ => 0,
    }
}

fn incompatible<T>(a: &Value, b: &Value) -> Result<T, Fault> {
    Fault::said(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()))
}

/// Whether the first argument equals one of the others.
pub(super) fn eq(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    if args.len() < 2 {
        return Fault::said("missing argument for comparison");
    }
    for other in args.rest(1) {
        if equal(runtime, args.any(0), other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equal(runtime: &Runtime<'_>, a: &Value, b: &Value) -> Result<bool, Fault> {
    match (basic(a), basic(b)) {
        (Basic::Whole { .. }, Basic::Whole { .. }) => Ok(number(a) == number(b)),
        (Basic::Other, Basic::Other) => same(runtime, a, b),
        (left, right) if left != right => {
            if a.is_nothing() || b.is_nothing() {
                return Ok(false);
            }
            incompatible(a, b)
        }
        _ => Ok(match (a, b) {
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (a, b) => a.text() == b.text(),
        }),
    }
}

/// Values without an order: equal if both are nil; of the others, only some can be compared.
fn same(runtime: &Runtime<'_>, a: &Value, b: &Value) -> Result<bool, Fault> {
    let is_nil = |value: &Value| value.is_nothing() || matches!(value, Value::Nil(_));
    let shown = |value: &Value| format::plain(runtime, value);
    if !(a.is_nothing() || b.is_nothing()) && a.kind() != b.kind() {
        let (first, second) = (shown(a)?, shown(b)?);
        return Fault::said(format!("non-comparable types {first}: {}, {}: {second}", a.type_name(), b.type_name()));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) && is_nil(b));
    }
    match (a, b) {
        (Value::Pointer(a), Value::Pointer(b)) => Ok(Rc::ptr_eq(a, b)),
        (Value::Version(a), Value::Version(b)) => Ok(Rc::ptr_eq(a, b)),
        (Value::Duration(a), Value::Duration(b)) => Ok(a == b),
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (_, b) => Fault::said(format!("non-comparable type {}: {}", shown(b)?, b.type_name())),
    }
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, Fault> {
    const BAD: &str = "invalid type for comparison";
    match (basic(a), basic(b)) {
        (Basic::Other, _) | (_, Basic::Other) => Fault::said(BAD),
        (Basic::Whole { .. }, Basic::Whole { .. }) => Ok(Some(number(a).cmp(&number(b)))),
        (left, right) if left != right => incompatible(a, b),
        (Basic::Bool, _) => Fault::said(BAD),
        _ => Ok(match (a, b) {
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (a, b) => a.text().partial_cmp(&b.text()),
        }),
    }
}

fn ordered(args: &Args<'_>, is: fn(Option<Ordering>) -> bool) -> Outcome {
    Ok(Value::Bool(is(order(args.any(0), args.any(1))?)))
}

pub(super) fn ne(runtime: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    Ok(Value::Bool(!equal(runtime, args.any(0), args.any(1))?))
}

pub(super) fn lt(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    ordered(args, |order| order == Some(Ordering::Less))
}

pub(super) fn le(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    ordered(args, |order| matches!(order, Some(Ordering::Less | Ordering::Equal)))
}

/// Go takes it for the opposite of `le`, also where there is no order.
pub(super) fn gt(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    ordered(args, |order| !matches!(order, Some(Ordering::Less | Ordering::Equal)))
}

/// Go takes it for the opposite of `lt`, also where there is no order.
pub(super) fn ge(_: &Runtime<'_>, args: &Args<'_>) -> Outcome {
    ordered(args, |order| order != Some(Ordering::Less))
}
