//! The values of the chart that injection reads, with the chart's defaults (`istio: manifests/charts/istio-control/istio-discovery/values.yaml`).

use api::yaml;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::error::Error;

/// Values as ConfigMap `istio-sidecar-injector` has them, over the chart's defaults.
#[derive(Clone, Debug)]
pub struct Values {
    whole: Value,
    read: Read,
}

const WHAT: &str = "values";
/// Taken as they are written, not merged with what is the default.
const WHOLE: &[&str] = &["resources", "lifecycle", "securityContext", "seccompProfile", "env", "templates"];

impl Default for Values {
    fn default() -> Self {
        Self::over(&Map::new()).unwrap_or_else(|_| unreachable!("the defaults are read by a test"))
    }
}

impl std::ops::Deref for Values {
    type Target = Read;
    fn deref(&self) -> &Read {
        &self.read
    }
}

impl Values {
    /// Reads values in YAML or JSON.
    ///
    /// # Errors
    /// What cannot be read, with its path.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        let documents = yaml::documents(text, None).map_err(|issue| Error::settings(WHAT, "", issue.to_string()))?;
        match documents.into_iter().next().map(|document| document.value) {
            None => Ok(Self::default()),
            Some(Value::Object(values)) => Self::over(&values),
            Some(other) => Err(Error::settings(WHAT, "", format!("a mapping is needed, not {other}"))),
        }
    }

    fn over(values: &Map<String, Value>) -> Result<Self, Error> {
        let mut whole = defaults();
        merge(&mut whole, values);
        let whole = Value::Object(whole);
        let mut track = serde_path_to_error::Track::new();
        let read = Read::deserialize(serde_path_to_error::Deserializer::new(&whole, &mut track));
        let read = read.map_err(|error| Error::settings(WHAT, track.path().to_string(), error.to_string()))?;
        Ok(Self { whole, read })
    }

    /// The same values for a control plane of this revision, unless they say one.
    #[must_use]
    pub fn of_revision(mut self, revision: &str) -> Self {
        if self.read.revision.is_empty() {
            revision.clone_into(&mut self.read.revision);
            self.whole["revision"] = Value::from(revision);
        }
        self
    }

    /// All of them, as templates see them.
    #[must_use]
    pub fn whole(&self) -> &Value {
        &self.whole
    }
}

/// Lays values over defaults. A null takes a text away; elsewhere the default stays, since there is no other meaning for it.
fn merge(under: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        let whole = WHOLE.contains(&key.as_str());
        match (under.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(value)) if !whole => merge(known, value),
            (Some(known @ Value::String(_)), Value::Null) => *known = Value::from(""),
            (Some(_), Value::Null) if !whole => {}
            _ => drop(under.insert(key.clone(), value.clone())),
        }
    }
}

