//! The API server: what is watched there, what it is asked, and the few objects that the control plane writes. The only crate that links a
//! Kubernetes client.
//!
//! [`watch`] gives the same transactions as a directory of files does; it never shows a part of a world. Writers ([`roots`], [`webhooks`])
//! write what is the same on every replica, under a name of their own; who of several replicas writes is said by a [`lease`].

pub mod apply;
pub mod authority;
mod cluster;
mod heard;
pub mod lease;
pub mod replicas;
pub mod review;
pub mod roots;
pub mod state;
pub mod status;
mod watch;
pub mod webhooks;

pub use cluster::{Cluster, Place};
pub use heard::Heard;
pub use watch::{Standing, watch};

/// What those who write share.
#[derive(Clone)]
pub struct Writer {
    /// Where they write.
    pub cluster: Cluster,
    /// The namespace of the control plane.
    pub namespace: String,
    /// The roots of the mesh as one PEM, once there are some.
    pub roots: tokio::sync::watch::Receiver<String>,
    /// Whether this replica writes.
    pub lead: lease::Lead,
}

/// Who writes, as the API server shows it in `managedFields`.
const MANAGER: &str = "meltemi";
