//! Envoy's bootstrap for a stock Envoy: [`Input`] is everything it depends on, [`bootstrap`] the JSON. No machine is looked at.
//! Source of the behaviour: istio: pkg/bootstrap/config.go, tools/packaging/common/envoy_bootstrap.json.

use std::collections::BTreeMap;

use serde_json::{Value, json};

mod clusters;
mod listeners;
mod node;
mod podinfo;
mod proxy_config;
mod stats;

#[cfg(test)]
mod tests;

use node::Node;

/// What a proxy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Beside a workload.
    Sidecar,
    /// A gateway.
    Router,
    /// A gateway of ambient.
    Waypoint,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Sidecar => "sidecar",
            Self::Router => "router",
            Self::Waypoint => "waypoint",
        }
    }
}

/// Everything that the bootstrap depends on.
#[derive(Clone, Debug)]
pub struct Input {
    /// What the proxy is.
    pub kind: Kind,
    /// The text of MeshConfig, if there is one.
    pub mesh_config: Option<String>,
    /// The downward API's `labels`, if there are any.
    pub labels: Option<String>,
    /// The downward API's `annotations`, if there are any.
    pub annotations: Option<String>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Addresses of the node, first one first.
    pub addresses: Vec<String>,
    /// The DNS domain, if one was given.
    pub domain: Option<String>,
    /// Where Envoy writes what outlier detection does.
    pub outlier_log: Option<String>,
    /// Logs are JSON.
    pub log_json: bool,
}

/// Why there is no bootstrap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// The addresses that a family has.
struct Places {
    localhost: &'static str,
    wildcard: &'static str,
    /// With both families: the other's.
    also: Option<(&'static str, &'static str)>,
    lookup: &'static str,
}

/// What the parts of the bootstrap are built from.
struct Context<'a> {
    input: &'a Input,
    config: Value,
    node: Node,
    places: Places,
    warnings: Vec<String>,
}

impl Context<'_> {
    /// A variable of the environment, as a truth value.
    fn flag(&self, name: &str, usual: bool) -> bool {
        flag(&self.input.environment, name, usual)
    }

    fn text(&self, path: &str) -> &str {
        self.config.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A truth value as Go reads it (`strconv.ParseBool`).
#[must_use]
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A variable that is a truth value.
fn flag(environment: &BTreeMap<String, String>, name: &str, usual: bool) -> bool {
    environment.get(name).and_then(|text| truth(text)).unwrap_or(usual)
}

/// Variables that are truth values.
const FLAGS: [&str; 5] = [
    "ISTIO_DUAL_STACK",
    "ISTIO_DELTA_XDS",
    "EXIT_ON_ZERO_ACTIVE_CONNECTIONS",
    "ENVOY_SKIP_DEPRECATED_LOGS",
    "ENVOY_STATUS_PORT_ENABLE_PROXY_PROTOCOL",
];

/// What is worth saying of variables that cannot be read: what is usual holds in their place.
fn unreadable(environment: &BTreeMap<String, String>) -> Vec<String> {
    let set = |name: &'static str| environment.get(name).filter(|text| !text.is_empty()).map(|text| (name, text));
    let flags = FLAGS.into_iter().filter_map(set).filter(|(_, text)| truth(text).is_none());
    let flags = flags.map(|(name, text)| format!("{name} is left out: {text:?} is neither true nor false"));
    let ports = node::PORTS.into_iter().filter_map(|(name, _)| set(name));
    let ports = ports.filter(|(_, text)| text.parse::<u16>().is_err());
    flags.chain(ports.map(|(name, text)| format!("{name} is left out: {text:?} is no port"))).collect()
}

/// The bootstrap, and what is worth a warning.
///
/// # Errors
/// When settings cannot be read.
pub fn bootstrap(input: &Input) -> Result<(Value, Vec<String>), Refused> {
    let mut warnings = Vec::new();
    warnings.extend(unreadable(&input.environment));
    let mut parse = |name: &str, text: &Option<String>| {
        text.as_deref().and_then(|text| {
            podinfo::parse(text).map_err(|error| warnings.push(format!("{name} of the pod are left out: {error}"))).ok()
        })
    };
    let (labels, annotations) = (parse("labels", &input.labels), parse("annotations", &input.annotations));
    let annotations = annotations.unwrap_or_default();
    let config = proxy_config::effective(input, &annotations, &mut warnings)?;
    let node = node::node(input, &config, (labels, annotations), &mut warnings)?;
    let both = flag(&input.environment, "ISTIO_DUAL_STACK", false);
    let mut context = Context { input, places: places(&node.addresses, both), config, node, warnings };
    let clusters = clusters::clusters(&mut context)?;
    let stats = stats::config(&mut context);
    let mut out = json!({
        "application_log_config": { "log_format": log_format(input.log_json) },
        "node": context.node.json(),
        "layered_runtime": { "layers": [
            { "name": "global config", "static_layer": runtime(&context) },
            { "name": "admin", "admin_layer": {} },
        ] },
        "bootstrap_extensions": [{
            "name": "envoy.bootstrap.internal_listener",
            "typed_config": {
                "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
                "type_url": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
                "value": { "buffer_size_kb": 64 },
            },
        }],
        "stats_config": stats,
        "admin": {
            "access_log": [{
                "name": "envoy.access_loggers.file",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                    "path": "/dev/null",
                },
            }],
            "address": clusters::socket(context.places.localhost, &context.config["proxyAdminPort"]),
        },
        "dynamic_resources": dynamic_resources(&context),
        "static_resources": { "clusters": clusters, "listeners": listeners::listeners(&context) },
        "overload_manager": overload(&context),
        "deferred_stat_options": { "enable_deferred_creation_stats": true },
    });
    let (flush, eviction) = stats::intervals(&mut context);
    let optional = [
        ("tracing", clusters::tracing(&context)),
        ("stats_sinks", stats::sinks(&mut context)),
        ("cluster_manager", cluster_manager(&mut context)),
        ("stats_flush_interval", flush),
        ("stats_eviction_interval", eviction),
    ];
    for (key, value) in optional {
        value.into_iter().for_each(|value| out[key] = value);
    }
    Ok((out, context.warnings))
}

