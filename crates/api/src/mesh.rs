//! Mesh settings: MeshConfig over Istio's defaults.

use names::{Labels, Name};
use serde::{Deserialize, Serialize};

use crate::networking::{H2UpgradePolicy, HttpRetry};
use crate::networking::{
    LocalityLbSetting, OutboundTrafficPolicy, OutboundTrafficPolicyMode, TcpKeepalive, TrafficPolicy,
};
use crate::scalars::{Duration, keywords};
use crate::typed;
use crate::{Issue, Severity, yaml};

mod messages;
mod normal;
mod proxy;
mod schema;

pub use proxy::proxy_defaults;
use schema::Found;

/// The code of a setting that has no effect yet, as in the ledger of the kinds.
pub(crate) const WITHOUT_EFFECT: &str = "MLT0101";

/// Settings of the mesh (`istio: pkg/config/mesh/mesh.go` for the defaults).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeshConfig {
    /// Port of the listener that captures outbound traffic.
    pub proxy_listen_port: u16,
    /// Port of the listener that captures inbound traffic.
    pub proxy_inbound_listen_port: u16,
    /// Of connections to upstreams.
    pub connect_timeout: Duration,
    /// How long protocol detection may wait; 0 for ever.
    pub protocol_detection_timeout: Duration,
    /// Probes of idle connections.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// What happens to unknown traffic.
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
    /// Services without `exportTo` are visible to these.
    pub default_service_export_to: Vec<Name>,
    /// VirtualServices without `exportTo` are visible to these.
    pub default_virtual_service_export_to: Vec<Name>,
    /// DestinationRules without `exportTo` are visible to these.
    pub default_destination_rule_export_to: Vec<Name>,
    /// The trust domain.
    pub trust_domain: Name,
    /// Other names of it.
    pub trust_domain_aliases: Vec<Name>,
    /// Sidecars speak mTLS to each other without being told.
    pub enable_auto_mtls: bool,
    /// How often names are looked up when DNS says nothing.
    pub dns_refresh_rate: Duration,
    /// Whether HTTP/1 becomes HTTP/2.
    pub h2_upgrade_policy: Option<H2UpgradePolicy>,
    /// Preferring near endpoints.
    pub locality_lb_setting: Option<LocalityLbSetting>,
    /// Retries where a rule says nothing.
    pub default_http_retry_policy: Option<HttpRetry>,
    /// Policy where a DestinationRule says nothing.
    pub default_traffic_policy: Option<TrafficPolicy>,
    /// Namespaces that any of these selects are part of the mesh; all, when there is none.
    pub discovery_selectors: Vec<LabelSelector>,
    /// File that proxies log accesses to.
    pub access_log_file: Name,
    /// Format of that log.
    pub access_log_format: Name,
    /// Which Ingresses are served.
    pub ingress_controller_mode: IngressControllerMode,
    /// The class of those whose annotation names one.
    pub ingress_class: Name,
    /// The Service over which they are reached; when empty, the nodes of the gateways.
    pub ingress_service: Name,
    /// Value of the label `istio` of the gateways that serve them; the Service's name when empty.
    pub ingress_selector: Name,
}

keywords! {
    /// Which Ingresses are served: those that name a class of ours; those without class too; none.
    pub enum IngressControllerMode { Unspecified = "UNSPECIFIED", Off = "OFF", Default = "DEFAULT", Strict = "STRICT" }
}

/// Selects by labels, as Kubernetes does: everything written has to hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// Labels with these values.
    pub match_labels: Labels,
    /// Conditions on labels.
    pub match_expressions: Vec<LabelExpression>,
}

/// A condition on one label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelExpression {
    /// The label.
    pub key: Name,
    /// How.
    pub operator: LabelOperator,
    /// With what.
    pub values: Vec<Name>,
}

keywords! {
    /// How a label is compared.
    pub enum LabelOperator { In = "In", NotIn = "NotIn", Exists = "Exists", DoesNotExist = "DoesNotExist" }
}

impl LabelSelector {
    /// Whether labels fit.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let holds = |expression: &LabelExpression| {
            let value = labels.get(&expression.key);
            let listed = value.is_some_and(|value| expression.values.contains(value));
            match expression.operator {
                LabelOperator::In => listed,
                LabelOperator::NotIn => !listed,
                LabelOperator::Exists => value.is_some(),
                LabelOperator::DoesNotExist => value.is_none(),
            }
        };
        labels.contain(&self.match_labels) && self.match_expressions.iter().all(holds)
    }
}

impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            proxy_listen_port: 15001,
            proxy_inbound_listen_port: 15006,
            connect_timeout: Duration::secs(10),
            protocol_detection_timeout: Duration::default(),
            tcp_keepalive: None,
            outbound_traffic_policy: None,
            default_service_export_to: Vec::new(),
            default_virtual_service_export_to: Vec::new(),
            default_destination_rule_export_to: Vec::new(),
            trust_domain: Name::from("cluster.local"),
            trust_domain_aliases: Vec::new(),
            enable_auto_mtls: true,
            dns_refresh_rate: Duration::secs(60),
            h2_upgrade_policy: None,
            locality_lb_setting: None,
            default_http_retry_policy: None,
            default_traffic_policy: None,
            discovery_selectors: Vec::new(),
            access_log_file: Name::default(),
            access_log_format: Name::default(),
            ingress_controller_mode: IngressControllerMode::Strict,
            ingress_class: Name::from("istio"),
            ingress_service: Name::from("istio-ingressgateway"),
            ingress_selector: Name::default(),
        }
    }
}

impl MeshConfig {
    /// Reads the text of ConfigMap `istio`, key `mesh`. A setting that cannot be read is an issue and keeps its default, the others
    /// hold; settings that have no effect yet are named.
    #[must_use]
    pub fn from_yaml(text: &str) -> (Self, Vec<Issue>) {
        let documents = match yaml::documents(text, None) {
            Ok(documents) => documents,
            Err(issue) => return (Self::default(), vec![*issue]),
        };
        let Some(document) = documents.into_iter().next() else { return (Self::default(), Vec::new()) };
        let mut found = Vec::new();
        schema::judge("MeshConfig", "", &document.value, &mut found);
        let unusable = |path: &str| path.split(['.', '[']).next().unwrap_or_default().to_owned();
        let mut value = document.value.clone();
        for each in found.iter().filter(|each| each.severity == Severity::Error) {
            without(&mut value, &unusable(&each.path));
        }
        let config = loop {
            let mut unread = Vec::new();
            match typed::parse::<Self>(&value, Some(|path| unread.push(path))) {
                Ok(config) => {
                    let message = "accepted, and without effect so far".to_owned();
                    let known = |path: &String| !found.iter().any(|each| each.path == *path);
                    let unread: Vec<String> = unread.into_iter().filter(known).collect();
                    let severity = Severity::Info;
                    found.extend(unread.into_iter().map(|path| Found { severity, path, message: message.clone() }));
                    break config;
                }
                Err((path, message)) => {
                    let removed = without(&mut value, &unusable(&path));
                    found.push(Found { severity: Severity::Error, path, message });
                    if !removed {
                        break Self::default();
                    }
                }
            }
        };
        let issue = |each: Found| {
            let code = if each.severity == Severity::Info { WITHOUT_EFFECT } else { "IST0106" };
            let place = document.place(&each.path);
            Issue { code, severity: each.severity, object: None, path: each.path, message: each.message, place }
        };
        (config, found.into_iter().map(issue).collect())
    }

    /// What happens to unknown traffic: allowed, when nothing is said.
    #[must_use]
    pub fn outbound_mode(&self) -> OutboundTrafficPolicyMode {
        match &self.outbound_traffic_policy {
            None => OutboundTrafficPolicyMode::AllowAny,
            Some(policy) => policy.mode.unwrap_or_default(),
        }
    }
}

/// Reads a MeshConfig, or the ProxyConfig alone, for a proxy that starts: as proto3 JSON, with unknown fields and nulls left out.
/// Unlike the control plane, which keeps the settings that can be read, a proxy does not start on a wrong one.
///
/// # Errors
/// The first setting that cannot be read, as `path: message`.
pub fn strictly(message: &'static str, text: &str) -> Result<serde_json::Value, String> {
    let documents = yaml::documents(text, None).map_err(|issue| issue.message.clone())?;
    let value = documents.first().map(|document| &document.value).filter(|value| !value.is_null());
    let value = value.map_or_else(|| serde_json::json!({}), normal::camel);
    let mut found = Vec::new();
    schema::judge(message, "", &value, &mut found);
    match found.into_iter().find(|each| each.severity == Severity::Error) {
        Some(each) => Err(format!("{}: {}", each.path, each.message)),
        None => Ok(normal::message(message, &value)),
    }
}

/// Takes a setting out; says whether it was there.
fn without(value: &mut serde_json::Value, key: &str) -> bool {
    value.as_object_mut().is_some_and(|map| map.remove(key).is_some())
}

#[cfg(test)]
mod tests;