/// Values that built-in templates read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Read {
    pub(crate) global: Global,
    pub(crate) pilot: Pilot,
    pub(crate) gateways: Gateways,
    pub(crate) sidecar_injector_webhook: Webhook,
    #[serde(deserialize_with = "text")]
    pub(crate) revision: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Global {
    #[serde(deserialize_with = "text")]
    pub(crate) ca_address: String,
    #[serde(deserialize_with = "text")]
    pub(crate) ca_name: String,
    #[serde(deserialize_with = "text")]
    pub(crate) hub: String,
    #[serde(deserialize_with = "text")]
    pub(crate) tag: String,
    #[serde(deserialize_with = "text")]
    pub(crate) variant: String,
    #[serde(deserialize_with = "text")]
    pub(crate) image_pull_policy: String,
    pub(crate) image_pull_secrets: Vec<String>,
    #[serde(deserialize_with = "text")]
    pub(crate) istio_namespace: String,
    #[serde(deserialize_with = "flag")]
    pub(crate) log_as_json: bool,
    pub(crate) logging: Logging,
    #[serde(deserialize_with = "text", rename = "meshID")]
    pub(crate) mesh_id: String,
    #[serde(deserialize_with = "flag")]
    pub(crate) mount_mtls_certs: bool,
    pub(crate) multi_cluster: MultiCluster,
    #[serde(deserialize_with = "flag")]
    pub(crate) native_nftables: bool,
    #[serde(deserialize_with = "text")]
    pub(crate) network: String,
    #[serde(deserialize_with = "text")]
    pub(crate) pilot_cert_provider: String,
    pub(crate) proxy: Proxy,
    #[serde(rename = "proxy_init")]
    pub(crate) proxy_init: ProxyInit,
    pub(crate) sds: Sds,
    pub(crate) sts: Sts,
    #[serde(deserialize_with = "text")]
    pub(crate) trust_bundle_name: String,
    #[serde(deserialize_with = "text")]
    pub(crate) trust_domain: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Logging {
    #[serde(deserialize_with = "text")]
    pub(crate) level: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MultiCluster {
    #[serde(deserialize_with = "text")]
    pub(crate) cluster_name: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proxy {
    #[serde(deserialize_with = "text")]
    pub(crate) image: String,
    #[serde(deserialize_with = "text")]
    pub(crate) cluster_domain: String,
    #[serde(deserialize_with = "text")]
    pub(crate) component_log_level: String,
    #[serde(deserialize_with = "text")]
    pub(crate) log_level: String,
    #[serde(deserialize_with = "text")]
    pub(crate) exclude_inbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(crate) include_inbound_ports: String,
    #[serde(deserialize_with = "text", rename = "includeIPRanges")]
    pub(crate) include_ip_ranges: String,
    #[serde(deserialize_with = "text", rename = "excludeIPRanges")]
    pub(crate) exclude_ip_ranges: String,
    #[serde(deserialize_with = "text")]
    pub(crate) include_outbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(crate) exclude_outbound_ports: String,
    #[serde(deserialize_with = "text")]
    pub(crate) outlier_log_path: String,
    #[serde(deserialize_with = "flag")]
    pub(crate) privileged: bool,
    #[serde(deserialize_with = "flag")]
    pub(crate) hold_application_until_proxy_starts: bool,
    #[serde(deserialize_with = "text")]
    pub(crate) cap_net_bind_service: String,
    #[serde(deserialize_with = "text")]
    pub(crate) readiness_failure_threshold: String,
    #[serde(deserialize_with = "text")]
    pub(crate) readiness_initial_delay_seconds: String,
    #[serde(deserialize_with = "text")]
    pub(crate) readiness_period_seconds: String,
    pub(crate) startup_probe: StartupProbe,
    pub(crate) resources: Value,
    pub(crate) lifecycle: Value,
    pub(crate) seccomp_profile: Value,
    #[serde(deserialize_with = "text")]
    pub(crate) status_port: String,
    #[serde(deserialize_with = "text")]
    pub(crate) tracer: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartupProbe {
    #[serde(deserialize_with = "flag")]
    pub(crate) enabled: bool,
    pub(crate) failure_threshold: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProxyInit {
    #[serde(deserialize_with = "text")]
    pub(crate) image: String,
    #[serde(deserialize_with = "flag")]
    pub(crate) force_apply_iptables: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sds {
    pub(crate) token: Token,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Token {
    #[serde(deserialize_with = "text")]
    pub(crate) aud: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sts {
    pub(crate) service_port: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pilot {
    pub(crate) cni: Cni,
    pub(crate) env: Value,
    #[serde(deserialize_with = "text")]
    pub(crate) crl_config_map_name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cni {
    #[serde(deserialize_with = "flag")]
    pub(crate) enabled: bool,
    #[serde(deserialize_with = "text")]
    pub(crate) provider: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Gateways {
    pub(crate) security_context: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Webhook {
    #[serde(deserialize_with = "flag", rename = "rewriteAppHTTPProbe")]
    pub(crate) rewrite_probes: bool,
}

/// A text, or a number or boolean that was written without quotes.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        other @ (Value::Bool(_) | Value::Number(_)) => Ok(other.to_string()),
        other => Err(serde::de::Error::custom(format!("a text is needed, not {other}"))),
    }
}

/// A boolean, also one that stands in quotes.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match Value::deserialize(from)? {
        Value::Bool(flag) => Ok(flag),
        Value::String(text) if text == "true" || text == "false" => Ok(text == "true"),
        other => Err(serde::de::Error::custom(format!("true or false is needed, not {other}"))),
    }
}

/// The chart's defaults. A `seccompProfile` that nobody mentions is `RuntimeDefault`, so that the proxy runs where the restricted
/// standard of Kubernetes holds; Istio's chart writes `{}`, which is none.
fn defaults() -> Map<String, Value> {
    let proxy = json!({
        "image": "proxyv2", "autoInject": "enabled", "clusterDomain": "cluster.local", "componentLogLevel": "misc:error",
        "excludeInboundPorts": "", "includeInboundPorts": "*", "includeIPRanges": "*", "excludeIPRanges": "",
        "includeOutboundPorts": "", "excludeOutboundPorts": "", "logLevel": "warning", "outlierLogPath": "",
        "privileged": false, "seccompProfile": {"type": "RuntimeDefault"}, "holdApplicationUntilProxyStarts": false,
        "capNetBindService": "", "lifecycle": {}, "readinessFailureThreshold": 4, "readinessInitialDelaySeconds": 0,
        "readinessPeriodSeconds": 15, "startupProbe": {"enabled": true, "failureThreshold": 600},
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2000m", "memory": "1024Mi"}},
        "statusPort": 15020, "tracer": "none",
    });
    let global = json!({
        "caAddress": "", "caName": "", "hub": "registry.istio.io/testing", "tag": "latest", "variant": "",
        "imagePullPolicy": "", "imagePullSecrets": [], "istioNamespace": "istio-system", "logAsJson": false,
        "logging": {"level": "default:info"}, "meshID": "", "mountMtlsCerts": false, "multiCluster": {"clusterName": ""},
        "nativeNftables": false, "network": "", "pilotCertProvider": "istiod", "proxy": proxy,
        "proxy_init": {"image": "proxyv2", "forceApplyIptables": false}, "sds": {"token": {"aud": "istio-ca"}},
        "sts": {"servicePort": 0}, "trustBundleName": "", "trustDomain": "",
    });
    let webhook = json!({
        "neverInjectSelector": [], "alwaysInjectSelector": [], "injectedAnnotations": {}, "rewriteAppHTTPProbe": true,
        "templates": {}, "defaultTemplates": [], "aliases": {},
    });
    let all = [
        ("global", global),
        ("pilot", json!({"cni": {"enabled": false, "provider": "default"}, "env": {}, "crlConfigMapName": ""})),
        ("gateways", json!({"securityContext": {}})),
        ("sidecarInjectorWebhook", webhook),
        ("revision", json!("")),
    ];
    all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
