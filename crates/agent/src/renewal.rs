//! How a workload comes to its identity: a new key, a request to the control plane, again in time and again after failures.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http::Request;
use http_body_util::{BodyExt, Full};
use prost::Message;
use proto::istio::v1::auth::{IstioCertificateRequest, IstioCertificateResponse};
use tokio_util::sync::CancellationToken;

use crate::identity::{Identity, now};
use crate::trust::Trust;
use crate::upstream::Upstream;

const METHOD: &str = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
/// A try takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between tries that fail, in seconds: the first, and the longest.
const PAUSES: (u64, u64) = (1, 30);
/// When another authority signs, certificates are renewed within this time, or at their own if that is sooner.
const TURN: Duration = Duration::from_secs(300);

/// Asks the control plane for a certificate, for a new key.
///
/// # Errors
/// When it does not give one.
pub async fn obtain(upstream: &Upstream, known: Option<&Identity>, lifetime: i64) -> anyhow::Result<Identity> {
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::new(vec![])?.serialize_request(&key)?.pem()?;
    let asked = IstioCertificateRequest { csr, validity_duration: lifetime, metadata: None };
    let (mut sender, bearer) = upstream.connect(known).await?;
    let request = Request::post(format!("https://{}{METHOD}", upstream.name));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    let request = bearer.into_iter().fold(request, |request, bearer| request.header("authorization", bearer));
    let body = Full::new(xds::grpc::framed(&asked)).map_err(Into::into).boxed_unsync();
    let response = sender.send_request(request.body(body)?).await?;
    let status = |headers: &http::HeaderMap| match headers.get("grpc-status").map(|status| status.as_bytes()) {
        None | Some(b"0") => Ok(()),
        Some(code) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let message = headers.get("grpc-message").map(|message| text(message.as_bytes())).unwrap_or_default();
            bail!("the control plane refuses a certificate: {} (status {})", message.replace("%20", " "), text(code))
        }
    };
    status(response.headers())?;
    let body = response.into_body().collect().await?;
    body.trailers().map(status).transpose()?;
    let body = body.to_bytes();
    let answer = IstioCertificateResponse::decode(body.get(5..).context("the answer is empty")?)?;
    let Some((roots, chain)) = answer.cert_chain.split_last().filter(|(_, chain)| !chain.is_empty()) else {
        bail!("the answer has {} certificates; at least two are needed", answer.cert_chain.len());
    };
    let leaf = pem::parse(&chain[0])?.into_contents();
    let ends = ca::ends(&leaf).context("the certificate does not parse")?;
    ensure!(ends > now(), "the certificate has ended already");
    Ok(Identity { chain: chain.concat(), key: key.serialize_pem(), roots: roots.clone(), lifetime: (now(), ends) })
}

/// Keeps an identity that is valid, until `stop`. Failures are told and tried again; what is known stays in use until it ends.
pub async fn keep(upstream: Upstream, lifetime: i64, trust: Arc<Trust>, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = renew(&upstream, lifetime, &trust) => {}
    }
}

async fn renew(upstream: &Upstream, lifetime: i64, trust: &Trust) {
    let mut pause = PAUSES.0;
    loop {
        let (known, told) = (trust.identity(), trust.told());
        let trying = tokio::time::timeout(PATIENCE, obtain(upstream, known.as_deref(), lifetime));
        let wait = match trying.await.map_err(anyhow::Error::from).and_then(|obtained| obtained) {
            Ok(next) => {
                pause = PAUSES.0;
                let wait = next.renewal(now(), jitter());
                tracing::info!(ends = next.lifetime.1, renewal_in_s = wait.as_secs(), "certificate obtained");
                trust.renew(next, told);
                // A lifetime of a second must not become a storm.
                wait.max(Duration::from_millis(500))
            }
            Err(error) => {
                tracing::warn!("no certificate: {error:#}");
                let wait = Duration::from_secs(pause);
                pause = (pause * 2).min(PAUSES.1);
                wait
            }
        };
        let due = tokio::time::Instant::now() + wait;
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = trust.turned(told) => {
                let left = due.saturating_duration_since(tokio::time::Instant::now());
                let soon = left.min(TURN) * u32::from(jitter()) / 255;
                tracing::info!(renewal_in_s = soon.as_secs(), "another authority signs");
                tokio::time::sleep(soon).await;
            }
        }
    }
}

/// So that not all workloads come at once.
fn jitter() -> u8 {
    let mut jitter = [0];
    let _ = aws_lc_rs::rand::fill(&mut jitter);
    jitter[0]
}
