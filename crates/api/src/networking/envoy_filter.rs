//! EnvoyFilter as users write it: patches of what is generated.

use std::collections::BTreeMap;

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::WorkloadSelector;
use crate::scalars::keywords;
use crate::schema::{AtMostOne, Rule, any_mapping, port};
use crate::selectors::PolicyTargetReference;

/// Patches for some proxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.workloadSelector) || !has(self.targetRefs)",
    "only one of targetRefs or workloadSelector can be set",
))]
pub struct EnvoyFilter {
    /// The workloads whose proxies are patched; all of the namespace without.
    pub workload_selector: Option<WorkloadSelector>,
    /// What it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Patches, in the order in which they are applied.
    pub config_patches: Vec<ConfigPatch>,
    /// Lower ones are applied first; 0 when unset.
    pub priority: i32,
}

/// One patch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigPatch {
    /// What kind of object is patched.
    pub apply_to: Option<ApplyTo>,
    /// Which objects of the kind; all without.
    pub r#match: Option<PatchMatch>,
    /// What is changed.
    pub patch: Option<Patch>,
}

/// How something is patched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Patch {
    /// How it is changed.
    pub operation: Option<PatchOperation>,
    /// With what, as Envoy writes it.
    #[schemars(schema_with = "any_mapping")]
    pub value: Option<Value>,
    /// Where an HTTP filter is put.
    pub filter_class: Option<FilterClass>,
}

/// Which objects are patched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("listener | routeConfiguration | cluster | waypoint"))]
#[schemars(transform = Rule(
    "has(self.waypoint) == (has(self.context) && self.context == 'WAYPOINT')",
    "context WAYPOINT and a waypoint match go together",
))]
pub struct PatchMatch {
    /// Which side of the proxies.
    pub context: Option<PatchContext>,

    /// Which proxies.
    pub proxy: Option<ProxyMatch>,
    /// Which listeners, and what in them.
    pub listener: Option<ListenerMatch>,
    /// Which route configurations, and what in them.
    pub route_configuration: Option<RouteConfigurationMatch>,
    /// Which clusters.
    pub cluster: Option<ClusterMatch>,
    /// What of waypoints.
    pub waypoint: Option<WaypointMatch>,
}

/// Which proxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyMatch {
    /// Expression that the version of the proxy fits.
    pub proxy_version: Name,
    /// Metadata of the proxy, word for word.
    pub metadata: BTreeMap<Name, Name>,
}

/// Which clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterMatch {
    /// Port of the service.
    pub port_number: u32,
    /// Host of the service.
    pub service: Name,
    /// Subset of the service.
    pub subset: Name,
    /// Name of the cluster, word for word.
    pub name: Name,
}

/// Which routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteConfigurationMatch {
    /// Port of the listener.
    pub port_number: u32,
    /// Name of a gateway's port.
    pub port_name: Name,
    /// The Gateway, as namespace/name.
    pub gateway: Name,
    /// Which virtual hosts.
    pub vhost: Option<VirtualHostMatch>,
    /// Name of the route configuration, word for word.
    pub name: Name,
}

/// Which virtual hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualHostMatch {
    /// Name of the virtual host, host:port.
    pub name: Name,
    /// One of its domains.
    pub domain_name: Name,
    /// Which routes.
    pub route: Option<RouteMatch>,
}

/// Which routes of a virtual host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteMatch {
    /// Name of the route.
    pub name: Name,
    /// What the route does.
    pub action: Option<RouteAction>,
}

/// Which listeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerMatch {
    /// Port of the listener.
    pub port_number: u32,
    /// Name of the port.
    pub port_name: Name,
    /// Which filter chains.
    pub filter_chain: Option<FilterChainMatch>,
    /// Name of a listener filter.
    pub listener_filter: Name,
    /// Name of the listener, word for word.
    pub name: Name,
}

/// Which filter chains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterChainMatch {
    /// Name of the filter chain.
    pub name: Name,
    /// A server name that the chain is for.
    pub sni: Name,
    /// tls or raw_buffer.
    pub transport_protocol: Name,
    /// Application protocols of the chain, with commas.
    pub application_protocols: Name,
    /// Which network filters.
    pub filter: Option<FilterMatch>,
    /// The destination port of the chain.
    pub destination_port: u32,
    /// Name of the transport socket.
    pub transport_socket: Name,
}

/// Which network filters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterMatch {
    /// Name of the filter.
    pub name: Name,
    /// Which HTTP filter in it.
    pub sub_filter: Option<SubFilterMatch>,
}

/// Which HTTP filters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SubFilterMatch {
    /// Name of the filter.
    pub name: Name,
}

/// What of waypoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WaypointMatch {
    /// Port of the service.
    #[schemars(transform = port())]
    pub port_number: Option<u32>,
    /// Which routes.
    pub route: Option<WaypointRouteMatch>,
    /// Which filters.
    pub filter: Option<FilterMatch>,
}

/// Which routes of waypoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WaypointRouteMatch {
    /// Name of the route.
    pub name: Name,
}

keywords! {
    /// What is patched.
    pub enum ApplyTo {
        Invalid = "INVALID", Listener = "LISTENER", FilterChain = "FILTER_CHAIN", NetworkFilter = "NETWORK_FILTER",
        HttpFilter = "HTTP_FILTER", RouteConfiguration = "ROUTE_CONFIGURATION", VirtualHost = "VIRTUAL_HOST",
        HttpRoute = "HTTP_ROUTE", Cluster = "CLUSTER", ExtensionConfig = "EXTENSION_CONFIG", Bootstrap = "BOOTSTRAP",
        ListenerFilter = "LISTENER_FILTER",
    }
}

keywords! {
    /// Which side.
    pub enum PatchContext {
        Any = "ANY", SidecarInbound = "SIDECAR_INBOUND", SidecarOutbound = "SIDECAR_OUTBOUND", Gateway = "GATEWAY",
        Waypoint = "WAYPOINT",
    }
}

keywords! {
    /// What a route does.
    pub enum RouteAction { Any = "ANY", Route = "ROUTE", Redirect = "REDIRECT", DirectResponse = "DIRECT_RESPONSE" }
}

keywords! {
    /// What a patch does.
    pub enum PatchOperation {
        Invalid = "INVALID", Merge = "MERGE", Add = "ADD", Remove = "REMOVE", InsertBefore = "INSERT_BEFORE",
        InsertAfter = "INSERT_AFTER", InsertFirst = "INSERT_FIRST", Replace = "REPLACE",
        MergeAndReplaceList = "MERGE_AND_REPLACE_LIST",
    }
}

keywords! {
    /// Where a filter is put.
    pub enum FilterClass { Unspecified = "UNSPECIFIED", Authn = "AUTHN", Authz = "AUTHZ", Stats = "STATS" }
}
