//! [`Issue`]: something to tell the user about what they wrote. The same value reaches the CLI, the log and the debug pages.

use std::fmt;

use names::Name;

use crate::ObjectId;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Used, but probably not as meant.
    Warning,
    /// Not valid.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A place in a text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// The file, if there is one.
    pub file: Option<Name>,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// The line itself and a caret under the place.
    pub snippet: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.as_deref().unwrap_or("-"), self.line, self.column)
    }
}

/// Something to tell the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// Istio's message code, such as `IST0106`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The object, as far as it could be told.
    pub object: Option<ObjectId>,
    /// The field, such as `spec.http[0].route[1].weight`; empty for the object as a whole.
    pub path: String,
    /// What is wrong and, where there is one, what to do.
    pub message: String,
    /// Where in which file.
    pub place: Option<Place>,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{} [{}]", self.severity, self.code)?;
        if let Some(object) = &self.object {
            write!(f, " {object}")?;
        }
        if !self.path.is_empty() {
            write!(f, " {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.place {
            Some(place) if !place.snippet.is_empty() => write!(f, "\n{}", place.snippet),
            _ => Ok(()),
        }
    }
}

/// Collects issues of one object under the paths that checks name.
#[derive(Default, Debug)]
pub struct Issues(pub(crate) Vec<(Severity, &'static str, String, String)>);

impl Issues {
    /// A rule is broken.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push((Severity::Error, "IST0106", path.into(), message.into()));
    }

    /// Something is used, but probably not as meant.
    pub fn warning(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push((Severity::Warning, "IST0133", path.into(), message.into()));
    }

    /// A warning or note with a code of its own.
    pub fn note(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.0.push((severity, code, path.into(), message.into()));
    }
}
