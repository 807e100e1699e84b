//! The certificate authority of a folder: made there when it is empty, taken into use as one verified unit, kept when its files no
//! longer do, and replaced in stages when they are others: the new root is made known, then it signs, then the old one goes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use arc_swap::ArcSwap;
use ca::Authority;
use kubernetes::replicas::Report;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

mod audience;
mod files;
mod memory;
mod rotation;
mod secret;
mod shared;

pub(crate) use audience::Streams;
use audience::{Audience, Standing};
use files::Files;
pub(crate) use rotation::Stage;
use rotation::{OVERLAP, Rotation};
use secret::Renewed;
pub(crate) use secret::Secrets;
use shared::Peers;
pub(crate) use shared::Shared;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A new root is made known so many times as long after a start, when all proxies are reconnecting.
const AT_START: u32 = 6;
/// A root that was made here is made anew when it has less than this to go, in seconds: a fifth of its time, as Istio's default.
const PROLONG: i64 = 2 * 365 * 24 * 3600;
/// An end that is so near is told, in seconds, and how often; and how often who keeps a root waiting.
const NEAR: i64 = 30 * 24 * 3600;
const TELL: Duration = Duration::from_secs(24 * 3600);
const TELL_WAITING: Duration = Duration::from_secs(300);
/// When the last certificate ends is remembered as exactly as this, in seconds.
const REMEMBER: i64 = 600;

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

    /// Notes that something is signed that ends then, in Unix time. To be called before the authority is looked up: then whoever replaces
    /// it counts all that it signed.
    pub(crate) fn signed(&self, until: i64) {
        self.last.fetch_max(until, Ordering::SeqCst);
    }
}

/// Where the authority is, and how fast another replaces it.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The folder of its files.
    pub(crate) folder: PathBuf,
    /// The folder that remembers what is in use.
    pub(crate) memory: PathBuf,
    /// Names of the control plane.
    pub(crate) names: Vec<String>,
    /// How long the certificate of a workload may last at most, in seconds.
    pub(crate) most: i64,
    /// How long a new root is made known at least before anything is signed below it.
    pub(crate) settle: Duration,
    /// Everything at once.
    pub(crate) unstaged: bool,
}

/// Follows the files.
pub(crate) struct Follower {
    keeper: Keeper,
    plan: Plan,
    rotation: Rotation,
    /// Files that would not do, and what was said of them.
    refused: Option<(Files, String)>,
    /// The state is not in use yet.
    stale: bool,
    /// What signed before the last switch may have signed since it was looked at.
    switched: bool,
    /// The same, where another replica decided to switch.
    adopted: bool,
    /// Other replicas, where the authority is theirs too.
    shared: bool,
    peers: Peers,
    /// All proxies of this replica have the roots.
    known: bool,
    /// What the root's Secret is to hold instead.
    renewed: Option<Renewed>,
    /// The roots that are made known now, since when, and how long at least.
    roots: Vec<String>,
    since: Instant,
    settle: Duration,
    /// When what was signed before they were made known has ended, in Unix time: who does not tell has them by then.
    deadline: i64,
    /// All had them when they were looked at last.
    taken: bool,
    /// When the last of what was signed ends, as it is remembered.
    remembered: i64,
    /// When something was said that is said again after a while: of the end, of those who wait, of the memory.
    told: [Option<Instant>; 3],
}

/// When the last of what was signed ends, as far as a memory of `last` tells: it may be behind, but what was signed until now ends by
/// `most`, unless certificates lasted longer before.
fn remembered(last: i64, most: i64) -> i64 {
    let late = last.saturating_add(REMEMBER);
    if last <= most { late.min(most) } else { late }
}

/// Takes the folder's authority into use; one is made for `organization` when the folder has none.
///
/// # Errors
/// When its files would not do as an authority.
pub(crate) fn open(plan: Plan, organization: &str) -> anyhow::Result<(Keeper, Follower)> {
    let (files, made) = Files::open(&plan.folder, organization, now())?;
    let (rotation, last) = Rotation::restore(&plan.memory, files, now())?;
    // Nobody knows what was signed by whom before.
    let most = now().saturating_add(plan.most);
    let unknown = if made { now() } else { most };
    let last = last.map_or(unknown, |last| remembered(last, most)).max(now());
    let current = Arc::new(ArcSwap::from_pointee(InUse::new(&rotation, &plan.names)?));
    let keeper = Keeper { current, last: Arc::new(AtomicI64::new(last)) };
    let mut follower = Follower {
        keeper: keeper.clone(),
        roots: rotation.roots(),
        since: Instant::now(),
        settle: plan.settle * AT_START,
        plan,
        rotation,
        refused: None,
        stale: false,
        switched: false,
        adopted: false,
        shared: false,
        peers: Peers::default(),
        known: false,
        renewed: None,
        deadline: last,
        taken: false,
        remembered: 0,
        told: [None; 3],
    };
    follower.remember();
    Ok((keeper, follower))
}

