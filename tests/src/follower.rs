//! A proxy that stays connected on a thread of its own, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use bed::process::eventually;
use proto::envoy::config::core::v3::Node;
use tokio_util::sync::CancellationToken;
use xds::ResourceType;

use crate::client::Client;

/// What it was told.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Told {
    /// Responses.
    pub responses: u64,
    /// Resources in them.
    pub resources: u64,
    /// Clusters that were taken away.
    pub lost: BTreeSet<String>,
    /// What it has: name and version by type.
    pub has: BTreeMap<ResourceType, BTreeMap<String, String>>,
    /// Why its stream ended.
    pub ended: Option<String>,
}

impl Told {
    /// Its clusters.
    pub fn clusters(&self) -> impl Iterator<Item = &String> {
        self.has.get(&ResourceType::Cds).into_iter().flat_map(BTreeMap::keys)
    }
}

/// A connected proxy; it goes when this is dropped.
pub struct Follower {
    told: Arc<Mutex<Told>>,
    stop: CancellationToken,
}

impl Follower {
    /// Connects, offers what it `has`, and follows.
    #[must_use]
    pub fn start(address: SocketAddr, node: Node, has: BTreeMap<ResourceType, BTreeMap<String, String>>) -> Self {
        let told = Arc::new(Mutex::new(Told { has: has.clone(), ..Told::default() }));
        let stop = CancellationToken::new();
        let (shared, over) = (Arc::clone(&told), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let followed = async {
                    let mut client = Client::connect(address, node, has).await?;
                    loop {
                        follow(&mut client, &shared).await?;
                    }
                };
                let ended: anyhow::Result<()> = tokio::select! {
                    ended = followed => ended,
                    () = over.cancelled() => Ok(()),
                };
                let mut told = shared.lock().unwrap_or_else(PoisonError::into_inner);
                told.ended = ended.err().map(|error| format!("{error:#}"));
            });
        });
        Self { told, stop }
    }

    /// What it was told so far.
    #[must_use]
    pub fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has a cluster with this in its name, or until it has none.
    ///
    /// # Errors
    /// When that does not come, or the stream ended.
    pub fn wait(&self, name: &str, there: bool, limit: Duration) -> anyhow::Result<Told> {
        eventually(&format!("{name} to be there: {there}"), limit, || {
            let told = self.told();
            ensure!(told.ended.is_none(), "the stream ended: {:?}", told.ended);
            ensure!(told.clusters().any(|cluster| cluster.contains(name)) == there, "{:?}", told.has);
            Ok(told)
        })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One response.
async fn follow(client: &mut Client, shared: &Mutex<Told>) -> anyhow::Result<()> {
    let (_, resources) = client.step().await?;
    let mut told = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let clusters = client.has.get(&ResourceType::Cds);
    let gone: Vec<String> =
        told.clusters().filter(|name| !clusters.is_some_and(|has| has.contains_key(*name))).cloned().collect();
    told.lost.extend(gone);
    told.responses += 1;
    told.resources += resources as u64;
    told.has.clone_from(&client.has);
    Ok(())
}
