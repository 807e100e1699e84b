//! The sockets that the workload's questions come to. What is known is answered at once; for the rest others are asked, so many at a time
//! and no more. Source: istio: pkg/dns/client/proxy.go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Question, Transport, Verdict, judge};
use super::known::Known;
use super::resolv::Resolv;
use super::upstream::Servers;

/// Questions for which others are being asked at one time.
const QUESTIONS: usize = 1024;
/// Connections at one time.
const CONNECTIONS: usize = 256;
/// A connection without a question is kept so long.
const IDLE: Duration = Duration::from_secs(8);
/// A question is not longer than this, in bytes.
const LONGEST: usize = 4096;

/// The addresses of a server as written (`DNS_PROXY_ADDR`): `localhost` is loopback in the families of the pod's own servers, since those are
/// the ones whose traffic is led here.
///
/// # Errors
/// When it is no address and port.
pub fn addresses(written: &str, resolv: &Resolv) -> anyhow::Result<Vec<SocketAddr>> {
    let wrong = || format!("the DNS address {written:?} is not host:port");
    let (host, port) = written.rsplit_once(':').with_context(wrong)?;
    let port: u16 = port.parse().with_context(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host == "localhost" {
        let v6 = resolv.servers.iter().any(IpAddr::is_ipv6);
        let v4 = !v6 || resolv.servers.iter().any(IpAddr::is_ipv4);
        let families: [(bool, IpAddr); 2] = [(v4, Ipv4Addr::LOCALHOST.into()), (v6, Ipv6Addr::LOCALHOST.into())];
        return Ok(families.into_iter().filter(|(there, _)| *there).map(|(_, ip)| (ip, port).into()).collect());
    }
    let host: IpAddr = if host.is_empty() { Ipv6Addr::UNSPECIFIED.into() } else { host.parse().with_context(wrong)? };
    Ok(vec![(host, port).into()])
}

/// A server whose sockets are open.
pub struct Server {
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    shared: Arc<Shared>,
}

/// What all sockets share.
struct Shared {
    known: Arc<Known>,
    servers: Arc<Servers>,
    asking: Arc<Semaphore>,
    turn: AtomicUsize,
    /// Before anything is known, others are asked: for machines that have no other server than this one.
    early: bool,
}

impl Server {
    /// Opens the sockets.
    ///
    /// # Errors
    /// When an address is not there or taken.
    pub async fn bind(
        addresses: &[SocketAddr],
        known: Arc<Known>,
        servers: Arc<Servers>,
        early: bool,
    ) -> anyhow::Result<Self> {
        let (mut udp, mut tcp) = (Vec::new(), Vec::new());
        for address in addresses {
            let wrong = || format!("opening the DNS address {address}; is it taken?");
            let socket = UdpSocket::bind(address).await.with_context(wrong)?;
            // The same port, also where the system chose it.
            let address = socket.local_addr()?;
            udp.push(socket);
            tcp.push(TcpListener::bind(address).await.with_context(wrong)?);
        }
        let asking = Arc::new(Semaphore::new(QUESTIONS));
        let shared = Arc::new(Shared { known, servers, asking, turn: AtomicUsize::new(0), early });
        Ok(Self { udp, tcp, shared })
    }

    /// Where it listens, by either protocol.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.udp.iter().map(UdpSocket::local_addr).collect()
    }

    /// Answers until `stop`.
    pub async fn serve(self, stop: CancellationToken) {
        let mut sockets = JoinSet::new();
        for socket in self.udp {
            sockets.spawn(by_udp(Arc::new(socket), self.shared.clone()));
        }
        for listener in self.tcp {
            sockets.spawn(by_tcp(listener, self.shared.clone()));
        }
        // The sockets' tasks end with the set, and what they have started with them.
        stop.cancelled().await;
    }
}

impl Shared {
    fn judge(&self, packet: &[u8], transport: Transport) -> Verdict {
        self.known.counters.requests.fetch_add(1, Ordering::Relaxed);
        let told = self.known.now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match judge(packet, transport, told.as_ref().map(|told| &told.names), turn) {
            Verdict::Forward(question) if told.is_none() && !self.early => Verdict::Answer(question.failed()),
            verdict => verdict,
        }
    }

    async fn forward(&self, question: Question) -> Vec<u8> {
        // More at one time would be memory that any workload could fill.
        let Ok(_permit) = self.asking.try_acquire() else { return question.failed() };
        let (started, question) = (Instant::now(), Arc::new(question));
        let answer = self.servers.ask(&question).await;
        self.known.counters.asked(started.elapsed(), answer.is_some());
        answer.unwrap_or_else(|| question.failed())
    }
}

async fn by_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut asking = JoinSet::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        let (length, from) = tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "receiving a question");
                    continue;
                }
            },
            Some(_) = asking.join_next() => continue,
        };
        match shared.judge(&buffer[..length], Transport::Udp) {
            Verdict::Ignore => {}
            Verdict::Answer(answer) => reply(&socket, &answer, from).await,
            Verdict::Forward(question) if asking.len() >= QUESTIONS => reply(&socket, &question.failed(), from).await,
            Verdict::Forward(question) => {
                let (socket, shared) = (socket.clone(), shared.clone());
                asking.spawn(async move { reply(&socket, &shared.forward(question).await, from).await });
            }
        }
    }
}

/// Who asked may be gone: nobody needs to know.
async fn reply(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    if let Err(error) = socket.send_to(answer, to).await {
        tracing::debug!(%error, %to, "sending an answer");
    }
}

async fn by_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((socket, _)) => {
                    let shared = shared.clone();
                    connections.spawn(async move {
                        if let Err(error) = connection(socket, &shared).await {
                            tracing::debug!("a DNS connection ended: {error:#}");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a DNS connection; is the limit of open files reached?");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One question after the other.
async fn connection(mut socket: TcpStream, shared: &Shared) -> anyhow::Result<()> {
    loop {
        let packet = tokio::time::timeout(IDLE, async {
            let length = socket.read_u16().await?;
            let mut packet = vec![0; usize::from(length)];
            socket.read_exact(&mut packet).await?;
            Ok::<_, std::io::Error>(packet)
        });
        let Ok(packet) = packet.await else { return Ok(()) };
        let answer = match shared.judge(&packet?, Transport::Tcp) {
            Verdict::Ignore => return Ok(()),
            Verdict::Answer(answer) => answer,
            Verdict::Forward(question) => shared.forward(question).await,
        };
        let mut framed = u16::try_from(answer.len())?.to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        tokio::time::timeout(IDLE, socket.write_all(&framed)).await.context("the client does not read")??;
    }
}
