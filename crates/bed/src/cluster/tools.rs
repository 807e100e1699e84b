//! Where the programs of a cluster are: what `make cluster-tools` has built, or a folder that `KUBEBUILDER_ASSETS` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The programs of a cluster.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub api_server: PathBuf,
    /// The controllers.
    pub controller_manager: PathBuf,
    /// What the API server asks for logs of pods and for a way into them.
    pub kubelet: PathBuf,
    /// The client.
    pub kubectl: PathBuf,
    /// The program whose stages make containers: `cluster` of this crate.
    pub stages: PathBuf,
}

impl Tools {
    /// Finds them for a checkout of this repository.
    ///
    /// # Errors
    /// When one is missing; the text says how to get it.
    pub fn find(root: &Path) -> anyhow::Result<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let folders = [assets, Some(root.join(".cache/cluster/bin"))];
        let found = |name: &str| folders.iter().flatten().map(|folder| folder.join(name)).find(|path| path.is_file());
        let needed = |name: &str| {
            let hint = || format!("{name} is missing: `make cluster-tools` builds it (about 5 minutes, once)");
            found(name).with_context(hint)
        };
        if !Command::new("setpriv").arg("--version").output().is_ok_and(|asked| asked.status.success()) {
            bail!("setpriv is missing: apt-get install -y util-linux");
        }
        let stages = root.join("target/debug/cluster");
        if !stages.is_file() {
            bail!("{} is missing: `cargo build -p bed --features cluster` builds it", stages.display());
        }
        Ok(Self {
            etcd: needed("etcd")?,
            api_server: needed("kube-apiserver")?,
            controller_manager: needed("kube-controller-manager")?,
            kubelet: needed("kubelet")?,
            kubectl: needed("kubectl")?,
            stages,
        })
    }
}
