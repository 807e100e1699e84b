//! What injection adds to a pod, as types: only the fields that are ever set.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A part of a pod, to be laid over the pod.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Part {
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Metadata {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<&'static str, String>,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) security_context: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) init_containers: Vec<Container>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) containers: Vec<Container>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<Volume>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) image_pull_secrets: Vec<Named>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) image: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) image_pull_policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restart_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) args: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<Port>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<Variable>,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) resources: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) lifecycle: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) startup_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) readiness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) security_context: Option<SecurityContext>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volume_mounts: Vec<Mount>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) container_port: u16,
    pub(crate) protocol: &'static str,
}

/// A variable of the environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Variable {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_from: Option<From>,
}

/// Where the value of a variable comes from when the container starts.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
enum From {
    FieldRef { field_path: &'static str },
    ResourceFieldRef { resource: &'static str, divisor: &'static str },
}

impl Variable {
    pub(crate) fn text(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()), value_from: None }
    }

    /// A field of the pod.
    pub(crate) fn field(name: &str, field_path: &'static str) -> Self {
        Self { name: name.to_owned(), value: None, value_from: Some(From::FieldRef { field_path }) }
    }

    /// A limit of the container itself.
    pub(crate) fn limit(name: &str, resource: &'static str) -> Self {
        let from = From::ResourceFieldRef { resource, divisor: "1" };
        Self { name: name.to_owned(), value: None, value_from: Some(from) }
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    pub(crate) http_get: HttpGet,
    /// Nothing is a null, which takes away what an earlier injection said.
    pub(crate) initial_delay_seconds: Option<i64>,
    pub(crate) period_seconds: i64,
    pub(crate) timeout_seconds: i64,
    pub(crate) failure_threshold: i64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct HttpGet {
    pub(crate) path: &'static str,
    pub(crate) port: u16,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecurityContext {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allow_privilege_escalation: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) privileged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capabilities: Option<Capabilities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_only_root_filesystem: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_as_non_root: Option<bool>,
    pub(crate) run_as_user: i64,
    pub(crate) run_as_group: i64,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) seccomp_profile: Value,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Capabilities {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) add: Vec<&'static str>,
    pub(crate) drop: Vec<&'static str>,
}

impl Capabilities {
    /// None but these.
    pub(crate) fn only(add: &[&'static str]) -> Option<Self> {
        Some(Self { add: add.to_vec(), drop: vec!["ALL"] })
    }
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) mount_path: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) read_only: bool,
    /// What a user says of it.
    #[serde(flatten)]
    pub(crate) more: serde_json::Map<String, Value>,
}

impl Mount {
    pub(crate) fn at(name: &str, mount_path: &str) -> Self {
        Self {
            name: name.to_owned(),
            mount_path: mount_path.to_owned(),
            read_only: false,
            more: serde_json::Map::new(),
        }
    }

    pub(crate) fn read_only(name: &str, mount_path: &str) -> Self {
        Self { read_only: true, ..Self::at(name, mount_path) }
    }
}

/// A volume, and what is in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Volume {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) source: serde_json::Map<String, Value>,
}

impl Volume {
    /// `source` is the kind of volume, `of` what is said of it.
    pub(crate) fn new(name: &str, source: &str, of: Value) -> Self {
        Self { name: name.to_owned(), source: std::iter::once((source.to_owned(), of)).collect() }
    }
}
