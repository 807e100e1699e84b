//! WorkloadGroup as users write it: the template of WorkloadEntries that register themselves.

use std::collections::BTreeMap;

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::WorkloadEntry;
use super::workload_entry::has_address;
use crate::schema::{AtMostOne, HEADER_NAME, Rule, Without, port, required};

/// Workloads of one sort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadGroup {
    /// Labels and annotations of each WorkloadEntry.
    pub metadata: Option<GroupMeta>,
    /// What each WorkloadEntry is like.
    #[schemars(transform = required, transform = Without(has_address()))]
    pub template: Option<WorkloadEntry>,
    /// How it is found out whether a workload is ready.
    pub probe: Option<ReadinessProbe>,
}

/// Metadata of members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupMeta {
    /// Labels of each WorkloadEntry.
    #[schemars(extend("maxProperties" = 256))]
    pub labels: Labels,
    /// Annotations of each WorkloadEntry.
    #[schemars(extend("maxProperties" = 256))]
    pub annotations: BTreeMap<Name, Name>,
}

/// How it is told whether a member is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("httpGet | tcpSocket | exec | grpc"))]
pub struct ReadinessProbe {
    /// Seconds before the first probe.
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: i32,
    /// Seconds that a probe may take.
    #[schemars(range(min = 0))]
    pub timeout_seconds: i32,
    /// Seconds between two probes.
    #[schemars(range(min = 0))]
    pub period_seconds: i32,
    /// So many good probes make it ready.
    #[schemars(range(min = 0))]
    pub success_threshold: i32,
    /// So many bad probes make it unready.
    #[schemars(range(min = 0))]
    pub failure_threshold: i32,
    /// Probed by a request.
    pub http_get: Option<HttpHealthCheck>,
    /// Probed by a connection.
    pub tcp_socket: Option<TcpHealthCheck>,
    /// Probed by a command.
    pub exec: Option<ExecHealthCheck>,
    /// Probed by a gRPC call.
    pub grpc: Option<GrpcHealthCheck>,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHealthCheck {
    /// Path of the request.
    pub path: Name,
    /// Port of the request.
    #[schemars(transform = required, transform = port())]
    pub port: u32,
    /// Host of the request.
    pub host: Name,
    /// HTTP or HTTPS.
    #[schemars(transform = Rule("self in ['', 'HTTP', 'HTTPS']", "a scheme is HTTP or HTTPS"))]
    pub scheme: Name,
    /// Headers of the request.
    pub http_headers: Vec<HttpHeader>,
}

/// A header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHeader {
    /// Name of the header.
    #[schemars(regex(pattern = HEADER_NAME))]
    pub name: Name,
    /// Value of the header.
    pub value: Name,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpHealthCheck {
    /// Host that is connected to.
    pub host: Name,
    /// Port that is connected to.
    #[schemars(transform = required, transform = port())]
    pub port: u32,
}

/// A command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecHealthCheck {
    /// Program and arguments.
    #[schemars(transform = required, inner(length(min = 1)))]
    pub command: Vec<Name>,
}

/// A call of gRPC's health service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcHealthCheck {
    /// Port that is called.
    #[schemars(transform = port())]
    pub port: u32,
    /// Service that is asked for.
    pub service: Name,
}
