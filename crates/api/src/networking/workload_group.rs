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
    /// Copied to each WorkloadEntry.
    pub metadata: Option<GroupMeta>,
    /// What each is like.
    #[schemars(transform = required, transform = Without(has_address()))]
    pub template: Option<WorkloadEntry>,
    /// How it is told whether one is ready.
    pub probe: Option<ReadinessProbe>,
}

/// Metadata of members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupMeta {
    /// Labels.
    #[schemars(extend("maxProperties" = 256))]
    pub labels: Labels,
    /// Annotations.
    #[schemars(extend("maxProperties" = 256))]
    pub annotations: BTreeMap<Name, Name>,
}

/// How it is told whether a member is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("httpGet | tcpSocket | exec | grpc"))]
pub struct ReadinessProbe {
    /// Before the first.
    #[schemars(range(min = 0))]
    pub initial_delay_seconds: i32,
    /// Of one.
    #[schemars(range(min = 0))]
    pub timeout_seconds: i32,
    /// Between two.
    #[schemars(range(min = 0))]
    pub period_seconds: i32,
    /// So many make it ready.
    #[schemars(range(min = 0))]
    pub success_threshold: i32,
    /// So many make it unready.
    #[schemars(range(min = 0))]
    pub failure_threshold: i32,
    /// By a request.
    pub http_get: Option<HttpHealthCheck>,
    /// By a connection.
    pub tcp_socket: Option<TcpHealthCheck>,
    /// By a command.
    pub exec: Option<ExecHealthCheck>,
    /// By a call.
    pub grpc: Option<GrpcHealthCheck>,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHealthCheck {
    /// Its path.
    pub path: Name,
    /// Its port.
    #[schemars(transform = required, transform = port())]
    pub port: u32,
    /// Its host.
    pub host: Name,
    /// `HTTP` or `HTTPS`.
    #[schemars(transform = Rule("self in ['', 'HTTP', 'HTTPS']", "a scheme is HTTP or HTTPS"))]
    pub scheme: Name,
    /// Its headers.
    pub http_headers: Vec<HttpHeader>,
}

/// A header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHeader {
    /// Its name.
    #[schemars(regex(pattern = HEADER_NAME))]
    pub name: Name,
    /// Its value.
    pub value: Name,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpHealthCheck {
    /// To this host.
    pub host: Name,
    /// To this port.
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
    /// On this port.
    #[schemars(transform = port())]
    pub port: u32,
    /// For this service.
    pub service: Name,
}
