//! Walks a template's tree and writes what it renders.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::error::{Error, Kind, place};
use super::format;
use super::meter::Fault;
use super::shape::{Type, Whole};
use super::tree::{Branches, Invocation, Node, Nodes, Pipe, Range};
use super::value::{Runtime, Value};

mod evaluate;
mod fields;

/// One rendering.
pub(crate) struct Execution<'t> {
    /// The name the text was parsed with.
    name: &'t str,
    text: &'t str,
    templates: &'t BTreeMap<String, Nodes>,
    runtime: &'t Runtime<'t>,
    out: String,
}

/// What a template that is being executed knows: its name and its variables, the newest last.
struct Frame<'t> {
    template: &'t str,
    variables: Vec<(&'t str, Value)>,
}

impl<'t> Frame<'t> {
    fn new(template: &'t str, dot: Value) -> Self {
        Self { template, variables: vec![("$", dot)] }
    }
}

/// How the walk goes on.
#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Where something is that may fail, and how it looks there.
#[derive(Clone, Copy)]
struct Spot<'s> {
    at: usize,
    source: &'s dyn Display,
}

impl<'s> Spot<'s> {
    fn of(at: usize, source: &'s dyn Display) -> Self {
        Self { at, source }
    }
}

type Raised<T> = Result<T, Box<Error>>;

/// A pipeline between its delimiters.
struct Action<'p>(&'p Pipe);

impl Display for Action<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{{{}}}}}", self.0)
    }
}

/// A range as its beginning.
struct Ranging<'p>(&'p Pipe);

impl Display for Ranging<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "range {}", self.0)
    }
}

impl<'t> Execution<'t> {
    pub(crate) fn new(
        name: &'t str,
        text: &'t str,
        templates: &'t BTreeMap<String, Nodes>,
        runtime: &'t Runtime<'t>,
    ) -> Self {
        Self { name, text, templates, runtime, out: String::new() }
    }

    /// Renders the text's own template.
    pub(crate) fn run(mut self, dot: Value) -> Result<String, Error> {
        let Some(nodes) = self.templates.get(self.name) else { return Ok(String::new()) };
        let mut frame = Frame::new(self.name, dot.clone());
        match self.walk(&mut frame, &dot, nodes) {
            Ok(_) => Ok(self.out),
            Err(error) => Err(*error),
        }
    }

    fn fail<T>(&self, frame: &Frame<'_>, spot: Spot<'_>, message: impl Into<String>) -> Raised<T> {
        Err(self.raise(frame, spot, Fault::Said(message.into())))
    }

    /// A fault and where it was found.
    fn raise(&self, frame: &Frame<'_>, spot: Spot<'_>, fault: Fault) -> Box<Error> {
        let (line, column) = place(self.text, spot.at);
        let (executing, at) = (frame.template.to_owned(), spot.source.to_string());
        let (kind, message) = match fault {
            Fault::Said(message) => (Kind::Execution { executing, at }, message),
            Fault::Over(message) => (Kind::Limit { executing, at }, format!("the template {message}")),
        };
        Box::new(Error { template: self.name.to_owned(), line, column, kind, message })
    }

    fn checked<T>(&self, frame: &Frame<'_>, spot: Spot<'_>, result: Result<T, Fault>) -> Raised<T> {
        result.map_err(|fault| self.raise(frame, spot, fault))
    }

