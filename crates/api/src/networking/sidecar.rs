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
    /// Which workloads; all of the namespace without.
    pub workload_selector: Option<WorkloadSelector>,
    /// What they serve.
    pub ingress: Vec<IstioIngressListener>,
    /// What they can call.
    pub egress: Vec<IstioEgressListener>,
    /// Limits of what comes in.
    pub inbound_connection_pool: Option<ConnectionPoolSettings>,
    /// What happens to unknown traffic.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// Hosts that can be called, on one port or on all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IstioEgressListener {
    /// All ports when unset.
    pub port: Option<SidecarPort>,
    /// Address, or `unix://` path.
    pub bind: Name,
    /// Whether a real port is bound.
    pub capture_mode: Option<CaptureMode>,
    /// `namespace/host`.
    #[schemars(transform = required)]
    pub hosts: Vec<Name>,
}

/// A port that is served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IstioIngressListener {
    /// The port.
    #[schemars(transform = required)]
    pub port: Option<SidecarPort>,
    /// Address.
    pub bind: Name,
    /// Whether a real port is bound.
    pub capture_mode: Option<CaptureMode>,
    /// Where the application listens.
    pub default_endpoint: Name,
    /// Certificates.
    pub tls: Option<ServerTlsSettings>,
    /// Limits.
    pub connection_pool: Option<ConnectionPoolSettings>,
}

/// A port of a Sidecar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarPort {
    /// 0 with a unix bind.
    #[schemars(with = "u32")]
    pub number: u16,
    /// What is spoken.
    pub protocol: Name,
    /// Its name.
    pub name: Name,
    /// Deprecated.
    pub target_port: u32,
}

/// What happens to unknown traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OutboundTrafficPolicy {
    /// REGISTRY_ONLY when the block is there and says nothing.
    pub mode: Option<OutboundTrafficPolicyMode>,
    /// Where unknown traffic goes.
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