impl Follower {
    /// Follows the files until `stop`; `audience` are those who have to know the roots, and with `shared` those of other replicas too.
    pub(crate) async fn run(
        mut self,
        audience: impl Audience,
        mut shared: Option<Shared>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        self.shared = shared.is_some();
        audience.tell(self.roots.clone());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Some(shared) = &mut shared {
                let busy = self.stale || self.rotation.stage() != Stage::Steady;
                shared.look(busy, &mut self.peers).await;
            }
            self.step(&audience);
            if let Some(shared) = &mut shared {
                shared.tell(&mut self).await;
            }
        }
        if let Some(shared) = shared {
            shared.leave().await;
        }
        Ok(())
    }

    /// Looks once at everything.
    fn step(&mut self, audience: &impl Audience) {
        self.learn();
        self.stale |= self.adopt() | self.look() | self.advance(audience) | self.rotation.forget(now());
        if self.stale {
            match self.replace(audience) {
                Ok(()) => self.stale = false,
                Err(error) => tracing::error!("the CA's new state is not used yet, the old one stays: {error:#}"),
            }
        }
        if self.keeper.last.load(Ordering::SeqCst) > self.remembered + REMEMBER {
            self.remember();
        }
        self.mind_the_end();
    }

    /// Looks at the files; says whether they are others.
    fn look(&mut self) -> bool {
        let found = match Files::read(&self.plan.folder) {
            Ok(found) if self.rotation.aims_at(&found) => return false,
            Ok(found) => found,
            // Between two files of a set being replaced.
            Err(error) => {
                tracing::debug!("the CA's files cannot be read now: {error:#}");
                return false;
            }
        };
        match self.rotation.aim(found.clone(), now()) {
            Ok(()) => {
                self.refused = None;
                true
            }
            Err(refusal) => {
                let refused = (found, refusal.to_string());
                if self.refused.as_ref() != Some(&refused) {
                    tracing::warn!("the CA's new files are not used, the old ones stay: {}", refused.1);
                    self.refused = Some(refused);
                }
                false
            }
        }
    }

    /// Takes the next authority into use once its root is known; says whether it did.
    fn advance(&mut self, audience: &impl Audience) -> bool {
        if !self.rotation.waits() {
            self.known = false;
            return false;
        }
        if self.plan.unstaged {
            self.rotation.switch();
            // Nor is its root trusted a moment longer.
            self.rotation.ended(now() - OVERLAP);
            return true;
        }
        self.known = self.known_here(audience);
        if !self.known || (self.shared && !self.known_elsewhere()) {
            return false;
        }
        self.rotation.switch();
        self.switched = true;
        true
    }

    /// Whether those who have to know the roots that are made known have them.
    fn known_here(&mut self, audience: &impl Audience) -> bool {
        if self.roots != self.rotation.roots() || self.since.elapsed() < self.settle {
            return false;
        }
        let Some(standing) = audience.standing(&self.roots) else { return false };
        if self.since.elapsed() < self.settle + standing.digesting() {
            return false;
        }
        if !standing.is_complete() {
            self.taken = false;
            let Standing { waiting, unaware, .. } = &standing;
            let examples: Vec<&String> = waiting.iter().chain(unaware).take(3).collect();
            let (waiting, unaware) = (waiting.len(), unaware.len());
            // Its certificate may be another replica's.
            let until = self.deadline.max(self.peers.deadline());
            if now() < until {
                if again(&mut self.told[1], TELL_WAITING) {
                    tracing::warn!(waiting, unaware, ?examples, until, "a new root waits for those who do not have it");
                }
                return false;
            }
            tracing::warn!(waiting, unaware, ?examples, "a new root waits no longer: their certificates have ended");
        // Handshakes that began before the last one had it come to their end.
        } else if !std::mem::replace(&mut self.taken, true) {
            return false;
        }
        true
    }

    /// Takes the rotation's state into use, and makes its roots known.
    fn replace(&mut self, audience: &impl Audience) -> anyhow::Result<()> {
        let next = InUse::new(&self.rotation, &self.plan.names)?;
        tracing::info!(ends = next.authority.not_after(), stage = ?next.stage, "the CA changed");
        self.keeper.current.store(Arc::new(next));
        if std::mem::take(&mut self.switched) {
            // From here on the former one signs nothing, and all that it signed is counted.
            self.rotation.ended(self.keeper.last.swap(now(), Ordering::SeqCst));
        }
        if std::mem::take(&mut self.adopted) {
            self.rotation.extend(self.keeper.last.swap(now(), Ordering::SeqCst));
        }
        let roots = self.rotation.roots();
        if roots != self.roots {
            audience.tell(roots.clone());
            (self.roots, self.since, self.settle, self.taken) = (roots, Instant::now(), self.plan.settle, false);
            self.deadline = self.keeper.last.load(Ordering::SeqCst).max(self.rotation.busy_until());
        }
        self.remember();
        Ok(())
    }

    fn remember(&mut self) {
        self.remembered = self.keeper.last.load(Ordering::SeqCst);
        if let Err(error) = self.rotation.save(&self.plan.memory, self.remembered)
            && again(&mut self.told[2], TELL)
        {
            tracing::warn!("a replacement of the CA would not outlive this process (--ca-state): {error:#}");
        }
    }

    /// Makes the root anew in time where it was made here; else tells that its end is near.
    fn mind_the_end(&mut self) {
        let left = self.rotation.ends() - now();
        if left > PROLONG {
            return;
        }
        let steady = self.rotation.stage() == Stage::Steady;
        let prolonged = if steady { self.prolong(now()) } else { Ok(()) };
        if left < NEAR && (prolonged.is_err() || !steady) && again(&mut self.told[0], TELL) {
            let why = prolonged.err().map(|error| format!("{error:#}"));
            tracing::warn!(days = left / (24 * 3600), why, "the CA that signs ends soon");
        }
    }
}

