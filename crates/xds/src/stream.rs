//! One stream: moves requests into the session and responses out of it, and questions to the door. Decides nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::body::Incoming;
use names::Name;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::decode::{self, Variant};
use crate::door::Door;
use crate::grpc::Messages;
use crate::health::Health;
use crate::inquiry::{Asker, Inquiry, Reply, is_inquiry};
use crate::node::Node;
use crate::refusals::Peer;
use crate::session::Session;
use crate::shared::{Caller, Client, Refusal, Shared, Types};
use crate::types::ResourceType;
use crate::views::ConnectionId;

/// Why streams end at shutdown. Istio's agents count an end as an error of the control plane unless they know the words
/// (`istio: pilot/pkg/grpc/grpc.go expectedGrpcFailureMessages`).
const CLOSING: &str = "transport is closing: the control plane is shutting down";

/// What goes to the body of the answer.
pub(crate) type Out = mpsc::Sender<Result<Bytes, Status>>;

/// The other side of a stream, and the door that it came in by.
pub(crate) struct Side<D> {
    pub(crate) door: D,
    pub(crate) variant: Variant,
    pub(crate) caller: Caller,
    pub(crate) address: SocketAddr,
}

/// What goes out, and what its leaving means.
enum Outgoing {
    /// A part of a response.
    Part(Bytes),
    /// The last part of a response of a type.
    Last(Bytes, ResourceType),
    /// The answer to a question.
    Reply(Bytes),
}

/// Serves one stream until either side ends it.
pub(crate) async fn serve<D: Door>(
    shared: Arc<Shared>,
    side: Side<D>,
    body: Incoming,
    out: Out,
    stop: CancellationToken,
) {
    let messages = Messages::new(body, shared.limits.request_bytes);
    if let Err(status) = run(&shared, &side, messages, &out, &stop).await {
        // The other side may be gone; then nobody needs the status.
        let _ = out.send(Err(status)).await;
    }
}

/// The registration of a stream, taken back when it ends.
struct Registered<'a> {
    shared: &'a Shared,
    connection: ConnectionId,
    floor: Arc<AtomicU64>,
    notify: Arc<tokio::sync::Notify>,
    /// Where it says what happens to it.
    types: Types,
    /// Somebody ends the stream by hand.
    end: CancellationToken,
}

impl Registered<'_> {
    /// Says what happened so far.
    fn tell(&self, session: &Session) {
        *self.types.lock().expect("no holder of this lock panics") = session.status();
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.shared.publisher.unregister(self.connection);
        self.shared.forget(self.connection);
        self.shared.source.disconnect(self.connection);
    }
}

async fn run<D: Door>(
    shared: &Arc<Shared>,
    side: &Side<D>,
    mut messages: Messages,
    out: &Out,
    stop: &CancellationToken,
) -> Result<(), Status> {
    let variant = side.variant;
    let (mut asker, mut health) = (Asker::new(variant), Health::new(&shared.reports, side.address));
    let first = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(Status::unavailable(CLOSING)),
        first = first(side, (&mut asker, &mut health), &mut messages, out) => first?,
    };
    let Some(first) = first else { return Ok(()) };
    let (registered, mut session) = begin(shared, side, first)?;
    let mut queue = VecDeque::new();
    loop {
        fill(shared, &registered, &mut session, &mut queue);
        let deadline = session.deadline(Instant::now()).map(tokio::time::Instant::from_std);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Status::unavailable(CLOSING)),
            () = registered.end.cancelled() => return Ok(()),
            permit = out.reserve(), if !queue.is_empty() => {
                let Ok(permit) = permit else { return Ok(()) };
                let (bytes, kind) = match queue.pop_front() {
                    None => continue,
                    Some(Outgoing::Part(bytes)) => (bytes, None),
                    Some(Outgoing::Last(bytes, kind)) => (bytes, Some(kind)),
                    Some(Outgoing::Reply(bytes)) => {
                        asker.taken();
                        (bytes, None)
                    }
                };
                permit.send(Ok(bytes));
                kind.into_iter().for_each(|kind| session.on_drained(kind));
            }
            message = messages.next() => {
                let Some(message) = message? else { return Ok(()) };
                let request = read(variant, &message)?;
                if health.heard(&request) {
                    continue;
                }
                if !is_inquiry(request.type_url) {
                    take(shared, &registered, &mut session, &request);
                } else if let Some(inquiry) = asker.asked(&request)? {
                    // The stream is a proxy's, through which its agent passes a question on: a refusal must not end it.
                    let reply = answer(side, &inquiry).await.unwrap_or_else(|status| Reply::text(status.message()));
                    queue.push_back(Outgoing::Reply(asker.framed(&inquiry, reply)));
                }
            }
            () = registered.notify.notified() => {}
            () = until(deadline), if deadline.is_some() => {}
        }
    }
}

