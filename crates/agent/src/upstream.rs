//! The way to the control plane: TLS to a name that the roots vouch for, with the workload's certificate once there is one, else with
//! its token.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::identity::Identity;

/// Bodies of requests to the control plane.
pub type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Where the control plane is, and what proves either side.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `host:port`.
    pub address: String,
    /// The name in its certificate.
    pub name: String,
    /// File of roots that vouch for it.
    pub roots: PathBuf,
    /// File of the token; read anew for each connection, since it is replaced while it is used.
    pub token: PathBuf,
}

impl Upstream {
    /// Connects. With an identity, that is shown; the token in any case where there is one.
    ///
    /// # Errors
    /// When there is nobody, or somebody else.
    pub async fn connect(
        &self,
        identity: Option<&Identity>,
    ) -> anyhow::Result<(SendRequest<Body>, Option<HeaderValue>)> {
        let config = self.tls(identity)?;
        let socket =
            TcpStream::connect(&self.address).await.with_context(|| format!("connecting to {}", self.address))?;
        let _ = socket.set_nodelay(true);
        let name =
            ServerName::try_from(self.name.clone()).with_context(|| format!("{} is no server name", self.name))?;
        let connecting = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket);
        let stream =
            connecting.await.with_context(|| format!("the TLS handshake with {} as {}", self.address, self.name))?;
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10))
            .handshake(TokioIo::new(stream))
            .await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with the connection, and what that means its user sees"
        )]
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the control plane ended");
            }
        });
        Ok((sender, self.bearer()))
    }

    fn tls(&self, identity: Option<&Identity>) -> anyhow::Result<ClientConfig> {
        let text =
            std::fs::read(&self.roots).with_context(|| format!("reading the roots in {}", self.roots.display()))?;
        let mut roots = RootCertStore::empty();
        // The file may be older than what the control plane told since.
        let told = identity.map(|identity| identity.roots.as_bytes()).unwrap_or_default();
        for root in CertificateDer::pem_slice_iter(&text).chain(CertificateDer::pem_slice_iter(told)) {
            roots.add(root?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots);
        let mut config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(identity.key().as_bytes())?)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn bearer(&self) -> Option<HeaderValue> {
        let token = std::fs::read_to_string(&self.token).ok()?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
