//! An authority that is in a Secret: its content is kept in the folder, from where everything else goes its way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use kubernetes::Cluster;
use kubernetes::authority::{self, Held};
use kubernetes::state;

use super::files::{self, Files};
use super::{memory, now};

/// Between two attempts to reach the API server.
const AGAIN: Duration = Duration::from_secs(1);
/// Beside files that are a Secret's.
const MARK: &str = ".of-secret";

/// The certificate that a Secret has, and its keys as they are to be.
pub(super) type Renewed = (Vec<u8>, BTreeMap<String, Vec<u8>>);

/// Where it is.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) cluster: Cluster,
    /// The namespace of the control plane.
    pub(crate) namespace: String,
    /// Where its content goes.
    pub(crate) folder: PathBuf,
}

impl Secrets {
    /// Brings the authority into the folder, made for `organization` if there is none. Says whether it is to be followed: files that somebody
    /// else put there stay as they are. An API server that is away is waited for.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) async fn bring(&self, organization: &str) -> anyhow::Result<bool> {
        if files::any(&self.folder) && !self.folder.join(MARK).exists() {
            tracing::info!("the authority is the one in {}", self.folder.display());
            return Ok(false);
        }
        let make = || {
            let (cert, key) = ca::self_signed(organization, now())?;
            Ok(secret_of(&cert, &key))
        };
        let mut told = false;
        let held = loop {
            match authority::find(&self.cluster, &self.namespace, make).await {
                Ok(held) => break held,
                Err(error) if told => tracing::debug!("the authority's Secrets cannot be read: {error:#}"),
                Err(error) => {
                    tracing::warn!(
                        "the authority's Secrets in {} cannot be read, trying on; does the role allow it? {error:#}",
                        self.namespace
                    );
                    told = true;
                }
            }
            tokio::time::sleep(AGAIN).await;
        };
        tracing::info!("the authority is in Secret {}/{}", self.namespace, held.name);
        self.keep(&held)?;
        Ok(true)
    }

    /// Brings what the replicas remember of a replacement into the folder `memory`; what is there stays when they remember nothing. An API
    /// server that is away is waited for.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) async fn recall(&self, memory: &Path) -> anyhow::Result<()> {
        let mut told = false;
        let state = loop {
            match state::read(&self.cluster, &self.namespace).await {
                Ok(state) => break state,
                Err(error) if !told => {
                    tracing::warn!("what is remembered of the authority cannot be read, trying on: {error}");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        };
        if state.entries.is_empty() {
            return Ok(());
        }
        memory::unpack(memory, &state.entries)
    }

    /// Keeps the folder as the Secrets are. Never returns.
    pub(crate) async fn follow(self) {
        let (cluster, namespace) = (self.cluster.clone(), self.namespace.clone());
        let keep = move |held: Held| {
            if let Err(error) = self.keep(&held) {
                tracing::warn!("the authority in Secret {} is not used: {error:#}", held.name);
            }
        };
        authority::follow(cluster, namespace, keep).await;
    }

    fn keep(&self, held: &Held) -> anyhow::Result<()> {
        let wanted = Files::of(&held.files).with_context(|| format!("Secret {}", held.name))?;
        if Files::read(&self.folder).is_ok_and(|known| known == wanted) {
            return Ok(());
        }
        // Marked first: files without it would be taken for somebody else's after a sudden end.
        let mark = self.folder.join(MARK);
        let marked = files::make(&self.folder).and_then(|()| std::fs::write(&mark, &held.name));
        marked.with_context(|| format!("writing {}", mark.display()))?;
        wanted.write(&self.folder)
    }
}

/// Whether the files in a folder are those of the Secret that a control plane made.
pub(super) fn is_made(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join(MARK)).is_ok_and(|name| name == authority::MADE)
}

/// What such a Secret is to hold instead of `files`, so that its root lasts: beside the certificate that it has now.
///
/// # Errors
/// When it is not a root that we could have made.
pub(super) fn renewed(files: &Files, now: i64) -> anyhow::Result<Renewed> {
    let again = files.again(now)?;
    let [before, _] = files.pair();
    let [cert, key] = again.pair();
    Ok((before.to_vec(), secret_of(std::str::from_utf8(cert)?, std::str::from_utf8(key)?)))
}

/// The keys that Istio's own control planes write and read.
fn secret_of(cert: &str, key: &str) -> BTreeMap<String, Vec<u8>> {
    let files =
        [("ca-cert.pem", cert), ("ca-key.pem", key), ("root-cert.pem", cert), ("cert-chain.pem", ""), ("key.pem", "")];
    files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into()
}
