//! How soon an edit is live at a real Envoy: from the API server's answer to the first request that meets it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::envoy::{Envoy, Spec};
use bed::net::Place;
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
    met(at, "first").await?;
    let (rules, mut took) = (place(&rule)?, Vec::new());
    for edit in 0..EDITS {
        let body = format!("edit {edit}");
        let patch = Patch::Merge(json!({ "spec": { "http": answers(&body) } }));
        rules.patch("edge", &PatchParams::default(), &patch).await?;
        let answered = Instant::now();
        met(at, &body).await?;
        took.push(answered.elapsed());
    }
    took.sort_unstable();
    Ok(took)
}

/// A route that says this.
fn answers(body: &str) -> Value {
    json!([{ "directResponse": { "status": 200, "body": { "string": body } } }])
}

/// Asks until that is the answer.
async fn met(at: SocketAddr, body: &str) -> anyhow::Result<()> {
    let body = body.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let started = Instant::now();
        loop {
            let answer = bed::http::get(at, "edge.test", "/", &[]);
            if answer.as_ref().is_ok_and(|answer| answer.body == body) {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "{body:?} is not live: {answer:?}");
        }
    });
    asked.await.context("asking")?
}

/// An address that is free now.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
