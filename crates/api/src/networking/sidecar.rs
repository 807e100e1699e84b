//! Sidecar as users write it: one struct for each message, all fields.

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectionPoolSettings, Destination, ServerTlsSettings, WorkloadSelector};
use crate::scalars::keywords;
use crate::schema::required;

/// What the proxies of a namespace serve and can call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Sidecar {
    /// The workloads it is for; all of the namespace without.
    pub workload_selector: Option<WorkloadSelector>,
    /// Ports that are served.
    pub ingress: Vec<IstioIngressListener>,
    /// Hosts that can be called.
    pub egress: Vec<IstioEgressListener>,
    /// Limits of connections that come in.
    pub inbound_connection_pool: Option<ConnectionPoolSettings>,
    /// What happens to traffic to unknown hosts.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// Hosts that can be called, on one port or on all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IstioEgressListener {
    /// The port; all ports when unset.
    pub port: Option<SidecarPort>,
    /// Address that is listened on, or a unix:// path.
    pub bind: Name,
    /// How traffic gets to the proxy.
    pub capture_mode: Option<CaptureMode>,
    /// Hosts that can be called, as namespace/host.
    #[schemars(transform = required)]
    pub hosts: Vec<Name>,
}

/// A port that is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IstioIngressListener {
    /// The port that is served.
    #[schemars(transform = required)]
    pub port: Option<SidecarPort>,
    /// Address that is listened on.
    pub bind: Name,
    /// How traffic gets to the proxy.
    pub capture_mode: Option<CaptureMode>,
    /// Where the application listens.
    pub default_endpoint: Name,
    /// TLS of the clients.
    pub tls: Option<ServerTlsSettings>,
    /// Limits of connections to this port.
    pub connection_pool: Option<ConnectionPoolSettings>,
}

/// A port of a Sidecar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarPort {
    /// 1 to 65535; 0 with a unix bind.
    #[schemars(with = "u32")]
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Name,
    /// Its name.
    pub name: Name,
    /// Not supported.
    pub target_port: u32,
}

/// What happens to unknown traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OutboundTrafficPolicy {
    /// REGISTRY_ONLY when unset.
    pub mode: Option<OutboundTrafficPolicyMode>,
    /// Where traffic to unknown hosts is sent.
    pub egress_proxy: Option<Destination>,
}

keywords! {
    /// Whether a real port is bound.
    pub enum CaptureMode { Default = "DEFAULT", Iptables = "IPTABLES", None = "NONE" }
}

keywords! {
    /// What happens to unknown traffic.
    pub enum OutboundTrafficPolicyMode { RegistryOnly = "REGISTRY_ONLY", AllowAny = "ALLOW_ANY" }
}
