//! What the proxy is told over sockets beside it: its secrets (SDS), and the control plane's stream, forwarded. The proxy has no
//! credentials of its own; who may open the sockets decides.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use xds::Variant;
use xds::grpc::{self, Answer};

use crate::aside::Aside;
use crate::identity::Current;
use crate::sds;
use crate::trust::Trust;
use crate::upstream::Upstream;

/// Where something beside is served.
pub enum Listener {
    /// A socket of the file system.
    Unix(UnixListener),
    /// A port of loopback.
    Loopback(TcpListener),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<Either<UnixStream, TcpStream>> {
        match self {
            Self::Unix(listener) => Ok(Either::Left(listener.accept().await?.0)),
            Self::Loopback(listener) => Ok(Either::Right(listener.accept().await?.0)),
        }
    }
}

/// Opens a socket for the user alone; one that a former process left is replaced.
///
/// # Errors
/// When it cannot be made.
pub fn listen(path: &Path) -> anyhow::Result<Listener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| format!("opening the socket {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Listener::Unix(listener))
}

/// Serves secrets until `stop`.
pub async fn serve_secrets(listener: Listener, current: Current, trust: Arc<Trust>, stop: CancellationToken) {
    let answer = move |request: Request<Incoming>| {
        let (current, taken) = (current.clone(), trust.taken());
        async move {
            match request.uri().path() {
                "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets" => sds::stream(request, current, taken),
                _ => grpc::refuse(Status::unimplemented("secrets go by StreamSecrets")),
            }
        }
    };
    accept(listener, Arc::new(answer), stop).await;
}

/// Forwards streams to the control plane until `stop`.
pub async fn forward(
    listener: Listener,
    upstream: Upstream,
    current: Current,
    aside: Arc<Aside>,
    stop: CancellationToken,
) {
    let line = Arc::new(Line { upstream, current, aside });
    let answer = move |request| {
        let line = line.clone();
        async move {
            line.forward(request).await.unwrap_or_else(|error| {
                tracing::warn!("the control plane is not reached: {error:#}");
                grpc::refuse(Status::unavailable(format!("the control plane is not reached: {error:#}")))
            })
        }
    };
    accept(listener, Arc::new(answer), stop).await;
}

/// The way to the control plane.
struct Line {
    upstream: Upstream,
    current: Current,
    aside: Arc<Aside>,
}

impl Line {
    async fn forward(&self, request: Request<Incoming>) -> anyhow::Result<Answer> {
        // The identity is what the control plane knows the workload by: without it there is no stream.
        let mut current = self.current.clone();
        let identity = current.wait_for(Option::is_some).await?.clone();
        // A new connection for each stream: there is one stream, and it shows the certificate that holds now.
        let (mut sender, bearer) = self.upstream.connect(identity.as_deref()).await?;
        let path = request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let (mut parts, body) = request.into_parts();
        parts.uri = format!("https://{}{path}", self.upstream.name).parse()?;
        bearer.into_iter().for_each(|bearer| drop(parts.headers.insert(http::header::AUTHORIZATION, bearer)));
        let variant = if path.ends_with("/DeltaAggregatedResources") { Variant::Delta } else { Variant::Sotw };
        let (up, down) = self.aside.join(variant, body);
        let request = Request::from_parts(parts, up.map_err(Into::into).boxed_unsync());
        let response = sender.send_request(request).await?;
        Ok(response.map(|body| down.of(body).boxed_unsync()))
    }
}

async fn accept<F>(
    listener: Listener,
    answer: Arc<impl Fn(Request<Incoming>) -> F + Send + Sync + 'static>,
    stop: CancellationToken,
) where
    F: Future<Output = Answer> + Send + 'static,
{
    loop {
        let socket = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok(socket) => socket,
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection of the proxy");
                    continue;
                }
            },
        };
        let answer = answer.clone();
        let service = hyper::service::service_fn(move |request| {
            let answer = answer(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let connection = connection.serve_connection(TokioIo::new(socket), service);
        #[expect(clippy::disallowed_methods, reason = "it ends with the proxy's connection")]
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the proxy ended");
            }
        });
    }
}
