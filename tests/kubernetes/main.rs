//! A real API server: what a cluster does, and what the control plane does on it.

use std::path::PathBuf;

use bed::cluster::Tools;

mod asked;
mod authority;
mod badday;
mod burst;
mod cluster;
mod crds;
mod degraded;
mod front;
mod ingress;
mod installed;
mod keys;
mod leader;
mod plane;
mod pods;
mod replica;
mod replicas;
mod rights;
mod rotation;
mod writers;

/// The programs of a cluster, and what is missing without them.
fn tools() -> Result<Tools, String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    Tools::find(&root).map_err(|error| format!("{error:#}"))
}
