//! A template as a tree. Each node knows where it begins and how it looks as source, for messages.

use std::fmt;

use super::quote;

/// Nodes that are walked one after the other.
pub(crate) type Nodes = Vec<Node>;

/// What stands in a template's text.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Where it begins, and what it is.
    Text(usize, String),
    /// A pipeline whose value is printed, or assigned.
    Action(Pipe),
    If(Branches),
    With(Branches),
    Range(Box<Range>),
    Template(Invocation),
    Break,
    Continue,
}

/// `if` and `with`: the first arm whose pipeline is true is walked.
#[derive(Debug, Clone)]
pub(crate) struct Branches {
    pub(crate) arms: Vec<(Pipe, Nodes)>,
    pub(crate) otherwise: Option<Nodes>,
}

#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) pipe: Pipe,
    pub(crate) body: Nodes,
    pub(crate) otherwise: Option<Nodes>,
}

/// `{{template "name" pipeline}}`.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

/// `$x := command | command`.
#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    pub(crate) at: usize,
    /// `=` rather than `:=`.
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<String>,
    pub(crate) commands: Vec<Command>,
}

/// A term, or a function or field with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) at: usize,
    pub(crate) terms: Vec<Term>,
}

#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) at: usize,
    pub(crate) kind: TermKind,
}

#[derive(Debug, Clone)]
pub(crate) enum TermKind {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    /// As written, and what it means.
    Text(String, String),
    /// `.a.b`.
    Field(Vec<String>),
    /// `$x.a.b`: the name has its dollar sign.
    Variable(String, Vec<String>),
    /// A function.
    Identifier(String),
    /// What stands between parentheses.
    Pipe(Box<Pipe>),
    /// Fields of a function's or a parenthesis' value.
    Chain(Box<Term>, Vec<String>),
}

/// A number's text and all it may stand for: the parameter it is given for decides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
}

impl Number {
    /// Whether its text says that it is no whole number.
    pub(crate) fn is_fractional(&self) -> bool {
        let hex =
            self.text.len() > 2 && matches!(self.text.get(..2), Some("0x" | "0X")) && !self.text.contains(['p', 'P']);
        self.float.is_some() && !hex && !self.text.starts_with('\'') && self.text.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            match &term.kind {
                TermKind::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{term}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TermKind::Dot => f.write_str("."),
            TermKind::Nil => f.write_str("nil"),
            TermKind::Bool(value) => write!(f, "{value}"),
            TermKind::Number(number) => f.write_str(&number.text),
            TermKind::Text(quoted, _) => f.write_str(quoted),
            TermKind::Field(names) => names.iter().try_for_each(|name| write!(f, ".{name}")),
            TermKind::Variable(name, fields) => {
                f.write_str(name)?;
                fields.iter().try_for_each(|field| write!(f, ".{field}"))
            }
            TermKind::Identifier(name) => f.write_str(name),
            TermKind::Pipe(pipe) => write!(f, "{pipe}"),
            TermKind::Chain(term, fields) => {
                match &term.kind {
                    TermKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{term}")?,
                }
                fields.iter().try_for_each(|field| write!(f, ".{field}"))
            }
        }
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote::quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}

/// Whether nodes are nothing but space: such a definition may be defined again.
pub(crate) fn is_blank(nodes: &Nodes) -> bool {
    nodes.iter().all(|node| matches!(node, Node::Text(_, text) if text.trim().is_empty()))
}
