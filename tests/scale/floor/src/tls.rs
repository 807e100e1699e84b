//! Mutual TLS as clients of a control plane speak it: both sides show a certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Where the certificates are, each as PEM; without them connections are plain text.
#[derive(Args)]
pub(crate) struct Files {
    /// What is shown to clients.
    #[arg(long, value_name = "FILE", requires_all = ["key", "root"])]
    certificate: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// What clients' certificates must be signed by.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    root: Option<PathBuf>,
}

/// The server's side; nothing in plain text.
pub(crate) fn acceptor(files: &Files) -> anyhow::Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key), Some(root)) = (&files.certificate, &files.key, &files.root) else {
        return Ok(None);
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for root in chain(root)? {
        roots.add(root)?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build()?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading {}", key.display()))?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_client_cert_verifier(clients).with_single_cert(chain(certificate)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Proxies shake hands in full.
    config.send_tls13_tickets = 0;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn chain(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || format!("reading {}", path.display());
    let certificates = CertificateDer::pem_file_iter(path).with_context(read)?;
    certificates.collect::<Result<_, _>>().with_context(read)
}
