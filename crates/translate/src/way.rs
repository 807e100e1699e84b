//! What all filters of a listener depend on.

use model::proxies::Caps;
use model::settings::MeshSettings;

/// Which way traffic goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// From the workload.
    Outbound,
    /// To the workload.
    Inbound,
    /// Into the mesh.
    Gateway,
}

/// What all filters of a listener depend on.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) side: Side,
    /// What the proxy can do.
    pub(crate) caps: Caps,
    pub(crate) settings: &'a MeshSettings,
}
