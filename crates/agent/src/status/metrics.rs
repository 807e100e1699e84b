//! Metrics of the agent, of Envoy and of the workload as one text. The workload's come last, and their format is that of the whole: only
//! they can be OpenMetrics, which ends with a mark. Source: istio: pilot/cmd/pilot-agent/status/server.go (`handleStats`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::{Shared, Status};

/// The text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The other one, by version.
const OPEN_METRICS: [(&str, &str); 3] = [
    ("1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ("0.0.1", "application/openmetrics-text; version=0.0.1; charset=utf-8"),
    ("", "application/openmetrics-text; version=0.0.1; charset=utf-8"),
];
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text";
/// What OpenMetrics end with.
const END: &str = "# EOF";
/// A target is waited for so long when the scraper does not say how long it waits itself.
const PATIENCE: Duration = Duration::from_secs(5);
const TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// Metrics of one target are not read beyond this, in bytes.
pub(super) const LONGEST: usize = 64 * 1024 * 1024;
/// Shorter answers are not worth compressing.
const SMALL: usize = 1024;
/// Ports of the proxy and the agent: they are no workload's.
const OWN: [u16; 9] = [15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090];

/// Where the workload's own metrics are, as injection writes it into `ISTIO_PROMETHEUS_ANNOTATIONS`.
#[derive(Deserialize)]
struct Scrape {
    #[serde(default)]
    scrape: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    port: String,
    #[serde(default)]
    targets: Vec<Target>,
}

/// One place of metrics.
#[derive(Deserialize)]
struct Target {
    port: String,
    #[serde(default)]
    path: String,
}

/// The URLs of a workload's metrics.
pub(super) fn targets(text: &str, own_port: u16) -> anyhow::Result<Vec<String>> {
    let scrape: Scrape = serde_json::from_str(text)?;
    if scrape.scrape == "false" {
        return Ok(Vec::new());
    }
    let mut targets = scrape.targets;
    if targets.is_empty() {
        let port = if scrape.port.is_empty() { "80".to_owned() } else { scrape.port };
        targets.push(Target { port, path: scrape.path });
    }
    let url = |target: &Target| {
        let port: u16 = target
            .port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .with_context(|| format!("{:?} is no port", target.port))?;
        ensure!(port != own_port && !OWN.contains(&port), "port {port} is one of the proxy's");
        let path = if target.path.is_empty() { "metrics" } else { target.path.trim_start_matches('/') };
        Ok(format!("http://localhost:{port}/{path}"))
    };
    targets.iter().map(url).collect()
}

/// Scrapes since the start.
#[derive(Default)]
pub(super) struct Counters {
    scrapes: AtomicU64,
    envoy: AtomicU64,
    application: AtomicU64,
}

/// The page. What is there counts: a workload without an answer does not take Envoy's metrics along.
pub(super) async fn page(State(status): Shared, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    status.counters.scrapes.fetch_add(1, Ordering::Relaxed);
    let envoy = status.admin.as_ref().map(|admin| {
        let query = query.as_deref().filter(|query| !query.is_empty()).unwrap_or("usedonly");
        (format!("http://{admin}/stats/prometheus?{query}"), &["text/plain"][..])
    });
    let workload = status.targets.iter().map(|url| (url.clone(), &["text/plain", OPEN_METRICS_TYPE][..]));
    let with_envoy = envoy.is_some();
    let mut scraped = scrape(&status, envoy.into_iter().chain(workload), &headers).await;
    let envoys = if with_envoy { scraped.remove(0) } else { None };
    count(&status.counters.envoy, usize::from(with_envoy && envoys.is_none()));
    count(&status.counters.application, scraped.iter().filter(|target| target.is_none()).count());
    let workloads: Vec<Scraped> = scraped.into_iter().flatten().collect();
    let mut out = own(&status).into_bytes();
    envoys.iter().for_each(|envoy| out.extend_from_slice(&envoy.body));
    let format = merge(&workloads, &mut out);
    compressed(out, format, &headers)
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

/// What one target answered.
struct Scraped {
    content_type: String,
    body: Bytes,
}

/// All targets at once, in their order; `None` where one has no answer.
async fn scrape(
    status: &Arc<Status>,
    targets: impl Iterator<Item = (String, &'static [&'static str])>,
    headers: &HeaderMap,
) -> Vec<Option<Scraped>> {
    let mut asking = JoinSet::new();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default().to_owned();
    let seconds = headers.get(TIMEOUT).and_then(|seconds| seconds.to_str().ok()?.parse::<f64>().ok());
    let patience = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(PATIENCE);
    let passed =
        [header::USER_AGENT, TIMEOUT].into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    let passed: Vec<(HeaderName, HeaderValue)> = passed.collect();
    let mut count = 0;
    for (at, (url, allowed)) in targets.enumerate() {
        let (status, mut with) = (status.clone(), passed.clone());
        with.extend(HeaderValue::try_from(accepted(&accept, allowed)).map(|accept| (header::ACCEPT, accept)));
        count += 1;
        asking.spawn(async move { (at, target(&status, &url, &with, patience).await.map_err(|error| (url, error))) });
    }
    let mut all = Vec::new();
    all.resize_with(count, || None);
    while let Some(answered) = asking.join_next().await {
        match answered {
            Ok((at, Ok(scraped))) => all[at] = Some(scraped),
            Ok((_, Err((url, error)))) => tracing::warn!(url, "no metrics: {error:#}"),
            Err(error) => tracing::warn!(%error, "no metrics"),
        }
    }
    all
}

async fn target(
    status: &Status,
    url: &str,
    headers: &[(HeaderName, HeaderValue)],
    patience: Duration,
) -> anyhow::Result<Scraped> {
    let answer = status.fetch(url, headers, patience).await?;
    ensure!(answer.status() == 200, "it answers with {}", answer.status());
    let text = |name: HeaderName| {
        let value = answer.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
    };
    let (content_type, encoding) = (text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING));
    let body = answer.into_body();
    let body = match encoding.as_str() {
        "" | "identity" => body,
        // It was not asked for; some compress all the same.
        "gzip" | "x-gzip" => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&*body)
                .take(LONGEST as u64)
                .read_to_end(&mut plain)
                .context("unpacking it")?;
            plain.into()
        }
        other => anyhow::bail!("it is encoded as {other}"),
    };
    Ok(Scraped { content_type, body })
}