/// With other replicas.
impl Follower {
    /// Takes into account what other replicas have signed.
    fn learn(&mut self) {
        let signer = self.signer();
        let mut later = false;
        for report in self.peers.reports() {
            self.keeper.last.fetch_max(report.last, Ordering::SeqCst);
            // Who has not switched yet signs below the former one.
            let last = if report.signer == signer { report.former } else { report.former.max(report.last) };
            later |= self.rotation.extend(last);
        }
        if later {
            self.remember();
        }
    }

    /// Goes where the replicas' state is; says whether that is elsewhere.
    fn adopt(&mut self) -> bool {
        let Some(entries) = self.peers.state.take() else { return false };
        self.keeper.last.fetch_max(memory::last(&entries).unwrap_or(0), Ordering::SeqCst);
        if memory::same(&self.entries(), &entries) {
            return false;
        }
        let restored = memory::unpack(&self.plan.memory, &entries)
            .and_then(|()| Ok(Rotation::restore(&self.plan.memory, self.rotation.target().clone(), now())?));
        match restored {
            Ok((rotation, _)) => {
                self.adopted |= rotation.anchor() != self.rotation.anchor();
                self.rotation = rotation;
                true
            }
            Err(error) => {
                tracing::warn!("what other replicas remember of the CA is not used: {error:#}");
                false
            }
        }
    }

    /// Whether it is for us to switch, and the proxies of all other replicas have the roots, or must have them.
    fn known_elsewhere(&self) -> bool {
        self.peers.leads && self.peers.all_have(&self.roots, now())
    }

    fn signer(&self) -> String {
        shared::digest(self.rotation.anchor().map(std::slice::from_ref).unwrap_or_default())
    }

    /// What other replicas are told.
    fn report(&self) -> Report {
        Report {
            signer: self.signer(),
            told: shared::digest(&self.roots),
            known: self.known,
            deadline: self.deadline,
            last: self.keeper.last.load(Ordering::SeqCst),
            former: self.rotation.busy_until(),
        }
    }

    /// What all replicas are to remember.
    fn entries(&self) -> BTreeMap<String, Vec<u8>> {
        memory::pack(&self.plan.memory)
    }

    /// Makes the root last where it was made by a control plane: in its Secret, or in the folder.
    fn prolong(&mut self, now: i64) -> anyhow::Result<()> {
        if !secret::is_made(&self.plan.folder) {
            return self.rotation.files().prolong(&self.plan.folder, now);
        }
        if self.peers.leads {
            self.renewed = Some(secret::renewed(self.rotation.files(), now)?);
        }
        Ok(())
    }
}

/// Whether something is to be said again.
fn again(told: &mut Option<Instant>, every: Duration) -> bool {
    let due = told.is_none_or(|told| told.elapsed() >= every);
    if due {
        *told = Some(Instant::now());
    }
    due
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

#[cfg(test)]
mod tests;
