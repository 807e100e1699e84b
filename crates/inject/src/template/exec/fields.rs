//! Fields, keys and methods of values. Fields of structs are found by their names in Go, and also by those in JSON.

use super::evaluate::{Callee, Chain, Given};
use super::{Execution, Frame, Raised, Spot};
use crate::template::functions::methods;
use crate::template::shape::{self, Type};
use crate::template::tree::Term;
use crate::template::value::Value;

impl<'t> Execution<'t> {
    /// The last of a chain of fields, which may be a method with arguments: those after the first term, and the value of the command
    /// before.
    pub(super) fn fields(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Value,
        chain: Chain<'t>,
        terms: &'t [Term],
        last: Option<Value>,
    ) -> Raised<Value> {
        let Chain { mut receiver, names, term } = chain;
        let Some((name, before)) = names.split_last() else { return Ok(receiver) };
        for name in before {
            receiver =
                self.field(frame, dot, Chain { receiver, names: std::slice::from_ref(name), term }, no_arguments())?;
        }
        let given = Given { terms: terms.get(1..).unwrap_or_default(), last };
        self.field(frame, dot, Chain { receiver, names: std::slice::from_ref(name), term }, given)
    }

    fn field(&mut self, frame: &mut Frame<'t>, dot: &Value, chain: Chain<'t>, given: Given<'t>) -> Raised<Value> {
        let Chain { receiver, names, term } = chain;
        let spot = Spot::of(term.at, term);
        let Some(name) = names.first() else { return Ok(receiver) };
        if matches!(receiver, Value::Missing) {
            return Ok(Value::Missing);
        }
        self.checked(frame, spot, self.runtime.meter.steps(1))?;
        if let Some(function) = methods::find(&receiver, name) {
            let callee = Callee { function, name, receiver: Some(receiver), term: spot };
            return self.call(frame, dot, callee, given, spot);
        }
        let has_arguments = !given.terms.is_empty() || given.last.is_some();
        match plain_field(&receiver, name) {
            Ok(_) if has_arguments && matches!(receiver.indirect(), Value::Map(_) | Value::Nil(Type::Map(_))) => {
                self.fail(frame, spot, format!("{name} is not a method but has arguments"))
            }
            Ok(_) if has_arguments => {
                self.fail(frame, spot, format!("{name} has arguments but cannot be invoked as function"))
            }
            Ok(value) => Ok(value),
            Err(message) => self.fail(frame, spot, message),
        }
    }
}

fn no_arguments<'t>() -> Given<'t> {
    Given { terms: &[], last: None }
}

/// A key of a map or a field of a struct.
fn plain_field(receiver: &Value, name: &str) -> Result<Value, String> {
    let cannot = || format!("can't evaluate field {name} in type {}", receiver.type_name());
    match receiver.indirect() {
        Value::Null => Err(format!("nil pointer evaluating interface {{}}.{name}")),
        Value::Map(map) => Ok(map.entries.borrow().get(name).cloned().unwrap_or(Value::Missing)),
        Value::Nil(Type::Map(_)) => Ok(Value::Missing),
        Value::Nil(Type::Pointer(to)) => field_of_nil(to, name).unwrap_or_else(|| Err(cannot())),
        Value::Record(record) => {
            let getter = || name.strip_prefix("Get").and_then(|field| record.called(field));
            record.called(name).or_else(getter).ok_or_else(cannot)
        }
        _ => Err(cannot()),
    }
}

/// Getters of messages work for nil: they give what is in an empty one. None if there is no such field.
fn field_of_nil(of: &Type, name: &str) -> Option<Result<Value, String>> {
    let Type::Record(record) = of else { return None };
    let shape = shape::of(record);
    let has = |name: &str| shape.fields.iter().find(|field| field.name == name || field.json == name);
    if has(name).is_some() {
        return Some(Err(format!("nil pointer evaluating *{record}.{name}")));
    }
    let field = name.strip_prefix("Get").and_then(has)?;
    Some(Ok(Value::zero(&field.kind)))
}
