//! Core kinds, reduced to what a mesh needs. Fields that are not here are not looked at.

use std::collections::BTreeMap;
use std::fmt;

use names::Name;
use serde::{Deserialize, Serialize};

mod endpoint_slice;
mod pod;
mod service;

pub use crate::scalars::IntOrString;
pub use endpoint_slice::*;
pub use pod::*;
pub use service::*;

use crate::{ApiKind, Body, Issues, Kind, ObjectMeta};

/// A Kubernetes Namespace: only its labels matter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KubeNamespace {}

/// A Kubernetes Node: its labels, its addresses, and the version of its kubelet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// What it is.
    pub status: NodeStatus,
}

/// What a Node is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeStatus {
    /// What runs there.
    pub node_info: NodeSystemInfo,
    /// Where it can be reached.
    pub addresses: Vec<NodeAddress>,
}

/// An address of a Node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeAddress {
    /// From where: InternalIP, ExternalIP, Hostname and others.
    #[serde(rename = "type")]
    pub r#type: Name,
    /// The address.
    pub address: Name,
}

/// What runs on a Node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSystemInfo {
    /// Such as `v1.33.1`; what pods may be depends on it.
    pub kubelet_version: Name,
}

/// A Kubernetes Secret. Its content is shown nowhere.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secret {
    /// Its type.
    pub r#type: Name,
    /// Base64.
    pub data: BTreeMap<Name, Name>,
    /// Plain.
    pub string_data: BTreeMap<Name, Name>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.keys().chain(self.string_data.keys()).collect();
        write!(f, "Secret({}, keys {keys:?})", self.r#type)
    }
}

/// A Kubernetes ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Its texts.
    pub data: BTreeMap<Name, Name>,
}

macro_rules! kind {
    ($type:ident, $group:literal, $plural:literal, $namespaced:literal) => {
        impl ApiKind for $type {
            const KIND: Kind = Kind::$type;
            const GROUP: &'static str = $group;
            const VERSIONS: &'static [&'static str] = &["v1"];
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = $namespaced;
            const BODY: Body = Body::Document;

            fn check(&self, _: &ObjectMeta, _: &mut Issues) {}
        }
    };
}

kind!(Service, "", "services", true);
kind!(EndpointSlice, "discovery.k8s.io", "endpointslices", true);
kind!(Pod, "", "pods", true);
kind!(KubeNamespace, "", "namespaces", false);
kind!(Node, "", "nodes", false);
kind!(Secret, "", "secrets", true);
kind!(ConfigMap, "", "configmaps", true);

impl Service {
    /// Another name for a host outside.
    #[must_use]
    pub fn is_external_name(&self) -> bool {
        self.spec.r#type == "ExternalName"
    }

    /// The virtual addresses; none when headless.
    #[must_use]
    pub fn virtual_ips(&self) -> Vec<Name> {
        let several = self.spec.cluster_ips.iter();
        let mut ips: Vec<Name> = several.filter(|ip| !ip.is_empty() && **ip != "None").cloned().collect();
        let first = &self.spec.cluster_ip;
        if ips.is_empty() && !first.is_empty() && *first != "None" {
            ips.push(first.clone());
        }
        ips
    }
}

impl SliceEndpoint {
    /// The name of the Pod behind it.
    #[must_use]
    pub fn target_pod(&self) -> Option<Name> {
        self.target_ref.as_ref().filter(|target| target.kind == "Pod").map(|target| target.name.clone())
    }
}

impl Pod {
    /// Its addresses.
    #[must_use]
    pub fn ips(&self) -> Vec<Name> {
        let status = &self.status;
        let mut ips: Vec<Name> = status.pod_ips.iter().map(|ip| ip.ip.clone()).filter(|ip| !ip.is_empty()).collect();
        if ips.is_empty() && !status.pod_ip.is_empty() {
            ips.push(status.pod_ip.clone());
        }
        ips
    }

    /// It takes traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }

    /// It is neither finished nor waiting.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status.phase.is_empty() || self.status.phase == "Running"
    }

    /// Its identity.
    #[must_use]
    pub fn service_account(&self) -> &Name {
        &self.spec.service_account_name
    }

    /// The number of a named port.
    #[must_use]
    pub fn container_port(&self, name: &str) -> Option<u16> {
        let mut ports = self.spec.containers.iter().flat_map(|container| &container.ports);
        ports.find(|port| port.name == name).map(|port| port.container_port)
    }
}
