//! The agent's own pages (port 15020): readiness as Envoy's port 15021 asks for it, metrics of Envoy, workload and agent as one, probes of
//! the workload that injection led here, and the end of the pod's proxy on request.
//! Source: istio: pilot/cmd/pilot-agent/status/server.go, ready/probe.go.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;

use crate::dns::Known;
use crate::identity::Current;
use crate::probe::Asker;

mod metrics;
mod probers;

/// Envoy's answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the pages tell of, and whom they ask.
pub struct Pages<'a> {
    /// Their own port.
    pub port: u16,
    /// `host:port` of Envoy's admin page; none where there is no Envoy.
    pub admin: Option<String>,
    /// The address of the workload.
    pub workload: IpAddr,
    /// Probes of the workload (`ISTIO_KUBE_APP_PROBERS`).
    pub probers: Option<&'a str>,
    /// Where its metrics are (`ISTIO_PROMETHEUS_ANNOTATIONS`).
    pub scrape: Option<&'a str>,
}

/// What containers of the pod may order, and what follows from it.
#[derive(Default)]
pub struct Orders {
    /// End at once.
    pub quit: CancellationToken,
    /// Drain now, and end at once when the time comes.
    pub drain: CancellationToken,
    /// It ends: the pod is not ready any more.
    pub ending: CancellationToken,
}

/// What the pages tell of.
pub struct Status {
    port: u16,
    admin: Option<String>,
    asker: Asker,
    probes: BTreeMap<String, probers::Probe>,
    /// URLs of the workload's metrics.
    targets: Vec<String>,
    identity: Current,
    /// What was ordered.
    pub orders: Orders,
    client: Client<HttpConnector, Empty<Bytes>>,
    was_ready: AtomicBool,
    names: Option<Arc<Known>>,
    counters: metrics::Counters,
}

impl Status {
    /// Of an Envoy and a workload, and of names that the pod waits for until they are known.
    ///
    /// # Errors
    /// When the variables of injection cannot be read.
    pub fn new(pages: Pages<'_>, identity: Current, names: Option<Arc<Known>>) -> anyhow::Result<Self> {
        let probes = pages.probers.filter(|text| !text.is_empty()).map(probers::parse).transpose();
        let targets =
            pages.scrape.filter(|text| !text.is_empty()).map(|text| metrics::targets(text, pages.port)).transpose();
        Ok(Self {
            port: pages.port,
            admin: pages.admin,
            asker: Asker::new(pages.workload),
            probes: probes.context("reading ISTIO_KUBE_APP_PROBERS")?.unwrap_or_default(),
            targets: targets.context("reading ISTIO_PROMETHEUS_ANNOTATIONS")?.unwrap_or_default(),
            identity,
            orders: Orders::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            was_ready: AtomicBool::new(false),
            names,
            counters: metrics::Counters::default(),
        })
    }

    /// Serves the pages until the process ends.
    ///
    /// # Errors
    /// When the port cannot be served.
    pub async fn serve(self: Arc<Self>, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        let router = Router::new()
            .route("/healthz/ready", get(ready))
            .route("/stats/prometheus", get(metrics::page))
            .route("/metrics", get(metrics::page))
            .route("/quitquitquit", post(quit))
            .route("/drain", post(drain))
            .route("/debug/ndsz", get(names))
            .route("/app-health/{*path}", get(probers::page))
            .route("/app-lifecycle/{*path}", get(probers::page))
            .with_state(self);
        axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
    }

    /// Who asks the workload.
    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    async fn fetch(
        &self,
        url: &str,
        headers: &[(HeaderName, HeaderValue)],
        limit: Duration,
    ) -> anyhow::Result<axum::http::Response<Bytes>> {
        let request = headers.iter().fold(Request::get(url), |request, (name, value)| request.header(name, value));
        let request = request.body(Empty::new()).with_context(|| format!("asking {url}"))?;
        let asking = async {
            let response = self.client.request(request).await?;
            let (parts, body) = response.into_parts();
            let body = http_body_util::Limited::new(body, metrics::LONGEST).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
            Ok::<_, anyhow::Error>(axum::http::Response::from_parts(parts, body))
        };
        let answered = tokio::time::timeout(limit, asking).await.with_context(|| format!("{url} does not answer"))?;
        answered.with_context(|| format!("asking {url}"))
    }

    /// Envoy is live, and has heard of clusters and listeners once; names are known.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let Orders { quit, ending, .. } = &self.orders;
        ensure!(!quit.is_cancelled() && !ending.is_cancelled(), "the proxy is ending");
        if let Some(admin) = &self.admin {
            self.envoy_ready(admin).await?;
        }
        ensure!(self.names.as_ref().is_none_or(|names| names.is_ready()), "names are not received yet");
        Ok(())
    }

    /// Asks Envoy's admin pages.
    pub(crate) async fn ask_envoy(&self, path: &str) -> anyhow::Result<String> {
        let admin = self.admin.as_ref().context("there is no Envoy")?;
        let body = self.fetch(&format!("http://{admin}{path}"), &[], PATIENCE).await?.into_body();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Orders something of Envoy by its admin pages.
    pub(crate) async fn order_envoy(&self, path: &str) -> anyhow::Result<()> {
        let admin = self.admin.as_ref().context("there is no Envoy")?;
        let request = Request::post(format!("http://{admin}{path}")).body(Empty::new())?;
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await??;
        ensure!(answer.status().is_success(), "{path} answers {}", answer.status());
        Ok(())
    }

    async fn envoy_ready(&self, admin: &str) -> anyhow::Result<()> {
        let names = "server.state|listener_manager.workers_started|cluster_manager.cds.update_success|listener_manager.lds.update_success";
        let filter = format!("^({})$", names.replace('.', "\\."));
        let filter = filter.replace('^', "%5E").replace('\\', "%5C").replace('|', "%7C");
        let url = format!("http://{admin}/stats?usedonly&filter={filter}");
        let body = self.fetch(&url, &[], PATIENCE).await?.into_body();
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
        Ok(())
    }
}

type Shared = State<Arc<Status>>;

async fn ready(State(status): Shared) -> Response {
    match status.ready().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error:#}\n")).into_response(),
    }
}

/// For containers of the same pod only.
async fn quit(State(status): Shared, ConnectInfo(from): ConnectInfo<SocketAddr>) -> StatusCode {
    if !from.ip().to_canonical().is_loopback() {
        return StatusCode::FORBIDDEN;
    }
    status.orders.quit.cancel();
    StatusCode::OK
}

/// The same: the pod ends, and its other containers are not through yet.
async fn drain(State(status): Shared, ConnectInfo(from): ConnectInfo<SocketAddr>) -> StatusCode {
    if !from.ip().to_canonical().is_loopback() {
        return StatusCode::FORBIDDEN;
    }
    status.orders.drain.cancel();
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

#[cfg(test)]
mod tests;
