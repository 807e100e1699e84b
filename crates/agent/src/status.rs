//! The agent's own pages (port 15020): readiness as Envoy's port 15021 asks for it, metrics of Envoy, workload and agent as one, probes of
//! the workload that injection led here, and the end of the pod's proxy on request.
//! Source: istio: pilot/cmd/pilot-agent/status/server.go, ready/probe.go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::dns::Known;
use crate::identity::Current;

/// An answer of Envoy or of the workload is waited for so long unless a probe says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// Metrics of a workload are not read beyond this, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// A probe of the workload, as injection writes it into `ISTIO_KUBE_APP_PROBERS`.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    http_get: Option<HttpGet>,
    tcp_socket: Option<TcpSocket>,
    #[serde(default)]
    timeout_seconds: u64,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
struct HttpGet {
    #[serde(default)]
    path: String,
    port: u16,
    #[serde(default)]
    scheme: String,
    #[serde(default)]
    http_headers: Vec<Header>,
}

#[derive(Deserialize, Clone, Debug)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize, Clone, Debug)]
struct TcpSocket {
    port: u16,
}

/// Where the workload's own metrics are, as injection writes it into `ISTIO_PROMETHEUS_ANNOTATIONS`.
#[derive(Deserialize, Clone, Debug)]
pub struct Scrape {
    scrape: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    port: String,
}

/// What the pages tell of.
pub struct Status {
    /// `host:port` of Envoy's admin page.
    pub admin: String,
    /// The address of the workload.
    pub workload: String,
    /// Probes by path below `/app-health/`.
    pub probes: BTreeMap<String, Probe>,
    /// The workload's metrics, if it has any.
    pub scrape: Option<Scrape>,
    /// The identity.
    pub identity: Current,
    /// Ends the proxy.
    pub quit: CancellationToken,
    client: Client<HttpConnector, Empty<Bytes>>,
    was_ready: AtomicBool,
    names: Option<Arc<Known>>,
}

impl Status {
    /// Of an Envoy and a workload.
    ///
    /// # Errors
    /// When the variables of injection cannot be read.
    pub fn new(
        (admin, workload): (String, String),
        (probers, annotations): (Option<&str>, Option<&str>),
        identity: Current,
    ) -> anyhow::Result<Self> {
        let probes = probers.filter(|text| !text.is_empty()).map(serde_json::from_str).transpose();
        let scrape = annotations.filter(|text| !text.is_empty()).map(serde_json::from_str).transpose();
        Ok(Self {
            admin,
            workload,
            probes: probes.context("reading ISTIO_KUBE_APP_PROBERS")?.unwrap_or_default(),
            scrape: scrape.context("reading ISTIO_PROMETHEUS_ANNOTATIONS")?,
            identity,
            quit: CancellationToken::new(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            was_ready: AtomicBool::new(false),
            names: None,
        })
    }

    /// With names that the pod waits for until they are known.
    #[must_use]
    pub fn with_names(self, names: Option<Arc<Known>>) -> Self {
        Self { names, ..self }
    }

    /// Serves the pages until the process ends.
    ///
    /// # Errors
    /// When the port cannot be served.
    pub async fn serve(self: Arc<Self>, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        let router = Router::new()
            .route("/healthz/ready", get(ready))
            .route("/stats/prometheus", get(metrics))
            .route("/metrics", get(metrics))
            .route("/quitquitquit", post(quit))
            .route("/debug/ndsz", get(names))
            .route("/app-health/{*path}", get(probe))
            .with_state(self);
        axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
    }

    async fn fetch(
        &self,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        limit: Duration,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = headers.iter().fold(Request::get(url), |request, (name, value)| request.header(name, value));
        let request = request.body(Empty::new()).with_context(|| format!("asking {url}"))?;
        let asking = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = http_body_util::Limited::new(response.into_body(), LONGEST).collect().await;
            Ok::<_, anyhow::Error>((status, body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes()))
        };
        let answered = tokio::time::timeout(limit, asking).await.with_context(|| format!("{url} does not answer"))?;
        answered.with_context(|| format!("asking {url}"))
    }

