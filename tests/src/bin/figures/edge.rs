//! How soon an edit is live at a real Envoy: from the API server's answer to the first request that meets it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bed::envoy::{Envoy, Spec};
use bed::net::Place;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Edits, each of which is timed.
const EDITS: usize = 200;
const NAMESPACE: &str = "ns-7";
const PATIENCE: Duration = Duration::from_secs(60);

/// What each edit took, sorted. `place` says where an object is kept.
pub(crate) async fn edits(
    checkout: &Path,
    xds: SocketAddr,
    place: impl Fn(&Value) -> anyhow::Result<Api<DynamicObject>>,
) -> anyhow::Result<Vec<Duration>> {
    let binary = bed::envoy::binary(Some(&checkout.join(".cache/envoy/envoy")))?;
    let at = free()?;
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": { "name": "edge", "namespace": NAMESPACE },
        "spec": { "selector": { "app": "edge" },
                  "servers": [{ "port": { "number": at.port(), "name": "http", "protocol": "HTTP" }, "hosts": ["*"] }] },
    });
    let rule = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "name": "edge", "namespace": NAMESPACE },
        "spec": { "hosts": ["edge.test"], "gateways": ["edge"], "http": answers("first") },
    });
    // This Envoy has no agent, and so no certificate.
    let plain = json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": { "name": "default", "namespace": "istio-system" },
        "spec": { "mtls": { "mode": "DISABLE" } },
    });
    for object in [plain, gateway, rule.clone()] {
        place(&object)?.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    }
    let spec = Spec {
        pod: "edge".into(),
        namespace: NAMESPACE.into(),
        kind: "router",
        address: [127, 0, 0, 1].into(),
        labels: vec![("app".into(), "edge".into())],
        interception: "REDIRECT",
        xds,
        delta: true,
        admin: free()?,
    };
    let mut envoy = Envoy::start(&binary, &spec, &Place::here(), &tests::plane::folder())?;
    envoy.wait_live(PATIENCE)?;
    let mut asker = Asker::connect(at).await?;
    asker.met("first").await?;
    let (rules, mut took) = (place(&rule)?, Vec::new());
    for edit in 0..EDITS {
        let body = format!("edit {edit}");
        let patch = Patch::Merge(json!({ "spec": { "http": answers(&body) } }));
        rules.patch("edge", &PatchParams::default(), &patch).await?;
        let answered = Instant::now();
        asker.met(&body).await?;
        took.push(answered.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// A route that says this.
fn answers(body: &str) -> Value {
    json!([{ "directResponse": { "status": 200, "body": { "string": body } } }])
}

/// A client that keeps its connection: Envoy takes its time to close one.
struct Asker(SendRequest<Empty<Bytes>>);

impl Asker {
    async fn connect(at: SocketAddr) -> anyhow::Result<Self> {
        let socket = tokio::net::TcpStream::connect(at).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        #[expect(clippy::disallowed_methods, reason = "the connection ends with its client")]
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(sender))
    }

    /// Asks until that is the answer.
    async fn met(&mut self, body: &str) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            self.0.ready().await?;
            let request = Request::get("/").header("host", "edge.test").body(Empty::new())?;
            let answer = self.0.send_request(request).await?.into_body().collect().await?.to_bytes();
            if answer == body.as_bytes() {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "{body:?} is not live: {answer:?}");
        }
    }
}

/// An address that is free now.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
