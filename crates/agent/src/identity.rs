//! The workload's identity: a key that goes to the proxy beside and nowhere else, and a certificate that ends.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The identity, as it is now.
pub type Current = tokio::sync::watch::Receiver<Option<std::sync::Arc<Identity>>>;

/// A certificate and what belongs to it.
pub struct Identity {
    /// PEM: the certificate, and those between it and the root.
    pub chain: String,
    pub(crate) key: String,
    /// PEM: the roots of the mesh.
    pub roots: String,
    /// When it was made and when it ends, in Unix time.
    pub lifetime: (i64, i64),
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl Identity {
    /// The key, as PEM. It is for the proxy beside, and for TLS.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The same with other roots.
    pub(crate) fn trusting(&self, roots: &str) -> Self {
        let (chain, key) = (self.chain.clone(), self.key.clone());
        Self { chain, key, roots: roots.to_owned(), lifetime: self.lifetime }
    }

    /// Whether the first of the roots vouches for the certificate.
    pub(crate) fn is_of_first_root(&self) -> bool {
        let end = "-----END CERTIFICATE-----";
        let first = self.roots.find(end).map_or("", |at| &self.roots[..at + end.len()]);
        let (cert, root) = (self.chain.as_bytes(), first.as_bytes());
        ca::workload(&ca::Workload { cert, key: None, root, chain: &[], san: None }, now()).is_ok()
    }

    /// How long from `now` until it should be renewed: at half of its lifetime, a little earlier or later so that not all workloads come at
    /// once. `jitter` is 0 to 255.
    #[must_use]
    pub fn renewal(&self, now: i64, jitter: u8) -> Duration {
        let (from, to) = self.lifetime;
        // 0.49 to 0.51 of the lifetime.
        let share = 490 + i64::from(jitter) * 20 / 255;
        let at = from + (to - from).saturating_mul(share) / 1000;
        Duration::from_secs(u64::try_from(at - now).unwrap_or_default())
    }
}

/// Now, in Unix time.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_is_at_half_of_the_lifetime_and_not_for_all_at_once() {
        let identity = |from, to| Identity {
            chain: String::new(),
            key: "secret".to_owned(),
            roots: String::new(),
            lifetime: (from, to),
        };
        let day = identity(1_000, 1_000 + 86_400);
        assert_eq!(day.renewal(1_000, 0).as_secs(), 86_400 * 49 / 100);
        assert_eq!(day.renewal(1_000, 255).as_secs(), 86_400 * 51 / 100);
        assert_eq!(day.renewal(90_000, 0), Duration::ZERO, "at once when it is late");
        assert!(!format!("{day:?}").contains("secret"));
    }
}
