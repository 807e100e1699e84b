//! The certificate authority of a folder: made there when it is empty, taken into use as one verified unit, kept when its files no
//! longer do, and replaced in stages when they are others: the new root is made known, then it signs, then the old one goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use arc_swap::ArcSwap;
use ca::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

mod audience;
mod files;
mod rotation;

pub(crate) use audience::Streams;
use audience::{Audience, Standing};
use files::Files;
use rotation::Rotation;
pub(crate) use rotation::Stage;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A new root is made known so many times as long after a start, when all proxies are reconnecting.
const AT_START: u32 = 6;
/// A root that was made here is made anew when it has less than this to go, in seconds: a fifth of its time, as Istio's default.
const PROLONG: i64 = 2 * 365 * 24 * 3600;
/// An end that is so near is told, in seconds, and how often.
const NEAR: i64 = 30 * 24 * 3600;
const TELL: Duration = Duration::from_secs(24 * 3600);

/// Now, in Unix time.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What follows from the files, replaced together.
pub(crate) struct InUse {
    pub(crate) authority: Authority,
    /// How the control plane's own port is served: with a certificate of the mesh, to clients that may have one too.
    pub(crate) tls: Arc<ServerConfig>,
    /// How far a replacement is.
    pub(crate) stage: Stage,
}

/// The authority in use.
#[derive(Clone)]
pub(crate) struct Keeper {
    current: Arc<ArcSwap<InUse>>,
    /// When the last of what was signed ends, in Unix time.
    last: Arc<AtomicI64>,
}

impl Keeper {
    /// What is in use now.
    pub(crate) fn current(&self) -> Arc<InUse> {
        self.current.load_full()
    }

    /// Notes that something was signed that ends then, in Unix time.
    pub(crate) fn signed(&self, until: i64) {
        self.last.fetch_max(until, Ordering::Relaxed);
    }
}

/// How fast one authority replaces another.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// How long a workload's certificate lasts, in seconds: who does not tell whether it took a root has it after this time.
    usual: i64,
    /// How long a new root is made known at least before anything is signed below it.
    settle: Duration,
    /// Everything at once.
    unstaged: bool,
}

impl Pace {
    /// With both times in seconds.
    pub(crate) fn new(usual: i64, settle: i64, unstaged: bool) -> Self {
        Self { usual, settle: Duration::from_secs(u64::try_from(settle).unwrap_or(0)), unstaged }
    }
}

/// Follows the files.
pub(crate) struct Follower {
    keeper: Keeper,
    folder: PathBuf,
    /// Names of the control plane.
    names: Vec<String>,
    pace: Pace,
    /// The files as last read.
    known: Files,
    rotation: Rotation,
    /// The roots that are made known now, and since when and how long at least.
    roots: Vec<String>,
    since: Instant,
    settle: Duration,
    /// All had them when they were looked at last.
    taken: bool,
    told: Option<Instant>,
}

/// Takes the folder's authority into use; one is made for `organization` when the folder has none.
///
/// # Errors
/// When its files would not do as an authority.
pub(crate) fn open(
    folder: &Path,
    organization: &str,
    names: Vec<String>,
    pace: Pace,
) -> anyhow::Result<(Keeper, Follower)> {
    let known = Files::open(folder, organization, now())?;
    let last = now().saturating_add(pace.usual);
    let rotation = Rotation::restore(folder, known.clone(), last, now())?;
    let current = Arc::new(ArcSwap::from_pointee(InUse::new(&rotation, &names)?));
    let keeper = Keeper { current, last: Arc::new(AtomicI64::new(last)) };
    let (roots, since) = (rotation.roots(), Instant::now());
    let follower = Follower {
        keeper: keeper.clone(),
        folder: folder.to_owned(),
        names,
        pace,
        known,
        rotation,
        roots,
        since,
        settle: pace.settle * AT_START,
        taken: false,
        told: None,
    };
    follower.remember();
    Ok((keeper, follower))
}

