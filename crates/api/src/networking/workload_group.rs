//! WorkloadGroup as users write it: the template of WorkloadEntries that register themselves.

use std::collections::BTreeMap;

use names::{Labels, Name};
use serde::{Deserialize, Serialize};

use super::WorkloadEntry;

/// Workloads of one sort.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadGroup {
    /// Copied to each WorkloadEntry.
    pub metadata: Option<GroupMeta>,
    /// What each is like.
    pub template: Option<WorkloadEntry>,
    /// How it is told whether one is ready.
    pub probe: Option<ReadinessProbe>,
}

/// Metadata of members.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupMeta {
    /// Labels.
    pub labels: Labels,
    /// Annotations.
    pub annotations: BTreeMap<Name, Name>,
}

/// How it is told whether a member is ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ReadinessProbe {
    /// Before the first.
    pub initial_delay_seconds: i32,
    /// Of one.
    pub timeout_seconds: i32,
    /// Between two.
    pub period_seconds: i32,
    /// So many make it ready.
    pub success_threshold: i32,
    /// So many make it unready.
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHealthCheck {
    /// Its path.
    pub path: Name,
    /// Its port.
    pub port: u32,
    /// Its host.
    pub host: Name,
    /// `HTTP` or `HTTPS`.
    pub scheme: Name,
    /// Its headers.
    pub http_headers: Vec<HttpHeader>,
}

/// A header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpHeader {
    /// Its name.
    pub name: Name,
    /// Its value.
    pub value: Name,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpHealthCheck {
    /// To this host.
    pub host: Name,
    /// To this port.
    pub port: u32,
}

/// A command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExecHealthCheck {
    /// Program and arguments.
    pub command: Vec<Name>,
}

/// A call of gRPC's health service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcHealthCheck {
    /// On this port.
    pub port: u32,
    /// For this service.
    pub service: Name,
}
