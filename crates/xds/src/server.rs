//! The server: HTTP/2 connections, the two methods of the service, and an answer body that hands out shared bytes as the other
//! side takes them. Stock gRPC servers keep one copy of the answer for each stream for ever.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::chunks::Chunks;
use crate::decode::Variant;
use crate::door::{Door, Open};
use crate::grpc::{self, Answer};
use crate::health::Reports;
use crate::session::{Ordering, TypeStatus};
use crate::shared::{ConnectionStatus, Counted, Counters, Limits, Shared, Source};
use crate::stream::{self, Side};
use crate::types::ResourceType;
use crate::views::{ConnectionId, Publisher};

/// What no stream was sent for about so long is not kept ready to be sent.
const FORGET: Duration = Duration::from_secs(10);

/// The aggregated discovery service.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// A server for what `publisher` publishes.
    #[must_use]
    pub fn new(publisher: Publisher, source: Arc<dyn Source>, ordering: Ordering, limits: Limits) -> Self {
        let shared = Shared {
            publisher,
            source,
            ordering,
            limits,
            chunks: Chunks::default(),
            runs: Arc::default(),
            refusals: Arc::default(),
            subscriptions: Arc::default(),
            counters: Counters::default(),
            reports: Reports::default(),
            connections: Mutex::default(),
        };
        Self { shared: Arc::new(shared), tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// What each connection was sent and took, and whether that is all there is. A stream is not woken by changes that it does not
    /// see, so "all" is judged by what changed in its views since its last ack.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionStatus> {
        let snapshot = self.shared.publisher.snapshot();
        let connections = self.shared.connections.lock().expect("no holder of this lock panics");
        let all = connections.iter().map(|(connection, seen)| {
            let assignment = snapshot.assignment(*connection);
            let live = |status: &TypeStatus| {
                let views = assignment.map(|assignment| assignment.views(status.kind));
                // After a refusal nothing is on its way, and yet not everything is there.
                status.refusal.is_none()
                    && views.is_some_and(|views| snapshot.changed(&views, status.acked).next().is_none())
            };
            let types = seen.types.lock().expect("no holder of this lock panics").clone();
            ConnectionStatus {
                connection: *connection,
                client: seen.client.clone(),
                revision: snapshot.revision(),
                types: types
                    .into_iter()
                    .map(|status| {
                        let live = live(&status);
                        (status, live)
                    })
                    .collect(),
            }
        });
        all.collect()
    }

    /// Ends a stream, as if this replica had gone away: its proxy connects again, here or elsewhere. Says whether there was one.
    #[must_use]
    pub fn disconnect(&self, connection: ConnectionId) -> bool {
        let connections = self.shared.connections.lock().expect("no holder of this lock panics");
        connections.get(&connection).inspect(|seen| seen.end.cancel()).is_some()
    }

    /// Counts by type.
    #[must_use]
    pub fn counted(&self) -> Vec<Counted> {
        let all = ResourceType::ALL.into_iter().map(|kind| {
            let [pushes, resources, bytes, rejects] = &self.shared.counters.0[kind.index()];
            let get = |counter: &AtomicU64| counter.load(Atomic::Relaxed);
            Counted { kind, pushes: get(pushes), resources: get(resources), bytes: get(bytes), rejects: get(rejects) }
        });
        all.collect()
    }

    /// How often agents said that their workload is well, and that it is ill.
    #[must_use]
    pub fn health_reports(&self) -> (u64, u64) {
        self.shared.reports.counted()
    }

    /// Serves anonymous callers in plain text until `stop`; see [`Self::serve_at`].
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken, grace: Duration) {
        self.serve_at(Open, listener, stop, grace).await;
    }

    /// Accepts connections by this door until `stop`; then no more are accepted, streams are told, and those that do not end within
    /// `grace` are cut.
    pub async fn serve_at(self, door: impl Door, listener: TcpListener, stop: CancellationToken, grace: Duration) {
        let mut forget = tokio::time::interval(FORGET);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                _ = forget.tick() => {
                    self.shared.chunks.forget();
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, address)) => {
                    // Without it, small frames wait 40 ms for an acknowledgement.
                    let _ = socket.set_nodelay(true);
                    let (server, door) = (self.clone(), door.clone());
                    self.tasks.spawn(async move {
                        if let Some((io, peer)) = door.admit(socket).await {
                            server.connection(&door, io, (peer, address)).await;
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting an xDS connection; is the limit of open files reached?");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("some xDS connections did not end in time and are cut");
        }
    }

    async fn connection<D: Door>(&self, door: &D, io: D::Io, (peer, address): (D::Peer, SocketAddr)) {
        let peer = Arc::new(peer);
        let service = hyper::service::service_fn(|request| {
            let (server, door, peer) = (self.clone(), door.clone(), peer.clone());
            async move { Ok::<_, Infallible>(server.answer(&door, (&peer, address), request).await) }
        });
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.shared.limits.streams)
            .keep_alive_interval(Some(Duration::from_secs(30)))
            .keep_alive_timeout(Duration::from_secs(20))
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(256 * 1024);
        let connection = builder.serve_connection(TokioIo::new(io), service);
        tokio::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "an xDS connection ended");
                }
                return;
            }
            () = self.stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn answer<D: Door>(
        &self,
        door: &D,
        (peer, address): (&D::Peer, SocketAddr),
        request: Request<Incoming>,
    ) -> Answer {
        const SERVICE: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";
        let variant = match request.uri().path().strip_prefix(SERVICE) {
            Some("DeltaAggregatedResources") => Variant::Delta,
            Some("StreamAggregatedResources") => Variant::Sotw,
            Some(_) => return grpc::refuse(Status::unimplemented("no such method")),
            None => return door.other(peer, request).await,
        };
        let caller = match door.caller(peer, request.headers()).await {
            Ok(caller) => caller,
            Err(status) => return grpc::refuse(status),
        };
        let (out, frames) = mpsc::channel(1);
        let side = Side { door: door.clone(), variant, caller, address };
        self.tasks.spawn(stream::serve(self.shared.clone(), side, request.into_body(), out, self.stop.clone()));
        grpc::stream(frames)
    }
}