    /// Envoy is live, and has heard of clusters and listeners once.
    async fn ready(&self) -> anyhow::Result<()> {
        ensure!(!self.quit.is_cancelled(), "the proxy is ending");
        let names = "server.state|listener_manager.workers_started|cluster_manager.cds.update_success|listener_manager.lds.update_success";
        let filter = format!("^({})$", names.replace('.', "\\."));
        let filter = filter.replace('^', "%5E").replace('\\', "%5C").replace('|', "%7C");
        let url = format!("http://{}/stats?usedonly&filter={filter}", self.admin);
        let (_, body) = self.fetch(&url, &[], PATIENCE).await?;
        let text = String::from_utf8_lossy(&body);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.and_then(|number| number.trim().parse::<u64>().ok())
        };
        ensure!(value("server.state") == Some(0), "server is not live");
        ensure!(value("listener_manager.workers_started") == Some(1), "workers have not yet started");
        let heard = |name: &str| value(name).is_some_and(|count| count > 0);
        let (clusters, listeners) =
            (heard("cluster_manager.cds.update_success"), heard("listener_manager.lds.update_success"));
        if !self.was_ready.load(Ordering::Relaxed) {
            ensure!(clusters && listeners, "config not received from XDS server: cds {clusters}, lds {listeners}");
            self.was_ready.store(true, Ordering::Relaxed);
        }
        ensure!(self.names.as_ref().is_none_or(|names| names.is_ready()), "names are not received yet");
        Ok(())
    }

    async fn probe(&self, probe: &Probe) -> anyhow::Result<StatusCode> {
        let limit = if probe.timeout_seconds == 0 {
            Duration::from_secs(1)
        } else {
            Duration::from_secs(probe.timeout_seconds)
        };
        if let Some(get) = &probe.http_get {
            ensure!(
                get.scheme.is_empty() || get.scheme.eq_ignore_ascii_case("http"),
                "probes by {} are not supported",
                get.scheme
            );
            let header = |header: &Header| Some((header.name.parse().ok()?, header.value.parse().ok()?));
            let headers: Vec<_> = get.http_headers.iter().filter_map(header).collect();
            let path = get.path.trim_start_matches('/');
            let url = format!("http://{}:{}/{path}", self.workload, get.port);
            return Ok(self.fetch(&url, &headers, limit).await?.0);
        }
        let Some(socket) = &probe.tcp_socket else { bail!("the probe is neither httpGet nor tcpSocket") };
        let connecting = tokio::net::TcpStream::connect(format!("{}:{}", self.workload, socket.port));
        tokio::time::timeout(limit, connecting).await.context("no connection in time")??;
        Ok(StatusCode::OK)
    }
}

type Shared = State<Arc<Status>>;

async fn ready(State(status): Shared) -> Response {
    match status.ready().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

/// What is there counts: a workload without an answer does not take Envoy's metrics along.
async fn metrics(State(status): Shared) -> Response {
    let mut out = Vec::new();
    let ends = status.identity.borrow().as_ref().map(|identity| identity.lifetime.1);
    if let Some(ends) = ends {
        let left = ends - crate::identity::now();
        out.extend_from_slice(b"# TYPE istio_agent_cert_expiry_seconds gauge\n");
        out.extend_from_slice(
            format!("istio_agent_cert_expiry_seconds{{resource_name=\"default\"}} {left}\n").as_bytes(),
        );
    }
    let mut from = vec![format!("http://{}/stats/prometheus?usedonly", status.admin)];
    if let Some(scrape) = status.scrape.as_ref().filter(|scrape| scrape.scrape == "true") {
        let path = if scrape.path.is_empty() { "metrics" } else { scrape.path.trim_start_matches('/') };
        let port = if scrape.port.is_empty() { "80" } else { &scrape.port };
        from.push(format!("http://{}:{port}/{path}", status.workload));
    }
    if let Some(names) = &status.names {
        out.extend_from_slice(names.metrics().as_bytes());
    }
    for url in from {
        match status.fetch(&url, &[], PATIENCE).await {
            Ok((code, body)) if code.is_success() => out.extend_from_slice(&body),
            Ok((code, _)) => tracing::warn!(%code, url, "no metrics"),
            Err(error) => tracing::warn!("no metrics: {error:#}"),
        }
    }
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], out).into_response()
}

