//! Objects are brought to say what they are to say: by the holder of the Lease, of the last snapshot, each at its turn.

use std::future::Future;
use std::time::{Duration, Instant};

use api::ObjectId;
use kubernetes::Cluster;
use kubernetes::lease::Lead;

use crate::control::{Control, View};
use crate::turns::Turns;

/// Between two writes: the API server is there for others too.
const PAUSE: Duration = Duration::from_millis(10);

/// Something that an object is to say and does not.
pub(crate) trait Write: Send + Sync + Sized + 'static {
    /// What it is, in words.
    const WHAT: &'static str;

    /// All that is to be written.
    fn due(view: &View) -> Vec<Self>;
    /// The object.
    fn object(&self) -> &ObjectId;
    /// Writes it; says whether it is written, or the object is another by now.
    ///
    /// # Errors
    /// When the API server cannot be asked, or refuses.
    fn write(&self, cluster: &Cluster) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// How often it is looked whether the mesh is another, and when an object may be written a second time.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) look: Duration,
    pub(crate) again: Duration,
}

/// Writes what is due while the Lease is ours. Never returns.
pub(crate) async fn keep<W: Write>(cluster: Cluster, control: Control, lead: Lead, pace: Pace) {
    let mut turns = Turns::default();
    // Of which commit all is written.
    let mut done = None;
    loop {
        tokio::time::sleep(pace.look).await;
        if !lead.holds() {
            (turns, done) = (Turns::default(), None);
            continue;
        }
        let Some(view) = control.view().filter(|view| done != Some(view.commits)) else { continue };
        let commit = view.commits;
        let Ok(writes) = tokio::task::spawn_blocking(move || W::due(&view)).await else { continue };
        turns.keep(&writes.iter().map(W::object).collect(), Instant::now());
        if round(&cluster, &lead, &writes, (&mut turns, pace.again)).await {
            done = Some(commit);
        }
    }
}

/// Writes what may be written now; says whether that was all of it.
async fn round<W: Write>(cluster: &Cluster, lead: &Lead, writes: &[W], turns: (&mut Turns, Duration)) -> bool {
    let ((turns, again), mut all) = (turns, true);
    for write in writes {
        if !lead.holds() {
            return false;
        }
        if !turns.take(write.object(), again, Instant::now()) {
            all = false;
            continue;
        }
        match write.write(cluster).await {
            Ok(written) => all &= written,
            Err(error) => {
                tracing::warn!("{} cannot be written to {}: {error:#}", W::WHAT, write.object());
                all = false;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    all
}
