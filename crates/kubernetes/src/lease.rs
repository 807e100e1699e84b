//! Who of several replicas writes: the holder of a Lease. A replica that cannot renew stops writing before another may begin.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Cluster;

/// As Istio's (`istio: pilot/pkg/leaderelection/leaderelection.go`): how long a holder that is silent keeps the Lease …
const TERM: Duration = Duration::from_secs(30);
/// … when a holder gives up because it could not renew …
const GIVE_UP: Duration = Duration::from_secs(15);
/// … and how often it is tried.
const RETRY: Duration = Duration::from_millis(7500);
/// Giving it back takes no longer: the process is on its way out.
const GIVE_BACK: Duration = Duration::from_secs(2);
/// Who waits looks more often, so that a Lease which was given back has a new holder soon.
const LOOK: Duration = Duration::from_secs(2);

/// Whether we may write. What was true when it was told may not be any more: a process can be held for any time at any place.
#[derive(Clone)]
pub struct Lead(watch::Receiver<Option<Instant>>);

impl Lead {
    /// Whether we may write now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until the Lease is got or lost; fails when nobody campaigns any more.
    pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.0.changed().await
    }
}

/// Until when the Lease is ours.
pub struct Hold(watch::Sender<Option<Instant>>);

impl Default for Hold {
    /// Not held yet.
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Hold {
    /// For who writes.
    #[must_use]
    pub fn lead(&self) -> Lead {
        Lead(self.0.subscribe())
    }

    /// Says until when; wakes writers when it is got or lost. Whether it was ours before.
    fn tell(&self, until: Option<Instant>) -> bool {
        let mut before = None;
        let changed = self.0.send_if_modified(|held| {
            before = std::mem::replace(held, until);
            before.is_some() != until.is_some()
        });
        if changed {
            tracing::info!(leads = until.is_some(), "the Lease");
        }
        before.is_some()
    }
}

/// A candidate.
pub struct Candidate {
    /// Where the Lease is.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Who we are, such as the pod's name.
    pub identity: String,
}

/// What another's hold on the Lease looks like from here: clocks of machines differ, so only time since we saw a change counts.
struct Observed {
    renewed: Option<MicroTime>,
    holder: Option<String>,
    since: Instant,
}

/// Holds the Lease whenever it can, and tells by `hold` until when it does. At `stop` it is given back, so that the next holder need not wait.
pub async fn campaign(cluster: Cluster, candidate: Candidate, hold: Hold, stop: CancellationToken) {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), &candidate.namespace);
    let mut observed: Option<Observed> = None;
    let mut renewed: Option<Instant> = None;
    loop {
        // Counted from before the request: its answer may have waited for us, not we for it.
        let begun = Instant::now();
        let attempt = tokio::time::timeout(RETRY, attempt(&leases, &candidate, &mut observed));
        let ended = tokio::select! {
            ended = attempt => ended,
            () = stop.cancelled() => break,
        };
        match ended {
            Ok(Ok(true)) => renewed = Some(begun),
            Ok(Ok(false)) => renewed = None,
            Ok(Err(error)) => tracing::debug!("the Lease {} cannot be had now: {error}", candidate.name),
            Err(_) => tracing::debug!("the Lease {} cannot be had now: no answer", candidate.name),
        }
        let until = renewed.map(|renewed| renewed + GIVE_UP).filter(|until| Instant::now() < *until);
        hold.tell(until);
        tokio::select! {
            () = tokio::time::sleep(if until.is_some() { RETRY } else { LOOK }) => {}
            () = stop.cancelled() => break,
        }
    }
    // Whoever writes stops before the Lease is another's.
    if hold.tell(None)
        && let Ok(Err(error)) = tokio::time::timeout(GIVE_BACK, give_back(&leases, &candidate)).await
    {
        tracing::debug!("the Lease {} could not be given back: {error}", candidate.name);
    }
}

async fn give_back(leases: &Api<Lease>, candidate: &Candidate) -> kube::Result<()> {
    let Some(mut lease) = leases.get_opt(&candidate.name).await? else { return Ok(()) };
    let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&candidate.identity))
    else {
        return Ok(());
    };
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    settle(leases.replace(&candidate.name, &PostParams::default(), &lease).await)?;
    Ok(())
}

/// Takes or renews the Lease; says whether it is ours.
async fn attempt(leases: &Api<Lease>, candidate: &Candidate, observed: &mut Option<Observed>) -> kube::Result<bool> {
    let Some(lease) = leases.get_opt(&candidate.name).await? else {
        let meta = ObjectMeta { name: Some(candidate.name.clone()), ..ObjectMeta::default() };
        let lease = Lease { metadata: meta, spec: Some(held(candidate, None)) };
        return settle(leases.create(&PostParams::default(), &lease).await);
    };
    let spec = lease.spec.clone().unwrap_or_default();
    if !may_take(&spec, candidate, observed) {
        return Ok(false);
    }
    // It has the version that was read: whoever else takes it meanwhile makes this fail.
    let taken = Lease { metadata: lease.metadata, spec: Some(held(candidate, Some(&spec))) };
    settle(leases.replace(&candidate.name, &PostParams::default(), &taken).await)
}

/// Another was faster: that is no failure.
fn settle(written: kube::Result<Lease>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

fn may_take(spec: &LeaseSpec, candidate: &Candidate, observed: &mut Option<Observed>) -> bool {
    let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty());
    let Some(holder) = holder.filter(|holder| *holder != candidate.identity) else { return true };
    let same =
        observed.as_ref().is_some_and(|seen| seen.renewed == spec.renew_time && seen.holder.as_deref() == Some(holder));
    if !same {
        *observed =
            Some(Observed { renewed: spec.renew_time.clone(), holder: Some(holder.to_owned()), since: Instant::now() });
        return false;
    }
    let term =
        spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(TERM, Duration::from_secs);
    observed.as_ref().is_some_and(|seen| seen.since.elapsed() >= term)
}

fn held(candidate: &Candidate, before: Option<&LeaseSpec>) -> LeaseSpec {
    let ours = before.filter(|before| before.holder_identity.as_deref() == Some(&candidate.identity));
    let now = MicroTime(Timestamp::now());
    let transitions = before.and_then(|before| before.lease_transitions).unwrap_or(0);
    LeaseSpec {
        holder_identity: Some(candidate.identity.clone()),
        lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
        acquire_time: ours.and_then(|ours| ours.acquire_time.clone()).or_else(|| Some(now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(transitions + i32::from(before.is_some() && ours.is_none())),
        ..LeaseSpec::default()
    }
}

#[cfg(test)]
mod tests;