/// For containers of the same pod only.
async fn quit(State(status): Shared, ConnectInfo(from): ConnectInfo<SocketAddr>) -> StatusCode {
    if !from.ip().to_canonical().is_loopback() {
        return StatusCode::FORBIDDEN;
    }
    status.quit.cancel();
    StatusCode::OK
}

/// The names that the workload can resolve here; for containers of the same pod only.
async fn names(State(status): Shared, ConnectInfo(from): ConnectInfo<SocketAddr>) -> Response {
    if !from.ip().to_canonical().is_loopback() {
        return StatusCode::FORBIDDEN.into_response();
    }
    let shown = status.names.as_ref().map_or_else(|| serde_json::json!({}), |names| names.shown());
    axum::Json(shown).into_response()
}

async fn probe(State(status): Shared, Path(path): Path<String>) -> Response {
    let Some(probe) = status.probes.get(&format!("/app-health/{path}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match status.probe(probe).await {
        Ok(code) => code.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(admin: String, workload: &str, probers: &str) -> Arc<Status> {
        let (_, identity) = tokio::sync::watch::channel(None);
        Arc::new(Status::new((admin, workload.to_owned()), (Some(probers), None), identity).unwrap())
    }

    /// Answers each request with a text, on a free port.
    async fn answering(text: &'static str) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(move || async move {
            if text == "broken" { StatusCode::IM_A_TEAPOT.into_response() } else { text.into_response() }
        });
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        port
    }

    #[tokio::test]
    async fn a_proxy_is_ready_when_it_is_live_and_has_heard_of_everything_once() {
        let live = "server.state: 0\nlistener_manager.workers_started: 1\n";
        let heard = "server.state: 0\nlistener_manager.workers_started: 1\ncluster_manager.cds.update_success: 1\nlistener_manager.lds.update_success: 2\n";
        for (text, expected) in [(heard, true), (live, false), ("server.state: 1\n", false), ("", false)] {
            let status = status(format!("127.0.0.1:{}", answering(text).await), "127.0.0.1", "");
            assert_eq!(status.ready().await.is_ok(), expected, "{text}");
            status.quit.cancel();
            assert!(status.ready().await.is_err(), "it is ending");
        }
    }

    #[tokio::test]
    async fn probes_ask_the_workload() {
        let (well, broken) = (answering("well").await, answering("broken").await);
        let probers = format!(
            r#"{{"/app-health/a/readyz":{{"httpGet":{{"path":"/x","port":{well}}}}},"/app-health/b/livez":{{"httpGet":{{"path":"x","port":{broken}}}}},
               "/app-health/c/livez":{{"tcpSocket":{{"port":{well}}}}},"/app-health/d/livez":{{"tcpSocket":{{"port":1}}}}}}"#
        );
        let status = status(String::new(), "127.0.0.1", &probers);
        let asked = async |path: &str| status.probe(&status.probes[path]).await.map(|code| code.as_u16()).ok();
        assert_eq!(asked("/app-health/a/readyz").await, Some(200));
        assert_eq!(asked("/app-health/b/livez").await, Some(418), "the workload's own answer");
        assert_eq!(asked("/app-health/c/livez").await, Some(200));
        assert_eq!(asked("/app-health/d/livez").await, None);
    }
}
