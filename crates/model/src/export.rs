//! Who may see an object: `exportTo`.

use std::collections::BTreeSet;

use names::{Name, Namespace};

/// To which namespaces an object is visible.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Export {
    /// Nothing was said: the mesh's default for the kind holds.
    Default,
    /// Everybody.
    Public,
    /// These namespaces; none for `~`.
    To(BTreeSet<Namespace>),
}

impl Export {
    /// Reads `exportTo` as written in an object of `namespace`: `*`, `.`, `~`, or namespaces.
    #[must_use]
    pub fn new<'a>(written: impl IntoIterator<Item = &'a str>, namespace: &Namespace) -> Self {
        let mut to = BTreeSet::new();
        let mut said = false;
        for entry in written.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            said = true;
            match entry {
                "*" => return Self::Public,
                "." => _ = to.insert(namespace.clone()),
                "~" => {}
                other => _ = to.insert(Name::from(other)),
            }
        }
        if said { Self::To(to) } else { Self::Default }
    }

    /// Whether `viewer` may see an object of `owner`, when `default` is the mesh's default for the kind.
    #[must_use]
    pub fn allows(&self, viewer: &Namespace, owner: &Namespace, default: &[Name]) -> bool {
        match self {
            Self::Public => true,
            Self::To(namespaces) => namespaces.contains(viewer),
            Self::Default if default.is_empty() => true,
            Self::Default => match Self::new(default.iter().map(Name::as_str), owner) {
                Self::Default => true,
                said => said.allows(viewer, owner, &[]),
            },
        }
    }

    /// The buckets in which an index files an object so that each namespace finds what it may see in few reads.
    #[must_use]
    pub fn audiences(&self) -> Vec<Audience> {
        match self {
            Self::Default => vec![Audience::Default],
            Self::Public => vec![Audience::Public],
            Self::To(namespaces) => namespaces.iter().cloned().map(Audience::Namespace).collect(),
        }
    }
}

/// Bucket of an index over objects with `exportTo`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Audience {
    /// Objects that say nothing.
    Default,
    /// Objects for everybody.
    Public,
    /// Objects for this namespace among few.
    Namespace(Namespace),
}

impl Audience {
    /// The buckets that hold all that `viewer` may see. What is in [`Audience::Default`] still has to pass [`Export::allows`].
    #[must_use]
    pub fn of(viewer: &Namespace) -> [Self; 3] {
        [Self::Default, Self::Public, Self::Namespace(viewer.clone())]
    }
}

#[cfg(test)]
mod tests;