    fn write(&mut self, text: &str) -> Result<(), Fault> {
        self.runtime.meter.output(self.out.len() + text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    fn walk(&mut self, frame: &mut Frame<'t>, dot: &Value, nodes: &'t Nodes) -> Raised<Flow> {
        for node in nodes {
            let flow = match node {
                Node::Text(at, text) => {
                    let written = self.runtime.meter.steps(1).and_then(|()| self.write(text));
                    self.checked(frame, Spot::of(*at, &"text"), written)?;
                    Flow::Next
                }
                Node::Action(pipe) => {
                    self.action(frame, dot, pipe)?;
                    Flow::Next
                }
                Node::If(branches) => self.branches(frame, dot, branches, false)?,
                Node::With(branches) => self.branches(frame, dot, branches, true)?,
                Node::Range(range) => self.range(frame, dot, range)?,
                Node::Template(invocation) => {
                    self.invocation(frame, dot, invocation)?;
                    Flow::Next
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn deeper(&mut self, frame: &mut Frame<'t>, dot: &Value, nodes: &'t Nodes, spot: Spot<'_>) -> Raised<Flow> {
        self.checked(frame, spot, self.runtime.meter.enter())?;
        let flow = self.walk(frame, dot, nodes);
        self.runtime.meter.leave();
        flow
    }

    fn action(&mut self, frame: &mut Frame<'t>, dot: &Value, pipe: &'t Pipe) -> Raised<()> {
        let value = self.pipeline(frame, dot, pipe)?;
        if !pipe.variables.is_empty() {
            return Ok(());
        }
        let written = match value.indirect() {
            Value::Missing => self.write("<no value>"),
            Value::Text(text) => self.write(text),
            value => format::plain(self.runtime, value).and_then(|text| self.write(&text)),
        };
        self.checked(frame, Spot::of(pipe.at, &Action(pipe)), written)
    }

    /// `if`, and `with`, which sets the dot.
    fn branches(&mut self, frame: &mut Frame<'t>, dot: &Value, branches: &'t Branches, sets: bool) -> Raised<Flow> {
        let scope = frame.variables.len();
        let mut flow = Flow::Next;
        let mut taken = false;
        for (pipe, nodes) in &branches.arms {
            let value = self.pipeline(frame, dot, pipe)?;
            if value.truth() {
                flow = self.deeper(frame, if sets { &value } else { dot }, nodes, Spot::of(pipe.at, pipe))?;
                taken = true;
                break;
            }
        }
        if let (false, Some(nodes), Some((pipe, _))) = (taken, &branches.otherwise, branches.arms.first()) {
            flow = self.deeper(frame, dot, nodes, Spot::of(pipe.at, pipe))?;
        }
        frame.variables.truncate(scope);
        Ok(flow)
    }

    fn range(&mut self, frame: &mut Frame<'t>, dot: &Value, range: &'t Range) -> Raised<Flow> {
        let scope = frame.variables.len();
        let value = self.pipeline(frame, dot, &range.pipe)?;
        let source = Ranging(&range.pipe);
        let spot = Spot::of(range.pipe.at, &source);
        let mut any = false;
        let number;
        let ranged = match value.indirect() {
            Value::Enum(count, _) => {
                number = Value::Whole(i128::from(*count), Whole::Int32);
                &number
            }
            value => value,
        };
        match ranged {
            Value::Missing | Value::Null | Value::Nil(Type::List(_) | Type::Map(_)) => {}
            Value::Whole(count, whole) => {
                if range.pipe.variables.len() > 1 {
                    return self.fail(frame, spot, format!("can't use {count} to iterate over more than one variable"));
                }
                for index in 0..*count {
                    any = true;
                    if !self.iteration(frame, range, Value::Missing, Value::Whole(index, *whole))? {
                        break;
                    }
                }
            }
            Value::List(list) => {
                for (index, item) in list.items.iter().enumerate() {
                    any = true;
                    if !self.iteration(frame, range, Value::int(index as i64), item.clone())? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                // it may be changed by what is done for its entries
                let entries = map.entries.borrow().clone();
                self.checked(frame, spot, self.runtime.meter.steps(entries.len()))?;
                for (key, item) in entries {
                    any = true;
                    if !self.iteration(frame, range, Value::Text(key), item)? {
                        break;
                    }
                }
            }
            value => {
                let shown = self.checked(frame, spot, format::plain(self.runtime, value))?;
                return self.fail(frame, spot, format!("range can't iterate over {shown}"));
            }
        }
        let mut flow = Flow::Next;
        if let (false, Some(nodes)) = (any, &range.otherwise) {
            flow = self.deeper(frame, dot, nodes, spot)?;
        }
        frame.variables.truncate(scope);
        Ok(flow)
    }

    /// One walk through a range's body. Says whether there is to be another.
    fn iteration(&mut self, frame: &mut Frame<'t>, range: &'t Range, index: Value, item: Value) -> Raised<bool> {
        let spot = Spot::of(range.pipe.at, &range.pipe);
        self.checked(frame, spot, self.runtime.meter.steps(1))?;
        let names = &range.pipe.variables;
        if range.pipe.assigns {
            match names.as_slice() {
                [first, second] => {
                    self.assign(frame, first, index, spot)?;
                    self.assign(frame, second, item.clone(), spot)?;
                }
                [only] => self.assign(frame, only, item.clone(), spot)?,
                _ => {}
            }
        } else {
            // the range's own variables are the newest ones
            let top = frame.variables.len();
            if let (true, Some(variable)) = (!names.is_empty(), frame.variables.get_mut(top - 1)) {
                variable.1 = item.clone();
            }
            if let (2, Some(variable)) = (names.len(), frame.variables.get_mut(top.saturating_sub(2))) {
                variable.1 = index;
            }
        }
        let scope = frame.variables.len();
        let flow = self.deeper(frame, &item, &range.body, spot)?;
        frame.variables.truncate(scope);
        Ok(flow != Flow::Break)
    }

    fn invocation(&mut self, frame: &mut Frame<'t>, dot: &Value, invocation: &'t Invocation) -> Raised<()> {
        let spot = Spot::of(invocation.at, invocation);
        let Some((name, nodes)) = self.templates.get_key_value(&invocation.name) else {
            let name = super::quote::quote(&invocation.name);
            return self.fail(frame, spot, format!("template {name} not defined"));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipeline(frame, dot, pipe)?,
            None => Value::Missing,
        };
        self.checked(frame, spot, self.runtime.meter.steps(1))?;
        self.checked(frame, spot, self.runtime.meter.enter())?;
        // it sees none of the variables here
        self.walk(&mut Frame::new(name, dot.clone()), &dot, nodes)?;
        self.runtime.meter.leave();
        Ok(())
    }
}
