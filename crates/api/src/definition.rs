//! What the API server and `kubectl` are told of a kind of Istio's: with its names and versions, all that a CustomResourceDefinition says.

use schemars::{Schema, SchemaGenerator};

/// A kind that the API server does not know by itself.
#[derive(Clone, Copy)]
pub struct Definition {
    /// How it is stored and shown.
    pub shown: Shown,
    /// What `spec` may say, as its Rust types have it.
    pub spec: fn(&mut SchemaGenerator) -> Schema,
}

/// How objects of a kind are stored and shown.
#[derive(Clone, Copy)]
pub struct Shown {
    /// For `kubectl get`.
    pub short_name: Option<&'static str>,
    /// The version at which objects are stored; the first one when unset. Objects of a running mesh are stored at it, so it stays.
    pub stored_at: Option<&'static str>,
    /// An object without `spec` is refused.
    pub needs_spec: bool,
    /// What `kubectl get` prints beside the name; the age when there are none.
    pub columns: &'static [Column],
}

impl Shown {
    /// Like most: no short name, stored at the first version, `spec` may be missing, and the age is printed.
    pub(crate) const PLAIN: Self = Self { short_name: None, stored_at: None, needs_spec: false, columns: &[] };
}

/// A column of `kubectl get`.
#[derive(Clone, Copy)]
pub struct Column {
    /// Its title.
    pub name: &'static str,
    /// Where in the object its value stands.
    pub path: &'static str,
    /// How it is printed: `string`, `date`.
    pub form: &'static str,
    /// What it says.
    pub about: &'static str,
}

impl Column {
    /// How long an object is there.
    pub(crate) const AGE: Self = Self {
        name: "Age",
        path: ".metadata.creationTimestamp",
        form: "date",
        about: "How long ago the object was made.",
    };

    /// Of a string, or of a list of them.
    pub(crate) const fn text(name: &'static str, path: &'static str, about: &'static str) -> Self {
        Self { name, path, form: "string", about }
    }
}
