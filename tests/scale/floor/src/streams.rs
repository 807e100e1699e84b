//! Connections and streams: each sends what is pushed and counts the ack. All share the same bytes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, anyhow};
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::wire::{self, CLUSTERS, LISTENERS, Variant};

/// A first answer comes in parts of this size.
const PART: usize = 256 << 10;

/// What is sent to every stream, in both protocols.
#[derive(Clone, Default)]
struct Push {
    nonce: String,
    delta: Bytes,
    sotw: Bytes,
}

impl Push {
    fn of(nonce: String, bytes: usize) -> Self {
        let of = |variant| wire::response(variant, CLUSTERS, &nonce, bytes);
        Self { delta: of(Variant::Delta), sotw: of(Variant::Sotw), nonce }
    }

    fn bytes(&self, variant: Variant) -> Bytes {
        match variant {
            Variant::Delta => self.delta.clone(),
            Variant::Sotw => self.sotw.clone(),
        }
    }
}

struct Shared {
    pushes: watch::Sender<Push>,
    first: Mutex<Arc<Vec<Push>>>,
    streams: AtomicUsize,
    missing: AtomicUsize,
    acked: Notify,
}

/// What all streams share.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

impl Hub {
    pub(crate) fn new() -> Self {
        let hub = Self(Arc::new(Shared {
            pushes: watch::Sender::new(Push::default()),
            first: Mutex::default(),
            streams: AtomicUsize::new(0),
            missing: AtomicUsize::new(0),
            acked: Notify::new(),
        }));
        hub.first(0);
        hub
    }

    /// Streams that have clusters, or are about to.
    pub(crate) fn streams(&self) -> usize {
        self.0.streams.load(Ordering::SeqCst)
    }

    /// What the first answer holds from now on.
    pub(crate) fn first(&self, bytes: usize) {
        let sizes = (0..bytes.div_ceil(PART).max(1)).map(|part| PART.min(bytes - part * PART));
        let parts = sizes.enumerate().map(|(part, size)| Push::of(format!("f{part}"), size)).collect();
        *self.0.first.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(parts);
    }

    /// Sends to every stream; ends when all have acked.
    pub(crate) async fn push(&self, bytes: usize) {
        let before = self.0.pushes.borrow().nonce.trim_start_matches('p').parse().unwrap_or(0u64);
        let push = Push::of(format!("p{}", before + 1), bytes);
        self.0.missing.store(self.streams(), Ordering::SeqCst);
        self.0.pushes.send_replace(push);
        self.0.acked.notified().await;
    }

    fn acked(&self, nonce: &str) {
        if self.0.pushes.borrow().nonce == nonce && self.0.missing.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.acked.notify_one();
        }
    }
}

/// Takes connections, for ever.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, hub: Hub) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            taken = listener.accept() => {
                let (socket, _) = taken.context("taking a connection")?;
                socket.set_nodelay(true)?;
                connections.spawn(secured(socket, tls.clone(), hub.clone()));
            }
            // A client that goes is no mistake: reconnecting is a part of what is measured.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn secured(socket: TcpStream, tls: Option<TlsAcceptor>, hub: Hub) -> anyhow::Result<()> {
    match tls {
        Some(tls) => connection(tls.accept(socket).await?, hub).await,
        None => connection(socket, hub).await,
    }
}

async fn connection(socket: impl AsyncRead + AsyncWrite + Unpin, hub: Hub) -> anyhow::Result<()> {
    let mut connection = h2::server::handshake(socket).await?;
    let mut streams = JoinSet::new();
    while let Some(taken) = connection.accept().await {
        let (request, respond) = taken?;
        streams.spawn(stream(request, respond, hub.clone()));
    }
    Ok(())
}

/// One stream, from its request to its end.
async fn stream(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, hub: Hub) -> anyhow::Result<()> {
    let path = request.uri().path();
    let variant = if path.contains("/Delta") { Variant::Delta } else { Variant::Sotw };
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = Stream {
        out: respond.send_response(head, false)?,
        variant,
        pushes: hub.0.pushes.subscribe(),
        hub,
        counted: false,
    };
    let (mut body, mut buffer) = (request.into_body(), BytesMut::new());
    loop {
        tokio::select! {
            data = body.data() => {
                let Some(data) = data else { return Ok(()) };
                let data = data?;
                body.flow_control().release_capacity(data.len())?;
                buffer.extend_from_slice(&data);
                while let Some(message) = wire::take(&mut buffer).map_err(|error| anyhow!(error))? {
                    stream.asked(&message)?;
                }
            }
            changed = stream.pushes.changed(), if stream.counted => {
                changed?;
                let push = stream.pushes.borrow_and_update().bytes(variant);
                stream.out.send_data(push, false)?;
            }
        }
    }
}

struct Stream {
    out: SendStream<Bytes>,
    variant: Variant,
    pushes: watch::Receiver<Push>,
    hub: Hub,
    /// Whether it has asked for clusters, and is sent what is pushed.
    counted: bool,
}

impl Stream {
    fn asked(&mut self, message: &[u8]) -> anyhow::Result<()> {
        let request = wire::read(message, self.variant).context("a request that cannot be read")?;
        if !request.nonce.is_empty() {
            self.hub.acked(&request.nonce);
        } else if request.kind == CLUSTERS && !self.counted {
            self.counted = true;
            self.pushes.mark_unchanged();
            self.hub.0.streams.fetch_add(1, Ordering::SeqCst);
            let first = self.hub.0.first.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for part in first.iter() {
                self.out.send_data(part.bytes(self.variant), false)?;
            }
        } else if request.kind == LISTENERS {
            self.out.send_data(wire::response(self.variant, LISTENERS, "l", 0), false)?;
        }
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.counted {
            self.hub.0.streams.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
