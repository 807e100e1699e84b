//! Hostnames: lower case, possibly with `*` as the whole first label, and which of them cover which.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Name;

/// A fully qualified host name, `*.suffix`, or `*`. Lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Name", into = "Name")]
pub struct Hostname(Name);

impl Hostname {
    /// A host as written. Host names are compared without regard to case.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Self(Name::from(text.to_ascii_lowercase()))
        } else {
            Self(Name::from(text))
        }
    }

    /// A host as users write it in an object of `namespace`: a name without dots is a Service of that namespace, and
    /// wildcards and dotted names are taken as they stand (`istio: pkg/config/model.go ResolveShortnameToFQDN`).
    #[must_use]
    pub fn resolve(text: &str, namespace: &str, domain: &str) -> Self {
        if text.contains('.') || text.starts_with('*') || text.is_empty() {
            Self::new(text)
        } else {
            Self::new(&format!("{text}.{namespace}.svc.{domain}"))
        }
    }

    /// The FQDN of a Kubernetes Service.
    #[must_use]
    pub fn of_service(name: &str, namespace: &str, domain: &str) -> Self {
        Self::new(&format!("{name}.{namespace}.svc.{domain}"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared string.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0
    }

    /// `*` or `*.suffix`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with('*')
    }

    /// Whether every name that `other` stands for is one that `self` stands for: `*.b.c` covers `a.b.c` and `*.a.b.c`, not `b.c`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => {
                let rest = other.0.strip_prefix('*').unwrap_or(&other.0);
                rest.ends_with(suffix) && (other.is_wildcard() || rest.len() > suffix.len())
            }
            None => self == other,
        }
    }

    /// Whether the two share at least one name (`istio: pkg/config/host/name.go Matches`).
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Sort key for "most specific first": exact names before wildcards, longer before shorter, then by text.
    #[must_use]
    pub fn specificity(&self) -> (bool, std::cmp::Reverse<usize>, &str) {
        (self.is_wildcard(), std::cmp::Reverse(self.0.len()), &self.0)
    }
}

/// The most specific of `candidates` that covers `host`.
pub fn shortest_cover<'a, T>(
    host: &Hostname,
    candidates: impl IntoIterator<Item = (&'a Hostname, T)>,
) -> Option<(&'a Hostname, T)> {
    candidates
        .into_iter()
        .filter(|(candidate, _)| candidate.covers(host))
        .min_by(|(a, _), (b, _)| a.specificity().cmp(&b.specificity()))
}

impl From<Name> for Hostname {
    fn from(name: Name) -> Self {
        Self::new(&name)
    }
}

impl From<Hostname> for Name {
    fn from(host: Hostname) -> Self {
        host.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests;
