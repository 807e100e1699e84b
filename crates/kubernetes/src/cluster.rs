//! Where the API server is, and the connection to it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use kube::client::retry::RetryPolicy;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::ServiceBuilder;
use tower::retry::RetryLayer;

use crate::heard::Heard;

/// A watch is begun anew after so many seconds, so that one which is half open does not stay unnoticed for long.
const TURN: u32 = 60;
/// An API server that says nothing for so much longer than a watch lasts is gone.
const MARGIN: Duration = Duration::from_secs(15);

/// A request that an API server has no time for (429, 503, 504) is sent again so often, after as long as it asks for; where it does not say,
/// after this, and then twice as long each time, up to that. Whoever asked decides after that: what it waits for may be there by then.
const AGAIN: u32 = 3;
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(2);

/// How an API server is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// That of the cluster that this process runs in.
    Here,
    /// As a kubeconfig says.
    File(PathBuf),
}

/// The API server of a cluster. Clones share its connections.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    turn: u32,
    heard: Heard,
}

impl From<Client> for Cluster {
    /// Over a connection that is there.
    fn from(client: Client) -> Self {
        Self { client, turn: TURN, heard: Heard::default() }
    }
}

impl Cluster {
    /// Prepares connections; none is made yet, so the API server may be away.
    ///
    /// # Errors
    /// When what says where it is cannot be read.
    pub async fn at(place: &Place) -> anyhow::Result<Self> {
        Self::watched(place, TURN).await
    }

    /// As [`Self::at`]; watches last `turn` seconds, and one that is silent for a little longer is begun anew.
    ///
    /// # Errors
    /// When what says where it is cannot be read.
    pub async fn watched(place: &Place, turn: u32) -> anyhow::Result<Self> {
        let mut config = match place {
            Place::Here => Config::incluster().context("this process is in no cluster")?,
            Place::File(file) => {
                let read = Kubeconfig::read_from(file).with_context(|| format!("reading {}", file.display()))?;
                let options = KubeConfigOptions::default();
                let chosen = Config::from_custom_kubeconfig(read, &options).await;
                chosen.with_context(|| format!("the cluster of {}", file.display()))?
            }
        };
        config.connect_timeout = Some(Duration::from_secs(5));
        config.read_timeout = Some(Duration::from_secs(turn.into()) + MARGIN);
        config.reset_reader_on_write = true;
        let namespace = config.default_namespace.clone();
        // The client's own would be silent for minutes.
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let send = tower::service_fn(move |request| {
            let client = client.clone();
            async move { client.send(request).await.map_err(tower::BoxError::from) }
        });
        let again = RetryLayer::new(RetryPolicy::new(SOON, LATE, AGAIN, true)?);
        let client = Client::new(ServiceBuilder::new().layer(again).service(send), namespace);
        Ok(Self { client, turn, heard: Heard::default() })
    }

    /// When the watch of each kind was last heard of.
    #[must_use]
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// How many seconds a watch lasts.
    pub(crate) fn turn(&self) -> u32 {
        self.turn
    }

    /// For requests.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }
}
