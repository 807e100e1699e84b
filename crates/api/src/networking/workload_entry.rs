//! WorkloadEntry as users write it, alone or inside a ServiceEntry.

use std::collections::BTreeMap;

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{Each, Rule, port};

/// A workload that Kubernetes does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.address) || !self.address.startsWith('unix://') || !has(self.ports)",
    "a unix address has no ports",
))]
#[schemars(transform = has_address())]
pub struct WorkloadEntry {
    /// IP, host name, or `unix://` path.
    #[schemars(length(max = 256))]
    #[schemars(transform = Rule(
        "!self.startsWith('unix://') || self.startsWith('unix:///') || self.startsWith('unix://@')",
        "a socket has an absolute path, or an abstract one with @",
    ))]
    #[schemars(transform = Rule("!self.startsWith('unix://') || !self.endsWith('/')", "a socket is not a folder"))]
    pub address: Name,
    /// Port numbers by the name of the port of the service.
    #[schemars(with = "BTreeMap<String, u32>")]
    #[schemars(extend("maxProperties" = 128))]
    #[schemars(transform = Rule(
        "self.all(name, size(name) < 63 && name.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$'))",
        "a port's name is a DNS label of at most 62 characters",
    ))]
    #[schemars(transform = Each(port()))]
    pub ports: BTreeMap<Name, u16>,
    /// Its labels.
    #[schemars(extend("maxProperties" = 256))]
    pub labels: Labels,
    /// The network that it is in.
    #[schemars(length(max = 2048))]
    pub network: Name,
    /// Where it is: region/zone/subzone.
    #[schemars(length(max = 2048))]
    pub locality: Name,
    /// Relative share of traffic.
    pub weight: Option<u32>,
    /// The service account that it is known by.
    #[schemars(length(max = 253))]
    pub service_account: Name,
}

/// Templates of workloads do without.
pub(super) const fn has_address() -> Rule {
    Rule("has(self.address) || has(self.network)", "an address (or a network) is needed")
}
