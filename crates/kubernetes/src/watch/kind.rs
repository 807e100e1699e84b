//! One kind's watch: lists, watches, and starts over when it has to. What comes of it is decided in [`super::store`].

use std::time::Duration;

use api::{Changes, Kind};
use futures_util::{StreamExt, pin_mut};
use kube::Api;
use kube::core::Status;
use kube::runtime::watcher::{self, InitialListStrategy, watcher};
use names::Name;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::presence::{self, Present};
use super::raw::{Raw, SECRETS, Watched};
use super::store::{Event, Step, Store};
use crate::Cluster;

/// Between attempts: this at first, then twice as long each time, up to that.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(2);
/// An API server that has too much to do is asked again after this: it says no shorter time (`k8s: Retry-After` of 429). Within a request the
/// client waits as it is told.
const BUSY: Duration = Duration::from_secs(1);
/// What is not allowed is tried again up to so seldom.
const SELDOM: Duration = Duration::from_secs(30);
/// A list that is doubted is asked for again after this, and believed when it stayed so for that long.
const RELIST: Duration = Duration::from_secs(1);
const DOUBT: Duration = Duration::from_secs(10);
/// So many refusals in a row, and the watch does not go on from where it was.
const REFUSALS: u32 = 5;

/// What a kind's watch tells.
pub(super) struct Update {
    /// Of which kind.
    pub(super) kind: Kind,
    /// What changed.
    pub(super) changes: Changes,
    /// How it came to be known.
    pub(super) outcome: Outcome,
}

/// What came of looking at a kind.
pub(super) enum Outcome {
    /// It was seen, or its definition is known not to be there.
    Seen,
    /// We may not see it, and why: what there is of it is not known.
    Forbidden(String),
    /// The API server serves none of the versions that are known here, and which: nothing of it can be had.
    NotServed(String),
}

/// Why following one version ended.
enum End {
    /// The API server does not serve it.
    NotServed,
    /// We may not see it.
    Forbidden(String),
    /// Everything is to be listed again.
    Again,
    /// The kind's definition is gone.
    Undefined,
}

/// One kind's watch.
pub(super) struct Watcher {
    pub(super) cluster: Cluster,
    pub(super) kind: Kind,
    /// The namespace of the mesh's settings.
    pub(super) root: Name,
    pub(super) present: watch::Receiver<Present>,
    pub(super) tell: mpsc::Sender<Update>,
    /// Objects come as a stream, which old API servers refuse.
    pub(super) streaming: bool,
}

/// What is remembered from one attempt to the next.
struct State {
    store: Store,
    doubted: Option<Instant>,
    failing: bool,
    refusals: u32,
    pause: Duration,
}

/// Whether a watch failed because of missing rights.
pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    code(error) == Some(403)
}

