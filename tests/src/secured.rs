//! A client of the secured port: TLS, with a certificate, a token or nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use proto::istio::v1::auth::{IstioCertificateRequest, IstioCertificateResponse};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;

use crate::client::Queue;

/// A connection.
pub struct Secured {
    sender: SendRequest<BoxBody<Bytes, std::convert::Infallible>>,
    token: Option<String>,
}

/// A status other than OK: code and message.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub i32, pub String);

/// A certificate and its key, as PEM.
pub type Identity = (String, String);

/// How a client of the secured port speaks TLS, trusting `roots` to name the control plane. Each connection shakes hands in full, as those
/// of proxies do, which have no former ones.
///
/// # Errors
/// When the roots or the identity are none.
pub fn config(roots: &str, identity: Option<&Identity>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut store = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(store);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// A TLS connection with the control plane.
///
/// # Errors
/// When there is nobody, or somebody else.
pub async fn handshake(address: SocketAddr, config: Arc<ClientConfig>) -> anyhow::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("istiod.istio-system.svc")?;
    tokio_rustls::TlsConnector::from(config).connect(name, socket).await.context("the TLS handshake")
}

impl Secured {
    /// Connects, trusting `roots` to name the control plane.
    ///
    /// # Errors
    /// When there is nobody, or somebody else.
    pub async fn connect(address: SocketAddr, roots: &str, identity: Option<&Identity>) -> anyhow::Result<Self> {
        Self::over(handshake(address, config(roots, identity)?).await?).await
    }

    /// Speaks gRPC over a connection that is there.
    ///
    /// # Errors
    /// When the other side does not.
    pub async fn over(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> anyhow::Result<Self> {
        let (sender, connection) =
            hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(io)).await?;
        #[expect(clippy::disallowed_methods, reason = "a test client's connection ends with it")]
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, token: None })
    }

    /// Shows a token with each call.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Asks for a certificate.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn certificate(
        &mut self,
        request: &IstioCertificateRequest,
    ) -> anyhow::Result<Result<Vec<String>, Refused>> {
        let path = "istio.v1.auth.IstioCertificateService/CreateCertificate";
        let answer = self.first::<_, IstioCertificateResponse>(path, request).await?;
        Ok(answer.map(|answer| answer.cert_chain))
    }

    /// Sends one message and waits for the first answer, or for the status in its place. The stream stays open until then.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn first<Q: Message, A: Message + Default>(
        &mut self,
        path: &str,
        message: &Q,
    ) -> anyhow::Result<Result<A, Refused>> {
        let mut talk = match self.talk(path, message).await? {
            Ok(talk) => talk,
            Err(refused) => return Ok(Err(refused)),
        };
        talk.next().await
    }

    /// Opens a stream with its first message; or gives the status in its place.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn talk<Q: Message>(&mut self, path: &str, message: &Q) -> anyhow::Result<Result<Talk, Refused>> {
        let (open, queue) = mpsc::channel::<Bytes>(4);
        open.send(xds::grpc::framed(message)).await?;
        let request =
            Request::post(format!("https://istiod.istio-system.svc/{path}")).header("content-type", "application/grpc");
        let request = self
            .token
            .iter()
            .fold(request, |request, token| request.header("authorization", format!("Bearer {token}")));
        let response = self.sender.send_request(request.body(StreamBody::new(Queue(queue)).boxed())?).await?;
        if let Some(refused) = status(response.headers())? {
            return Ok(Err(refused));
        }
        Ok(Ok(Talk { open, body: response.into_body(), buffer: BytesMut::new() }))
    }
}

/// A stream of messages in both directions.
pub struct Talk {
    open: mpsc::Sender<Bytes>,
    body: hyper::body::Incoming,
    buffer: BytesMut,
}

impl Talk {
    /// Says one more thing.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn say<Q: Message>(&self, message: &Q) -> anyhow::Result<()> {
        Ok(self.open.send(xds::grpc::framed(message)).await?)
    }

    /// The next answer, or the status in its place.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next<A: Message + Default>(&mut self) -> anyhow::Result<Result<A, Refused>> {
        loop {
            if let Some(message) = self.whole() {
                return Ok(Ok(A::decode(message)?));
            }
            match self.body.frame().await.context("the stream ended")??.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().map_err(|_| anyhow::anyhow!("a frame of no kind"))?;
                    return Ok(Err(status(&trailers)?.context("the stream ended well, without an answer")?));
                }
            }
        }
    }

    fn whole(&mut self) -> Option<Bytes> {
        let length = u32::from_be_bytes(self.buffer.get(1..5)?.try_into().ok()?) as usize;
        if self.buffer.len() < 5 + length {
            return None;
        }
        self.buffer.advance(5);
        Some(self.buffer.split_to(length).freeze())
    }
}

/// A status that is not OK, if the headers have one.
fn status(headers: &HeaderMap) -> anyhow::Result<Option<Refused>> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str()).transpose();
    match text("grpc-status")?.map(str::parse).transpose()? {
        None | Some(0) => Ok(None),
        Some(code) => Ok(Some(Refused(code, text("grpc-message")?.unwrap_or_default().replace("%20", " ")))),
    }
}
