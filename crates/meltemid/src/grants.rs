//! Which proxies may have the keys of Secrets. On a cluster that is for its authorization to say: an account that may list the Secrets of
//! its namespace may have them from us too (`istio: pilot/pkg/credentials/kube/secrets.go`). The API server is asked when a proxy first
//! wants Secrets, and again when its answer has aged; while it cannot be asked its last answer stays, and without one there are no keys.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use kubernetes::{Cluster, review};
use model::proxies::SecretAccess;
use names::SpiffeId;
use tokio::sync::Notify;
use tokio::time::Instant;
use xds::ConnectionId;

use crate::control::{Command, Control};

/// An answer that allows holds so long (`istio: pilot/pkg/credentials/kube/secrets.go`).
const ALLOWED: Duration = Duration::from_secs(5 * 60);
/// An answer that does not holds so long: who is given the right does not wait longer.
const DENIED: Duration = Duration::from_secs(60);
/// An API server that did not answer is asked again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// It is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions at a time.
const AT_ONCE: usize = 64;

/// A service account: namespace and name.
type Account = Arc<(String, String)>;

/// What is known of an account.
#[derive(Default)]
struct Known {
    /// What it was given last.
    access: Option<SecretAccess>,
    /// Until then there is nothing to ask.
    until: Option<Instant>,
    asking: bool,
    /// The connections that want Secrets.
    wanting: BTreeSet<ConnectionId>,
}

impl Known {
    fn fresh(&self, now: Instant) -> Option<SecretAccess> {
        self.access.filter(|_| self.until.is_some_and(|until| now < until))
    }
}

#[derive(Default)]
struct State {
    accounts: HashMap<Account, Known>,
    connections: HashMap<ConnectionId, Account>,
}

/// What accounts may have, as far as it is known.
#[derive(Clone)]
pub(crate) struct Grants {
    control: Control,
    // Held while the control thread is told something, so that nothing is said of a connection after its end.
    state: Arc<Mutex<State>>,
    wanted: Arc<Notify>,
}

impl Grants {
    /// Nothing is known yet.
    pub(crate) fn new(control: Control) -> Self {
        Self { control, state: Arc::default(), wanted: Arc::default() }
    }

    /// A proxy with this verified identity connects: what it may have now.
    pub(crate) fn connect(&self, connection: ConnectionId, identity: &SpiffeId) -> SecretAccess {
        let account: Account = Arc::new((identity.namespace.to_string(), identity.account.to_string()));
        let mut state = self.locked();
        let known = state.accounts.get_key_value(&account);
        let access = known.and_then(|(_, known)| known.fresh(Instant::now())).unwrap_or(SecretAccess::Undecided);
        let account = known.map_or(account, |(known, _)| known.clone());
        state.connections.insert(connection, account);
        access
    }

    /// A proxy wants Secrets.
    pub(crate) fn want(&self, connection: ConnectionId) {
        let mut state = self.locked();
        let Some(account) = state.connections.get(&connection).cloned() else { return };
        let known = state.accounts.entry(account).or_default();
        known.wanting.insert(connection);
        match known.fresh(Instant::now()) {
            Some(access) => self.control.send(Command::Access(connection, access)),
            None => self.wanted.notify_one(),
        }
    }

    /// A proxy is gone.
    pub(crate) fn disconnect(&self, connection: ConnectionId) {
        let mut state = self.locked();
        if let Some(account) = state.connections.remove(&connection)
            && let Some(known) = state.accounts.get_mut(&account)
        {
            known.wanting.remove(&connection);
        }
        self.control.send(Command::Disconnect(connection));
    }

    /// Asks the API server as long as the process runs.
    pub(crate) async fn run(self, cluster: Cluster) {
        let cluster = &cluster;
        self.ask(move |account| async move { review::lists_secrets(cluster, &account.0, &account.1).await }).await;
    }

    async fn ask<F: Future<Output = anyhow::Result<bool>>>(&self, question: impl Fn(Account) -> F) {
        let mut open = FuturesUnordered::new();
        loop {
            let (due, next) = self.due(AT_ONCE - open.len());
            open.extend(due.into_iter().map(|account| {
                let asked = tokio::time::timeout(PATIENCE, question(account.clone()));
                async move { (account, asked.await.unwrap_or_else(|_| Err(anyhow::anyhow!("it takes too long")))) }
            }));
            tokio::select! {
                () = self.wanted.notified() => {}
                Some((account, answer)) = open.next(), if !open.is_empty() => self.answered(&account, answer),
                () = until(next) => {}
            }
        }
    }

    /// At most so many accounts that are to be asked about, and when the next one is to be looked for; what nobody wants is forgotten.
    fn due(&self, room: usize) -> (Vec<Account>, Option<Instant>) {
        let now = Instant::now();
        let mut state = self.locked();
        state.accounts.retain(|_, known| known.asking || !known.wanting.is_empty() || known.fresh(now).is_some());
        let (mut due, mut next) = (Vec::new(), None);
        for (account, known) in state.accounts.iter_mut().filter(|(_, known)| !known.asking) {
            match known.until.filter(|until| now < *until) {
                Some(until) => next = Some(next.map_or(until, |next: Instant| next.min(until))),
                None if due.len() < room => {
                    known.asking = true;
                    due.push(account.clone());
                }
                // Room comes with an answer.
                None => {}
            }
        }
        (due, next)
    }

    fn answered(&self, account: &Account, answer: anyhow::Result<bool>) {
        let now = Instant::now();
        let mut state = self.locked();
        let Some(known) = state.accounts.get_mut(account) else { return };
        let (namespace, name) = &**account;
        let (access, until) = match answer {
            Ok(true) => (SecretAccess::All, now + ALLOWED),
            Ok(false) => (SecretAccess::Roots, now + DENIED),
            Err(why) => {
                tracing::warn!(
                    namespace,
                    account = name,
                    "the API server does not say whether it may read Secrets: {why:#}"
                );
                (known.access.unwrap_or(SecretAccess::Roots), now + AGAIN)
            }
        };
        known.asking = false;
        known.until = Some(until);
        if known.access.replace(access) != Some(access) && access == SecretAccess::Roots {
            tracing::warn!(
                namespace,
                account = name,
                "it may not list the Secrets of its namespace, and is sent no keys"
            );
        }
        known.wanting.iter().for_each(|connection| self.control.send(Command::Access(*connection, access)));
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
