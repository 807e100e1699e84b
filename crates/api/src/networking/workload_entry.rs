//! WorkloadEntry as users write it, alone or inside a ServiceEntry.

use std::collections::BTreeMap;

use names::{Labels, Name};
use serde::{Deserialize, Serialize};

/// A workload that Kubernetes does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadEntry {
    /// IP, host name, or `unix://` path.
    pub address: Name,
    /// Ports by the name of the service's.
    pub ports: BTreeMap<Name, u16>,
    /// Its labels.
    pub labels: Labels,
    /// Its network.
    pub network: Name,
    /// `region/zone/subzone`.
    pub locality: Name,
    /// Relative share.
    pub weight: Option<u32>,
    /// Its identity.
    pub service_account: Name,
}
