//! Load that counts everything that goes wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to.
    pub address: SocketAddr,
    /// As which host.
    pub host: String,
    /// Requests per second and kind.
    pub rate: u32,
    /// For how long.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Requests sent.
    pub sent: u64,
    /// Failures by what they were.
    pub failed: BTreeMap<String, u64>,
    /// Answers by who gave them.
    pub answered: BTreeMap<String, u64>,
}

impl Outcome {
    /// All failures.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        other.failed.into_iter().for_each(|(kind, count)| *self.failed.entry(kind).or_default() += count);
        other.answered.into_iter().for_each(|(by, count)| *self.answered.entry(by).or_default() += count);
    }
}

/// A way of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    KeptAlive,
    Fresh,
    Grpc,
}

/// Sends HTTP/1.1 over kept-alive and over fresh connections, and gRPC, each at the plan's rate.
///
/// # Errors
/// When the runtime cannot be made.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        let (kept, fresh, grpc) =
            tokio::join!(paced(plan, Kind::KeptAlive), paced(plan, Kind::Fresh), paced(plan, Kind::Grpc));
        let mut all = Outcome::default();
        [kept, fresh, grpc].into_iter().for_each(|outcome| all.add(outcome));
        Ok(all)
    })
}

/// Every name is this address.
#[derive(Clone)]
struct Fixed(SocketAddr);

impl tower::Service<Name> for Fixed {
    type Response = std::iter::Once<SocketAddr>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        std::future::ready(Ok(std::iter::once(self.0)))
    }
}

type Sender = Client<HttpConnector<Fixed>, Full<Bytes>>;

fn client(kind: Kind, address: SocketAddr) -> Sender {
    let mut connector = HttpConnector::new_with_resolver(Fixed(address));
    connector.set_nodelay(true);
    let mut builder = Client::builder(TokioExecutor::new());
    // An idle connection that the other side closes at the same moment is a failure of the client, not of the mesh.
    builder.pool_idle_timeout(Duration::from_secs(5)).retry_canceled_requests(false);
    match kind {
        Kind::KeptAlive => builder.build(connector),
        Kind::Fresh => builder.pool_max_idle_per_host(0).build(connector),
        Kind::Grpc => builder.http2_only(true).build(connector),
    }
}

async fn paced(plan: &Plan, kind: Kind) -> Outcome {
    let client = client(kind, plan.address);
    let started = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / plan.rate.max(1));
    let mut running = tokio::task::JoinSet::new();
    while started.elapsed() < plan.time {
        pace.tick().await;
        let url = format!("http://{}:{}/", plan.host, plan.address.port());
        running.spawn(one(client.clone(), url, kind));
    }
    let mut outcome = Outcome::default();
    while let Some(ended) = running.join_next().await {
        outcome.sent += 1;
        match ended.unwrap_or_else(|error| Err(format!("panic: {error}"))) {
            Ok(by) => *outcome.answered.entry(by).or_default() += 1,
            Err(why) => *outcome.failed.entry(format!("{kind:?}: {why}")).or_default() += 1,
        }
    }
    outcome
}

/// Who answered, or what went wrong.
async fn one(client: Sender, url: String, kind: Kind) -> Result<String, String> {
    let sent = tokio::time::timeout(Duration::from_secs(10), send(&client, &url, kind)).await;
    sent.unwrap_or_else(|_| Err("timeout".to_owned()))
}

async fn send(client: &Sender, url: &str, kind: Kind) -> Result<String, String> {
    let grpc = kind == Kind::Grpc;
    let request = if grpc {
        // An empty message: no compression, length 0.
        Request::post(format!("{url}demo.Echo/Say"))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(&[0; 5])))
    } else {
        Request::get(url).body(Full::default())
    };
    let request = request.map_err(|error| error.to_string())?;
    let reply = client.request(request).await.map_err(|error| kind_of(&error))?;
    let status = reply.status();
    if !status.is_success() {
        // Who refuses says why; a part of that is enough to tell kinds of failures apart.
        let body = reply.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let why: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        return Err(format!("status {} {why}", status.as_u16()));
    }
    let headers = reply.headers().clone();
    let body = reply.into_body().collect().await.map_err(|_| "broken body".to_owned())?;
    if grpc {
        let trailers = body.trailers().cloned().unwrap_or(headers);
        let status = trailers.get("grpc-status").map(|status| status.as_bytes().to_vec());
        let version = trailers.get("x-version").and_then(|version| version.to_str().ok()).unwrap_or("?").to_owned();
        return match status.as_deref() {
            Some(b"0") => Ok(version),
            other => Err(format!("grpc-status {:?}", other.map(String::from_utf8_lossy))),
        };
    }
    let answer: crate::app::Answer =
        serde_json::from_slice(&body.to_bytes()).map_err(|_| "not the application's answer".to_owned())?;
    Ok(answer.version)
}

fn kind_of(error: &hyper_util::client::legacy::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    if error.is_connect() { format!("connect: {text}") } else { text }
}