impl Follower {
    /// Follows the files until `stop`; `audience` are those who have to know the roots.
    pub(crate) async fn run(mut self, audience: impl Audience, stop: CancellationToken) -> anyhow::Result<()> {
        audience.tell(self.roots.clone());
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            let changed = self.look() | self.advance(&audience) | self.rotation.forget(now());
            if changed && let Err(error) = self.replace(&audience) {
                tracing::error!("the CA's new state is not used, the old one stays: {error:#}");
            }
            self.mind_the_end();
        }
    }

    /// Looks at the files; says whether they are others.
    fn look(&mut self) -> bool {
        let found = match Files::read(&self.folder) {
            Ok(found) if found == self.known => return false,
            Ok(found) => found,
            // Between two files of a set being replaced.
            Err(error) => {
                tracing::debug!("the CA's files cannot be read now: {error:#}");
                return false;
            }
        };
        self.known = found.clone();
        let aimed = self.rotation.aim(found, self.keeper.last.load(Ordering::Relaxed), now());
        aimed.inspect_err(|error| tracing::warn!("the CA's new files are not used, the old ones stay: {error}")).is_ok()
    }

    /// Takes the next authority into use once its root is known; says whether it did.
    fn advance(&mut self, audience: &impl Audience) -> bool {
        if self.rotation.waits() && self.pace.unstaged {
            self.rotation.switch(now(), now());
            return true;
        }
        let told = self.roots == self.rotation.roots();
        if !self.rotation.waits() || !told || self.since.elapsed() < self.settle {
            return false;
        }
        let Some(standing) = audience.standing(&self.roots) else { return false };
        let Standing { waiting, unaware } = &standing;
        let lasts = self.since.elapsed().as_secs() >= u64::try_from(self.pace.usual).unwrap_or(0);
        if !waiting.is_empty() || !(unaware.is_empty() || lasts) {
            let examples: Vec<&String> = waiting.iter().chain(unaware).take(3).collect();
            let (waiting, unaware) = (waiting.len(), unaware.len());
            tracing::debug!(waiting, unaware, ?examples, "the new root is not known to all");
            self.taken = false;
            return false;
        }
        // Handshakes that began before the last one had it come to their end.
        if !std::mem::replace(&mut self.taken, true) {
            return false;
        }
        // What is being signed just now counts as well.
        let usual = now().saturating_add(self.pace.usual);
        let last = self.keeper.last.swap(now(), Ordering::Relaxed).max(usual);
        self.rotation.switch(last, now());
        true
    }

    /// Takes the rotation's state into use, and makes its roots known.
    fn replace(&mut self, audience: &impl Audience) -> anyhow::Result<()> {
        let next = InUse::new(&self.rotation, &self.names)?;
        tracing::info!(ends = next.authority.not_after(), stage = ?next.stage, "the CA changed");
        self.keeper.current.store(Arc::new(next));
        let roots = self.rotation.roots();
        if roots != self.roots {
            audience.tell(roots.clone());
            (self.roots, self.since, self.settle) = (roots, Instant::now(), self.pace.settle);
            self.taken = false;
        }
        self.remember();
        Ok(())
    }

    fn remember(&self) {
        if let Err(error) = self.rotation.save(&self.folder) {
            tracing::info!("a replacement of the CA would not outlive this process: {error:#}");
        }
    }

    /// Makes the root anew in time where it was made here; else tells that its end is near.
    fn mind_the_end(&mut self) {
        let left = self.rotation.ends() - now();
        if left > PROLONG || self.rotation.stage() != Stage::Steady {
            return;
        }
        let Err(error) = self.rotation.files().prolong(&self.folder, now()) else { return };
        if left < NEAR && self.told.is_none_or(|told| told.elapsed() >= TELL) {
            self.told = Some(Instant::now());
            tracing::warn!(days = left / (24 * 3600), "the CA ends soon, and is not made anew: {error:#}");
        }
    }
}

impl InUse {
    fn new(rotation: &Rotation, names: &[String]) -> anyhow::Result<Self> {
        let authority = rotation.authority(now())?;
        let tls = serve(&rotation.server(now())?, authority.roots(), names);
        let tls = tls.context("making the control plane's own certificate")?;
        Ok(Self { authority, tls: Arc::new(tls), stage: rotation.stage() })
    }
}

/// TLS 1.2 and later, HTTP/2, client certificates optional: others have tokens.
fn serve(authority: &Authority, trusted: &[String], names: &[String]) -> anyhow::Result<ServerConfig> {
    let (issued, key) = authority.serve(names, now())?;
    let (_, chain) = issued.chain.split_last().context("a chain has roots")?;
    let chain = chain.concat();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(trusted.concat().as_bytes()) {
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
