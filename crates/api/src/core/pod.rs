//! Kubernetes Pod, reduced to what a mesh needs.

use names::Name;
use serde::{Deserialize, Serialize};

/// A Kubernetes Pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// What it is to be.
    pub spec: PodSpec,
    /// What it is.
    pub status: PodStatus,
}

/// What a Pod is to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Its identity.
    pub service_account_name: Name,
    /// Where it runs.
    pub node_name: Name,
    /// It has its node's addresses.
    pub host_network: bool,
    /// Its own name in DNS; its name when empty.
    pub hostname: Name,
    /// The headless Service under which it has a name in DNS; none when empty.
    pub subdomain: Name,
    /// For the names of ports.
    pub containers: Vec<Container>,
}

/// A container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: Name,
    /// Its ports.
    pub ports: Vec<ContainerPort>,
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerPort {
    /// Services may use it.
    pub name: Name,
    /// The number.
    pub container_port: u16,
    /// TCP when empty.
    pub protocol: Name,
}

/// What a Pod is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Pending, Running, Succeeded, Failed, Unknown.
    pub phase: Name,
    /// Its first address.
    #[serde(rename = "podIP")]
    pub pod_ip: Name,
    /// All its addresses.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<PodIp>,
    /// Ready among them.
    pub conditions: Vec<PodCondition>,
}

/// An address.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodIp {
    /// The address.
    pub ip: Name,
}

/// A condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodCondition {
    /// Which.
    #[serde(rename = "type")]
    pub r#type: Name,
    /// True, False or Unknown.
    pub status: Name,
}
