//! The delta variant: only what changed, by name.

use super::*;
use crate::types::Absent;

impl Session {
    pub(super) fn on_delta(&mut self, kind: ResourceType, request: &Request<'_>, now: Instant) -> Option<Nack> {
        if self.state(kind).is_none() {
            self.first_delta(kind, request, now);
            return None;
        }
        let nack = self.answered(kind, request, now);
        if request.subscribe.is_empty() && request.unsubscribe.is_empty() {
            return nack;
        }
        let subscriptions = self.peer.subscriptions.clone();
        let Some(state) = self.state_mut(kind) else { return nack };
        let mut names = (*state.names).clone();
        for name in &request.subscribe {
            if *name == "*" {
                state.wildcard = true;
                state.owed = true;
            } else {
                // A new subscription is always answered, also one for what the proxy has.
                names.insert(Name::from(*name));
                state.force.insert(Name::from(*name));
            }
        }
        for name in &request.unsubscribe {
            if *name == "*" {
                state.wildcard = false;
            } else {
                names.remove(*name);
                state.force.remove(*name);
                state.rejected.remove(*name);
                state.stale.remove(*name);
            }
        }
        state.names = subscriptions.share(names);
        nack
    }

    /// The first request of a type says what the proxy wants and what it has.
    fn first_delta(&mut self, kind: ResourceType, request: &Request<'_>, now: Instant) {
        let mut state = State::new(now);
        let star = request.subscribe.contains(&"*");
        let dropped = request.unsubscribe.contains(&"*");
        state.wildcard = (star
            || request.subscribe.is_empty()
                && (request.initial.is_empty() || kind.wildcard() || kind == ResourceType::Vhds))
            && !dropped;
        let mut names: BTreeSet<Name> =
            request.subscribe.iter().filter(|name| **name != "*").map(|name| Name::from(*name)).collect();
        if !state.wildcard {
            names.extend(request.initial.iter().map(|(name, _)| Name::from(*name)));
        }
        request.unsubscribe.iter().for_each(|name| _ = names.remove(*name));
        state.names = self.peer.subscriptions.share(names);
        // A version that is not one of ours means "has it, in some form": it is sent again.
        let has = |(name, version): &(&str, &[u8])| (Name::from(*name), Version::parse(version).unwrap_or(Version(0)));
        state.initial = request.initial.iter().map(has).collect();
        if let Some(resent) = self.resent_for(kind) {
            state.resent = resent;
        }
        self.types[kind.index()] = Some(Box::new(state));
    }

    /// What was sent already of the type that this one belongs to; it was remembered for this alone.
    fn resent_for(&mut self, kind: ResourceType) -> Option<BTreeSet<Name>> {
        let of = match kind {
            ResourceType::Eds => ResourceType::Cds,
            ResourceType::Vhds => ResourceType::Rds,
            _ => return None,
        };
        self.state_mut(of).map(|state| std::mem::take(&mut state.resent))
    }

    pub(super) fn delta(
        &mut self,
        kind: ResourceType,
        snapshot: &Arc<Snapshot>,
        views: &Arc<[ViewId]>,
        assignment: &Assignment,
        now: Instant,
    ) -> Option<Response> {
        self.reassigned(kind, snapshot, views);
        if !kind.is_target() && !self.targets_are_there(snapshot, now) {
            return None;
        }
        if self.waits_for_clusters(kind, now) {
            return None;
        }
        let may_remove = !kind.is_target() || self.referrers_are_gone(snapshot, now);
        let first = self.state(kind).is_some_and(|state| !state.answered);
        let peer = self.peer.clone();
        let state = self.state_mut(kind)?;
        if let Some(rest) = state.next_part(snapshot) {
            return Some(self.send_delta(kind, snapshot, (rest, Vec::new()), assignment, now));
        }
        let mut draft = Draft::default();
        if state.owed {
            state.collect_all(kind, snapshot, &mut draft);
        } else if state.sent < snapshot.revision() {
            state.collect_changes(kind, snapshot, &mut draft);
        }
        state.collect_forced(kind, snapshot, &mut draft);
        state.leave_out_refused(kind, &peer, &mut draft, now);
        if may_remove {
            let gone = std::mem::take(&mut state.stale).into_iter();
            draft.removed.extend(gone.filter(|name| snapshot.get(&state.views, name).is_none()));
        }
        if draft.resources.is_empty() && draft.removed.is_empty() && !state.owed {
            self.passed(kind, snapshot.revision());
            return None;
        }
        let mut run = peer.runs.share(draft.resources.into_values().collect());
        if !first {
            (run, state.rest) = run.split(SPLIT);
        }
        let removed = draft.removed.into_iter().collect();
        Some(self.send_delta(kind, snapshot, (run, removed), assignment, now))
    }

