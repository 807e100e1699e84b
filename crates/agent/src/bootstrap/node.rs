//! The node: id, cluster, locality, and metadata as pilot-agent fills it. Source: istio: pkg/bootstrap/config.go, pkg/model/proxy.go.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Input, Refused, flag, truth};

/// The version of Istio whose agent this one stands for; control planes decide by it what a proxy understands.
const ISTIO_VERSION: &str = "1.32.0";
/// Metadata that says true or false, as text.
const TRUTHS: [&str; 8] = [
    "ENABLE_SELF_DISCOVERY",
    "DNS_CAPTURE",
    "DNS_AUTO_ALLOCATE",
    "ENABLE_HBONE",
    "DISABLE_HBONE_SEND",
    "INBOUND_LISTENER_EXACT_BALANCE",
    "OUTBOUND_LISTENER_EXACT_BALANCE",
    "METADATA_DISCOVERY",
];
/// Metadata that must be text.
const TEXTS: [&str; 12] = [
    "NAMESPACE",
    "NAME",
    "OWNER",
    "WORKLOAD_NAME",
    "SERVICE_ACCOUNT",
    "CLUSTER_ID",
    "NETWORK",
    "MESH_ID",
    "INTERCEPTION_MODE",
    "NODE_NAME",
    "ISTIO_VERSION",
    "GENERATOR",
];
/// Metadata that must map texts to texts.
const MAPS: [&str; 4] = ["LABELS", "STATIC_LABELS", "ANNOTATIONS", "PLATFORM_METADATA"];

/// Who the proxy is.
pub(super) struct Node {
    id: String,
    cluster: String,
    locality: Value,
    pub(super) addresses: Vec<String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) metadata: Map<String, Value>,
}

impl Node {
    pub(super) fn json(&self) -> Value {
        json!({ "id": self.id, "cluster": self.cluster, "locality": self.locality, "metadata": self.metadata })
    }

    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.metadata.get(key).is_some_and(|value| value == "true")
    }

    /// Metadata that is text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_str().filter(|text| !text.is_empty())
    }
}

type Texts = BTreeMap<String, String>;

