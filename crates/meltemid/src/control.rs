//! The one writer of the mesh: a thread that takes edits, commits them, and publishes what changed. While a commit runs further edits
//! collect; they are the next commit.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use graph::{Executor, Inline};
use model::Mesh;
use model::mesh::Edit;
use model::proxies::{Proxy, ProxyId, SecretAccess};
use translate::proxies::Configs;
use xds::Publisher;

use crate::publish::Published;

/// No edit waits longer than this for further ones.
const LATEST: Duration = Duration::from_secs(1);

/// Something to be done to the mesh.
pub enum Command {
    /// Configuration changed.
    Config(api::Changes),
    /// The roots that vouch for workloads changed: each as PEM.
    Trust(Vec<String>),
    /// A proxy connected.
    Connect(ProxyId, Box<Proxy>),
    /// A proxy's agent resolves names.
    AskForNames(ProxyId),
    /// Which Secrets a connected proxy may have.
    Access(ProxyId, SecretAccess),
    /// A proxy is gone.
    Disconnect(ProxyId),
}

/// What can be seen of the mesh from outside: a snapshot, replaced after each commit.
pub type Seen = Arc<Mutex<Option<View>>>;

/// A mesh at one revision, and what led to it.
#[derive(Clone)]
pub struct View {
    /// The mesh.
    pub mesh: Mesh,
    /// Everything that is to be said of the configuration as last read.
    pub issues: Arc<Vec<api::Issue>>,
    /// Commits, and the time they took.
    pub commits: u64,
    /// The last commit's duration, publishing included once that is done.
    pub last_commit: Duration,
}

/// The handle of the control thread.
#[derive(Clone)]
pub struct Control {
    commands: Sender<Command>,
    seen: Seen,
}

impl Control {
    /// Starts the thread.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(mesh: Mesh, publisher: Publisher, debounce: Duration) -> std::io::Result<Self> {
        let (commands, received) = channel();
        let seen = Seen::default();
        let writer = Writer {
            mesh,
            published: Published::new(publisher),
            seen: seen.clone(),
            issues: Arc::default(),
            commits: 0,
            debounce,
        };
        std::thread::Builder::new().name("control".to_owned()).spawn(move || writer.run(&received))?;
        Ok(Self { commands, seen })
    }

    /// Hands over a command. After shutdown nobody takes it, and that is fine.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// The mesh as of the last commit; `None` before the first configuration was read.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        self.seen.lock().expect("no holder of this lock panics").clone()
    }
}

struct Writer {
    mesh: Mesh,
    published: Published,
    seen: Seen,
    issues: Arc<Vec<api::Issue>>,
    commits: u64,
    debounce: Duration,
}

impl Writer {
    fn run(mut self, received: &Receiver<Command>) {
        // Proxies that connect before the first configuration was read wait for it.
        let mut waiting = Vec::new();
        let mut ready = false;
        while let Ok(first) = received.recv() {
            let mut batch = std::mem::take(&mut waiting);
            batch.push(first);
            self.collect(received, &mut batch);
            ready |= batch.iter().any(|command| matches!(command, Command::Config(_)));
            match ready {
                true => self.commit(batch),
                false => waiting = batch,
            }
        }
    }

    /// What has come meanwhile, and — with a debounce — what comes soon.
    fn collect(&self, received: &Receiver<Command>, batch: &mut Vec<Command>) {
        batch.extend(received.try_iter());
        let latest = Instant::now() + LATEST;
        while !self.debounce.is_zero() && Instant::now() < latest {
            match received.recv_timeout(self.debounce) {
                Ok(command) => batch.push(command),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn commit(&mut self, batch: Vec<Command>) {
        let started = Instant::now();
        let mut edit = Edit::default();
        for command in batch {
            match command {
                Command::Config(changes) => self.config(changes, &mut edit),
                Command::Trust(roots) => edit.trust(roots),
                Command::Connect(id, proxy) => {
                    edit.connect(id, *proxy);
                    edit.txn().demand::<Configs>(id);
                }
                Command::AskForNames(id) => edit.ask_for_names(id),
                Command::Access(id, access) => edit.access(id, access),
                Command::Disconnect(id) => {
                    edit.disconnect(id);
                    edit.txn().release::<Configs>(id);
                    self.published.forget(id);
                }
            }
        }
        let changes = self.mesh.commit(edit, &Threads);
        self.commits += 1;
        let (mesh, issues, commits) = (self.mesh.clone(), self.issues.clone(), self.commits);
        // Before it is published: a client that was sent something finds it here.
        self.show(|seen| *seen = Some(View { mesh, issues, commits, last_commit: started.elapsed() }));
        self.published.publish(&self.mesh, &changes);
        for fault in self.mesh.db().faults() {
            tracing::error!(table = fault.table, key = %fault.key, "a builder panicked, its last good row stays: {}", fault.message);
        }
        let took = started.elapsed();
        self.show(|seen| seen.iter_mut().for_each(|view| view.last_commit = took));
        tracing::debug!(revision = changes.revision, rebuilt = changes.rebuilt_in_all(), ?took, "committed");
    }

    fn show(&self, change: impl FnOnce(&mut Option<View>)) {
        change(&mut self.seen.lock().expect("no holder of this lock panics"));
    }

    fn config(&mut self, changes: api::Changes, edit: &mut Edit) {
        for issue in &changes.issues {
            match issue.severity {
                api::Severity::Error | api::Severity::Warning => tracing::warn!("{issue}"),
                api::Severity::Info => tracing::debug!("{issue}"),
            }
        }
        if let Some(ledger) = changes.ledger {
            self.issues = Arc::new(ledger);
        }
        changes.removed.iter().for_each(|id| self.mesh.remove(id, edit));
        changes.upserts.into_iter().for_each(|object| self.mesh.upsert(object, edit));
        changes.moved.into_iter().for_each(|(id, origin)| Mesh::moved(id, origin, edit));
    }
}

/// Builds the rows of a level on as many threads as there are cores.
struct Threads;

impl Executor for Threads {
    fn run(&self, jobs: usize, job: &(dyn Fn(usize) + Sync)) {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if cores == 1 || jobs < 256 {
            return Inline.run(jobs, job);
        }
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if number >= jobs {
                            return;
                        }
                        job(number);
                    }
                });
            }
        });
    }
}
