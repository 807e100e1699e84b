//! Probes of the workload that injection led to the agent (`ISTIO_KUBE_APP_PROBERS`).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::Shared;
use crate::probe::{Asker, Get};

/// The last parts of the paths that probes may have.
const ENDS: [&str; 5] = ["livez", "readyz", "startupz", "prestopz", "poststartz"];
/// Who asks, where the caller does not say.
const USER_AGENT: &str = "kube-probe";

/// A probe of the workload.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Probe {
    http_get: Option<HttpGet>,
    tcp_socket: Option<TcpSocket>,
    grpc: Option<Grpc>,
    #[serde(default)]
    timeout_seconds: u64,
}

#[derive(Deserialize, Clone, Debug)]
struct HttpGet {
    #[serde(default)]
    path: String,
    port: u16,
    #[serde(default)]
    scheme: String,
}

#[derive(Deserialize, Clone, Debug)]
struct TcpSocket {
    port: u16,
}

#[derive(Deserialize, Clone, Debug)]
struct Grpc {
    port: u16,
    service: Option<String>,
}

/// The probes by their paths.
pub(super) fn parse(text: &str) -> anyhow::Result<BTreeMap<String, Probe>> {
    let probes: BTreeMap<String, Probe> = serde_json::from_str(text)?;
    for (path, probe) in &probes {
        let parts: Vec<&str> = path.split('/').collect();
        let known = matches!(parts.as_slice(), ["", "app-health" | "app-lifecycle", name, end] if !name.is_empty() && ENDS.contains(end));
        ensure!(known, "{path:?} is no path of a probe");
        let kinds = [probe.http_get.is_some(), probe.tcp_socket.is_some(), probe.grpc.is_some()];
        ensure!(kinds.into_iter().filter(|there| *there).count() == 1, "{path}: one of httpGet, tcpSocket, grpc");
    }
    Ok(probes)
}

/// The page of a probe: the workload's own status and answer, or 500.
pub(super) async fn page(State(status): Shared, uri: Uri, headers: HeaderMap) -> Response {
    let Some(probe) = status.probes.get(uri.path()) else {
        let why = format!("app prober config does not exists for {}", uri.path());
        return (StatusCode::BAD_REQUEST, why).into_response();
    };
    match probe.ask(&status.asker, headers, status.port).await {
        Ok((code, body)) => (code, body).into_response(),
        Err(error) => {
            tracing::warn!(path = uri.path(), "the workload is not well: {error:#}");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response()
        }
    }
}

impl Probe {
    /// Carries the probe out, with the headers of the one who asks.
    pub(super) async fn ask(
        &self,
        asker: &Asker,
        headers: HeaderMap,
        own_port: u16,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let limit = Duration::from_secs(self.timeout_seconds.max(1));
        let asking = async {
            match (&self.http_get, &self.tcp_socket, &self.grpc) {
                (Some(get), _, _) => asker.get(&get.with(headers, own_port)).await,
                (_, Some(socket), _) => asker.connect(None, socket.port).await.map(|_| (StatusCode::OK, Bytes::new())),
                (_, _, Some(grpc)) => {
                    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
                    let service = grpc.service.as_deref().unwrap_or_default();
                    asker.health(grpc.port, service, agent.unwrap_or(USER_AGENT)).await?;
                    Ok((StatusCode::OK, Bytes::new()))
                }
                (None, None, None) => bail!("the probe is neither httpGet nor tcpSocket nor grpc"),
            }
        };
        tokio::time::timeout(limit, asking).await.context("the workload does not answer in time")?
    }
}

impl HttpGet {
    /// The request as it goes on: what was said to the agent's port is meant for the workload's.
    fn with(&self, mut headers: HeaderMap, own_port: u16) -> Get {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.rsplit_once(':'));
        let moved = host.filter(|(_, port)| port.parse() == Ok(own_port));
        let moved = moved.and_then(|(host, _)| HeaderValue::try_from(format!("{host}:{}", self.port)).ok());
        if let Some(host) = moved {
            headers.insert(header::HOST, host);
        }
        // Of the agent's connection, not of the workload's.
        for name in [
            header::CONNECTION,
            header::TRANSFER_ENCODING,
            header::CONTENT_LENGTH,
            header::UPGRADE,
            header::TE,
            header::ACCEPT_ENCODING,
        ] {
            headers.remove(name);
        }
        let path = format!("/{}", self.path.trim_start_matches('/'));
        let tls = self.scheme.eq_ignore_ascii_case("https");
        Get { tls, host: None, port: self.port, path, headers }
    }
}

#[cfg(test)]
mod tests;
