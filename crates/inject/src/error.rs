//! What can be wrong with a pod or with settings.

use std::fmt;

/// A mistake at a place in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where in the pod, for example `metadata.annotations.sidecar.istio.io/proxyCPU`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Why there is no injected pod, or why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The pod is not one, or its annotations say what cannot be done.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Pod(Vec<Fault>),
    /// A template that nobody defined.
    #[error("there is no template {name:?}; there are {}", .known.join(", "))]
    NoTemplate {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A template does not give a pod.
    #[error("template {name:?}: {message}")]
    Template {
        /// Which.
        name: String,
        /// What is wrong, with the line where it is known.
        message: String,
    },
    /// Settings that cannot be read.
    #[error("{what}{}{path}: {message}", if .path.is_empty() { "" } else { " " })]
    Settings {
        /// Which settings.
        what: &'static str,
        /// Where in them.
        path: String,
        /// What is wrong.
        message: String,
    },
}

impl Error {
    pub(crate) fn pod(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Pod(vec![Fault::new(path, message)])
    }

    pub(crate) fn settings(what: &'static str, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Settings { what, path: path.into(), message: message.into() }
    }

    /// The places of what is wrong with the pod; none when something else is.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        match self {
            Self::Pod(faults) => faults,
            Self::NoTemplate { .. } | Self::Template { .. } | Self::Settings { .. } => &[],
        }
    }
}
