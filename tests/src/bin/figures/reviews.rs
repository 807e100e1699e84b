//! Figures of the webhooks: what a pod's injection and an object's validation take, over TLS as the API server asks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::{Figure, percentile};

/// Connections at a time, and what each of them asks.
const ASKERS: usize = 8;
const EACH: usize = 250;
/// The name in the certificate, by which the API server asks.
const NAME: &str = "istiod.istio-system.svc";

pub(crate) async fn all(address: SocketAddr, root: &[u8]) -> anyhow::Result<[Figure; 2]> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root)?)?;
    let config = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
    let injection = asked(address, &config, "/inject", pod).await?;
    let validation = asked(address, &config, "/validate", rule).await?;
    Ok([
        Figure::at_most("injection of a pod, p99 ms", shown("injections", &injection), 10.0),
        Figure::at_most("validation with warnings, p99 ms", shown("validations", &validation), 50.0),
    ])
}

/// The 99th percentile in ms.
fn shown(what: &str, (took, all): &(Vec<Duration>, Duration)) -> f64 {
    let at = |share| percentile(took, share);
    let rate = took.len() as f64 / all.as_secs_f64();
    eprintln!("{rate:.0} {what} per second over {ASKERS} connections, p50 {:.1} ms, p99 {:.1} ms", at(50), at(99));
    at(99)
}

/// What each question took, sorted, and all of them.
async fn asked(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    path: &'static str,
    object: fn(usize) -> Value,
) -> anyhow::Result<(Vec<Duration>, Duration)> {
    let (started, mut running, mut took) = (Instant::now(), JoinSet::new(), Vec::new());
    for asker in 0..ASKERS {
        let connector = TlsConnector::from(config.clone());
        running.spawn(async move {
            let socket = tokio::net::TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let stream = connector.connect(ServerName::try_from(NAME)?, socket).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let mut took = Vec::new();
            let asking = async {
                for number in 0..EACH {
                    let review = json!({
                        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                        "request": { "uid": "u", "operation": "CREATE", "namespace": "ns-7", "object": object(asker * EACH + number) },
                    });
                    let request = Request::post(path).header("host", NAME).header("content-type", "application/json");
                    let request = request.body(Full::new(Bytes::from(serde_json::to_vec(&review)?)))?;
                    let began = Instant::now();
                    let answer = sender.send_request(request).await?;
                    let body = answer.into_body().collect().await?.to_bytes();
                    took.push(began.elapsed());
                    let answer: Value = serde_json::from_slice(&body).context("an answer")?;
                    ensure!(answer["response"]["allowed"] == true, "{answer}");
                }
                anyhow::Ok(())
            };
            tokio::select! {
                asked = asking => asked?,
                ended = connection => ended?,
            }
            anyhow::Ok(took)
        });
    }
    while let Some(ended) = running.join_next().await {
        took.extend(ended??);
    }
    took.sort_unstable();
    Ok((took, started.elapsed()))
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "generateName": format!("web-{number}-"), "labels": { "app": "web", "sidecar.istio.io/inject": "true" } },
        "spec": { "containers": [{
            "name": "web", "image": "web", "ports": [{ "containerPort": 8080 }],
            "readinessProbe": { "httpGet": { "path": "/ready", "port": 8080 } },
        }] },
    })
}

/// One that refers to what is there.
fn rule(number: usize) -> Value {
    let host = format!("svc-{}", (number % 20) * 50 + 7);
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": { "name": format!("r-{number}"), "namespace": "ns-7" },
        "spec": { "hosts": [host], "http": [{ "route": [{ "destination": { "host": host } }] }] },
    })
}
