//! The keys of an issuer: given, of a file, or fetched over HTTPS and again when they are old or a token names one that is not among
//! them. What a stranger sends makes no more than one request in ten seconds.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::JwkSet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::settings::JwtRule;

/// Keys that are older are fetched again (`istio: pkg/jwt`).
const AGE: Duration = Duration::from_secs(20 * 60);
/// No two requests are closer than this.
const PAUSE: Duration = Duration::from_secs(10);
/// A request takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer is not longer than this, in bytes.
const LONGEST: usize = 1024 * 1024;

/// An issuer's keys.
pub(super) enum Keys {
    /// They stay as they are.
    Fixed(Arc<JwkSet>),
    /// They are fetched.
    Fetched(Box<Fetched>),
}

/// Keys that are fetched.
pub(super) struct Fetched {
    place: Place,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    known: ArcSwapOption<(Arc<JwkSet>, Instant)>,
    tried: ArcSwapOption<Instant>,
    /// One request at a time.
    fetching: Semaphore,
}

/// Where keys are.
enum Place {
    /// At this address.
    Keys(Uri),
    /// Where the discovery document at this address says.
    Discovery(Uri),
}

#[derive(Deserialize)]
struct Discovery {
    jwks_uri: String,
}

impl Keys {
    /// Those of a rule; their server is vouched for by a file of `roots`, or by those of this machine.
    ///
    /// # Errors
    /// When the rule says neither keys nor a place from which they could come safely.
    pub(super) fn new(rule: &JwtRule, roots: Option<&Path>) -> anyhow::Result<Self> {
        let parse = |text: &str| -> anyhow::Result<Self> {
            Ok(Self::Fixed(Arc::new(serde_json::from_str(text).context("reading the keys of the JWT issuer")?)))
        };
        if let Some(path) = rule.jwks_uri.strip_prefix("file://") {
            return parse(&std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?);
        }
        if !rule.jwks.is_empty() {
            return parse(&rule.jwks);
        }
        let place = match rule.jwks_uri.as_str() {
            "" => {
                let document = format!("{}/.well-known/openid-configuration", rule.issuer.trim_end_matches('/'));
                Place::Discovery(safe(&document).context("the JWT issuer has no keys, and")?)
            }
            uri => Place::Keys(safe(uri).context("jwksUri")?),
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = match roots {
            None => tls.with_native_roots().context("reading the roots of this machine")?,
            Some(path) => {
                let mut store = rustls::RootCertStore::empty();
                for root in
                    CertificateDer::pem_file_iter(path).with_context(|| format!("reading {}", path.display()))?
                {
                    store.add(root?).with_context(|| format!("a root in {}", path.display()))?;
                }
                tls.with_root_certificates(store)
            }
        };
        let tls = tls.with_no_client_auth();
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
        let connector = builder.https_only().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let (known, tried) = (ArcSwapOption::empty(), ArcSwapOption::empty());
        Ok(Self::Fetched(Box::new(Fetched { place, client, known, tried, fetching: Semaphore::new(1) })))
    }

    /// The keys, with the one of this id among them if the issuer has it. `None` when there are none yet.
    pub(super) async fn with(&self, id: Option<&str>) -> Option<Arc<JwkSet>> {
        match self {
            Self::Fixed(keys) => Some(keys.clone()),
            Self::Fetched(fetched) => fetched.with(id).await,
        }
    }
}

/// An address from which keys can come safely.
fn safe(uri: &str) -> anyhow::Result<Uri> {
    let parsed: Uri = uri.parse().with_context(|| format!("{uri:?} is no address"))?;
    ensure!(parsed.scheme_str() == Some("https"), "{uri:?} is neither https:// nor file://");
    Ok(parsed)
}

impl Fetched {
    async fn with(&self, id: Option<&str>) -> Option<Arc<JwkSet>> {
        if !self.serves(id)
            && let Ok(_alone) = self.fetching.acquire().await
        {
            let late = self.tried.load().as_ref().is_none_or(|tried| tried.elapsed() >= PAUSE);
            if late && !self.serves(id) {
                self.tried.store(Some(Arc::new(Instant::now())));
                match tokio::time::timeout(PATIENCE, self.fetch()).await.map_err(Into::into).and_then(|keys| keys) {
                    Ok(keys) => self.known.store(Some(Arc::new((Arc::new(keys), Instant::now())))),
                    Err(error) => tracing::warn!("the keys of a JWT issuer are not to be had: {error:#}"),
                }
            }
        }
        self.known.load().as_ref().map(|known| known.0.clone())
    }

    /// Whether nothing needs to be fetched.
    fn serves(&self, id: Option<&str>) -> bool {
        self.known.load().as_ref().is_some_and(|known| {
            let (keys, since) = &**known;
            since.elapsed() < AGE && id.is_none_or(|id| keys.find(id).is_some())
        })
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let place = match &self.place {
            Place::Keys(place) => place.clone(),
            Place::Discovery(document) => {
                let found: Discovery = serde_json::from_slice(&self.get(document).await?)
                    .with_context(|| format!("reading {document}"))?;
                safe(&found.jwks_uri).with_context(|| format!("jwks_uri in {document}"))?
            }
        };
        serde_json::from_slice(&self.get(&place).await?).with_context(|| format!("reading {place}"))
    }

    async fn get(&self, place: &Uri) -> anyhow::Result<Bytes> {
        let answer = self.client.get(place.clone()).await.with_context(|| format!("asking {place}"))?;
        if !answer.status().is_success() {
            bail!("{place} answers {}", answer.status());
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!("{place}: {error}"))?.to_bytes())
    }
}
