//! What all objects have in common.

use std::collections::BTreeMap;
use std::fmt;

use names::{Labels, Name, Namespace};

use crate::Kind;

/// What identifies an object among all kinds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId {
    /// Its kind.
    pub kind: Kind,
    /// Empty for kinds without namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.is_empty() {
            true => write!(f, "{} {}", self.kind, self.name),
            false => write!(f, "{} {}/{}", self.kind, self.namespace, self.name),
        }
    }
}

/// The metadata that meaning may depend on.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ObjectMeta {
    /// The object's name.
    pub name: Name,
    /// Empty for kinds without namespace.
    pub namespace: Namespace,
    /// What tells it from others that had its name; empty in files.
    pub uid: Name,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: BTreeMap<Name, Name>,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
}

/// Where an object came from: shown when somebody asks, never part of what rows are compared by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The file, if it came from one.
    pub file: Option<Name>,
    /// First line of its document, from 1.
    pub line: u32,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: Name,
}