/// By the families of the node's addresses.
fn places(addresses: &[String], both: bool) -> Places {
    let v6 = |address: &String| address.contains(':');
    let (four, six) = (("127.0.0.1", "0.0.0.0"), ("::1", "::"));
    let place = |(localhost, wildcard), also, lookup| Places { localhost, wildcard, also, lookup };
    match (addresses.iter().all(v6), addresses.iter().any(v6)) {
        (true, true) => place(six, None, "V6_ONLY"),
        (false, true) if both && addresses.first().is_some_and(v6) => place(six, Some(four), "ALL"),
        (false, true) if both => place(four, Some(six), "ALL"),
        _ => place(four, None, "V4_ONLY"),
    }
}

fn log_format(json: bool) -> Value {
    if json {
        return json!({ "json_format": {
            "time": "%Y-%m-%dT%T.%fZ",
            "level": "%l",
            "scope": "envoy %n",
            "msg": "%j",
            "caller": "%g:%#",
            "thread": "%t",
        } });
    }
    json!({ "text_format": "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t" })
}

fn dynamic_resources(context: &Context<'_>) -> Value {
    let delta = context.flag("ISTIO_DELTA_XDS", true) || context.input.kind == Kind::Waypoint;
    let ads = json!({ "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" });
    json!({
        "lds_config": ads,
        "cds_config": ads,
        "ads_config": {
            "api_type": if delta { "DELTA_GRPC" } else { "GRPC" },
            "set_node_on_first_message_only": true,
            "transport_api_version": "V3",
            "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
        },
    })
}

/// Defaults of Envoy's runtime under what users set; an empty value takes a default away.
fn runtime(context: &Context<'_>) -> Value {
    let mut flags = json!({
        "re2.max_program_size.error_level": "32768",
        "envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst": true,
        "envoy.reloadable_features.http_reject_path_with_fragment": false,
        "envoy.reloadable_features.fixed_heap_use_allocated": true,
        "envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": false,
    });
    if context.input.environment.get("COMPLIANCE_POLICY").is_some_and(|policy| policy == "fips-140-2") {
        flags["envoy.reloadable_features.google_grpc_disable_tls_13"] = json!(true);
    }
    let Value::Object(map) = &mut flags else { return flags };
    for (key, value) in context.config["runtimeValues"].as_object().into_iter().flatten() {
        match value.as_str().unwrap_or_default() {
            "" => drop(map.remove(key)),
            "true" => drop(map.insert(key.clone(), json!(true))),
            "false" => drop(map.insert(key.clone(), json!(false))),
            text => drop(map.insert(key.clone(), json!(text))),
        }
    }
    flags
}

/// How many connections clients may have open in all.
fn overload(context: &Context<'_>) -> Value {
    let setting = context.config.pointer("/connectionSettings/globalDownstreamConnectionLimit").and_then(Value::as_i64);
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<i64>().ok());
    let metadata = &context.config["proxyMetadata"]["ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS"];
    let runtime = &context.config["runtimeValues"]["overload.global_downstream_max_connections"];
    let limit = setting.filter(|limit| *limit > 0).or_else(|| number(metadata)).or_else(|| number(runtime));
    json!({ "resource_monitors": [{
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.\
                      DownstreamConnectionsConfig",
            "max_active_downstream_connections": limit.unwrap_or(i64::from(i32::MAX)),
        },
    }] })
}

fn cluster_manager(context: &mut Context<'_>) -> Option<Value> {
    let mut manager = json!({ "enable_deferred_cluster_creation": true });
    let mut wanted = false;
    if context.node.is_true("ENABLE_SELF_DISCOVERY") {
        manager["local_cluster_name"] = json!("local_cluster");
        wanted = true;
    }
    if let Some(path) = context.input.outlier_log.as_ref().filter(|path| !path.is_empty()) {
        manager["outlier_detection"] = json!({ "event_log_path": path });
        wanted = true;
    }
    let load = context.node.metadata.get("LOAD_STATS_CONFIG_JSON").and_then(Value::as_str);
    match load.map(serde_json::from_str::<Value>) {
        None => {}
        Some(Ok(load)) => {
            manager["load_stats_config"] = load;
            wanted = true;
        }
        Some(Err(error)) => context.warnings.push(format!("metadata LOAD_STATS_CONFIG_JSON is left out: {error}")),
    }
    wanted.then_some(manager)
}
