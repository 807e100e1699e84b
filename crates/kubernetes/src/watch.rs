//! All kinds' watches as one source: the first transaction comes when every kind was listed whole, or is known not to be there; each
//! relist is one transaction. A kind that may not be seen is waited for at first, since a mesh without its policies would be open, and
//! later stays as it was last seen.

use std::collections::{BTreeMap, BTreeSet};

use api::{Changes, Issue, Kind};
use names::Name;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Cluster;

mod first;
mod kind;
mod presence;
mod raw;
mod store;

use first::First;
use kind::{Outcome, Update, Watcher};

/// Updates that may wait to be taken.
const QUEUE: usize = 256;

/// How the watches stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Kinds that were not yet listed whole.
    pub awaited: BTreeSet<Kind>,
    /// Why kinds are not seen, or not any more.
    pub trouble: BTreeMap<Kind, String>,
}

impl Default for Standing {
    /// Nothing was listed yet.
    fn default() -> Self {
        Self { awaited: Kind::ALL.iter().copied().collect(), trouble: BTreeMap::new() }
    }
}

/// Watches everything until `stop`; each call of `sink` is one transaction. The settings of the mesh are in the namespace `root`.
/// An API server that is away is waited for. It ends before `stop` only by a fault of ours.
pub async fn watch(
    cluster: Cluster,
    root: Name,
    standing: latest::Sender<Standing>,
    mut sink: impl FnMut(Changes),
    stop: CancellationToken,
) {
    let (tell, mut told) = mpsc::channel(QUEUE);
    let (definitions, present) = latest::channel(None);
    let mut tasks = JoinSet::new();
    tasks.spawn(presence::follow(cluster.clone(), definitions));
    for kind in Kind::ALL.iter().copied() {
        let (cluster, root, present, tell) = (cluster.clone(), root.clone(), present.clone(), tell.clone());
        tasks.spawn(Watcher { cluster, kind, root, present, tell, streaming: true }.run());
    }
    let mut source = Source { standing, first: Some(First::default()), said: BTreeMap::new() };
    loop {
        let update = tokio::select! {
            () = stop.cancelled() => return,
            // A kind that is not followed any more would be served as it was, for ever.
            _ = tasks.join_next() => return,
            update = told.recv() => update,
        };
        let Some(update) = update else { return };
        if let Some(changes) = source.take(update) {
            sink(changes);
        }
    }
}

/// What was told so far.
struct Source {
    standing: latest::Sender<Standing>,
    /// What came before every kind was seen.
    first: Option<First>,
    /// What is to be said of objects, by kind.
    said: BTreeMap<Kind, Vec<Issue>>,
}

impl Source {
    /// What becomes visible by an update.
    fn take(&mut self, update: Update) -> Option<Changes> {
        let Update { kind, mut changes, outcome } = update;
        let other = self.stands(kind, outcome);
        let said = changes.ledger.take().map(|ledger| self.said.insert(kind, ledger)).is_some();
        if let Some(first) = &mut self.first {
            first.take(changes);
            if !self.standing.borrow().awaited.is_empty() {
                return None;
            }
            changes = self.first.take()?.whole();
            tracing::info!(objects = changes.upserts.len(), "everything was listed");
        }
        changes.ledger = (said || other).then(|| self.ledger());
        (!changes.is_empty() || changes.ledger.is_some()).then_some(changes)
    }

    /// Notes how a kind stands; says whether its trouble is another.
    fn stands(&self, kind: Kind, outcome: Outcome) -> bool {
        let mut other = false;
        self.standing.send_if_modified(|standing| {
            let listed = !matches!(outcome, Outcome::Forbidden(_)) && standing.awaited.remove(&kind);
            other = match outcome {
                Outcome::Seen => standing.trouble.remove(&kind).is_some(),
                Outcome::Forbidden(why) | Outcome::NotServed(why) => {
                    standing.trouble.insert(kind, why.clone()).is_none_or(|before| before != why)
                }
            };
            if other {
                say(kind, standing);
            }
            listed || other
        });
        other
    }

    fn ledger(&self) -> Vec<Issue> {
        let standing = self.standing.borrow();
        let troubles = standing.trouble.iter().map(|(kind, why)| store::about(*kind, why.clone()));
        troubles.chain(self.said.values().flatten().cloned()).collect()
    }
}

/// Tells once how a kind stands now.
fn say(kind: Kind, standing: &Standing) {
    match standing.trouble.get(&kind) {
        Some(why) if standing.awaited.contains(&kind) => tracing::warn!("{kind} is waited for: {why}"),
        Some(why) => tracing::warn!("{kind} is not seen now, what is known of it stays: {why}"),
        None => tracing::info!("{kind} is seen again"),
    }
}
