//! All clients: started, told, counted and waited for.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client::{Behaviour, Client, Order, Phase, Shared};
use crate::counts::{Counted, Percentiles};
use crate::kinds::Kind;
use crate::settings::Settings;

/// How often a condition is looked at: times are taken by the clients, so nothing that is measured depends on it.
const LOOK: Duration = Duration::from_millis(2);
/// A server that answers nothing where nothing changed is known by being quiet for so long.
const SILENT: Duration = Duration::from_secs(1);

/// The clients of a process.
pub(crate) struct Fleet {
    /// What they share.
    pub(crate) shared: Arc<Shared>,
    settings: Settings,
    clients: Mutex<BTreeMap<usize, Arc<Client>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Which clients to start.
pub(crate) struct Wave {
    /// The first number.
    pub(crate) from: usize,
    /// How many.
    pub(crate) count: usize,
    /// How they behave.
    pub(crate) behaviour: Behaviour,
    /// They keep bodies.
    pub(crate) record: bool,
    /// How many may be connecting at a time.
    pub(crate) at_once: usize,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Every client that is not frozen has everything.
    Complete,
    /// So many clients took a response since the mark.
    Touched(usize),
}

/// Counts since the mark.
#[derive(Serialize, Debug)]
pub(crate) struct Report {
    /// How far clients are.
    pub(crate) clients: Clients,
    /// Clients that took a response that said something.
    pub(crate) touched: usize,
    /// Of these, those of which no ack went: they hold it back.
    pub(crate) unacked: usize,
    /// Responses that said something, and what was in them.
    #[serde(flatten)]
    pub(crate) all: Counted,
    /// Responses that said nothing.
    pub(crate) empty: Counted,
    /// Refusals.
    pub(crate) nacks: u64,
    /// Streams that did not come to be, or broke.
    pub(crate) errors: u64,
    /// Why, for some of them.
    pub(crate) why: BTreeMap<String, u64>,
    /// Answers that took a response.
    pub(crate) acks: u64,
    /// As above, by type.
    pub(crate) by_type: BTreeMap<&'static str, Counted>,
    /// When the first response came, on the clock; 0 for never.
    pub(crate) first_ns: u64,
    /// When the last ack went.
    pub(crate) last_ns: u64,
    /// From the mark to the last ack of each client that was touched, microseconds.
    pub(crate) last_ack_us: Percentiles,
    /// Streams of clients that had one before.
    pub(crate) reconnects: u64,
    /// What this process has in memory, bytes.
    pub(crate) rss_bytes: u64,
}

/// How many clients are how far.
#[derive(Serialize, Debug, Default)]
pub(crate) struct Clients {
    /// They have a stream.
    pub(crate) connected: usize,
    /// They have everything.
    pub(crate) complete: usize,
    /// They read no more.
    pub(crate) frozen: usize,
}

impl Fleet {
    /// No clients yet.
    ///
    /// # Errors
    /// When the server has no address.
    pub(crate) async fn new(settings: Settings, stop: CancellationToken) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::new(&settings).await?);
        Ok(Self { shared, settings, clients: Mutex::default(), tasks: TaskTracker::new(), stop })
    }

    /// Starts clients, and returns when each has asked for the first time, or could not.
    ///
    /// # Errors
    /// When a number is taken, or what a client is to show cannot be read.
    pub(crate) async fn connect(&self, wave: Wave) -> anyhow::Result<()> {
        let places = Arc::new(Semaphore::new(wave.at_once));
        for number in wave.from..wave.from + wave.count {
            let namespace = self.namespace(number);
            let credentials = self.shared.target.credentials(&namespace)?;
            let client = Client::new(number, (namespace, credentials), wave.behaviour, wave.record, &self.shared);
            let client = Arc::new(client);
            {
                let mut clients = self.clients.lock().expect("no holder panics");
                anyhow::ensure!(!clients.contains_key(&number), "client {number} is there already");
                clients.insert(number, client.clone());
            }
            let place = places.clone().acquire_owned().await.context("nobody closes it")?;
            let (shared, stop) = (self.shared.clone(), self.stop.clone());
            self.tasks.spawn(async move { stop.run_until_cancelled(client.live(&shared, Some(place))).await });
        }
        let all = u32::try_from(wave.at_once).context("fewer at once")?;
        drop(places.acquire_many(all).await.context("nobody closes it")?);
        Ok(())
    }

    fn namespace(&self, number: usize) -> String {
        let ring = || format!("ns-{}", number % self.settings.namespaces as usize);
        self.settings.namespace.clone().unwrap_or_else(ring)
    }

    /// A client.
    #[must_use]
    pub(crate) fn client(&self, number: usize) -> Option<Arc<Client>> {
        self.clients.lock().expect("no holder panics").get(&number).cloned()
    }

    fn all(&self) -> Vec<Arc<Client>> {
        self.clients.lock().expect("no holder panics").values().cloned().collect()
    }

    /// Closes connections, of the first clients or of all; each comes back. Returns when all are closed.
    pub(crate) async fn disconnect(&self, clients: Option<usize>, keep: bool, backoff: bool) {
        let mut told = Vec::new();
        for client in self.all().into_iter().take(clients.unwrap_or(usize::MAX)) {
            let (closed, waits) = oneshot::channel();
            client.order(Order { keep, backoff, closed });
            told.push(waits);
        }
        for waits in told {
            // One that has been told again meanwhile is closed by that.
            let _ = waits.await;
        }
    }

    /// Forgets all counts. Gives the time of the mark.
    pub(crate) fn mark(&self) -> u64 {
        for client in self.all() {
            client.touched.store(false, Relaxed);
            client.last_ack.store(0, Relaxed);
        }
        let now = self.shared.clock.now();
        self.shared.counts.mark(now);
        self.shared.clock.unix(now)
    }

    /// Waits until something holds and then nothing came for `quiet`. False when it took longer than `limit`.
    pub(crate) async fn wait(&self, until: Until, quiet: Duration, limit: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if self.holds(until, quiet) {
                return true;
            }
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn holds(&self, until: Until, quiet: Duration) -> bool {
        let silence = self.shared.clock.now().saturating_sub(self.shared.counts.active.load(Relaxed));
        let silence = Duration::from_nanos(silence);
        let holds = match until {
            Until::Complete => {
                let enough = if silence >= SILENT { Phase::Covered } else { Phase::Complete };
                let mut all = self.all().into_iter().filter(|client| client.behaviour != Behaviour::Frozen);
                all.all(|client| client.phase() >= enough)
            }
            Until::Touched(count) => self.all().iter().filter(|client| client.touched.load(Relaxed)).count() >= count,
        };
        holds && silence >= quiet
    }

    /// Clients that lack something, and what; as many as fit into an answer.
    #[must_use]
    pub(crate) fn missing(&self) -> BTreeMap<usize, String> {
        let all = self.all().into_iter().filter(|client| client.behaviour != Behaviour::Frozen);
        let missing = all.filter(|client| client.phase() < Phase::Complete).take(10);
        let what = |client: &Client| match client.phase() {
            Phase::Apart => "a stream".to_owned(),
            _ => client.session(|session| session.missing()),
        };
        missing.map(|client| (client.number, what(&client))).collect()
    }

    /// Counts since the mark.
    #[must_use]
    pub(crate) fn report(&self) -> Report {
        let (counts, clock) = (&self.shared.counts, &self.shared.clock);
        let (all, marked) = (self.all(), counts.marked.load(Relaxed));
        let mut clients = Clients::default();
        for phase in all.iter().map(|client| client.phase()) {
            clients.connected += usize::from(phase != Phase::Apart);
            clients.complete += usize::from(phase == Phase::Complete);
            clients.frozen += usize::from(phase == Phase::Frozen);
        }
        let touched: Vec<_> = all.iter().filter(|client| client.touched.load(Relaxed)).collect();
        let acks = touched.iter().map(|client| client.last_ack.load(Relaxed)).filter(|at| *at > 0);
        let acks: Vec<u64> = acks.map(|at| at.saturating_sub(marked) / 1000).collect();
        let by = Kind::ALL.map(|kind| (kind.short(), counts.of(kind)));
        let sum = |of: fn(&Counted) -> u64| by.iter().map(|(_, counted)| of(counted)).sum();
        Report {
            clients,
            touched: touched.len(),
            unacked: touched.len() - acks.len(),
            all: Counted {
                messages: sum(|counted| counted.messages),
                bytes: sum(|counted| counted.bytes),
                resources: sum(|counted| counted.resources),
                removed: sum(|counted| counted.removed),
            },
            empty: counts.empty(),
            nacks: counts.nacks.load(Relaxed),
            errors: counts.errors.load(Relaxed),
            why: counts.why(),
            acks: counts.acks.load(Relaxed),
            by_type: by.into_iter().collect(),
            first_ns: clock.unix(counts.first.load(Relaxed)),
            last_ns: clock.unix(counts.last.load(Relaxed)),
            last_ack_us: Percentiles::of(acks),
            reconnects: counts.reconnects.load(Relaxed),
            rss_bytes: resident(),
        }
    }
}

/// What this process has in memory, bytes; 0 where the kernel does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}
