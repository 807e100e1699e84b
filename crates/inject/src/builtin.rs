//! The templates that need no text: `sidecar`, `gateway`, `grpc-agent`, `grpc-simple`. Each gives the part of a pod that is laid over the pod.
//! (`istio: manifests/charts/istio-control/istio-discovery/files/*.yaml`)

mod agent;
mod capture;
mod gateway;
mod grpc;
mod metadata;
mod opentelemetry;
mod sidecar;
mod volumes;

use serde_json::{Map, Value, json};

use crate::parts::Part;
use crate::pod::{self, PROXY, Strings};
use crate::quantity;
use crate::settings::{Mesh, Settings, Values};
use crate::workload::Workload;
use crate::{annotations, proxy};

/// A template of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    Sidecar,
    Gateway,
    GrpcAgent,
    GrpcSimple,
}

/// All of them, by name.
pub(crate) const BUILT_IN: [(&str, BuiltIn); 4] = [
    ("sidecar", BuiltIn::Sidecar),
    ("gateway", BuiltIn::Gateway),
    ("grpc-agent", BuiltIn::GrpcAgent),
    ("grpc-simple", BuiltIn::GrpcSimple),
];

impl BuiltIn {
    /// The part of a pod that the template gives.
    pub(crate) fn part(self, context: &Context<'_>) -> Part {
        match self {
            Self::Sidecar => sidecar::part(context),
            Self::Gateway => gateway::part(context),
            Self::GrpcAgent => grpc::with_agent(context),
            Self::GrpcSimple => grpc::simple(context),
        }
    }
}

/// What templates know of the pod and of where it is injected.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    /// The pod without what an earlier injection added.
    pub(crate) pod: &'a Value,
    pub(crate) labels: Strings,
    pub(crate) annotations: Strings,
    pub(crate) workload: &'a Workload,
    /// The ProxyConfig that holds.
    pub(crate) proxy: Map<String, Value>,
    /// Whether proxies of this cluster are init containers that stay.
    pub(crate) native: bool,
    /// User and group of the proxy.
    pub(crate) user: i64,
    pub(crate) group: i64,
    /// Cluster and network, where they are known.
    pub(crate) cluster: String,
    pub(crate) network: String,
}

impl Context<'_> {
    pub(crate) fn values(&self) -> &Values {
        &self.settings.values
    }

    pub(crate) fn mesh(&self) -> &Mesh {
        &self.settings.mesh
    }

    /// An annotation of the pod, or what the values say.
    fn annotation_or<'b>(&'b self, name: &str, otherwise: &'b str) -> &'b str {
        self.annotations.get(name).map_or(otherwise, String::as_str)
    }

    /// How traffic is captured: REDIRECT, TPROXY or NONE.
    pub(crate) fn interception(&self) -> &str {
        let mesh = self.proxy.get("interceptionMode").and_then(Value::as_str).unwrap_or("REDIRECT");
        self.annotation_or(annotations::INTERCEPTION, mesh)
    }

    pub(crate) fn is_tproxy(&self) -> bool {
        self.interception() == "TPROXY"
    }

    /// Whether this pod's proxy is an init container that stays: the pod's annotation wins over the cluster.
    pub(crate) fn is_native(&self) -> bool {
        self.annotations.get(annotations::NATIVE).map_or(self.native, |said| said != "false")
    }

    /// Whether the application waits for the proxy.
    pub(crate) fn holds(&self) -> bool {
        let config = self.proxy.get("holdApplicationUntilProxyStarts") == Some(&Value::Bool(true));
        config || self.values().global.proxy.hold_application_until_proxy_starts
    }

    /// The agent's port as the values know it; `0` where it is switched off.
    fn status_port(&self) -> &str {
        self.annotation_or(annotations::STATUS_PORT, &self.values().global.proxy.status_port)
    }

    /// The revision, named.
    pub(crate) fn revision(&self) -> &str {
        if self.settings.revision.is_empty() { "default" } else { &self.settings.revision }
    }

    /// Containers of the application.
    fn applications(&self) -> impl Iterator<Item = &Value> {
        pod::items(&self.pod["spec"]["containers"]).iter().filter(|container| pod::name(container) != PROXY)
    }

    /// The pod's trust domain.
    fn trust_domain(&self) -> &str {
        let mesh = self.mesh().trust_domain();
        if mesh.is_empty() { &self.values().global.trust_domain } else { mesh }
    }

    /// What the pod is told of its ProxyConfig, as a text with a line end.
    fn told_proxy_config(&self) -> String {
        proxy::told(&self.proxy) + "\n"
    }

    /// Variables that the ProxyConfig asks for.
    fn proxy_metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let metadata = self.proxy.get("proxyMetadata").and_then(Value::as_object).into_iter().flatten();
        metadata.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    fn has_metadata(&self, key: &str, value: &str) -> bool {
        self.proxy_metadata().any(|each| each == (key, value))
    }

    /// Resources of the proxy: of the annotations if there is any, else of the values.
    fn resources(&self) -> Value {
        use annotations::{CPU, CPU_LIMIT, MEMORY, MEMORY_LIMIT};
        let mut said = Map::new();
        for (kind, cpu, memory) in [("requests", CPU, MEMORY), ("limits", CPU_LIMIT, MEMORY_LIMIT)] {
            let given = |name: &str| Some(json!(quantity::canonical(self.annotations.get(name)?)));
            let pairs = [("cpu", given(cpu)), ("memory", given(memory))];
            let pairs: Map<String, Value> =
                pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
            if !pairs.is_empty() {
                said.insert(kind.to_owned(), Value::Object(pairs));
            }
        }
        if !said.is_empty() {
            return Value::Object(said);
        }
        resources_of(&self.values().global.proxy.resources)
    }

    /// The profile of seccomp, if there is one.
    fn seccomp_profile(&self) -> Value {
        let profile = &self.values().global.proxy.seccomp_profile;
        if profile.as_object().is_some_and(|profile| !profile.is_empty()) { profile.clone() } else { Value::Null }
    }
}

/// Resources of the values: nulls say nothing, and quantities are written as the API server writes them.
fn resources_of(values: &Value) -> Value {
    let Value::Object(kinds) = values else { return Value::Null };
    let mut said = Map::new();
    for (kind, list) in kinds {
        let Value::Object(list) = list else {
            if !list.is_null() {
                said.insert(kind.clone(), list.clone());
            }
            continue;
        };
        let quantities = list.iter().filter_map(|(key, value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(text) => quantity::canonical(text),
                other => quantity::canonical(&other.to_string()),
            };
            Some((key.clone(), Value::String(text)))
        });
        let quantities: Map<String, Value> = quantities.collect();
        if !quantities.is_empty() {
            said.insert(kind.clone(), Value::Object(quantities));
        }
    }
    if said.is_empty() { Value::Null } else { Value::Object(said) }
}
