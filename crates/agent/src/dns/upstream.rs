//! Asking the pod's own servers. Source: istio: pkg/dns/client/dns.go (`queryUpstream`, `queryUpstreamParallel`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::answer::{Question, Transport, is_truncated};

/// How several servers are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// One after the other until one answers; each question begins with another one.
    InTurn,
    /// All at once; the first answer counts.
    AtOnce,
}

/// The servers to ask.
#[derive(Debug)]
pub struct Servers {
    all: Vec<SocketAddr>,
    way: Way,
    /// One server is waited for so long.
    patience: Duration,
    turn: AtomicUsize,
}

impl Servers {
    /// These.
    #[must_use]
    pub fn new(all: Vec<SocketAddr>, way: Way, patience: Duration) -> Arc<Self> {
        Arc::new(Self { all, way, patience, turn: AtomicUsize::new(0) })
    }

    /// The answer that goes to the client; `None` when nobody answers.
    pub(super) async fn ask(&self, question: &Arc<Question>) -> Option<Vec<u8>> {
        let answer = match self.way {
            Way::InTurn => self.in_turn(question).await,
            Way::AtOnce => self.at_once(question).await,
        };
        answer.map(|bytes| question.passed_on(bytes))
    }

    async fn in_turn(&self, question: &Question) -> Option<Vec<u8>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for at in 0..self.all.len() {
            let server = self.all[first.wrapping_add(at) % self.all.len()];
            if let Some(answer) = one(server, question, self.patience).await {
                return Some(answer);
            }
        }
        None
    }

    async fn at_once(&self, question: &Arc<Question>) -> Option<Vec<u8>> {
        // What has not answered is given up when this is dropped.
        let mut asked = JoinSet::new();
        for server in self.all.iter().copied() {
            let (question, patience) = (question.clone(), self.patience);
            asked.spawn(async move { one(server, &question, patience).await });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(answer)) = answer {
                return Some(answer);
            }
        }
        None
    }
}

/// One server's answer.
async fn one(server: SocketAddr, question: &Question, patience: Duration) -> Option<Vec<u8>> {
    match tokio::time::timeout(patience, exchange(server, question)).await {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => tracing::info!(%server, "a name server is not reached: {error:#}"),
        Err(_) => tracing::info!(%server, ?patience, "a name server does not answer"),
    }
    None
}

async fn exchange(server: SocketAddr, question: &Question) -> anyhow::Result<Vec<u8>> {
    let mut id = [0; 2];
    aws_lc_rs::rand::fill(&mut id).context("random bytes")?;
    let mut packet = question.packet.clone();
    packet[..2].copy_from_slice(&id);
    if question.transport == Transport::Tcp {
        return by_tcp(server, &packet, question, id).await;
    }
    let answer = by_udp(server, &packet, question, id).await?;
    if !is_truncated(&answer) {
        return Ok(answer);
    }
    // The client would have to ask again; perhaps the whole answer fits into what it takes.
    Ok(by_tcp(server, &packet, question, id).await.unwrap_or(answer))
}

/// By a socket of its own, so that the port is another one each time.
async fn by_udp(server: SocketAddr, packet: &[u8], question: &Question, id: [u8; 2]) -> anyhow::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(packet).await?;
    let mut buffer = vec![0; usize::from(question.limit)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if question.is_answered_by(&buffer[..length], id) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn by_tcp(server: SocketAddr, packet: &[u8], question: &Question, id: [u8; 2]) -> anyhow::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(server).await?;
    let mut framed = u16::try_from(packet.len())?.to_be_bytes().to_vec();
    framed.extend_from_slice(packet);
    socket.write_all(&framed).await?;
    let length = socket.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    socket.read_exact(&mut answer).await?;
    ensure!(question.is_answered_by(&answer, id), "it answers another question");
    Ok(answer)
}
