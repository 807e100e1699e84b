//! The certificate authority of a folder: made there when it is empty, taken into use as one verified unit, replaced when its files
//! change, kept when they no longer do. Files as in Istio's Secrets `cacerts` and `istio-ca-secret`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use arc_swap::ArcSwap;
use ca::{Authority, Plugged};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// File names: certificate, key, roots, chain. The second set is what cert-manager writes.
const SETS: [[&str; 4]; 2] =
    [["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"], ["tls.crt", "tls.key", "ca.crt", ""]];
const REVOKED: &str = "ca-crl.pem";

/// Now, in Unix time.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What follows from the files, replaced together.
pub(crate) struct InUse {
    pub(crate) authority: Authority,
    /// How the control plane's own port is served: with a certificate of this authority, to clients that may have one too.
    pub(crate) tls: Arc<ServerConfig>,
}

/// The authority in use.
#[derive(Clone)]
pub(crate) struct Keeper {
    folder: PathBuf,
    /// Names of the control plane.
    names: Arc<[String]>,
    current: Arc<ArcSwap<InUse>>,
}

/// The files, as read.
#[derive(PartialEq, Eq)]
struct Files {
    set: [Vec<u8>; 4],
    crl: Vec<Vec<u8>>,
}

impl Keeper {
    /// Takes the folder's authority into use; one is made for `organization` when the folder has none.
    ///
    /// # Errors
    /// When its files would not do as an authority.
    pub(crate) fn open(folder: &Path, organization: &str, names: Vec<String>) -> anyhow::Result<Self> {
        if !SETS.iter().flatten().any(|name| !name.is_empty() && folder.join(name).exists()) {
            make(folder, organization)?;
        }
        let names: Arc<[String]> = names.into();
        let current = Arc::new(ArcSwap::from_pointee(InUse::new(&read(folder)?, &names)?));
        Ok(Self { folder: folder.to_owned(), names, current })
    }

    /// What is in use now.
    pub(crate) fn current(&self) -> Arc<InUse> {
        self.current.load_full()
    }

    /// Follows the files until `stop`.
    pub(crate) async fn follow(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut known = read(&self.folder).ok();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            let found = match read(&self.folder) {
                Ok(found) if known.as_ref() == Some(&found) => continue,
                Ok(found) => found,
                // Between two files of a set being replaced.
                Err(error) => {
                    tracing::debug!("the CA's files cannot be read now: {error:#}");
                    continue;
                }
            };
            match InUse::new(&found, &self.names) {
                Ok(next) => {
                    tracing::info!(ends = next.authority.not_after(), "the CA was replaced");
                    self.current.store(Arc::new(next));
                }
                Err(error) => tracing::warn!("the CA's new files are not used, the old ones stay: {error:#}"),
            }
            known = Some(found);
        }
    }
}

impl InUse {
    fn new(files: &Files, names: &[String]) -> anyhow::Result<Self> {
        let [cert, key, root, chain] = &files.set;
        let plugged = Plugged { cert, key, root, chain: std::slice::from_ref(chain), crl: &files.crl };
        let authority = Authority::load(&plugged, now())?;
        authority.warnings().iter().for_each(|warning| tracing::warn!("the CA: {warning}"));
        let tls = serve(&authority, names).context("making the control plane's own certificate")?;
        Ok(Self { authority, tls: Arc::new(tls) })
    }
}

/// TLS 1.2 and later, HTTP/2, client certificates optional: others have tokens.
fn serve(authority: &Authority, names: &[String]) -> anyhow::Result<ServerConfig> {
    let (issued, key) = authority.serve(names, now())?;
    let (_, chain) = issued.chain.split_last().context("a chain has roots")?;
    let chain = chain.concat();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority.roots().as_bytes()) {
        roots.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let clients = clients.allow_unauthenticated().build()?;
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let mut config = config.with_client_cert_verifier(clients).with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn read(folder: &Path) -> anyhow::Result<Files> {
    let file = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| format!("reading {} of the CA; are all its files there?", path.display()))
    };
    let Some([cert, key, root, chain]) = SETS.into_iter().find(|set| folder.join(set[0]).exists()) else {
        bail!("{} has neither {} nor {}", folder.display(), SETS[0][0], SETS[1][0]);
    };
    let chain = if !chain.is_empty() && folder.join(chain).exists() { file(chain)? } else { Vec::new() };
    let crl = if folder.join(REVOKED).exists() { vec![file(REVOKED)?] } else { Vec::new() };
    Ok(Files { set: [file(cert)?, file(key)?, file(root)?, chain], crl })
}

/// Makes a self-signed authority. Its key is for nobody else to read.
fn make(folder: &Path, organization: &str) -> anyhow::Result<()> {
    let (cert, key) = ca::self_signed(organization, now())?;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let [cert_file, key_file, root_file, _] = SETS[0];
    // The certificate comes last: with it the set is complete.
    for (name, text, mode) in [(key_file, &key, 0o600), (root_file, &cert, 0o644), (cert_file, &cert, 0o644)] {
        let path = folder.join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(mode).open(&path);
        let mut file = file.with_context(|| format!("making {}", path.display()))?;
        file.write_all(text.as_bytes()).with_context(|| format!("writing {}", path.display()))?;
    }
    tracing::warn!("{} was empty: a self-signed CA was made there", folder.display());
    ensure!(folder.join(cert_file).exists(), "the CA's certificate vanished");
    Ok(())
}
