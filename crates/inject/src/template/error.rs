//! What is wrong with a template, in words like those of Go's `text/template`, so that a message can be looked up where the users of Istio
//! look.

use std::fmt;

/// A template that could not be read or rendered: where, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The name the template was parsed with.
    pub template: String,
    /// Counted from 1.
    pub line: usize,
    /// Bytes before the place in its line, counted from 0 as Go does.
    pub column: usize,
    /// What kind of mistake it is.
    pub kind: Kind,
    /// What was found.
    pub message: String,
}

/// The kinds of mistakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The text is no template, or names a function that does not exist.
    Syntax,
    /// Something in it failed.
    Execution {
        /// The template that was being executed: the text's own name, or that of a `define` in it.
        executing: String,
        /// The part of it, as source.
        at: String,
    },
    /// It wants more than its [`Limits`](super::Limits) allow.
    Limit {
        /// The template that was being executed.
        executing: String,
        /// The part of it, as source.
        at: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}:{}:{}: ", self.template, self.line, self.column)?;
        match &self.kind {
            Kind::Syntax => {}
            Kind::Execution { executing, at } | Kind::Limit { executing, at } => {
                write!(f, "executing {executing:?} at <{at}>: ")?;
            }
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The line of a place in a text, counted from 1, and the bytes before it in that line.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = match before.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => at - end - 1,
        None => at,
    };
    (line, column)
}