/// The node of a proxy with this configuration and these labels and annotations of its pod.
pub(super) fn node(
    input: &Input,
    config: &Value,
    (pod_labels, annotations): (Option<Texts>, Texts),
    warnings: &mut Vec<String>,
) -> Result<Node, Refused> {
    let mut addresses: Vec<String> = Vec::new();
    for address in &input.addresses {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    let mut metadata = given(input, config, warnings);
    typed(&mut metadata)?;
    for (variable, key) in
        [("POD_NAME", "NAME"), ("POD_NAMESPACE", "NAMESPACE"), ("SERVICE_ACCOUNT", "SERVICE_ACCOUNT")]
    {
        if let Some(value) = input.environment.get(variable) {
            metadata.insert(key.to_owned(), json!(value));
        }
    }
    let mut labels = labels(input, &mut metadata, pod_labels);
    let locality = locality(&mut labels);
    if !labels.is_empty() {
        metadata.insert("LABELS".to_owned(), json!(labels));
    }
    if !annotations.is_empty() {
        let known = metadata.entry("ANNOTATIONS").or_insert_with(|| json!({}));
        annotations.iter().for_each(|(key, value)| known[key] = json!(value));
    }
    settings(input, config, &addresses, &mut metadata);
    let variable = |name: &str| input.environment.get(name).map(String::as_str).unwrap_or_default();
    let namespace = variable("POD_NAMESPACE");
    let domain = input.domain.clone().filter(|domain| !domain.is_empty());
    let domain = domain.unwrap_or_else(|| format!("{namespace}.svc.cluster.local"));
    let first = addresses.first().map(String::as_str).unwrap_or_default();
    Ok(Node {
        id: format!("{}~{first}~{}.{namespace}~{domain}", input.kind.name(), variable("POD_NAME")),
        cluster: service_cluster(config, &metadata, &labels),
        locality,
        addresses,
        annotations,
        metadata,
    })
}

/// Metadata that users give: of the ProxyConfig, then of the environment.
fn given(input: &Input, config: &Value, warnings: &mut Vec<String>) -> Map<String, Value> {
    let mut metadata = Map::new();
    for (key, value) in config["proxyMetadata"].as_object().into_iter().flatten() {
        if let Some(key) = key.strip_prefix("ISTIO_META_") {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
    for (name, value) in &input.environment {
        if let Some(key) = name.strip_prefix("ISTIO_META_") {
            metadata.insert(key.to_owned(), json!(value));
        }
    }
    for (name, value) in input.environment.iter().filter(|(name, _)| name.starts_with("ISTIO_METAJSON_")) {
        match serde_json::from_str::<Map<String, Value>>(value) {
            Ok(members) => metadata.extend(members),
            Err(error) => warnings.push(format!("{name} is left out: {error}")),
        }
    }
    if let Some(address) = input.environment.get("DNS_PROXY_ADDR").filter(|address| !address.is_empty()) {
        metadata.insert("DNS_PROXY_ADDR".to_owned(), json!(address));
    }
    metadata
}

/// Metadata with a type must have it; truth values are written in one way.
fn typed(metadata: &mut Map<String, Value>) -> Result<(), Refused> {
    let refuse =
        |key: &str, value: &Value, wanted: &str| Err(Refused(format!("metadata {key}: {value} is not {wanted}")));
    for key in TRUTHS {
        let Some(value) = metadata.get_mut(key) else { continue };
        match value.as_str().and_then(truth) {
            Some(true) => *value = json!("true"),
            Some(false) => {}
            None => return refuse(key, value, "true or false, as text"),
        }
    }
    for key in TEXTS {
        if let Some(value) = metadata.get(key).filter(|value| !value.is_string()) {
            return refuse(key, value, "text");
        }
    }
    let texts = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
    for key in MAPS {
        if let Some(value) = metadata.get(key).filter(|value| !texts(value)) {
            return refuse(key, value, "a map of texts");
        }
    }
    Ok(())
}

/// Labels: those given to the agent, under those of the pod.
fn labels(input: &Input, metadata: &mut Map<String, Value>, pod: Option<Texts>) -> Texts {
    let given = input.environment.get("ISTIO_METAJSON_LABELS");
    let given: Option<Map<String, Value>> = given.and_then(|text| serde_json::from_str(text).ok());
    let texts = |map: &Map<String, Value>| -> Texts {
        map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let of = |metadata: &Map<String, Value>, key: &str| metadata.get(key).and_then(Value::as_object).map(texts);
    let (mut labels, mut fixed) = (of(metadata, "LABELS"), of(metadata, "STATIC_LABELS"));
    if let Some(given) = given.as_ref().map(texts).filter(|given| !given.is_empty()) {
        metadata.insert("STATIC_LABELS".to_owned(), json!(given));
        (labels, fixed) = (Some(given.clone()), Some(given));
    }
    let Some(pod) = pod else { return labels.unwrap_or_default() };
    let mut all = fixed.unwrap_or_default();
    all.extend(pod.into_iter().filter(|(key, _)| key != "pod-template-hash"));
    all
}

/// The locality that a label gives; the label is written back with slashes.
fn locality(labels: &mut Texts) -> Value {
    let Some(label) = labels.get_mut("istio-locality").filter(|label| !label.is_empty()) else { return json!({}) };
    if !label.contains('/') {
        *label = label.replace('.', "/");
    }
    let mut out = json!({});
    for (key, part) in
        ["region", "zone", "sub_zone"].into_iter().zip(label.split('/')).filter(|(_, part)| !part.is_empty())
    {
        out[key] = json!(part);
    }
    out
}

/// Metadata that the agent itself knows.
fn settings(input: &Input, config: &Value, addresses: &[String], metadata: &mut Map<String, Value>) {
    let mut set = |key: &str, value: Value| drop(metadata.insert(key.to_owned(), value));
    set("PROXY_CONFIG", config.clone());
    set("INSTANCE_IPS", json!(addresses.join(",")));
    if config["controlPlaneAuthPolicy"] == "MUTUAL_TLS" {
        let address = config["discoveryAddress"].as_str().unwrap_or_default();
        let host = address.split(':').next().unwrap_or_default();
        set("PILOT_SAN", json!([if host == "localhost" { "istiod.istio-system.svc" } else { host }]));
    }
    for (key, usual) in PORTS {
        let port = port(input, key, usual);
        if port != 0 {
            set(key, json!(port));
        }
    }
    let variable = |name: &str| input.environment.get(name).map(String::as_str);
    let socket = variable("WORKLOAD_IDENTITY_SOCKET_FILE").filter(|name| !name.is_empty()).unwrap_or("socket");
    set("WORKLOAD_IDENTITY_SOCKET_FILE", json!(socket));
    if flag(&input.environment, "EXIT_ON_ZERO_ACTIVE_CONNECTIONS", false) {
        set("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", json!("true"));
    }
    if flag(&input.environment, "ENVOY_SKIP_DEPRECATED_LOGS", true) {
        set("ENVOY_SKIP_DEPRECATED_LOGS", json!("true"));
    }
    if let Some(path) = input.outlier_log.as_ref().filter(|path| !path.is_empty()) {
        set("OUTLIER_LOG_PATH", json!(path));
    }
    let tunnel = metadata.get("ENABLE_HBONE").is_some_and(|value| value == "true");
    metadata.insert("METADATA_DISCOVERY".to_owned(), json!(tunnel.to_string()));
    let given = metadata.get("ISTIO_VERSION").is_some_and(|version| version != "");
    if !given {
        metadata.insert("ISTIO_VERSION".to_owned(), json!(ISTIO_VERSION));
    }
}

/// Ports that the environment may set, and what they are otherwise; 0 is off.
pub(super) const PORTS: [(&str, u16); 4] = [
    ("ENVOY_STATUS_PORT", 15021),
    ("ENVOY_PROMETHEUS_PORT", 15090),
    ("ENVOY_SECURE_METRICS_PORT", 0),
    ("ENVOY_SECURE_MERGED_METRICS_PORT", 0),
];

fn port(input: &Input, key: &str, usual: u16) -> u16 {
    input.environment.get(key).and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// The name that the proxy goes by in traces and statistics.
fn service_cluster(config: &Value, metadata: &Map<String, Value>, labels: &Texts) -> String {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let label = |keys: [&str; 3]| keys.into_iter().find_map(|key| labels.get(key)).cloned();
    let [app, recommended, canonical] = ["app", "app.kubernetes.io/name", "service.istio.io/canonical-name"];
    let namespace = text("NAMESPACE");
    let or_usual = |name: &str| {
        if !name.is_empty() && name != "istio-proxy" {
            return name.to_owned();
        }
        let workload = || text("WORKLOAD_NAME").map(str::to_owned);
        match (label([app, recommended, canonical]).or_else(workload), namespace) {
            (Some(name), namespace) => format!("{name}.{}", namespace.unwrap_or_default()),
            (None, Some(namespace)) => format!("istio-proxy.{namespace}"),
            (None, None) => "istio-proxy".to_owned(),
        }
    };
    let canonical_name = || {
        let workload = text("WORKLOAD_NAME").unwrap_or("istio-proxy").to_owned();
        label([canonical, recommended, app]).unwrap_or(workload)
    };
    match (config["tracingServiceName"].as_str(), namespace) {
        (Some("CANONICAL_NAME_AND_NAMESPACE"), Some(namespace)) => format!("{}.{namespace}", canonical_name()),
        (Some("CANONICAL_NAME_AND_NAMESPACE" | "CANONICAL_NAME_ONLY"), _) => or_usual(&canonical_name()),
        (Some(_), _) => or_usual("istio-proxy"),
        (None, _) => or_usual(config["serviceCluster"].as_str().unwrap_or_default()),
    }
}
