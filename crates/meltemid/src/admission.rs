//! The port of webhooks: the API server asks it about objects before it keeps them. TLS, with the certificate of the secured port.
//! Source: istio: pkg/webhooks, pkg/kube/inject/webhook.go.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::authority::Keeper;
use crate::control::Control;

mod injection;
mod review;
mod validation;

pub(crate) use injection::Injector;
use review::{Review, Verdict};
pub(crate) use validation::Counts;
use validation::Judged;

/// A review is not longer than this, in bytes (`istio: pkg/kube/util.go`).
const LONGEST: usize = 6 * 1024 * 1024;
/// A client that does not finish its handshake by then is gone.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// What was applied just before an object, from the same file, is known by then: only what is still missing then is warned of.
const JUST_BEFORE: Duration = Duration::from_millis(25);
/// Connections at a time; there are as many as API servers.
const MOST: usize = 256;

/// What reviews are answered from.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) control: Control,
    pub(crate) counts: Arc<Counts>,
    pub(crate) injector: Arc<Injector>,
}

impl Admission {
    /// For a mesh; `native` says when proxies are init containers that stay.
    pub(crate) fn new(control: Control, native: inject::NativeSidecars) -> Self {
        Self { control, counts: Arc::default(), injector: Arc::new(Injector::new(native)) }
    }

    /// Answers until `stop`, then lets answers that are under way go out for as long as `grace`.
    pub(crate) async fn serve(self, keeper: Keeper, listener: TcpListener, stop: CancellationToken, grace: Duration) {
        let service = TowerToHyperService::new(self.router());
        let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            // Out of descriptors: others give some back.
            let Ok((socket, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if connections.len() >= MOST {
                tracing::warn!("a connection for webhooks is refused: there are {MOST}");
                continue;
            }
            let (keeper, service, watcher) = (keeper.clone(), service.clone(), graceful.watcher());
            connections.spawn(async move {
                let Some(stream) = admit(&keeper, socket).await else { return };
                let builder = auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!("a connection for webhooks ended: {error}");
                }
            });
        }
        _ = tokio::time::timeout(grace, graceful.shutdown()).await;
    }

    fn router(self) -> Router {
        let path = |path: &str| [path.to_owned(), format!("{path}/{{*rest}}")];
        let mut router = Router::new().route("/ready", get(ready));
        for path in path("/validate") {
            router = router.route(&path, post(validate));
        }
        for path in path("/inject") {
            router = router.route(&path, post(injected));
        }
        router.layer(DefaultBodyLimit::max(LONGEST)).with_state(self)
    }
}

async fn admit(keeper: &Keeper, socket: TcpStream) -> Option<TlsStream<TcpStream>> {
    let mut tls = (*keeper.current().tls).clone();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let accepting = TlsAcceptor::from(Arc::new(tls)).accept(socket);
    let accepted = tokio::time::timeout(HANDSHAKE, accepting).await.ok()?;
    accepted.inspect_err(|error| tracing::debug!(%error, "a TLS handshake for webhooks failed")).ok()
}

async fn ready(State(admission): State<Admission>) -> Response {
    match admission.control.view() {
        Some(_) => (StatusCode::OK, "ready\n").into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the configuration was not read yet\n").into_response(),
    }
}

/// A body that is to be a review.
type Asked = Result<Json<Value>, JsonRejection>;

async fn validate(State(admission): State<Admission>, body: Asked) -> Response {
    let read = body.map_err(|error| error.body_text()).and_then(|Json(asked)| Review::read(asked));
    let mut review = match read {
        Ok(review) => review,
        Err(why) => {
            admission.counts.broken();
            return refused(why);
        }
    };
    let Some(judged) = Judged::of(&mut review.request) else {
        return Json(review.answer(Verdict::default())).into_response();
    };
    let across = |judged: &Judged| admission.control.view().map(|view| judged.across(&view.mesh)).unwrap_or_default();
    let mut found = across(&judged);
    if !found.is_empty() {
        tokio::time::sleep(JUST_BEFORE).await;
        found = across(&judged);
    }
    let verdict = judged.verdict(&found, &admission.counts);
    Json(review.answer(verdict)).into_response()
}

async fn injected(State(admission): State<Admission>, uri: Uri, body: Asked) -> Response {
    let Some(view) = admission.control.view() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the configuration was not read yet\n").into_response();
    };
    let read = body.map_err(|error| error.body_text()).and_then(|Json(asked)| Review::read(asked));
    read.map_or_else(refused, |review| {
        let verdict = admission.injector.judge(&review.request, &view.mesh, uri.path());
        Json(review.answer(verdict)).into_response()
    })
}

fn refused(why: String) -> Response {
    (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response()
}
