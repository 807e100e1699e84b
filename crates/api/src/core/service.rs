//! Kubernetes Service, reduced to what a mesh needs.

use names::{Labels, Name};
use serde::{Deserialize, Serialize};

use crate::ingress::ReachedAt;
use crate::scalars::IntOrString;

/// A Kubernetes Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// What it is.
    pub spec: ServiceSpec,
    /// What was made of it.
    pub status: ServiceStatus,
}

/// What was made of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Its load balancer.
    pub load_balancer: LoadBalancerStatus,
}

/// A load balancer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// Where it can be reached.
    pub ingress: Vec<ReachedAt>,
}

/// What a Service is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// ClusterIP, NodePort, LoadBalancer, ExternalName.
    #[serde(rename = "type")]
    pub r#type: Name,
    /// Virtual address; `None` for headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Name,
    /// All virtual addresses.
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Vec<Name>,
    /// Addresses outside that lead to it, as somebody has seen to.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<Name>,
    /// What an ExternalName stands for.
    pub external_name: Option<Name>,
    /// Its pods.
    pub selector: Option<Labels>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Not-ready endpoints count as ready.
    pub publish_not_ready_addresses: bool,
    /// `Local` keeps to the client's node.
    pub internal_traffic_policy: Option<Name>,
    /// Preference for near endpoints.
    pub traffic_distribution: Option<Name>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Unique; may be empty for a single port.
    pub name: Name,
    /// What clients use.
    pub port: u16,
    /// Of the pods; the port when unset.
    pub target_port: Option<IntOrString>,
    /// TCP when empty.
    pub protocol: Name,
    /// What is spoken.
    pub app_protocol: Option<Name>,
    /// On every node.
    pub node_port: Option<u16>,
}
