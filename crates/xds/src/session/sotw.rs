//! The state-of-the-world variant: each answer is all that was asked for.

use super::delta::empty;
use super::*;
use crate::types::Absent;

impl Session {
    pub(super) fn on_sotw(&mut self, kind: ResourceType, request: &Request<'_>, now: Instant) -> Option<Nack> {
        let names: BTreeSet<Name> =
            request.subscribe.iter().filter(|name| **name != "*").map(|name| Name::from(*name)).collect();
        // Most requests are acks, and say again what was asked for before.
        let names = match self.state(kind) {
            Some(state) if *state.names == names => state.names.clone(),
            _ => self.peer.subscriptions.share(names),
        };
        let star = request.subscribe.contains(&"*");
        let fresh = self.state(kind).is_none() || request.nonce.is_empty();
        if fresh {
            let everything = star || names.is_empty() && kind.wildcard();
            if names.is_empty() && !everything {
                self.types[kind.index()] = None;
                return None;
            }
            let old = self.types[kind.index()].take();
            let mut state = old.unwrap_or_else(|| Box::new(State::new(now)));
            state.wildcard = everything;
            state.names = names;
            state.owed = true;
            // A request without nonce answers nothing and waits for nothing.
            state.open.clear();
            self.types[kind.index()] = Some(state);
            return None;
        }
        let last = self.state(kind).map(|state| state.last_nonce);
        if request.nonce.parse::<u64>().ok() != last {
            self.expired += 1;
            return None;
        }
        let nack = self.answered(kind, request, now);
        let state = self.state_mut(kind)?;
        if names.is_empty() && !state.wildcard && !kind.wildcard() {
            self.types[kind.index()] = None;
            return nack;
        }
        let added = names.iter().any(|name| !state.names.contains(name));
        // After a refusal the answer is repeated with what was taken before; suspects go again one group after the other.
        state.owed |= added || nack.is_some() || !state.retry.is_empty();
        state.wildcard = star || names.is_empty() && state.wildcard;
        state.names = names;
        nack
    }

    pub(super) fn sotw(
        &mut self,
        kind: ResourceType,
        snapshot: &Arc<Snapshot>,
        views: &Arc<[ViewId]>,
        now: Instant,
    ) -> Option<Response> {
        if !kind.is_target() && !self.targets_are_there(snapshot, now) {
            return None;
        }
        let may_remove = !kind.is_target() || self.referrers_are_gone(snapshot, now);
        self.adopt(kind, snapshot, views, now);
        let state = self.state_mut(kind)?;
        let moved = state.views != *views;
        let old_views = std::mem::replace(&mut state.views, views.clone());
        let changed = moved || snapshot.changed(views, state.sent).any(|(name, _)| state.subscribed(name));
        let held: Vec<Encoded> = state.held(snapshot, &old_views);
        let release = may_remove && !state.stale.is_empty();
        if !state.owed && !changed && !release {
            self.passed(kind, snapshot.revision());
            return None;
        }
        state.retry.pop_front();
        let mut resources = state.wanted(kind, snapshot);
        state.stale.clear();
        if !may_remove {
            state.stale.extend(held.iter().map(|encoded| Name::from(encoded.name())));
            resources.extend(held);
        }
        if may_remove || state.last.is_none() {
            state.last = Some(snapshot.clone());
        }
        state.made = Some(snapshot.clone());
        state.sent = snapshot.revision();
        let resources = self.peer.runs.share(resources);
        let nonce = self.opened(kind, snapshot.revision(), &resources, true, now);
        if kind == ResourceType::Cds
            && let Some(endpoints) = self.state_mut(ResourceType::Eds)
        {
            // Clusters warm until their endpoints come, also those that the proxy knows.
            endpoints.owed = true;
        }
        let removed = Vec::new();
        Some(Response { kind, variant: Variant::Sotw, revision: snapshot.revision(), nonce, resources, removed })
    }
}

impl Session {
    /// What others of this kind refused is not tried on this one; what has changed since is.
    fn adopt(&mut self, kind: ResourceType, snapshot: &Snapshot, views: &Arc<[ViewId]>, now: Instant) {
        let peer = self.peer.clone();
        let Some(state) = self.state_mut(kind) else { return };
        let current = |name: &Name, version: Version| snapshot.get(views, name).map(Encoded::version) == Some(version);
        state.rejected.retain(|name, version| current(name, *version));
        if peer.knows_refusals() {
            let all = snapshot.all(views).filter(|(name, _)| state.subscribed(name));
            let known = all.filter(|(name, encoded)| peer.refuses(kind, name, encoded.version(), now));
            let known: Vec<_> = known.map(|(name, encoded)| (name.clone(), encoded.version())).collect();
            state.keep_all(&known);
            state.rejected.extend(known);
        }
    }
}

impl State {
    /// The full answer; what was refused, or is suspected, is replaced by what was taken last of it.
    fn wanted(&self, kind: ResourceType, snapshot: &Snapshot) -> Vec<Encoded> {
        let suspects: BTreeSet<&Name> = self.retry.iter().flatten().collect();
        let usable = |name: &Name, encoded: &Encoded| {
            let refused = self.rejected.get(name) == Some(&encoded.version());
            if refused || suspects.contains(name) {
                self.kept.get(name).cloned().flatten()
            } else {
                Some(encoded.clone())
            }
        };
        if self.wildcard {
            return snapshot.all(&self.views).filter_map(|(name, encoded)| usable(name, encoded)).collect();
        }
        let named = self.names.iter().filter_map(|name| match snapshot.get(&self.views, name) {
            Some(encoded) => usable(name, encoded),
            None if kind.absent() == Absent::Empty => Some(empty(kind, name)),
            None => None,
        });
        named.collect()
    }

    /// What the proxy has and is gone: it stays in the answer until nothing refers to it any more.
    fn held(&self, snapshot: &Snapshot, views: &[ViewId]) -> Vec<Encoded> {
        let Some(last) = &self.last else { return Vec::new() };
        let gone =
            last.all(views).filter(|(name, _)| self.subscribed(name) && snapshot.get(&self.views, name).is_none());
        gone.map(|(_, encoded)| encoded.clone()).collect()
    }
}
