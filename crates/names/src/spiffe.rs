//! SPIFFE ids as the mesh writes them: `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT` (`istio: pkg/spiffe/spiffe.go`).

use std::fmt;
use std::str::FromStr;

use crate::Name;

/// The identity of a workload.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpiffeId {
    /// Whose word counts for it.
    pub trust_domain: Name,
    /// The namespace of the account.
    pub namespace: Name,
    /// The service account.
    pub account: Name,
}

/// A text that is no SPIFFE id of a workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotSpiffe(String);

impl fmt::Display for NotSpiffe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT", self.0)
    }
}

impl std::error::Error for NotSpiffe {}

impl FromStr for SpiffeId {
    type Err = NotSpiffe;

    fn from_str(text: &str) -> Result<Self, NotSpiffe> {
        let fine = |part: &&str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        let parts: Option<Vec<&str>> = text.strip_prefix("spiffe://").map(|rest| rest.split('/').collect());
        match parts.as_deref() {
            Some([domain, "ns", namespace, "sa", account]) if [domain, namespace, account].into_iter().all(fine) => {
                let [trust_domain, namespace, account] = [domain, namespace, account].map(|part| Name::from(*part));
                Ok(Self { trust_domain, namespace, account })
            }
            _ => Err(NotSpiffe(text.to_owned())),
        }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_exactly_its_parts() {
        let id: SpiffeId = "spiffe://cluster.local/ns/shop/sa/web".parse().unwrap();
        assert_eq!((id.namespace.as_str(), id.account.as_str()), ("shop", "web"));
        assert_eq!(id.to_string(), "spiffe://cluster.local/ns/shop/sa/web");
        for wrong in [
            "",
            "spiffe://",
            "spiffe://td/ns/a/sa/",
            "spiffe://td/ns/a/sa/b/c",
            "spiffe://td/ns//sa/b",
            "https://td/ns/a/sa/b",
            "spiffe://td/ns/a/sa/b?x",
            "spiffe://td/sa/a/ns/b",
            "spiffe://td/ns/a/sa/b%2f",
        ] {
            assert!(wrong.parse::<SpiffeId>().is_err(), "{wrong}");
        }
    }
}
