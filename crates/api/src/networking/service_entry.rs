//! ServiceEntry as users write it: one struct for each message, all fields.

use names::Name;
use serde::{Deserialize, Serialize};

use super::{WorkloadEntry, WorkloadSelector};

/// A service that Kubernetes does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceEntry {
    /// Its hosts.
    pub hosts: Vec<Name>,
    /// Its virtual addresses, IPs or CIDRs.
    pub addresses: Vec<Name>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// In the mesh or outside.
    pub location: Option<Location>,
    /// Where endpoints come from.
    pub resolution: Option<Resolution>,
    /// Its endpoints.
    pub endpoints: Vec<WorkloadEntry>,
    /// Workloads of its namespace that are its endpoints.
    pub workload_selector: Option<WorkloadSelector>,
    /// Namespaces that see it.
    pub export_to: Vec<Name>,
    /// Names that its servers may have.
    pub subject_alt_names: Vec<Name>,
}

/// A port of a ServiceEntry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// 1 to 65535.
    pub number: u16,
    /// Detected when empty.
    pub protocol: Name,
    /// Unique.
    pub name: Name,
    /// Of the endpoints; the number when unset.
    pub target_port: Option<u16>,
}

/// In the mesh or outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Location {
    /// `MESH_EXTERNAL`.
    #[default]
    #[serde(rename = "MESH_EXTERNAL")]
    MeshExternal,
    /// `MESH_INTERNAL`.
    #[serde(rename = "MESH_INTERNAL")]
    MeshInternal,
}

/// Where endpoints come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// `NONE`.
    #[default]
    #[serde(rename = "NONE")]
    None,
    /// `STATIC`.
    #[serde(rename = "STATIC")]
    Static,
    /// `DNS`.
    #[serde(rename = "DNS")]
    Dns,
    /// `DNS_ROUND_ROBIN`.
    #[serde(rename = "DNS_ROUND_ROBIN")]
    DnsRoundRobin,
    /// `DYNAMIC_DNS`.
    #[serde(rename = "DYNAMIC_DNS")]
    DynamicDns,
}
