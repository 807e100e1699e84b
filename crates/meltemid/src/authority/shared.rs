//! One rotation for all replicas of a cluster. Who holds the Lease decides when the next authority signs, once the proxies of all replicas
//! have its root, and writes the state into a Secret; the others go where the Secret is. Each says by a Lease of its own what its proxies
//! have and what it has signed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use kubernetes::lease::Lead;
use kubernetes::replicas::{self, Replica, Report};
use kubernetes::state::{self, State};
use kubernetes::{Cluster, authority};

use super::{Follower, REMEMBER, memory};

/// How often a replica says that it is there, and looks whether something is other, while no rotation runs.
const BEAT: Duration = Duration::from_secs(10);
/// The API server answers within this, or not at all.
const ANSWER: Duration = Duration::from_secs(5);
/// A replica that has been silent for so long is gone …
const SILENT: Duration = Duration::from_secs(replicas::SILENT);
/// … of one that left so long ago all proxies are connected to others …
const MOVED: Duration = Duration::from_secs(30);
/// … and after this nothing is kept of it: what it has signed is in the state.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What is known of the other replicas.
#[derive(Clone, Default)]
pub(crate) struct Peers {
    /// We decide.
    pub(super) leads: bool,
    /// What they said, of those who count; nothing when they could not be asked.
    pub(super) said: Option<Vec<Report>>,
    /// What those said who are silent: what they have signed is in use still.
    pub(super) silent: Vec<Report>,
    /// Somebody left a moment ago, and its proxies are on their way to others.
    pub(super) moving: bool,
    /// What the Secret says, when it is not what we took from it or put there.
    pub(super) state: Option<BTreeMap<String, Vec<u8>>>,
}

impl Peers {
    /// Whether the proxies of all other replicas have these roots at `now`, or must have them.
    pub(super) fn all_have(&self, roots: &[String], now: i64) -> bool {
        let digest = digest(roots);
        let has = |report: &Report| report.told == digest && (report.known || now >= report.deadline);
        !self.moving && self.said.as_ref().is_some_and(|said| said.iter().all(has))
    }

    /// When what other replicas had signed before they made the roots known has ended.
    pub(super) fn deadline(&self) -> i64 {
        let said = self.said.iter().flatten().map(|report| report.deadline);
        said.chain(self.silent.iter().map(|report| report.last)).max().unwrap_or(0)
    }

    /// Everything that was said.
    pub(super) fn reports(&self) -> impl Iterator<Item = &Report> {
        self.said.iter().flatten().chain(&self.silent)
    }
}

/// Roots as one short text.
pub(super) fn digest(roots: &[String]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, roots.concat().as_bytes());
    HEXLOWER.encode(digest.as_ref())
}

/// The Secret and the Leases.
pub(crate) struct Shared {
    cluster: Cluster,
    namespace: String,
    /// Who we are.
    name: String,
    lead: Lead,
    /// The Secret as it was read or written last.
    state: Option<State>,
    /// Since when a replica has said nothing else.
    seen: BTreeMap<String, (Replica, Instant)>,
    /// When somebody left.
    left: Option<Instant>,
    told: Option<(Report, Instant)>,
    looked: Option<Instant>,
}

impl Shared {
    pub(crate) fn new(cluster: Cluster, namespace: String, name: String, lead: Lead) -> Self {
        let (seen, state, left, told, looked) = (BTreeMap::new(), None, None, None, None);
        Self { cluster, namespace, name, lead, state, seen, left, told, looked }
    }

    /// Looks at what the others say; seldom while nothing is going on.
    pub(super) async fn look(&mut self, busy: bool, peers: &mut Peers) {
        peers.leads = self.lead.holds();
        if !busy && self.looked.is_some_and(|looked| looked.elapsed() < BEAT) {
            return;
        }
        self.looked = Some(Instant::now());
        match tokio::time::timeout(ANSWER, self.read(peers)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                peers.said = None;
                tracing::debug!("what other replicas know of the authority cannot be read now: {error}");
            }
            Err(_) => peers.said = None,
        }
    }

    async fn read(&mut self, peers: &mut Peers) -> anyhow::Result<()> {
        let state = state::read(&self.cluster, &self.namespace).await?;
        if self.state.as_ref() != Some(&state) {
            peers.state = Some(state.entries.clone()).filter(|entries| !entries.is_empty());
            self.state = Some(state);
        }
        let found = replicas::others(&self.cluster, &self.namespace, &self.name).await?;
        let now = Instant::now();
        let before = std::mem::take(&mut self.seen);
        for replica in found {
            let since = before.get(&replica.name).filter(|(known, _)| known.renewed == replica.renewed);
            let since = since.map_or(now, |(_, since)| *since);
            self.seen.insert(replica.name.clone(), (replica, since));
        }
        if before.keys().any(|name| !self.seen.contains_key(name)) {
            self.left = Some(now);
        }
        peers.moving = self.left.is_some_and(|left| left.elapsed() < MOVED);
        let (silent, said): (Vec<_>, Vec<_>) = self.seen.values().partition(|(_, since)| since.elapsed() >= SILENT);
        peers.said = Some(said.into_iter().map(|(replica, _)| replica.report.clone()).collect());
        peers.silent = silent.into_iter().map(|(replica, _)| replica.report.clone()).collect();
        let forgotten = self.seen.iter().filter(|(_, (_, since))| peers.leads && since.elapsed() >= FORGOTTEN);
        for (name, _) in forgotten {
            replicas::forget(&self.cluster, &self.namespace, name).await?;
        }
        Ok(())
    }

    /// Says what we know, and writes the state where that is for us to do.
    pub(super) async fn tell(&mut self, follower: &mut Follower) {
        match tokio::time::timeout(ANSWER, self.write(follower)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("other replicas cannot be told of the authority now: {error:#}"),
            Err(_) => tracing::debug!("other replicas cannot be told of the authority now: no answer"),
        }
    }

    async fn write(&mut self, follower: &mut Follower) -> anyhow::Result<()> {
        let report = follower.report();
        let due = self.told.as_ref().is_none_or(|(told, when)| *told != report || when.elapsed() >= BEAT);
        if due {
            replicas::tell(&self.cluster, &self.namespace, &self.name, &report).await?;
            self.told = Some((report, Instant::now()));
        }
        if !self.lead.holds() {
            return Ok(());
        }
        if let Some((before, after)) = follower.renewed.take()
            && !authority::renew(&self.cluster, &self.namespace, &before, after).await?
        {
            tracing::info!("the root's Secret changed meanwhile: it is looked at again");
        }
        let entries = follower.entries();
        // Who decides for another revision writes it too: when the last of what was signed ends is known to each as exactly as this.
        let other = |state: &&State| {
            let [known, ours] = [&state.entries, &entries].map(|entries| memory::last(entries).unwrap_or(0));
            !memory::same(&state.entries, &entries) || ours > known + REMEMBER
        };
        if let Some(state) = self.state.as_ref().filter(|state| follower.peers.state.is_none() && other(state)) {
            // Somebody else was faster: what they wrote is read the next time, and gone on from.
            if let Some(written) = state::write(&self.cluster, &self.namespace, state, &entries).await? {
                self.state = Some(written);
            }
        }
        Ok(())
    }

    /// This replica ends, and its proxies go elsewhere.
    pub(super) async fn leave(&self) {
        let forget = replicas::forget(&self.cluster, &self.namespace, &self.name);
        if let Ok(Err(error)) = tokio::time::timeout(ANSWER, forget).await {
            tracing::debug!("what this replica said cannot be taken back now: {error}");
        }
    }
}
