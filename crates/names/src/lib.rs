//! The words of the mesh that everybody shares: names, hostnames and their wildcards, labels and selectors, the grammar of
//! cluster names, application protocols, identities. No I/O, no meaning beyond the words.

mod cluster;
mod host;
mod labels;
mod name;
mod protocol;
mod shared;
mod spiffe;

pub use cluster::{ClusterName, Direction};
pub use host::{Hostname, shortest_cover};
pub use labels::{Labels, Selector};
pub use name::Name;
pub use protocol::Protocol;
pub use spiffe::{NotSpiffe, SpiffeId};

/// A Kubernetes namespace.
pub type Namespace = Name;
