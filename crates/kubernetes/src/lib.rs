//! The API server: what is watched there, what it is asked, and the few objects that the control plane writes. The only crate that links a
//! Kubernetes client.
//!
//! [`watch`] gives the same transactions as a directory of files does; it never shows a part of a world.

mod cluster;
mod watch;

pub use cluster::{Cluster, Place};
pub use watch::watch;
