//! Pipelines, commands and terms: their values.

use super::{Execution, Frame, Raised, Spot};
use crate::template::functions::{self, Args, Call, Function, Param};
use crate::template::shape::Type;
use crate::template::tree::{Command, Number, Pipe, Term, TermKind};
use crate::template::value::Value;

impl<'t> Execution<'t> {
    /// The value of the last command; each gets that of the one before as its last argument.
    pub(super) fn pipeline(&mut self, frame: &mut Frame<'t>, dot: &Value, pipe: &'t Pipe) -> Raised<Value> {
        let spot = Spot::of(pipe.at, pipe);
        self.checked(frame, spot, self.runtime.meter.steps(1))?;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(settled(self.command(frame, dot, command, value)?));
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(frame, name, value.clone(), spot)?;
            } else {
                frame.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    pub(super) fn assign(&self, frame: &mut Frame<'t>, name: &str, value: Value, spot: Spot<'_>) -> Raised<()> {
        match frame.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some(variable) => {
                variable.1 = value;
                Ok(())
            }
            None => self.fail(frame, spot, format!("undefined variable: {name}")),
        }
    }

    fn command(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Value,
        command: &'t Command,
        last: Option<Value>,
    ) -> Raised<Value> {
        let Some(first) = command.terms.first() else { return Ok(Value::Missing) };
        let spot = Spot::of(first.at, first);
        let has_arguments = command.terms.len() > 1 || last.is_some();
        match &first.kind {
            TermKind::Field(names) => {
                self.fields(frame, dot, Chain { receiver: dot.clone(), names, term: first }, &command.terms, last)
            }
            TermKind::Chain(base, names) => {
                let receiver = self.base(frame, dot, base, spot)?;
                self.fields(frame, dot, Chain { receiver, names, term: first }, &command.terms, last)
            }
            TermKind::Variable(name, names) if !names.is_empty() => {
                let receiver = self.variable(frame, name, spot)?;
                self.fields(frame, dot, Chain { receiver, names, term: first }, &command.terms, last)
            }
            TermKind::Identifier(name) => {
                let callee = Callee { function: self.function(frame, name, spot)?, name, receiver: None, term: spot };
                self.call(frame, dot, callee, Given { terms: &command.terms[1..], last }, Spot::of(command.at, command))
            }
            _ if has_arguments => self.fail(frame, spot, format!("can't give argument to non-function {first}")),
            TermKind::Variable(name, _) => self.variable(frame, name, spot),
            TermKind::Pipe(pipe) => self.parenthesis(frame, dot, pipe),
            TermKind::Dot => Ok(dot.clone()),
            TermKind::Nil => self.fail(frame, spot, "nil is not a command"),
            TermKind::Bool(_) | TermKind::Number(_) | TermKind::Text(..) => self.literal(frame, first),
        }
    }

