//! One client: its life from stream to stream, and what it is told meanwhile. Comes back when a stream ends, as Envoy does.

mod stream;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::backoff::Backoff;
use crate::counts::{Clock, Counts};
use crate::library::Library;
use crate::node::Common;
use crate::session::Session;
use crate::settings::{Mode, Settings};
use crate::transport::{Credentials, Target};

/// What clients share.
pub(crate) struct Shared {
    /// Where they go.
    pub(crate) target: Target,
    /// What was made of responses.
    pub(crate) library: Arc<Library>,
    /// What they say of themselves.
    pub(crate) node: Common,
    /// What was counted.
    pub(crate) counts: Counts,
    /// What time it is.
    pub(crate) clock: Clock,
    mode: Mode,
}

impl Shared {
    /// For clients of a server.
    ///
    /// # Errors
    /// When it has no address.
    pub(crate) async fn new(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self {
            target: Target::find(settings).await?,
            library: Arc::default(),
            node: Common::new(settings.mode, settings.metadata),
            counts: Counts::default(),
            clock: Clock::start(),
            mode: settings.mode,
        })
    }
}

/// How a client behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Behaviour {
    /// It takes what comes.
    Reader,
    /// It answers each response after this time, and reads nothing more until then.
    Slow(Duration),
    /// It asks, and never reads the connection again.
    Frozen,
    /// It takes what comes until it has everything; then it refuses whatever says something.
    Nacking,
}

/// How far a client is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Phase {
    /// It has no stream.
    Apart,
    /// It asked, and something is missing.
    Connected,
    /// It has everything, some of it from before and not confirmed.
    Covered,
    /// It has everything and acked it.
    Complete,
    /// It does not read any more.
    Frozen,
}

/// Come back.
pub(crate) struct Order {
    /// With what it has.
    pub(crate) keep: bool,
    /// Not at once.
    pub(crate) backoff: bool,
    /// Told when the stream is closed.
    pub(crate) closed: oneshot::Sender<()>,
}

/// A client.
pub(crate) struct Client {
    /// Which one.
    pub(crate) number: usize,
    /// How it behaves.
    pub(crate) behaviour: Behaviour,
    namespace: String,
    credentials: Credentials,
    record: bool,
    session: Mutex<Session>,
    phase: AtomicU8,
    was_complete: AtomicBool,
    /// It took a response since the mark.
    pub(crate) touched: AtomicBool,
    /// When its last ack since the mark went.
    pub(crate) last_ack: AtomicU64,
    orders: Mutex<Option<Order>>,
    ordered: Notify,
}

/// What holds a place among those that connect.
type Place = Option<OwnedSemaphorePermit>;

impl Client {
    /// A client that has nothing and is nowhere.
    #[must_use]
    pub(crate) fn new(
        number: usize,
        (namespace, credentials): (String, Credentials),
        behaviour: Behaviour,
        record: bool,
        shared: &Shared,
    ) -> Self {
        Self {
            number,
            behaviour,
            namespace,
            credentials,
            record,
            session: Mutex::new(Session::new(shared.mode, shared.library.clone())),
            phase: AtomicU8::new(Phase::Apart as u8),
            was_complete: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            last_ack: AtomicU64::new(0),
            orders: Mutex::default(),
            ordered: Notify::new(),
        }
    }

    /// How far it is.
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Apart,
            1 => Phase::Connected,
            2 => Phase::Covered,
            3 => Phase::Complete,
            _ => Phase::Frozen,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// It keeps bodies.
    #[must_use]
    pub(crate) fn records(&self) -> bool {
        self.record
    }

    /// Something about its session.
    pub(crate) fn session<T>(&self, ask: impl FnOnce(&mut Session) -> T) -> T {
        ask(&mut self.session.lock().expect("no holder panics"))
    }

    /// Tells it to come back. An order that it did not see yet is forgotten.
    pub(crate) fn order(&self, order: Order) {
        *self.orders.lock().expect("no holder panics") = Some(order);
        self.ordered.notify_one();
    }

    async fn next_order(&self) -> Order {
        loop {
            if let Some(order) = self.orders.lock().expect("no holder panics").take() {
                return order;
            }
            self.ordered.notified().await;
        }
    }

    /// Lives for ever. `place` is given back when it has asked for the first time, or could not.
    pub(crate) async fn live(&self, shared: &Shared, mut place: Place) {
        let mut backoff = Backoff::new(self.number as u64);
        let mut streams = 0u64;
        loop {
            let mut told = tokio::select! {
                order = self.next_order() => Some(order),
                error = self.stream(shared, &mut place, (&mut streams, &mut backoff)) => {
                    shared.counts.error(format!("{error:#}"));
                    None
                }
            };
            place = None;
            loop {
                self.enter(Phase::Apart);
                let wait = told.is_none_or(|order| self.obey(order)).then(|| backoff.next());
                let Some(wait) = wait else { break };
                tokio::select! {
                    () = tokio::time::sleep(wait) => break,
                    order = self.next_order() => told = Some(order),
                }
            }
        }
    }

    /// Its stream is closed. True when it is to wait.
    fn obey(&self, order: Order) -> bool {
        if !order.keep {
            self.session(Session::forget);
        }
        // Who ordered it may be gone.
        let _ = order.closed.send(());
        order.backoff
    }
}
