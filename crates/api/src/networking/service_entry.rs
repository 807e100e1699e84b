//! ServiceEntry as users write it: one struct for each message, all fields.

use std::net::IpAddr;

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{WorkloadEntry, WorkloadSelector};
use crate::scalars::keywords;
use crate::schema::{Each, KeyedBy, Rule, port, required};

/// A service that Kubernetes does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.endpoints) || !has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' \
     || self.endpoints.size() <= 1",
    "resolution DNS_ROUND_ROBIN has at most one endpoint",
))]
#[schemars(transform = Rule(
    "!has(self.endpoints) || (has(self.resolution) && self.resolution != 'NONE')",
    "resolution NONE has no endpoints",
))]
#[schemars(transform = Rule(
    "!has(self.addresses) || !self.addresses.exists(address, address.contains('/')) || !has(self.resolution) \
     || self.resolution in ['NONE', 'STATIC']",
    "a CIDR is only for resolution NONE and STATIC",
))]
#[schemars(transform = Rule(
    "!has(self.workloadSelector) || !has(self.endpoints)",
    "endpoints and workloadSelector exclude each other",
))]
pub struct ServiceEntry {
    /// Its host names.
    #[schemars(length(min = 1, max = 256))]
    #[schemars(transform = required)]
    #[schemars(transform = Each(Rule("self != '*'", "the host * is not allowed")))]
    pub hosts: Vec<Name>,
    /// Its virtual addresses, IPs or CIDRs.
    #[schemars(length(max = 256), inner(length(max = 64)))]
    pub addresses: Vec<Name>,
    /// Its ports.
    #[schemars(length(max = 256))]
    #[schemars(transform = KeyedBy("name"))]
    #[schemars(transform = Rule(
        "self.all(one, self.exists_one(other, other.number == one.number))",
        "numbers of ports are unique",
    ))]
    pub ports: Vec<ServicePort>,
    /// Whether it is in the mesh or outside.
    pub location: Option<Location>,
    /// Where its endpoints come from.
    pub resolution: Option<Resolution>,
    /// Its endpoints, one by one.
    #[schemars(length(max = 4096))]
    pub endpoints: Vec<WorkloadEntry>,
    /// Workloads of its namespace that are its endpoints.
    pub workload_selector: Option<WorkloadSelector>,
    /// Namespaces that see it: names, . for its own, * for all, ~ for none.
    pub export_to: Vec<Name>,
    /// Names that its servers may have.
    pub subject_alt_names: Vec<Name>,
    /// Addresses that a control plane gave its hosts, in the order of its status (`status.addresses`).
    #[serde(skip)]
    pub allocated: Vec<Allocated>,
}

/// An address that a control plane gave a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// The host, as it is written in the ServiceEntry.
    pub host: Name,
    /// The address.
    pub address: IpAddr,
}

/// Says `false` where the hosts are to have no addresses but those that are written.
const ALLOCATE: &str = "networking.istio.io/enable-autoallocate-ip";

impl ServiceEntry {
    /// Reads what its status says; what is no address counts for nothing.
    pub(crate) fn observe(&mut self, status: &Value) {
        let read = |given: &Value| {
            let host = Name::from(given["host"].as_str()?);
            Some(Allocated { host, address: given["value"].as_str()?.parse().ok()? })
        };
        self.allocated = status["addresses"].as_array().into_iter().flatten().filter_map(read).collect();
    }

    /// The hosts that are to have addresses of their own (`istio: pilot/pkg/serviceregistry/serviceentry/autoallocate.go`): an address tells
    /// connections of one from those of another, which somebody must answer for.
    pub fn allocates<'s>(&'s self, labels: &Labels) -> impl Iterator<Item = &'s Name> + use<'s> {
        let refused = labels.get(ALLOCATE).is_some_and(|value| value.eq_ignore_ascii_case("false"));
        let none = self.resolution.unwrap_or_default() == Resolution::None;
        let wanted = !refused && !none && self.addresses.is_empty();
        self.hosts.iter().filter(move |host| wanted && !host.starts_with('*'))
    }
}

/// A port of a ServiceEntry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// 1 to 65535.
    #[schemars(with = "u32", transform = required, transform = port())]
    pub number: u16,
    /// What is spoken on it; found out when empty.
    #[schemars(length(max = 256))]
    pub protocol: Name,
    /// Its name, unique in the ServiceEntry.
    #[schemars(length(max = 256), transform = required)]
    pub name: Name,
    /// Port of the endpoints; the same when unset.
    #[schemars(with = "Option<u32>", transform = port())]
    pub target_port: Option<u16>,
}

keywords! {
    /// In the mesh or outside.
    pub enum Location { MeshExternal = "MESH_EXTERNAL", MeshInternal = "MESH_INTERNAL" }
}

keywords! {
    /// Where endpoints come from.
    pub enum Resolution { None = "NONE", Static = "STATIC", Dns = "DNS", DnsRoundRobin = "DNS_ROUND_ROBIN", DynamicDns = "DYNAMIC_DNS" }
}
