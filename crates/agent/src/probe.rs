//! Questions to the workload whether it is well, as kubelet asks them: by HTTP, by HTTPS without looking at the certificate, by a
//! connection, or by gRPC's health service. Each question has a connection of its own.
//! Source: istio: pilot/cmd/pilot-agent/status/server.go, pkg/istio-agent/health/health_probers.go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use xds::grpc::{Messages, framed};

mod unverified;

/// Capture rules let through what comes from here: it is what Envoy calls the workload from.
const BESIDE_V4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
const BESIDE_V6: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6);
/// A workload's answer is not read beyond this, in bytes.
const LONGEST: usize = 10 * 1024;
/// So many times a workload may say that the answer is elsewhere.
const REDIRECTS: usize = 10;
/// The health service says so when all is well.
const SERVING: i32 = 1;

/// Asks a workload.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    workload: IpAddr,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Get {
    /// With TLS.
    pub(crate) tls: bool,
    /// Whom to ask; the workload itself without it.
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

/// What gRPC's health service is asked.
#[derive(Clone, PartialEq, Message)]
struct Check {
    #[prost(string, tag = "1")]
    service: String,
}

/// What it answers.
#[derive(Clone, PartialEq, Message)]
struct Checked {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl Asker {
    /// Of a workload at an address.
    pub(crate) fn new(workload: IpAddr) -> Self {
        Self { workload }
    }

    /// A connection; to the workload itself past the capture rules, which would lead it through the proxy.
    pub(crate) async fn connect(&self, host: Option<&str>, port: u16) -> anyhow::Result<TcpStream> {
        let shown = host.map_or_else(|| self.workload.to_string(), str::to_owned);
        let address: SocketAddr = match host {
            None => (self.workload, port).into(),
            Some(host) => {
                let found = tokio::net::lookup_host((host, port)).await;
                found
                    .with_context(|| format!("looking up {host}"))?
                    .next()
                    .with_context(|| format!("{host} is nowhere"))?
            }
        };
        let own = address.ip() == self.workload || address.ip().is_loopback();
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if own {
            let beside: IpAddr = if address.is_ipv4() { BESIDE_V4.into() } else { BESIDE_V6.into() };
            socket.bind((beside, 0).into()).with_context(|| format!("calling from {beside}"))?;
        }
        socket.connect(address).await.with_context(|| format!("connecting to {shown}:{port}"))
    }

    /// The answer to a request; another place on the same host is asked in its stead, one elsewhere means that all is well.
    pub(crate) async fn get(&self, get: &Get) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut get = get.clone();
        for _ in 0..REDIRECTS {
            let answer = self.once(&get).await?;
            if !answer.status().is_redirection() {
                return Ok((answer.status(), answer.into_body()));
            }
            let place = answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
            match place.and_then(|place| self.beside(&get, place)) {
                Some(next) => get = next,
                None => return Ok((StatusCode::OK, Bytes::new())),
            }
        }
        bail!("the workload says {REDIRECTS} times that the answer is elsewhere")
    }

    /// Where else on the same host the answer is.
    fn beside(&self, from: &Get, location: &str) -> Option<Get> {
        let place: Uri = location.parse().ok()?;
        let path = place.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let Some(host) = place.host() else { return Some(Get { path, ..from.clone() }) };
        let own = from.host.clone().unwrap_or_else(|| self.workload.to_string());
        if host.trim_matches(['[', ']']) != own {
            return None;
        }
        let tls = place.scheme_str() == Some("https");
        Some(Get { tls, port: place.port_u16().unwrap_or(if tls { 443 } else { 80 }), path, ..from.clone() })
    }

