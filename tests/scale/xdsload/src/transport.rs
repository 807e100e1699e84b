//! The way to the server: a connection of its own for each client, plain or TLS, and a stream on it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use http::{HeaderMap, Request};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;

use crate::settings::{Mode, Security, Settings};

/// Where the server is and how it is spoken to.
pub(crate) struct Target {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// The window of a stream and of a connection, bytes.
    pub(crate) window: u32,
    method: &'static str,
    security: Security,
    name: ServerName<'static>,
    known: Mutex<HashMap<String, Credentials>>,
}

/// What a client shows.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// How it speaks TLS; nothing in plain text.
    pub(crate) tls: Option<TlsConnector>,
    token: Option<Arc<str>>,
}

impl Target {
    /// The server that is meant.
    ///
    /// # Errors
    /// When it has no address, or what is to be shown cannot be read.
    pub(crate) async fn find(settings: &Settings) -> anyhow::Result<Self> {
        let mut found = tokio::net::lookup_host(&settings.target).await.with_context(|| settings.target.clone())?;
        let target = Self {
            address: found.next().with_context(|| format!("{} has no address", settings.target))?,
            window: settings.window,
            method: match settings.mode {
                Mode::Delta => "DeltaAggregatedResources",
                Mode::Sotw => "StreamAggregatedResources",
            },
            name: ServerName::try_from(settings.security.server_name.clone())?,
            security: settings.security.clone(),
            known: Mutex::default(),
        };
        Ok(target)
    }

    /// The name that the server is to prove.
    pub(crate) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    /// What clients of a namespace show; read once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn credentials(&self, namespace: &str) -> anyhow::Result<Credentials> {
        let mut known = self.known.lock().expect("no holder panics");
        if let Some(credentials) = known.get(namespace) {
            return Ok(credentials.clone());
        }
        let credentials = read(&self.security, namespace)?;
        known.insert(namespace.to_owned(), credentials.clone());
        Ok(credentials)
    }

    /// The head of a stream.
    pub(crate) fn request(&self, credentials: &Credentials) -> anyhow::Result<Request<()>> {
        let scheme = if credentials.tls.is_some() { "https" } else { "http" };
        let (name, method) = (&self.security.server_name, self.method);
        let request =
            Request::post(format!("{scheme}://{name}/envoy.service.discovery.v3.AggregatedDiscoveryService/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        Ok(match &credentials.token {
            // The cluster that the token is of: istiod looks it up by this.
            Some(token) => request.header("authorization", format!("Bearer {token}")).header("clusterid", "Kubernetes"),
            None => request,
        }
        .body(())?)
    }
}

fn read(security: &Security, namespace: &str) -> anyhow::Result<Credentials> {
    let text = |path: &Path| {
        let path = path.to_string_lossy().replace("{namespace}", namespace);
        std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    };
    let token = security.token.as_deref().map(text).transpose()?.map(|token| token.trim().into());
    let Some(root) = &security.root else { return Ok(Credentials { tls: None, token }) };
    let identity = match (&security.certificate, &security.key) {
        (Some(certificate), Some(key)) => Some((text(certificate)?, text(key)?)),
        _ => None,
    };
    let config = config(&text(root)?, identity)?;
    Ok(Credentials { tls: Some(TlsConnector::from(Arc::new(config))), token })
}

/// Each connection shakes hands in full, as those of proxies do, which have no former ones.
fn config(roots: &str, identity: Option<(String, String)>) -> anyhow::Result<ClientConfig> {
    let mut store = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_root_certificates(store);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Whether headers or trailers tell of a status; an error when it is not OK.
pub(crate) fn status(headers: &HeaderMap) -> anyhow::Result<Option<()>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        None => Ok(None),
        Some("0") => Ok(Some(())),
        Some(code) => bail!("status {code}: {}", text("grpc-message").unwrap_or_default()),
    }
}
