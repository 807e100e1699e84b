//! One stream of a client: connects, moves responses into its session and requests out of it, and counts. Decides nothing.

use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Behaviour, Client, Phase, Place, Shared};
use crate::backoff::Backoff;
use crate::counts::Counted;
use crate::cut::{Cutter, Piece};
use crate::request::Request;
use crate::response::{Reader, Response};
use crate::transport::status;

impl Client {
    /// One stream, until it ends.
    pub(super) async fn stream(
        &self,
        shared: &Shared,
        place: &mut Place,
        life: (&mut u64, &mut Backoff),
    ) -> anyhow::Error {
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
            shared.counts.active.fetch_max(shared.clock.now(), Relaxed);
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
            shared.counts.last.fetch_max(now, Relaxed);
            shared.counts.active.fetch_max(now, Relaxed);
        }
    }
}

fn send(request: Request, out: &mut SendStream<Bytes>) -> anyhow::Result<()> {
    request.framed().into_iter().try_for_each(|part| out.send_data(part, false)).context("saying something")
}