    async fn once(&self, get: &Get) -> anyhow::Result<Response<Bytes>> {
        let socket = self.connect(get.host.as_deref(), get.port).await?;
        let authority = match &get.host {
            Some(host) => format!("{host}:{}", get.port),
            None => SocketAddr::from((self.workload, get.port)).to_string(),
        };
        if !get.tls {
            return by_http1(TokioIo::new(socket), get, &authority).await;
        }
        let host = get.host.clone().unwrap_or_else(|| self.workload.to_string());
        let name = rustls::pki_types::ServerName::try_from(host)?;
        let connecting = tokio_rustls::TlsConnector::from(unverified::client()?).connect(name, socket);
        let socket = connecting.await.context("the TLS handshake with the workload")?;
        if socket.get_ref().1.alpn_protocol() != Some(b"h2") {
            return by_http1(TokioIo::new(socket), get, &authority).await;
        }
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
        // In HTTP/2 the host is part of the address.
        let authority = host_of(get).unwrap_or(authority);
        let mut request = request(get, &format!("https://{authority}{}", get.path))?;
        request.headers_mut().remove(header::HOST);
        request.headers_mut().remove(header::CONNECTION);
        while_connected(connection, async { whole(sender.send_request(request).await?).await }).await
    }

    /// Whether a service says that it is well.
    pub(crate) async fn health(&self, port: u16, service: &str, user_agent: &str) -> anyhow::Result<()> {
        let socket = self.connect(None, port).await?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
        let address = SocketAddr::from((self.workload, port));
        let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, user_agent)
            .body(Full::new(framed(&Check { service: service.to_owned() })))?;
        let asking = async {
            let response = sender.send_request(request).await?;
            let code = |headers: &HeaderMap| {
                headers.get("grpc-status").map(|code| String::from_utf8_lossy(code.as_bytes()).into_owned())
            };
            if let Some(code) = code(response.headers()).filter(|code| code != "0") {
                bail!("the health service answers with status {code}");
            }
            ensure!(response.status() == StatusCode::OK, "the health service answers with {}", response.status());
            let message = Messages::new(response.into_body(), LONGEST).next().await?;
            Ok(Checked::decode(message.context("the health service does not answer")?)?)
        };
        let checked = while_connected(connection, asking).await?;
        ensure!(checked.status == SERVING, "the service says {}", checked.status);
        Ok(())
    }
}

/// The host that the headers name.
fn host_of(get: &Get) -> Option<String> {
    get.headers.get(header::HOST)?.to_str().ok().map(str::to_owned)
}

fn request(get: &Get, target: &str) -> anyhow::Result<Request<Empty<Bytes>>> {
    let mut request = Request::get(target).body(Empty::new())?;
    *request.headers_mut() = get.headers.clone();
    Ok(request)
}

async fn by_http1<S: AsyncRead + AsyncWrite + Unpin + Send>(
    socket: TokioIo<S>,
    get: &Get,
    authority: &str,
) -> anyhow::Result<Response<Bytes>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(socket).await?;
    let mut request = request(get, &get.path)?;
    request.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    if host_of(get).is_none() {
        request.headers_mut().insert(header::HOST, authority.parse()?);
    }
    while_connected(connection, async { whole(sender.send_request(request).await?).await }).await
}

/// What is long enough to be shown; the rest is not read.
async fn whole(response: Response<Incoming>) -> anyhow::Result<Response<Bytes>> {
    let (parts, mut body) = response.into_parts();
    let mut read = Vec::new();
    while read.len() < LONGEST {
        match body.frame().await {
            Some(frame) => read.extend_from_slice(&frame?.into_data().unwrap_or_default()),
            None => break,
        }
    }
    read.truncate(LONGEST);
    Ok(Response::from_parts(parts, read.into()))
}

/// Asks while the connection is looked after; it may end before the answer was read.
async fn while_connected<T, E>(
    connection: impl Future<Output = Result<(), E>>,
    asking: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::pin!(connection, asking);
    tokio::select! {
        answered = &mut asking => answered,
        _ = &mut connection => asking.await,
    }
}

#[cfg(test)]
mod tests;
