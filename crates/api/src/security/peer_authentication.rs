//! PeerAuthentication as users write it, and its rules (`istio: pkg/config/validation/validation.go ValidatePeerAuthentication`).

use std::collections::BTreeMap;

use names::Labels;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::Rule;
use crate::selectors::{self, MatchSelector};
use crate::{Issues, rules};

/// What workloads take from their peers: plain text, mutual TLS, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.portLevelMtls) \
     || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)",
    "settings of ports need a selector: ports are those of workloads",
))]
pub struct PeerAuthentication {
    /// Which workloads; all of the namespace without, all of the mesh in the root namespace.
    pub selector: Option<MatchSelector>,
    /// What is taken on all ports.
    pub mtls: Option<MutualTls>,
    /// What is taken on single ports of the workload, by number.
    #[schemars(with = "Option<BTreeMap<String, MutualTls>>")]
    #[schemars(extend("minProperties" = 1))]
    #[schemars(transform = Rule("self.all(port, int(port) >= 1 && int(port) <= 65535)", "a port is in 1..65535"))]
    pub port_level_mtls: Option<BTreeMap<u32, MutualTls>>,
}

/// A mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MutualTls {
    /// Plain text, mutual TLS, or both; what the next wider scope says when unset.
    pub mode: Option<MutualTlsMode>,
}

crate::scalars::keywords! {
    /// What is taken; UNSET is what the next wider scope says.
    pub enum MutualTlsMode { Unset = "UNSET", Disable = "DISABLE", Permissive = "PERMISSIVE", Strict = "STRICT" }
}

pub(super) fn check(spec: &PeerAuthentication, issues: &mut Issues) {
    let labels = spec.selector.as_ref().map(|selector| &selector.match_labels);
    if let Some(labels) = labels {
        selectors::labels("spec.selector.matchLabels", labels, issues);
    }
    let Some(ports) = &spec.port_level_mtls else { return };
    if ports.is_empty() {
        issues.error("spec.portLevelMtls", "at least one port is needed");
    }
    if labels.is_none_or(Labels::is_empty) {
        issues.error("spec.portLevelMtls", "settings of ports need a selector: ports are those of workloads");
    }
    for port in ports.keys() {
        rules::port(&format!("spec.portLevelMtls.{port}"), *port, issues);
    }
}
