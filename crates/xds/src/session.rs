//! What one stream is sent, and when: a state machine without I/O. Time and what is published come in as arguments.
//!
//! For each type the session knows what the proxy asked for and up to which revision it was sent changes; everything else (names
//! forced, stale, refused) is empty most of the time. [`Session::poll`] gives the next response that may go now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use names::Name;
use proto::{Encoded, Version};

use crate::decode::{Request, Variant};
use crate::frame::Response;
use crate::refusals::Peer;
use crate::runs::Run;
use crate::types::ResourceType;
use crate::views::{Assignment, Revision, Snapshot, ViewId};

mod delta;
mod nacks;
mod sotw;

/// Whether changes come in the order that lets no request meet a missing cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ordering {
    /// Targets are added before what refers to them, and removed after.
    #[default]
    MakeBeforeBreak,
    /// Everything at once: for measuring what the order is good for.
    Off,
}

/// The next response of a type waits so long for the ack of the last: a proxy holds it back while a cluster warms, perhaps for ever.
const ACK_WAIT: Duration = Duration::from_secs(1);
/// What refers to added targets waits so long for their ack.
const TARGET_WAIT: Duration = Duration::from_secs(2);
/// Endpoints offered on a reconnect are answered in full when the clusters were not asked for by then.
const CLUSTER_WAIT: Duration = Duration::from_millis(500);
/// Removals on a new stream wait so long for listeners and routes to be asked for.
const REFERRER_WAIT: Duration = Duration::from_secs(15);
/// Unanswered responses of one type.
const MAX_OPEN: usize = 4;
/// A delta response larger than this is split, except the first.
const SPLIT: usize = 256 * 1024;

/// A response that was not answered yet.
struct Open {
    nonce: u64,
    revision: Revision,
    resources: Run,
    at: Instant,
    /// It added names, or may have.
    added: bool,
}

/// The state of one type.
struct State {
    wildcard: bool,
    names: Arc<BTreeSet<Name>>,
    views: Arc<[ViewId]>,
    /// Changes up to here were sent.
    sent: Revision,
    /// Changes up to here were taken.
    acked: Revision,
    /// An answer is owed, even an empty one.
    owed: bool,
    answered: bool,
    /// What the proxy offered at its first request.
    initial: BTreeMap<Name, Version>,
    first_at: Instant,
    /// What did not fit into the last response.
    rest: Option<Run>,
    /// Names to send although they did not change.
    force: BTreeSet<Name>,
    /// Names that the proxy has and that are gone.
    stale: BTreeSet<Name>,
    /// Names that were sent by the type they belong to before this type was asked for.
    resent: BTreeSet<Name>,
    open: VecDeque<Open>,
    last_nonce: u64,
    last_at: Option<Instant>,
    draining: bool,
    rejected: BTreeMap<Name, Version>,
    /// Groups of names one of which is bad, as far as it is known; each goes again alone.
    retry: VecDeque<Vec<Name>>,
    /// State of the world: what was taken last of names that are held back.
    kept: BTreeMap<Name, Option<Encoded>>,
    refusal: Option<String>,
    /// State of the world: what the last answer without held removals was made from, what the last one was, and the last one that was taken.
    last: Option<Arc<Snapshot>>,
    made: Option<Arc<Snapshot>>,
    accepted: Option<Arc<Snapshot>>,
}

impl State {
    fn new(now: Instant) -> Self {
        Self {
            wildcard: false,
            names: Arc::default(),
            views: Arc::default(),
            sent: 0,
            acked: 0,
            owed: true,
            answered: false,
            initial: BTreeMap::new(),
            first_at: now,
            rest: None,
            force: BTreeSet::new(),
            stale: BTreeSet::new(),
            resent: BTreeSet::new(),
            open: VecDeque::new(),
            last_nonce: 0,
            last_at: None,
            draining: false,
            rejected: BTreeMap::new(),
            retry: VecDeque::new(),
            kept: BTreeMap::new(),
            refusal: None,
            last: None,
            made: None,
            accepted: None,
        }
    }

    fn subscribed(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// All that was sent was taken.
    fn settled(&self) -> bool {
        self.open.is_empty() && self.rejected.is_empty() && self.retry.is_empty()
    }

    /// A further response may go: the last one is on its way and was answered, or not in time.
    fn ready(&self, now: Instant) -> bool {
        let waited = self.open.back().is_none_or(|open| now.duration_since(open.at) >= ACK_WAIT);
        !self.draining && self.open.len() < MAX_OPEN && waited
    }
}

/// A response was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    /// The type.
    pub kind: ResourceType,
    /// What the proxy says.
    pub why: String,
    /// The resources that it names; empty when it names none.
    pub names: Vec<Name>,
}

/// What happened to one type, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStatus {
    /// The type.
    pub kind: ResourceType,
    /// Changes up to here were sent.
    pub sent: Revision,
    /// Changes up to here were taken.
    pub acked: Revision,
    /// The nonce of the last response.
    pub nonce: u64,
    /// When it went.
    pub sent_at: Option<Instant>,
    /// What was asked for by name.
    pub names: Arc<BTreeSet<Name>>,
    /// Everything was asked for, whatever its name.
    pub wildcard: bool,
    /// Refused resources.
    pub rejected: Vec<Name>,
    /// What the proxy said last about a refusal.
    pub refusal: Option<String>,
}

/// One stream.
pub struct Session {
    variant: Variant,
    ordering: Ordering,
    started: Instant,
    types: [Option<Box<State>>; ResourceType::ALL.len()],
    nonce: u64,
    peer: Peer,
    /// Answers to nonces that were not the last.
    expired: u64,
}