    fn send_delta(
        &mut self,
        kind: ResourceType,
        snapshot: &Arc<Snapshot>,
        (resources, removed): (Run, Vec<Name>),
        assignment: &Assignment,
        now: Instant,
    ) -> Response {
        if let Some(state) = self.state_mut(kind) {
            state.sent = snapshot.revision();
        }
        let nonce = self.opened(kind, snapshot.revision(), &resources, !resources.is_empty(), now);
        self.follow_up(kind, snapshot, &resources, assignment);
        Response { kind, variant: Variant::Delta, revision: snapshot.revision(), nonce, resources, removed }
    }

    /// Endpoints follow each cluster that is sent, and virtual hosts each table: the proxy waits for them.
    fn follow_up(&mut self, kind: ResourceType, snapshot: &Snapshot, sent: &[Encoded], assignment: &Assignment) {
        let follower = match kind {
            ResourceType::Cds => ResourceType::Eds,
            ResourceType::Rds => ResourceType::Vhds,
            _ => return,
        };
        let views = assignment.views(follower);
        let names: BTreeSet<Name> = match follower {
            ResourceType::Eds => {
                let same = sent.iter().map(|encoded| encoded.name());
                same.filter(|name| snapshot.get(&views, name).is_some()).map(Name::from).collect()
            }
            _ => {
                let tables: BTreeSet<&str> = sent.iter().map(|encoded| encoded.name()).collect();
                let of_table = |name: &str| name.rsplit_once('/').is_some_and(|(table, _)| tables.contains(table));
                snapshot.all(&views).map(|(name, _)| name).filter(|name| of_table(name)).cloned().collect()
            }
        };
        match self.state_mut(follower) {
            Some(state) => {
                let wanted: Vec<Name> = names.into_iter().filter(|name| state.subscribed(name)).collect();
                state.force.extend(wanted);
            }
            // Not asked for yet: remembered until it is.
            None => self.state_mut(kind).into_iter().for_each(|state| state.resent.extend(names.iter().cloned())),
        }
    }

    /// On a reconnect it is only known whether endpoints are needed once the clusters were asked for.
    fn waits_for_clusters(&mut self, kind: ResourceType, now: Instant) -> bool {
        if kind != ResourceType::Eds || self.state(ResourceType::Cds).is_some_and(|clusters| clusters.answered) {
            return false;
        }
        let Some(state) = self.state_mut(kind) else { return false };
        if state.initial.is_empty() || state.answered {
            return false;
        }
        if now.duration_since(state.first_at) < CLUSTER_WAIT {
            return true;
        }
        state.initial.values_mut().for_each(|version| *version = Version(0));
        false
    }

    /// The connection sees other views than before: what it has is compared with what it should have.
    fn reassigned(&mut self, kind: ResourceType, snapshot: &Snapshot, views: &Arc<[ViewId]>) {
        let Some(state) = self.state_mut(kind) else { return };
        if state.views == *views {
            return;
        }
        let old = std::mem::replace(&mut state.views, views.clone());
        if !state.answered {
            return;
        }
        let changed: BTreeSet<&Name> = snapshot.changed(&old, state.sent).map(|(name, _)| name).collect();
        for (name, encoded) in snapshot.all(&state.views) {
            let had = snapshot.get(&old, name).is_some_and(|had| had.version() == encoded.version());
            if (!had || changed.contains(name)) && (state.wildcard || state.names.contains(name)) {
                state.force.insert(name.clone());
            }
        }
        let gone = snapshot.all(&old).map(|(name, _)| name).chain(changed);
        let gone: Vec<Name> = gone.filter(|name| snapshot.get(views, name).is_none()).cloned().collect();
        state.stale.extend(gone);
        state.sent = snapshot.revision();
    }
}

/// A response in the making.
#[derive(Default)]
struct Draft {
    resources: BTreeMap<Name, Encoded>,
    removed: BTreeSet<Name>,
}

