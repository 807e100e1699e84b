//! The API server as the source of configuration: a cluster of this run's own that has the mesh.

use std::path::PathBuf;

use anyhow::Context;
use bed::cluster::{Cluster, Options, Tools};
use bench::edits::Change;
use bench::mesh::Mesh;

/// A cluster with a mesh.
pub(crate) struct Source {
    cluster: Cluster,
    written: bench::cluster::Cluster,
}

impl Source {
    /// Starts one, with the definitions of Istio's kinds, and puts a mesh there.
    pub(crate) fn start(mesh: &Mesh) -> anyhow::Result<Self> {
        let checkout = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        let cluster = Cluster::start(Options::new(Tools::find(&checkout)?)).context("starting a cluster")?;
        let definitions = checkout.join("crds").display().to_string();
        cluster.kubectl(&["apply", "--server-side", "-f", &definitions])?;
        cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"])?;
        let written = bench::cluster::Cluster::connect(cluster.kubeconfig())?;
        let objects = written.fill(mesh)?;
        eprintln!("{objects} objects are on the API server");
        Ok(Self { cluster, written })
    }

    /// Names the API server.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.cluster.kubeconfig().to_owned()
    }

    /// Carries an edit out.
    pub(crate) fn apply(&self, change: &Change) -> anyhow::Result<()> {
        self.written.apply(change)
    }
}