/// What the API server answered, if it was reached.
fn answer(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

fn code(error: &watcher::Error) -> Option<u16> {
    answer(error).map(|status| status.code)
}

impl Watcher {
    /// Watches until nobody listens.
    pub(super) async fn run(mut self) {
        let store = Store::new(self.kind);
        let mut state = State { store, doubted: None, failing: false, refusals: 0, pause: SOON };
        let versions = self.kind.versions();
        let mut version = 0;
        while !self.tell.is_closed() {
            // Without word of definitions nothing is known to be gone.
            let Some(defined) = self.defined().await else { return };
            if !defined {
                self.cluster.heard().forget(self.kind);
                let changes = state.store.clear();
                self.send(changes, Outcome::Seen).await;
                if self.present.wait_for(|present| presence::has(present, self.kind) == Some(true)).await.is_err() {
                    return;
                }
                continue;
            }
            match self.follow(versions[version], &mut state).await {
                End::Again | End::Undefined => {}
                End::NotServed => {
                    version = (version + 1) % versions.len();
                    if version == 0 {
                        let trouble = format!("none of the versions {} is served", versions.join(", "));
                        self.send(Changes::default(), Outcome::NotServed(trouble)).await;
                        self.rest(SOON * 5).await;
                    }
                }
                End::Forbidden(why) => {
                    self.send(Changes::default(), Outcome::Forbidden(why)).await;
                    self.rest(state.pause).await;
                    state.pause = (state.pause * 2).min(SELDOM);
                }
            }
        }
    }

    /// Whether the kind's definition is there, as soon as that is known; None when nobody will tell any more.
    async fn defined(&mut self) -> Option<bool> {
        let kind = self.kind;
        let known = self.present.wait_for(|present| presence::has(present, kind).is_some()).await;
        known.ok().and_then(|present| presence::has(&present, kind))
    }

    /// Pauses, shorter when definitions change.
    async fn rest(&mut self, pause: Duration) {
        _ = tokio::time::timeout(pause, self.present.changed()).await;
    }

    async fn send(&self, changes: Changes, outcome: Outcome) {
        // Nobody listens any more: the end is near.
        _ = self.tell.send(Update { kind: self.kind, changes, outcome }).await;
    }

    fn config(&self) -> watcher::Config {
        let mut config = watcher::Config::default().timeout(self.cluster.turn());
        if self.kind == Kind::Secret {
            config = config.fields(SECRETS);
        }
        if self.streaming {
            config.initial_list_strategy = InitialListStrategy::StreamingList;
        }
        config
    }

    async fn follow(&mut self, version: &'static str, state: &mut State) -> End {
        let watched = Watched { kind: self.kind, version };
        let client = self.cluster.heard().listening(self.kind, self.cluster.client());
        let api: Api<Raw> = Api::all_with(client, &watched);
        let events = watcher(api, self.config());
        pin_mut!(events);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                changed = self.present.changed() => {
                    let gone = presence::has(&self.present.borrow_and_update(), self.kind) == Some(false);
                    if gone || changed.is_err() {
                        return End::Undefined;
                    }
                    continue;
                }
            };
            match event {
                None => return End::Again,
                Some(Ok(event)) => {
                    if let Some(end) = self.take(watched, event, state).await {
                        return end;
                    }
                }
                Some(Err(error)) => {
                    if let Some(end) = self.failed(&error, state).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Takes an event; may give a reason to start over.
    async fn take(&self, watched: Watched, event: watcher::Event<Raw>, state: &mut State) -> Option<End> {
        // A list in pages begins before the API server was asked: that says nothing.
        if !matches!(event, watcher::Event::Init) {
            if state.failing {
                tracing::info!("{} are watched again", self.kind.plural());
            }
            (state.failing, state.refusals, state.pause) = (false, 0, SOON);
        }
        let named = |raw: &Raw| {
            let meta = kube::Resource::meta(raw);
            (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
        };
        let event = match event {
            watcher::Event::Init => Event::Begin,
            watcher::Event::InitApply(raw) => Event::Listed(watched.document(raw, &self.root)?),
            watcher::Event::InitDone => Event::End,
            watcher::Event::Apply(raw) => {
                let (namespace, name) = named(&raw);
                watched.document(raw, &self.root).map_or(Event::Gone(namespace, name), Event::Put)
            }
            watcher::Event::Delete(raw) => {
                let (namespace, name) = named(&raw);
                Event::Gone(namespace, name)
            }
        };
        let whole = event == Event::End;
        let patient = state.doubted.is_some_and(|since| since.elapsed() >= DOUBT);
        match state.store.take(event, patient) {
            Step::Nothing => {}
            Step::Changed(changes) => {
                if whole {
                    state.doubted = None;
                    tracing::debug!(count = state.store.count(), "{} were listed", self.kind.plural());
                }
                self.send(changes, Outcome::Seen).await;
            }
            Step::Doubted(why) => {
                if state.doubted.is_none() {
                    tracing::warn!("{}: {why}; it is believed when it stays so for {DOUBT:?}", self.kind.plural());
                }
                state.doubted.get_or_insert_with(Instant::now);
                tokio::time::sleep(RELIST).await;
                return Some(End::Again);
            }
        }
        None
    }

    /// Waits before the next attempt; may give a reason to start over.
    async fn failed(&mut self, error: &watcher::Error, state: &mut State) -> Option<End> {
        let plural = self.kind.plural();
        match code(error) {
            Some(404) => return Some(End::NotServed),
            Some(403) => {
                state.failing = true;
                return Some(End::Forbidden(
                    answer(error).map_or_else(|| error.to_string(), |status| status.message.clone()),
                ));
            }
            Some(400 | 422) if self.streaming => {
                tracing::info!("{plural} are listed in pages: the API server does not stream lists");
                self.streaming = false;
                return Some(End::Again);
            }
            // The version to go on from is too old. The client lists again by itself only where it is told so within a watch.
            Some(410) => {
                tokio::time::sleep(state.pause).await;
                state.pause = (state.pause * 2).min(LATE);
                return Some(End::Again);
            }
            Some(429) => state.pause = state.pause.max(BUSY),
            Some(_) => state.refusals += 1,
            None => {}
        }
        if !state.failing {
            tracing::warn!("{plural} cannot be watched now, what is known stays: {error}");
        }
        state.failing = true;
        tokio::time::sleep(state.pause).await;
        state.pause = (state.pause * 2).min(LATE);
        (state.refusals >= REFUSALS).then(|| {
            state.refusals = 0;
            End::Again
        })
    }
}