impl State {
    /// The first answer: everything wanted, without what the proxy has already.
    fn collect_all(&mut self, kind: ResourceType, snapshot: &Snapshot, draft: &mut Draft) {
        let mut initial = std::mem::take(&mut self.initial);
        let names = self.names.clone();
        let named = names.iter().filter(|_| !self.wildcard).map(|name| (name, snapshot.get(&self.views, name)));
        let all = snapshot.all(&self.views).filter(|_| self.wildcard).map(|(name, encoded)| (name, Some(encoded)));
        for (name, encoded) in named.chain(all) {
            let has = initial.remove(name);
            match encoded {
                Some(encoded) if has == Some(encoded.version()) && !self.resent.contains(name) => {}
                Some(encoded) => _ = draft.resources.insert(name.clone(), encoded.clone()),
                None => absent(kind, name, draft),
            }
        }
        // What is left is gone.
        match kind.is_target() {
            true => self.stale.extend(initial.into_keys()),
            false => draft.removed.extend(initial.into_keys()),
        }
        self.resent.clear();
    }

    /// What others of this kind refused is not tried on this one.
    fn leave_out_refused(&mut self, kind: ResourceType, peer: &Peer, draft: &mut Draft, now: Instant) {
        if !peer.knows_refusals() {
            return;
        }
        draft.resources.retain(|name, encoded| {
            let refused = peer.refuses(kind, name, encoded.version(), now);
            if refused {
                self.rejected.insert(name.clone(), encoded.version());
            }
            !refused
        });
    }

    fn collect_changes(&mut self, kind: ResourceType, snapshot: &Snapshot, draft: &mut Draft) {
        let views = self.views.clone();
        for (name, encoded) in snapshot.changed(&views, self.sent) {
            if !self.subscribed(name) {
                continue;
            }
            match encoded {
                Some(encoded) => {
                    self.stale.remove(name);
                    if self.rejected.get(name) != Some(&encoded.version()) {
                        self.rejected.remove(name);
                        draft.resources.insert(name.clone(), encoded.clone());
                    }
                }
                None if kind.absent() == Absent::Kept => {}
                None => {
                    self.rejected.remove(name);
                    match kind.is_target() {
                        true => _ = self.stale.insert(name.clone()),
                        false => _ = draft.removed.insert(name.clone()),
                    }
                }
            }
        }
    }

    fn collect_forced(&mut self, kind: ResourceType, snapshot: &Snapshot, draft: &mut Draft) {
        let mut wanted = std::mem::take(&mut self.force);
        if self.open.is_empty() && wanted.is_empty() {
            wanted.extend(self.retry.pop_front().into_iter().flatten());
        }
        for name in wanted {
            match snapshot.get(&self.views, &name) {
                Some(encoded) if self.rejected.get(&name) == Some(&encoded.version()) => {}
                Some(encoded) => _ = draft.resources.insert(name, encoded.clone()),
                None if self.stale.contains(&name) => {}
                None => absent(kind, &name, draft),
            }
        }
    }

    /// The next part of a response that was split, unless there are newer changes: then the rest is looked up again with them.
    fn next_part(&mut self, snapshot: &Snapshot) -> Option<Run> {
        let rest = self.rest.take()?;
        if self.sent == snapshot.revision() && self.force.is_empty() && self.stale.is_empty() {
            let (part, rest) = rest.split(SPLIT);
            self.rest = rest;
            return Some(part);
        }
        self.force.extend(rest.iter().map(|encoded| Name::from(encoded.name())));
        None
    }
}

/// Tells the proxy that a name it asked for does not exist.
fn absent(kind: ResourceType, name: &Name, draft: &mut Draft) {
    match kind.absent() {
        Absent::Removed => _ = draft.removed.insert(name.clone()),
        Absent::Empty => _ = draft.resources.insert(name.clone(), empty(kind, name)),
        Absent::Kept => {}
    }
}

/// A message that holds nothing but its name, which is field 1 of both types that need it.
pub(super) fn empty(kind: ResourceType, name: &Name) -> Encoded {
    let mut body = Vec::with_capacity(name.len() + 3);
    prost::encoding::string::encode(1, &name.to_string(), &mut body);
    Encoded::from_body(name, kind.url(), &body)
}