    fn function(&self, frame: &Frame<'_>, name: &str, spot: Spot<'_>) -> Raised<&'static Function> {
        match functions::find(name) {
            Some(function) => Ok(function),
            None => self.fail(frame, spot, format!("{name:?} is not a defined function")),
        }
    }

    fn variable(&self, frame: &Frame<'_>, name: &str, spot: Spot<'_>) -> Raised<Value> {
        match frame.variables.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(frame, spot, format!("undefined variable: {name}")),
        }
    }

    fn parenthesis(&mut self, frame: &mut Frame<'t>, dot: &Value, pipe: &'t Pipe) -> Raised<Value> {
        self.checked(frame, Spot::of(pipe.at, pipe), self.runtime.meter.enter())?;
        let value = self.pipeline(frame, dot, pipe)?;
        self.runtime.meter.leave();
        Ok(value)
    }

    /// What fields are asked of.
    fn base(&mut self, frame: &mut Frame<'t>, dot: &Value, base: &'t Term, spot: Spot<'_>) -> Raised<Value> {
        match &base.kind {
            TermKind::Nil => self.fail(frame, spot, format!("indirection through explicit nil in {}", spot.source)),
            _ => self.term(frame, dot, base),
        }
    }

    /// A term that stands for itself, without arguments.
    fn term(&mut self, frame: &mut Frame<'t>, dot: &Value, term: &'t Term) -> Raised<Value> {
        let spot = Spot::of(term.at, term);
        match &term.kind {
            TermKind::Dot => Ok(dot.clone()),
            TermKind::Nil => Ok(Value::Missing),
            TermKind::Field(names) => self.fields(frame, dot, Chain { receiver: dot.clone(), names, term }, &[], None),
            TermKind::Variable(name, names) => {
                let receiver = self.variable(frame, name, spot)?;
                if names.is_empty() {
                    return Ok(receiver);
                }
                self.fields(frame, dot, Chain { receiver, names, term }, &[], None)
            }
            TermKind::Pipe(pipe) => self.parenthesis(frame, dot, pipe),
            TermKind::Identifier(name) => {
                let callee = Callee { function: self.function(frame, name, spot)?, name, receiver: None, term: spot };
                self.call(frame, dot, callee, Given { terms: &[], last: None }, spot)
            }
            TermKind::Chain(base, names) => {
                let receiver = self.base(frame, dot, base, spot)?;
                self.fields(frame, dot, Chain { receiver, names, term }, &[], None)
            }
            TermKind::Bool(_) | TermKind::Number(_) | TermKind::Text(..) => self.literal(frame, term),
        }
    }

    /// A constant where nothing says of which type it is to be.
    fn literal(&self, frame: &Frame<'_>, term: &Term) -> Raised<Value> {
        let spot = Spot::of(term.at, term);
        match &term.kind {
            TermKind::Bool(value) => Ok(Value::Bool(*value)),
            TermKind::Text(_, text) => self.checked(frame, spot, self.runtime.text(text.as_str())),
            TermKind::Number(number) => match number {
                Number { float: Some(float), .. } if number.is_fractional() => Ok(Value::Float(*float)),
                Number { int: Some(int), .. } => Ok(Value::int(*int)),
                _ => self.fail(frame, spot, format!("{} overflows int", number.text)),
            },
            _ => Ok(Value::Missing),
        }
    }

    /// An argument for a parameter.
    fn argument(&mut self, frame: &mut Frame<'t>, dot: &Value, param: Param, term: &'t Term) -> Raised<Value> {
        let spot = Spot::of(term.at, term);
        let constant = matches!(term.kind, TermKind::Bool(_) | TermKind::Number(_) | TermKind::Text(..));
        if matches!(term.kind, TermKind::Nil) {
            return match param.nil() {
                Some(nil) => Ok(nil),
                None => self.fail(frame, spot, format!("cannot assign nil to {}", param.name())),
            };
        }
        if !constant {
            let value = self.term(frame, dot, term)?;
            return self.valid(frame, value, param, spot);
        }
        let expected = match (param, &term.kind) {
            (Param::Any | Param::Reflect, _) => return self.literal(frame, term),
            (Param::Bool, TermKind::Bool(value)) => return Ok(Value::Bool(*value)),
            (Param::Text, TermKind::Text(..)) => return self.literal(frame, term),
            (Param::Int, TermKind::Number(Number { int: Some(int), .. })) => return Ok(Value::int(*int)),
            (Param::Float, TermKind::Number(Number { float: Some(float), .. })) => return Ok(Value::Float(*float)),
            (Param::Bool, _) => "bool",
            (Param::Text, _) => "string",
            (Param::Int, _) => "integer",
            (Param::Float, _) => "float",
            _ => return self.fail(frame, spot, format!("can't handle {term} for arg of type {}", param.name())),
        };
        self.fail(frame, spot, format!("expected {expected}; found {term}"))
    }

    /// A value that may be given for a parameter; a pointer is followed once if that helps.
    fn valid(&self, frame: &Frame<'_>, value: Value, param: Param, spot: Spot<'_>) -> Raised<Value> {
        let Some(of) = value.type_of() else {
            return match param.nil() {
                Some(nil) => Ok(nil),
                None => self.fail(frame, spot, format!("invalid value; expected {}", param.name())),
            };
        };
        if param.takes(&of) {
            return Ok(value);
        }
        match (&of, &value) {
            (Type::Pointer(to), Value::Pointer(target)) if param.takes(to) => Ok((**target).clone()),
            (Type::Pointer(to), Value::Nil(_)) if param.takes(to) => {
                self.fail(frame, spot, format!("dereference of nil pointer of type {}", param.name()))
            }
            _ => self.fail(frame, spot, format!("wrong type for value; expected {}; got {}", param.name(), of.name())),
        }
    }

    /// Calls a function; `whole` is what is blamed when it fails.
    pub(super) fn call(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Value,
        callee: Callee<'t, '_>,
        given: Given<'t>,
        whole: Spot<'_>,
    ) -> Raised<Value> {
        let Function { params, variadic, call, .. } = callee.function;
        let count = given.terms.len() + usize::from(given.last.is_some());
        let fixed = params.len() - usize::from(*variadic);
        let name = callee.name;
        if *variadic && count < fixed {
            let message = format!("wrong number of args for {name}: want at least {fixed} got {}", given.terms.len());
            return self.fail(frame, callee.term, message);
        }
        if !variadic && count != params.len() {
            return self.fail(frame, callee.term, format!("wrong number of args for {name}: want {fixed} got {count}"));
        }
        let param = |index: usize| params.get(index).or(params.last()).copied().unwrap_or(Param::Any);
        if let Call::FirstThatIs(wanted) = call {
            return self.first_that_is(frame, dot, *wanted, given, callee.term);
        }
        let mut values: Vec<Value> = callee.receiver.into_iter().collect();
        for (index, term) in given.terms.iter().enumerate() {
            values.push(self.argument(frame, dot, param(index), term)?);
        }
        if let Some(last) = given.last {
            values.push(self.valid(frame, last, param(given.terms.len()), callee.term)?);
        }
        let read = values.iter().filter_map(Value::text).map(str::len).sum();
        let outcome = match call {
            Call::Plain(call) => self
                .runtime
                .meter
                .steps(1)
                .and_then(|()| self.runtime.meter.bytes(read))
                .and_then(|()| call(self.runtime, &Args(&values))),
            Call::Refused(why) => functions::refuse(why),
            Call::FirstThatIs(_) => Ok(Value::Missing),
        };
        outcome.map_err(|fault| self.raise(frame, whole, fault.calling(name)))
    }

    /// `and` and `or`.
    fn first_that_is(
        &mut self,
        frame: &mut Frame<'t>,
        dot: &Value,
        wanted: bool,
        given: Given<'t>,
        spot: Spot<'_>,
    ) -> Raised<Value> {
        let mut value = Value::Missing;
        for term in given.terms {
            value = self.argument(frame, dot, Param::Reflect, term)?;
            if value.truth() == wanted {
                return Ok(value);
            }
        }
        match given.last {
            Some(last) => self.valid(frame, last, Param::Reflect, spot),
            None => Ok(value),
        }
    }
}

/// A function, what it is called, and whose method it is.
pub(super) struct Callee<'t, 's> {
    pub(super) function: &'static Function,
    pub(super) name: &'t str,
    pub(super) receiver: Option<Value>,
    pub(super) term: Spot<'s>,
}

/// Arguments: terms, and the value of the command before.
pub(super) struct Given<'t> {
    pub(super) terms: &'t [Term],
    pub(super) last: Option<Value>,
}

/// Fields of a value, one after the other, and the term that has them.
pub(super) struct Chain<'t> {
    pub(super) receiver: Value,
    pub(super) names: &'t [String],
    pub(super) term: &'t Term,
}

/// An empty interface becomes no value at the end of a command.
fn settled(value: Value) -> Value {
    if matches!(value, Value::Null) { Value::Missing } else { value }
}
