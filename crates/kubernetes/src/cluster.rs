//! Where the API server is, and the connection to it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// An API server that says nothing for so long is gone. Watches end after a minute, so that one which is half open is found out.
const SILENCE: Duration = Duration::from_secs(75);

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
}

impl From<Client> for Cluster {
    /// Over a connection that is there.
    fn from(client: Client) -> Self {
        Self { client }
    }
}

impl Cluster {
    /// Prepares connections; none is made yet, so the API server may be away.
    ///
    /// # Errors
    /// When what says where it is cannot be read.
    pub async fn at(place: &Place) -> anyhow::Result<Self> {
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
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        Ok(Self { client: Client::try_from(config)? })
    }

    /// For requests.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }
}
