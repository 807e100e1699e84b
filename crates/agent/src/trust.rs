//! The roots of the mesh as the control plane tells them, and whether the proxy has taken them: only then the control plane hears so,
//! since it signs below a new root once every proxy trusts it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::identity::{Current, Identity, now};

/// Where the identity is kept, and the roots beside it.
pub struct Trust {
    identity: watch::Sender<Option<Arc<Identity>>>,
    taken: Arc<Taken>,
    /// Who reads the roots from files does so no later.
    lag: Duration,
    /// How often roots were told.
    told: AtomicU64,
}

impl Trust {
    /// Nothing is known yet. Whoever reads the roots from files has them after `lag`.
    #[must_use]
    pub fn new(lag: Duration) -> (Arc<Self>, Current) {
        let (identity, current) = watch::channel(None);
        (Arc::new(Self { identity, taken: Arc::default(), lag, told: AtomicU64::new(0) }), current)
    }

    /// The identity, as it is now.
    pub(crate) fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.borrow().clone()
    }

    /// Which roots the proxy has taken.
    pub(crate) fn taken(&self) -> Arc<Taken> {
        self.taken.clone()
    }

    /// How often roots were told.
    pub(crate) fn told(&self) -> u64 {
        self.told.load(Ordering::Acquire)
    }

    /// A new identity. Roots that were told since the request, after `told`, are newer than those that came with it.
    pub(crate) fn renew(&self, mut next: Identity, told: u64) {
        self.identity.send_modify(|identity| {
            if let Some(known) = identity.as_ref().filter(|_| self.told() != told) {
                next.roots.clone_from(&known.roots);
            }
            *identity = Some(Arc::new(next));
        });
    }

    /// Roots were told.
    ///
    /// # Errors
    /// When they are none, which would shut out everybody.
    pub(crate) fn tell(&self, roots: &str) -> Result<(), String> {
        ca::roots(roots.as_bytes(), now()).map_err(|refusal| refusal.to_string())?;
        self.identity.send_if_modified(|identity| {
            self.told.fetch_add(1, Ordering::AcqRel);
            let Some(known) = identity.as_ref().filter(|known| known.roots != roots) else { return false };
            *identity = Some(Arc::new(known.trusting(roots)));
            true
        });
        Ok(())
    }

    /// Waits until the proxy has taken these roots; says whether they are still those that were told last.
    pub(crate) async fn known(&self, roots: &str) -> bool {
        let (mut current, mut taken) = (self.identity.subscribe(), self.taken.streams.subscribe());
        let last =
            |current: &mut Current| current.borrow_and_update().as_ref().is_some_and(|known| known.roots == roots);
        loop {
            if !last(&mut current) {
                return false;
            }
            if taken.borrow_and_update().values().all(|of| of.as_ref().is_some_and(|of| **of == *roots)) {
                tokio::time::sleep(self.lag).await;
                return last(&mut current);
            }
            tokio::select! {
                changed = current.changed() => if changed.is_err() { return false },
                changed = taken.changed() => if changed.is_err() { return false },
            }
        }
    }

    /// Waits until roots were told, after those of `told`, by which the certificate is no longer of the authority that signs now: its
    /// root comes first.
    pub(crate) async fn turned(&self, told: u64) {
        let mut current = self.identity.subscribe();
        loop {
            let other = current.borrow_and_update().as_ref().is_some_and(|identity| !identity.is_of_first_root());
            if other && self.told() != told {
                return;
            }
            if current.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

/// Which roots the proxy has taken, by the streams on which it asks for them.
#[derive(Default)]
pub(crate) struct Taken {
    streams: watch::Sender<BTreeMap<u64, Option<Arc<str>>>>,
    next: AtomicU64,
}

/// One stream among them; gone with this.
pub(crate) struct Slot {
    taken: Arc<Taken>,
    id: u64,
}

impl Taken {
    /// A stream asks for roots.
    pub(crate) fn asked(self: &Arc<Self>) -> Slot {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.streams.send_modify(|streams| drop(streams.insert(id, None)));
        Slot { taken: self.clone(), id }
    }
}

impl Slot {
    /// It has taken these.
    pub(crate) fn took(&self, roots: &Arc<str>) {
        self.taken.streams.send_modify(|streams| drop(streams.insert(self.id, Some(roots.clone()))));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.streams.send_modify(|streams| drop(streams.remove(&self.id)));
    }
}

#[cfg(test)]
mod tests;