/// Of the types that a scraper takes those that can be merged, best first. Without any it is the text format.
fn accepted(accept: &str, allowed: &[&str]) -> String {
    let mut found: Vec<String> = Vec::new();
    for offer in accept.split(',') {
        let mut parts = offer.split(';').map(str::trim).filter(|part| !part.is_empty());
        let (media, weighed) =
            (parts.next().unwrap_or_default().to_ascii_lowercase(), |part: &&str| !part.starts_with("q="));
        let parameters: Vec<&str> = parts.filter(weighed).collect();
        let (media, parameters) = match media.as_str() {
            "*/*" | "*" => ("text/plain", vec!["version=0.0.4"]),
            "application/*" => (OPEN_METRICS_TYPE, vec!["version=0.0.1"]),
            other => (other, parameters),
        };
        let offer = std::iter::once(media).chain(parameters).collect::<Vec<_>>().join(";");
        if (allowed.contains(&media) || media == "text/*") && !found.contains(&offer) {
            found.push(offer);
        }
    }
    if found.is_empty() {
        return "text/plain;version=0.0.4".to_owned();
    }
    let count = found.len();
    let weighed = found.iter().enumerate().map(|(at, offer)| format!("{offer};q=0.{}", (count - at).min(9)));
    weighed.collect::<Vec<_>>().join(",")
}

/// The format that an answer has.
fn format(content_type: &str) -> &'static str {
    let mut parts = content_type.split(';').map(str::trim);
    if parts.next() != Some(OPEN_METRICS_TYPE) {
        return TEXT;
    }
    let version = parts.find_map(|part| part.strip_prefix("version=")).unwrap_or_default();
    OPEN_METRICS.iter().find(|(known, _)| *known == version).map_or(TEXT, |(_, format)| format)
}

/// Appends what workloads say and tells the format of the whole: theirs if they agree, else text. One mark ends all of it.
fn merge(workloads: &[Scraped], out: &mut Vec<u8>) -> &'static str {
    let mut formats = workloads.iter().map(|workload| format(&workload.content_type));
    let first = formats.next().unwrap_or(TEXT);
    let whole = if formats.all(|format| format == first) { first } else { TEXT };
    for workload in workloads {
        let text = workload.body.trim_ascii_end();
        let text = text.strip_suffix(END.as_bytes()).unwrap_or(text);
        if !out.is_empty() && !out.ends_with(b"\n") {
            out.push(b'\n');
        }
        out.extend_from_slice(text);
        if !text.is_empty() && !text.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    if whole != TEXT {
        out.extend_from_slice(format!("{END}\n").as_bytes());
    }
    whole
}

/// What the agent says of itself.
fn own(status: &Status) -> String {
    let mut out = String::new();
    let ends = status.identity.borrow().as_ref().map(|identity| identity.lifetime.1);
    if let Some(ends) = ends {
        let left = ends - crate::identity::now();
        let name = "istio_agent_cert_expiry_seconds";
        let _ = writeln!(out, "# TYPE {name} gauge\n{name}{{resource_name=\"default\"}} {left}");
    }
    let counters = &status.counters;
    let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let name = "istio_agent_scrapes_total";
    let _ = writeln!(out, "# TYPE {name} counter\n{name} {}", value(&counters.scrapes));
    let failures = BTreeMap::from([("application", value(&counters.application)), ("envoy", value(&counters.envoy))]);
    let name = "istio_agent_scrape_failures_total";
    let _ = writeln!(out, "# TYPE {name} counter");
    for (kind, count) in failures {
        let _ = writeln!(out, "{name}{{type=\"{kind}\"}} {count}");
    }
    status.names.iter().for_each(|names| out.push_str(&names.metrics()));
    out
}

/// The answer, compressed for those who take that.
fn compressed(body: Vec<u8>, format: &'static str, headers: &HeaderMap) -> Response {
    let taken = headers.get(header::ACCEPT_ENCODING).and_then(|taken| taken.to_str().ok()).unwrap_or_default();
    let refused = |coding: &str| coding.split_once("q=").is_some_and(|(_, weight)| weight.trim().parse() == Ok(0.0));
    let gzip =
        taken.split(',').map(str::trim).any(|coding| coding.split(';').next() == Some("gzip") && !refused(coding));
    let vary = (header::VARY, HeaderValue::from_static("accept-encoding"));
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(format));
    if !gzip || body.len() < SMALL {
        return ([kind, vary], body).into_response();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory does not fail.
    let packed = encoder.write_all(&body).and_then(|()| encoder.finish());
    match packed {
        Ok(packed) => {
            let encoding = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            ([kind, vary, encoding], packed).into_response()
        }
        Err(_) => ([kind, vary], body).into_response(),
    }
}

#[cfg(test)]
mod tests;
