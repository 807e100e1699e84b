//! Versions of resources that a kind of proxy (name and version of the program) refuses: they are not tried on every further proxy of
//! that kind. A repaired object has another version, so it goes.
//!
//! One proxy alone cannot take a resource away from the others: a version counts as refused by a kind when two proxies said so, by
//! name or by being sent it alone. What depends on the proxy's place (a port that cannot be bound) says nothing about its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use names::Name;
use proto::Version;

use crate::runs::Runs;
use crate::subscriptions::Subscriptions;
use crate::types::ResourceType;

/// Proxies that have to agree.
const WITNESSES: usize = 2;
/// Entries that are kept; the oldest goes first.
const LIMIT: usize = 1024;
/// For so long a refusal counts.
const LASTS: Duration = Duration::from_secs(600);

/// Program, type and name.
type Key = (Name, ResourceType, Name);

struct Refusal {
    version: Version,
    proxies: BTreeSet<Name>,
    at: Instant,
}

/// What all streams know of refusals.
#[derive(Default)]
pub(crate) struct Refusals {
    entries: Mutex<BTreeMap<Key, Refusal>>,
    /// Some version counts as refused.
    any: AtomicBool,
}

/// Who is at the other end of a stream, and what it shares with others.
#[derive(Clone, Default)]
pub(crate) struct Peer {
    pub(crate) runs: Arc<Runs>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    /// Name and version of the program.
    pub(crate) program: Name,
    /// The node id.
    pub(crate) proxy: Name,
}

impl Peer {
    /// Whether there is anything to ask for.
    pub(crate) fn knows_refusals(&self) -> bool {
        self.refusals.any.load(Atomic::Relaxed)
    }

    /// Whether this kind of proxy refuses a version.
    pub(crate) fn refuses(&self, kind: ResourceType, name: &Name, version: Version, now: Instant) -> bool {
        let entries = self.refusals.entries.lock().expect("no holder of this lock panics");
        let found = entries.get(&(self.program.clone(), kind, name.clone()));
        found.is_some_and(|refusal| {
            refusal.version == version
                && refusal.proxies.len() >= WITNESSES
                && now.saturating_duration_since(refusal.at) < LASTS
        })
    }

    /// This proxy refused a version.
    pub(crate) fn refused(&self, kind: ResourceType, name: &Name, version: Version, why: &str, now: Instant) {
        if why.contains("bind") && kind == ResourceType::Lds {
            return;
        }
        let mut entries = self.refusals.entries.lock().expect("no holder of this lock panics");
        let key = (self.program.clone(), kind, name.clone());
        let entry = entries.entry(key).or_insert_with(|| Refusal { version, proxies: BTreeSet::new(), at: now });
        if entry.version != version {
            *entry = Refusal { version, proxies: BTreeSet::new(), at: now };
        }
        entry.at = now;
        if entry.proxies.len() < WITNESSES {
            entry.proxies.insert(self.proxy.clone());
        }
        if entries.len() > LIMIT {
            let oldest = entries.iter().min_by_key(|(_, refusal)| refusal.at).map(|(key, _)| key.clone());
            oldest.into_iter().for_each(|key| _ = entries.remove(&key));
        }
        let any = entries.values().any(|refusal| refusal.proxies.len() >= WITNESSES);
        self.refusals.any.store(any, Atomic::Relaxed);
    }
}
