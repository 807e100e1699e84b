//! Kubernetes EndpointSlice, reduced to what a mesh needs.

use names::Name;
use serde::{Deserialize, Serialize};

/// Some endpoints of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// IPv4, IPv6 or FQDN.
    pub address_type: Name,
    /// The endpoints.
    pub endpoints: Vec<SliceEndpoint>,
    /// Their ports.
    pub ports: Vec<SlicePort>,
}

/// One endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SliceEndpoint {
    /// Its addresses.
    pub addresses: Vec<Name>,
    /// Whether it takes traffic.
    pub conditions: Conditions,
    /// What it is.
    pub target_ref: Option<TargetRef>,
    /// Where it runs.
    pub node_name: Option<Name>,
    /// Where its node is.
    pub zone: Option<Name>,
    /// Its name in DNS.
    pub hostname: Option<Name>,
}

/// Whether an endpoint takes traffic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conditions {
    /// It does; yes when unset.
    pub ready: Option<bool>,
    /// It would, were it not terminating.
    pub serving: Option<bool>,
    /// It is going away.
    pub terminating: Option<bool>,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetRef {
    /// Its kind.
    pub kind: Name,
    /// Its name.
    pub name: Name,
    /// Its namespace.
    pub namespace: Name,
}

/// A port of all endpoints of a slice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SlicePort {
    /// That of the Service's port.
    pub name: Name,
    /// The number.
    pub port: Option<u16>,
    /// TCP when empty.
    pub protocol: Name,
    /// What is spoken.
    pub app_protocol: Option<Name>,
}
