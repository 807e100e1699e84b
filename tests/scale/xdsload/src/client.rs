//! One client: connects, says what its session wants said, and comes back when its stream ends, as Envoy does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::backoff::Backoff;
use crate::counts::{Clock, Counted, Counts};
use crate::cut::{Cutter, Piece};
use crate::library::Library;
use crate::node::Common;
use crate::request::Request;
use crate::response::{Reader, Response};
use crate::session::Session;
use crate::settings::{Mode, Settings};
use crate::transport::{Credentials, Target, status};

/// What clients share.
pub(crate) struct Shared {
    /// Where they go.
    pub(crate) target: Target,
    /// What was made of responses.
    pub(crate) library: std::sync::Arc<Library>,
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
            library: std::sync::Arc::default(),
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

    /// One stream, until it ends.
    async fn stream(&self, shared: &Shared, place: &mut Place, life: (&mut u64, &mut Backoff)) -> anyhow::Error {
        let socket = async {
            let socket = TcpStream::connect(shared.target.address).await.context("connecting")?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        let socket = match socket.await {
            Ok(socket) => socket,
            Err(error) => return error,
        };
        let Some(tls) = &self.credentials.tls else { return self.speak(socket, shared, place, life).await };
        match tls.connect(shared.target.name(), socket).await.context("the TLS handshake") {
            Ok(io) => Box::pin(self.speak(io, shared, place, life)).await,
            Err(error) => error,
        }
    }

    async fn speak<T>(&self, io: T, shared: &Shared, place: &mut Place, life: (&mut u64, &mut Backoff)) -> anyhow::Error
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let mut builder = h2::client::Builder::new();
        let window = shared.target.window;
        builder.initial_window_size(window).initial_connection_window_size(window).enable_push(false);
        let (sender, connection) = match builder.handshake::<_, Bytes>(io).await {
            Ok(pair) => pair,
            Err(error) => return error.into(),
        };
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Err(ended.map_or_else(Into::into, |()| anyhow::anyhow!("the connection ended"))),
            ended = self.talk(sender, shared, place, life) => ended,
        };
        match ended {
            Err(error) => error,
            Ok(_stays_open) => {
                self.enter(Phase::Frozen);
                std::future::pending().await
            }
        }
    }

    /// Asks, reads and answers. Ends well only for a client that freezes, with what must stay open.
    async fn talk(
        &self,
        sender: SendRequest<Bytes>,
        shared: &Shared,
        place: &mut Place,
        (streams, backoff): (&mut u64, &mut Backoff),
    ) -> anyhow::Result<(SendRequest<Bytes>, SendStream<Bytes>, RecvStream)> {
        let mut sender = sender.ready().await?;
        let (response, mut out) = sender.send_request(shared.target.request(&self.credentials)?, false)?;
        self.begin(shared, &mut out)?;
        *place = None;
        if *streams > 0 {
            shared.counts.reconnects.fetch_add(1, Relaxed);
        }
        *streams += 1;
        let response = response.await.context("the answer's head")?;
        anyhow::ensure!(response.status() == 200, "HTTP status {}", response.status());
        status(response.headers())?;
        let mut body = response.into_body();
        if self.behaviour == Behaviour::Frozen {
            return Ok((sender, out, body));
        }
        let (mut cutter, mut coming) = (Cutter::default(), Response::default());
        let reader = Reader { library: &shared.library, mode: shared.mode, record: self.record };
        loop {
            while let Some(piece) = cutter.next()? {
                match piece {
                    Piece::Field(number, bytes) => coming.field(number, &bytes, &reader)?,
                    Piece::End(size) => {
                        backoff.reset();
                        self.take(std::mem::take(&mut coming), size, shared, &mut out).await?;
                    }
                }
            }
            let Some(chunk) = body.data().await else { break };
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            shared.counts.active.store(shared.clock.now(), Relaxed);
            cutter.push(chunk);
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        status(&trailers)?;
        anyhow::bail!("the server ended the stream")
    }

    fn begin(&self, shared: &Shared, out: &mut SendStream<Bytes>) -> anyhow::Result<()> {
        let mut node = Some(shared.node.parts(self.number, &self.namespace));
        let (requests, covered) = self.session(|session| (session.begin(), session.covered()));
        for mut request in requests {
            request.parts = node.take().into_iter().flatten().chain(request.parts).collect();
            send(request, out)?;
        }
        self.enter(if covered { Phase::Covered } else { Phase::Connected });
        Ok(())
    }

    async fn take(
        &self,
        response: Response,
        size: usize,
        shared: &Shared,
        out: &mut SendStream<Bytes>,
    ) -> anyhow::Result<()> {
        let (says, now) = (!response.is_empty(), shared.clock.now());
        let counted = Counted {
            messages: 1,
            bytes: size as u64,
            resources: response.resources.len() as u64,
            removed: response.removed.len() as u64,
        };
        shared.counts.response(response.kind, counted, now);
        if says {
            self.touched.store(true, Relaxed);
        }
        let refuses = self.behaviour == Behaviour::Nacking && says && self.was_complete.load(Relaxed);
        let (taken, phase) = self.session(|session| {
            let taken = session.take(&response, refuses.then_some("refused, as this client does"));
            let phase = match (session.complete(), session.covered()) {
                (true, _) => Phase::Complete,
                (false, true) => Phase::Covered,
                (false, false) => Phase::Connected,
            };
            (taken, phase)
        });
        if let Behaviour::Slow(delay) = self.behaviour {
            tokio::time::sleep(delay).await;
        }
        for request in taken.requests {
            let acks = request.ack;
            send(request, out)?;
            if acks {
                self.acked(says, shared);
            }
        }
        if taken.refused {
            shared.counts.nacks.fetch_add(1, Relaxed);
        }
        self.was_complete.fetch_or(phase == Phase::Complete, Relaxed);
        self.enter(phase);
        Ok(())
    }

    fn acked(&self, says: bool, shared: &Shared) {
        shared.counts.acks.fetch_add(1, Relaxed);
        if says {
            let now = shared.clock.now();
            self.last_ack.store(now, Relaxed);
            shared.counts.last.store(now, Relaxed);
            shared.counts.active.store(now, Relaxed);
        }
    }
}

fn send(request: Request, out: &mut SendStream<Bytes>) -> anyhow::Result<()> {
    request.framed().into_iter().try_for_each(|part| out.send_data(part, false)).context("saying something")
}
