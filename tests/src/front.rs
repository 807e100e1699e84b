//! What stands before an API server and can answer in its stead: too busy, not there, or as it was some time ago. It speaks plain HTTP to
//! the control plane, and as an administrator to the API server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use kube::client::Body;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What is answered to a request.
pub enum Answer {
    /// What the API server says.
    Through,
    /// This status; with it, after how many seconds to come again.
    Status(u16, Option<u64>),
    /// What it said once, as a stream that ends.
    Recorded(String),
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its path and query.
    pub what: String,
    /// When.
    pub at: Instant,
}

type Reply = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
type Script = Box<dyn FnMut(&str) -> Answer + Send>;

struct Shared {
    script: Mutex<Script>,
    asked: Mutex<Vec<Asked>>,
    /// Answers that were begun before this last grew have ended.
    era: watch::Sender<u64>,
}

/// The front; it ends when this is dropped.
pub struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Front {
    /// Starts on a free port of loopback, before the API server of a kubeconfig; lets everything through.
    ///
    /// # Errors
    /// When the kubeconfig is none, or there is no port.
    pub fn start(kubeconfig: &std::path::Path) -> anyhow::Result<Self> {
        let read = kube::config::Kubeconfig::read_from(kubeconfig)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (client, listener) = runtime.block_on(async {
            let mut config = kube::Config::from_custom_kubeconfig(read, &Default::default()).await?;
            config.default_retry = false;
            anyhow::Ok((kube::Client::try_from(config)?, TcpListener::bind("127.0.0.1:0").await?))
        })?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(|_| Answer::Through)),
            asked: Mutex::default(),
            era: watch::Sender::new(0),
        });
        let stop = CancellationToken::new();
        let (over, serving) = (stop.clone(), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                // They end with this.
                let mut connections = JoinSet::new();
                while let Some(Ok((stream, _))) = over.run_until_cancelled(listener.accept()).await {
                    let (client, shared) = (client.clone(), Arc::clone(&serving));
                    connections.spawn(async move {
                        let answer = service_fn(move |request| answer(client.clone(), Arc::clone(&shared), request));
                        // Whoever asked may go at any time.
                        _ = auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), answer)
                            .await;
                    });
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self { address, shared, stop, thread: Some(thread) })
    }

    /// A kubeconfig that leads here, as a file in a folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubeconfig(&self, folder: &std::path::Path) -> anyhow::Result<std::path::PathBuf> {
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: front, contexts: [{{name: front, context: {{cluster: front, user: front}}}}], \
             clusters: [{{name: front, cluster: {{server: 'http://{}'}}}}], users: [{{name: front, user: {{}}}}]}}",
            self.address
        );
        let path = folder.join("front.kubeconfig");
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// From now on requests are answered as this says, which is given each one's path and query.
    pub fn answer(&self, script: impl FnMut(&str) -> Answer + Send + 'static) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// Ends all answers that are under way, as a balancer does that loses its connection.
    pub fn cut(&self) {
        self.shared.era.send_modify(|era| *era += 1);
    }

    /// What was asked since a moment, of which this is a part.
    #[must_use]
    pub fn asked(&self, part: &str, since: Instant) -> Vec<Asked> {
        let all = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|asked| asked.at >= since && asked.what.contains(part)).cloned().collect()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn answer(
    client: kube::Client,
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let what = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let (at, mut era) = (Instant::now(), shared.era.subscribe());
    shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked { what: what.clone(), at });
    let answer = shared.script.lock().unwrap_or_else(PoisonError::into_inner)(&what);
    let response = match answer {
        Answer::Through => through(client, request).await.unwrap_or_else(|error| say(502, None, error.to_string())),
        Answer::Status(code, after) => say(code, after, format!("the front answers {code}")),
        Answer::Recorded(text) => say(200, None, text),
    };
    // An answer ends with its era.
    let ended = async move { _ = era.changed().await };
    let until = |body: Reply| StreamBody::new(body.into_data_stream().take_until(ended).map_ok(Frame::data));
    Ok(response.map(|body| until(body).boxed_unsync()))
}

/// What the API server says.
async fn through(client: kube::Client, request: Request<Incoming>) -> anyhow::Result<Response<Reply>> {
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.path_and_query().context("a path")?.as_str().parse()?;
    parts.headers.remove(http::header::HOST);
    let body = Body::from(body.collect().await?.to_bytes());
    let response = client.send(Request::from_parts(parts, body)).await?;
    Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
}

fn say(code: u16, after: Option<u64>, text: String) -> Response<Reply> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(after) = after {
        response.headers_mut().insert(http::header::RETRY_AFTER, after.into());
    }
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
