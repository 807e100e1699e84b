//! All kinds' watches as one source: the first transaction comes when every kind was listed whole, or is known not to be seen; each
//! relist is one transaction.

use std::collections::{BTreeMap, BTreeSet};

use api::{Changes, Issue, Kind};
use names::Name;
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Cluster;

mod kind;
mod presence;
mod raw;
mod store;

use kind::{Update, Watcher};

/// Updates that may wait to be taken.
const QUEUE: usize = 256;

/// Kinds that were not yet listed whole.
pub type Awaited = latest::Receiver<BTreeSet<Kind>>;

/// Says what is still awaited, and takes word of it.
#[must_use]
pub fn awaited() -> (latest::Sender<BTreeSet<Kind>>, Awaited) {
    latest::channel(Kind::ALL.iter().copied().collect())
}

/// Watches everything until `stop`; each call of `sink` is one transaction. The settings of the mesh are in the namespace `root`.
/// An API server that is away is waited for. It ends before `stop` only by a fault of ours.
pub async fn watch(
    cluster: Cluster,
    root: Name,
    awaited: latest::Sender<BTreeSet<Kind>>,
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
    let mut source =
        Source { awaited, first: Some(Changes::default()), said: BTreeMap::new(), trouble: BTreeMap::new() };
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
    awaited: latest::Sender<BTreeSet<Kind>>,
    /// What came before every kind was seen.
    first: Option<Changes>,
    /// What is to be said of objects, by kind.
    said: BTreeMap<Kind, Vec<Issue>>,
    /// Why a kind is not seen.
    trouble: BTreeMap<Kind, String>,
}

impl Source {
    /// What becomes visible by an update.
    fn take(&mut self, update: Update) -> Option<Changes> {
        let Update { kind, mut changes, trouble } = update;
        let other = match trouble {
            Some(trouble) => self.trouble.insert(kind, trouble.clone()).is_none_or(|before| before != trouble),
            None => self.trouble.remove(&kind).is_some(),
        };
        let said = changes.ledger.take().map(|ledger| self.said.insert(kind, ledger)).is_some();
        self.awaited.send_if_modified(|awaited| awaited.remove(&kind));
        if let Some(first) = &mut self.first {
            first.upserts.extend(changes.upserts);
            first.removed.extend(changes.removed);
            first.moved.extend(changes.moved);
            first.issues.extend(changes.issues);
            if !self.awaited.borrow().is_empty() {
                return None;
            }
            changes = self.first.take()?;
            tracing::info!(objects = changes.upserts.len(), "everything was listed");
        }
        changes.ledger = (said || other).then(|| self.ledger());
        (!changes.is_empty() || changes.ledger.is_some()).then_some(changes)
    }

    fn ledger(&self) -> Vec<Issue> {
        let troubles = self.trouble.iter().map(|(kind, why)| store::about(*kind, why.clone()));
        troubles.chain(self.said.values().flatten().cloned()).collect()
    }
}
