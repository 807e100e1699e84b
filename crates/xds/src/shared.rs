//! What all streams of a server share: what is published, counters, and what each stream was sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use names::SpiffeId;
use tokio_util::sync::CancellationToken;

use crate::chunks::Chunks;
use crate::decode::Variant;
use crate::health::Reports;
use crate::node::Node;
use crate::refusals::Refusals;
use crate::runs::Runs;
use crate::session::{Nack, Ordering, TypeStatus};
use crate::subscriptions::Subscriptions;
use crate::types::ResourceType;
use crate::views::{ConnectionId, Publisher};

/// Limits of what a stranger can send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Streams of one connection.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_bytes: 4 * 1024 * 1024, streams: 1024 }
    }
}

/// Counts by type since the start.
#[derive(Default)]
pub(crate) struct Counters(pub(crate) [[AtomicU64; 4]; ResourceType::ALL.len()]);

impl Counters {
    pub(crate) fn push(&self, kind: ResourceType, resources: usize, bytes: usize) {
        let [pushes, sent, size, _] = &self.0[kind.index()];
        pushes.fetch_add(1, Atomic::Relaxed);
        sent.fetch_add(resources as u64, Atomic::Relaxed);
        size.fetch_add(bytes as u64, Atomic::Relaxed);
    }

    pub(crate) fn rejects(&self, kind: ResourceType) {
        self.0[kind.index()][3].fetch_add(1, Atomic::Relaxed);
    }
}

/// What was sent of one type since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The type.
    pub kind: ResourceType,
    /// Responses.
    pub pushes: u64,
    /// Resources in them.
    pub resources: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Refusals.
    pub rejects: u64,
}

/// A stream, as those see it who watch.
pub(crate) struct Seen {
    pub(crate) client: Arc<Client>,
    /// What happened to each type. The stream writes it without a lock that others hold for long.
    pub(crate) types: Types,
    /// Ends it.
    pub(crate) end: CancellationToken,
}

/// What happened to each type of one stream.
pub(crate) type Types = Arc<Mutex<Vec<TypeStatus>>>;

/// What all streams share.
pub(crate) struct Shared {
    pub(crate) publisher: Publisher,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) ordering: Ordering,
    pub(crate) limits: Limits,
    pub(crate) chunks: Chunks,
    pub(crate) runs: Arc<Runs>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) counters: Counters,
    pub(crate) reports: Reports,
    pub(crate) connections: Mutex<BTreeMap<ConnectionId, Seen>>,
}

impl Shared {
    /// Notes a stream; gives the place where it says what happens to it.
    pub(crate) fn remember(&self, connection: ConnectionId, client: Client, end: CancellationToken) -> Types {
        let types = Types::default();
        let seen = Seen { client: Arc::new(client), types: types.clone(), end };
        self.connections.lock().expect("no holder of this lock panics").insert(connection, seen);
        types
    }

    pub(crate) fn forget(&self, connection: ConnectionId) {
        self.connections.lock().expect("no holder of this lock panics").remove(&connection);
    }
}

/// Why a connection is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What it says of itself makes no sense.
    Invalid(String),
    /// It may not.
    Denied(String),
    /// Not now.
    Unavailable(String),
}

/// Who calls, by credentials and never by what is said in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody asked for credentials.
    Anonymous,
    /// One of these identities, or all of them.
    Known(Vec<SpiffeId>),
}

/// Who knows what a proxy may see: adds it to the mesh, and publishes its assignment.
pub trait Source: Send + Sync + 'static {
    /// A proxy said who it is.
    ///
    /// # Errors
    /// When it is not to be served.
    fn connect(&self, node: Node, variant: Variant, caller: &Caller) -> Result<ConnectionId, Refusal>;
    /// It asked for a type that is put together only for those who ask.
    fn asked(&self, connection: ConnectionId, kind: ResourceType);
    /// It is gone.
    fn disconnect(&self, connection: ConnectionId);
    /// It refused a response.
    fn refused(&self, connection: ConnectionId, nack: &Nack);
}

/// Who is at the other end of a stream, for those who watch: what it says of itself, where from and since when.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its node id.
    pub node: String,
    /// Metadata `ISTIO_VERSION`; empty where it says none.
    pub istio_version: String,
    /// Name and version of its program.
    pub program: String,
    /// Its address.
    pub address: SocketAddr,
    /// When it connected: what the clock said, and for what is counted from there.
    pub since: (SystemTime, Instant),
}

impl Client {
    /// What the clock said at an instant after it connected.
    #[must_use]
    pub fn time(&self, at: Instant) -> SystemTime {
        self.since.0 + at.saturating_duration_since(self.since.1)
    }
}

/// What is known of a stream, for those who watch.
#[derive(Clone, Debug)]
pub struct ConnectionStatus {
    /// The connection.
    pub connection: ConnectionId,
    /// Who it is.
    pub client: Arc<Client>,
    /// What is published now.
    pub revision: crate::views::Revision,
    /// By type, and whether the proxy has all of what is published.
    pub types: Vec<(TypeStatus, bool)>,
}