impl Session {
    /// A new stream.
    #[must_use]
    pub fn new(variant: Variant, ordering: Ordering, now: Instant) -> Self {
        Self::with(variant, ordering, now, Peer::default())
    }

    /// A new stream of one of many peers.
    pub(crate) fn with(variant: Variant, ordering: Ordering, now: Instant, peer: Peer) -> Self {
        Self { variant, ordering, started: now, types: Default::default(), nonce: 0, peer, expired: 0 }
    }

    fn state(&self, kind: ResourceType) -> Option<&State> {
        self.types[kind.index()].as_deref()
    }

    fn state_mut(&mut self, kind: ResourceType) -> Option<&mut State> {
        self.types[kind.index()].as_deref_mut()
    }

    /// Whether a type was asked for.
    #[must_use]
    pub fn asked(&self, kind: ResourceType) -> bool {
        self.state(kind).is_some()
    }

    /// Takes in a request. What is to be sent because of it comes from [`Session::poll`].
    pub fn on_request(&mut self, kind: ResourceType, request: &Request<'_>, now: Instant) -> Option<Nack> {
        match self.variant {
            Variant::Delta => self.on_delta(kind, request, now),
            Variant::Sotw => self.on_sotw(kind, request, now),
        }
    }

    /// The last response of a type has left.
    pub fn on_drained(&mut self, kind: ResourceType) {
        if let Some(state) = self.state_mut(kind) {
            state.draining = false;
        }
    }

    /// The next response that may go now. To be called until it gives none.
    pub fn poll(&mut self, snapshot: &Arc<Snapshot>, assignment: &Assignment, now: Instant) -> Option<Response> {
        ResourceType::ALL.into_iter().find_map(|kind| {
            self.state(kind).filter(|state| state.ready(now))?;
            if kind.on_demand() && !assignment.has(kind) {
                return None;
            }
            let views = assignment.views(kind);
            match self.variant {
                Variant::Delta => self.delta(kind, snapshot, &views, assignment, now),
                Variant::Sotw => self.sotw(kind, snapshot, &views, now),
            }
        })
    }

    /// When time alone may change what [`Session::poll`] gives.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let states = self.types.iter().flatten();
        let waits = states.flat_map(|state| {
            let open = state.open.iter().flat_map(|open| [open.at + ACK_WAIT, open.at + TARGET_WAIT]);
            let held = (!state.initial.is_empty()).then(|| state.first_at + CLUSTER_WAIT);
            let stale = (!state.stale.is_empty()).then(|| self.started + REFERRER_WAIT);
            open.chain(held).chain(stale)
        });
        waits.filter(|at| *at > now).min()
    }

    /// The revision that all types have passed.
    #[must_use]
    pub fn floor(&self) -> Revision {
        self.types.iter().flatten().map(|state| state.sent).min().unwrap_or(0)
    }

    /// What happened to each type that was asked for.
    #[must_use]
    pub fn status(&self) -> Vec<TypeStatus> {
        let asked = ResourceType::ALL.into_iter().filter_map(|kind| Some((kind, self.state(kind)?)));
        asked
            .map(|(kind, state)| TypeStatus {
                kind,
                sent: state.sent,
                acked: state.acked,
                nonce: state.last_nonce,
                sent_at: state.last_at,
                names: state.names.clone(),
                wildcard: state.wildcard,
                rejected: state.rejected.keys().cloned().collect(),
                refusal: state.refusal.clone(),
            })
            .collect()
    }

    /// Answers to nonces that were not open any more.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Whether what refers to targets may go: added targets were taken, or not in time.
    fn targets_are_there(&self, snapshot: &Snapshot, now: Instant) -> bool {
        if self.ordering == Ordering::Off {
            return true;
        }
        let Some(clusters) = self.state(ResourceType::Cds) else { return true };
        let waiting = clusters.open.iter().any(|open| open.added && now.duration_since(open.at) < TARGET_WAIT);
        let unsent = clusters.sent < snapshot.revision() && clusters.open.len() < MAX_OPEN;
        !waiting && !unsent
    }

    /// Whether targets may be removed: what referred to them was replaced, and the proxy took it.
    fn referrers_are_gone(&self, snapshot: &Snapshot, now: Instant) -> bool {
        if self.ordering == Ordering::Off {
            return true;
        }
        let referrers = [ResourceType::Lds, ResourceType::Rds, ResourceType::Vhds, ResourceType::Ecds];
        let asked = |kind| self.state(kind).is_some_and(|state| state.answered);
        let started = asked(ResourceType::Lds) && asked(ResourceType::Rds);
        let late = now.duration_since(self.started) >= REFERRER_WAIT;
        let current = referrers.into_iter().filter_map(|kind| self.state(kind)).all(|state| {
            state.settled() && state.sent == snapshot.revision() && state.force.is_empty() && state.rest.is_none()
        });
        (started || late) && current
    }

    /// Notes a response as sent.
    fn opened(&mut self, kind: ResourceType, revision: Revision, resources: &Run, added: bool, now: Instant) -> u64 {
        self.nonce += 1;
        let nonce = self.nonce;
        if let Some(state) = self.state_mut(kind) {
            state.open.push_back(Open { nonce, revision, resources: resources.clone(), at: now, added });
            state.last_nonce = nonce;
            state.last_at = Some(now);
            state.draining = true;
            state.answered = true;
            state.owed = false;
        }
        nonce
    }

    /// Nothing had to be sent: the proxy is as current as if it had been.
    fn passed(&mut self, kind: ResourceType, revision: Revision) {
        if let Some(state) = self.state_mut(kind) {
            state.sent = revision;
            if state.open.is_empty() {
                state.acked = revision;
            }
        }
    }
}

#[cfg(test)]
mod tests;