/// The request that says who the proxy is. What its agent tells of a workload's health may come before; it has no answer
/// (`istio: pkg/xds/server.go`). Questions may, and for as long as nothing else comes nobody is a proxy.
async fn first<D: Door>(
    side: &Side<D>,
    (asker, health): (&mut Asker, &mut Health<'_>),
    messages: &mut Messages,
    out: &Out,
) -> Result<Option<Bytes>, Status> {
    loop {
        let Some(message) = messages.next().await? else { return Ok(None) };
        let request = read(side.variant, &message)?;
        if is_inquiry(request.type_url) {
            let Some(inquiry) = asker.asked(&request)? else { continue };
            let reply = answer(side, &inquiry).await?;
            if out.send(Ok(asker.framed(&inquiry, reply))).await.is_err() {
                return Ok(None);
            }
            asker.taken();
        } else if !health.heard(&request) {
            return Ok(Some(message));
        }
    }
}

/// What the door tells this caller.
async fn answer<D: Door>(side: &Side<D>, inquiry: &Inquiry) -> Result<Reply, Status> {
    side.door.told(&side.caller, inquiry.clone()).await
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Takes the request that says who the proxy is, which may be large: nothing of it stays for as long as the stream.
fn begin<'a, D>(shared: &'a Arc<Shared>, side: &Side<D>, first: Bytes) -> Result<(Registered<'a>, Session), Status> {
    let (registered, peer) = register(shared, side, &first)?;
    let mut session = Session::with(side.variant, shared.ordering, Instant::now(), peer);
    take(shared, &registered, &mut session, &read(side.variant, &first)?);
    Ok((registered, session))
}

fn register<'a, D>(shared: &'a Arc<Shared>, side: &Side<D>, first: &Bytes) -> Result<(Registered<'a>, Peer), Status> {
    let request = read(side.variant, first)?;
    let missing = || Status::invalid_argument("missing node information");
    let node = Node::decode(request.node.ok_or_else(missing)?).map_err(|_| missing())?;
    if node.id.is_empty() {
        return Err(missing());
    }
    let istio_version = node.texts().find(|(key, _)| *key == "ISTIO_VERSION").map(|(_, version)| brief(version));
    let client = Client {
        node: node.id.clone(),
        istio_version: istio_version.unwrap_or_default(),
        program: brief(&node.user_agent),
        address: side.address,
        since: (SystemTime::now(), Instant::now()),
    };
    let peer = Peer {
        runs: shared.runs.clone(),
        refusals: shared.refusals.clone(),
        subscriptions: shared.subscriptions.clone(),
        program: Name::from(&*node.user_agent),
        proxy: Name::from(&*node.id),
    };
    let connection = shared.source.connect(node, side.variant, &side.caller).map_err(|refusal| match refusal {
        Refusal::Invalid(why) => Status::invalid_argument(why),
        Refusal::Denied(why) => Status::permission_denied(why),
        Refusal::Unavailable(why) => Status::unavailable(why),
    })?;
    let floor = Arc::new(AtomicU64::new(0));
    let notify = shared.publisher.register(connection, floor.clone());
    let end = CancellationToken::new();
    let types = shared.remember(connection, client, end.clone());
    Ok((Registered { shared, connection, floor, notify, types, end }, peer))
}

/// As much of what a stranger says as is kept for those who watch.
fn brief(text: &str) -> String {
    text.chars().take(64).collect()
}

fn read(variant: Variant, message: &Bytes) -> Result<decode::Request<'_>, Status> {
    let read = match variant {
        Variant::Delta => decode::delta(message),
        Variant::Sotw => decode::sotw(message),
    };
    read.map_err(|error| Status::invalid_argument(error.to_string()))
}

fn take(shared: &Shared, registered: &Registered<'_>, session: &mut Session, request: &decode::Request<'_>) {
    // Types that nobody serves are not answered: agents send some that only other control planes know.
    let Some(kind) = ResourceType::of(request.type_url) else { return };
    let known = session.asked(kind);
    if let Some(nack) = session.on_request(kind, request, Instant::now()) {
        shared.counters.rejects(kind);
        shared.source.refused(registered.connection, &nack);
    }
    if kind.on_demand() && !known && session.asked(kind) {
        shared.source.asked(registered.connection, kind);
    }
    registered.tell(session);
}

/// Queues all responses that may go now.
fn fill(shared: &Shared, registered: &Registered<'_>, session: &mut Session, queue: &mut VecDeque<Outgoing>) {
    let snapshot = shared.publisher.snapshot();
    let Some(assignment) = snapshot.assignment(registered.connection) else { return };
    let mut sent = false;
    while let Some(response) = session.poll(&snapshot, assignment, Instant::now()) {
        shared.counters.push(response.kind, response.resources.len(), response.size());
        let mut frames = response.frames(&shared.chunks);
        let last = frames.pop();
        queue.extend(frames.into_iter().map(Outgoing::Part));
        queue.extend(last.map(|bytes| Outgoing::Last(bytes, response.kind)));
        sent = true;
    }
    registered.floor.store(session.floor(), Atomic::Relaxed);
    if sent || session.floor() == snapshot.revision() {
        registered.tell(session);
    }
}
