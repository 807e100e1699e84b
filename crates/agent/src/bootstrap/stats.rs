//! Statistics: which are kept, what stands in their names, and where they go. Annotations go before the ProxyConfig.

use std::net::ToSocketAddrs;

use serde_json::{Value, json};

use super::Context;
use super::clusters::split;

/// Parts of names that become tags, before and after those that users add.
const TAGS: [(&str, &str); 9] = [
    ("cluster_name", r"^cluster(\.(.+);)"),
    ("http_conn_manager_prefix", r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)"),
    ("thread_name", r"^server(\.(.+))\.watchdog"),
    ("tcp_prefix", r"^tcp\.((.*?)\.)\w+?$"),
    ("response_code", r"_rq(_(\d{3}))$"),
    ("response_code_class", r"_rq(_(\dxx))$"),
    (
        "http_conn_manager_listener_prefix",
        r"^listener(?=\.).*?\.http\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)",
    ),
    ("listener_address", r"^listener\.(((?:[_.[:digit:]]*|[_\[\]aAbBcCdDeEfF[:digit:]]*))\.)"),
    ("mongo_prefix", r"^mongo\.(.+?)\.(collection|cmd|cx_|op_|delays_|decoding_)(.*?)$"),
];
const MORE_TAGS: [(&str, &str); 7] = [
    ("cache", r"(cache\.(.+?)\.)"),
    ("component", r"(component\.(.+?)\.)"),
    ("tag", r"(tag\.(.+?);\.)"),
    ("wasm_filter", r"(wasm_filter\.(.+?)\.)"),
    ("authz_enforce_result", r"rbac(\.(allowed|denied))"),
    ("authz_dry_run_action", r"(\.istio_dry_run_(allow|deny)_)"),
    ("authz_dry_run_result", r"(\.shadow_(allowed|denied))"),
];
/// What readiness and draining look at, and what is needed for metrics by route.
const PREFIXES: [&str; 5] = ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm"];
const SUFFIXES: [&str; 4] = ["rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied"];
const DRAINING: &str = "downstream_cx_active";
const EXPRESSIONS: [&str; 1] = [r"vhost\..*\.route\..*"];
/// How often statistics are handed on unless said otherwise, in nanoseconds.
const FLUSH: u128 = 5_000_000_000;

/// `stats_config`.
pub(super) fn config(context: &mut Context<'_>) -> Value {
    let extra: Vec<(String, String)> =
        extra_tags(context).into_iter().map(|tag| (tag.clone(), format!(r"({tag}=\.=(.*?);\.;)"))).collect();
    let fixed = |tags: &[(&str, &str)]| -> Vec<(String, String)> {
        tags.iter().map(|(name, regex)| ((*name).to_owned(), (*regex).to_owned())).collect()
    };
    let tags = fixed(&TAGS).into_iter().chain(extra).chain(fixed(&MORE_TAGS));
    let tags: Vec<Value> = tags.map(|(name, regex)| json!({ "tag_name": name, "regex": regex })).collect();
    let mut suffixes = SUFFIXES.to_vec();
    if context.node.is_true("EXIT_ON_ZERO_ACTIVE_CONNECTIONS") {
        suffixes.push(DRAINING);
    }
    let mut patterns = vec![json!({ "prefix": "reporter=" })];
    let included = |what: &str, always: &[&str]| included(context, what, always).into_iter();
    patterns.extend(included("Prefixes", &PREFIXES).map(|text| json!({ "prefix": text })));
    patterns.extend(included("Suffixes", &suffixes).map(|text| json!({ "suffix": text })));
    patterns.extend(included("Regexps", &EXPRESSIONS).map(|text| json!({ "safe_regex": { "regex": text } })));
    patterns.extend([json!({ "prefix": "component" }), json!({ "prefix": "istio" })]);
    let mut out = json!({
        "use_all_default_tags": false,
        "stats_tags": tags,
        "stats_matcher": { "inclusion_list": { "patterns": patterns } },
    });
    if let Some(buckets) = buckets(context) {
        out["histogram_bucket_settings"] = buckets;
    }
    out
}

/// Tags that users add: of the ProxyConfig and of the annotation.
fn extra_tags(context: &Context<'_>) -> Vec<String> {
    let config = context.config["extraStatTags"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let annotation = context.node.annotations.get("sidecar.istio.io/extraStatTags").map(String::as_str);
    let mut tags: Vec<String> = Vec::new();
    for tag in config.chain(annotation.unwrap_or_default().split(',')).filter(|tag| !tag.is_empty()) {
        if !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    tags
}

/// What is kept, by the annotation, else by the ProxyConfig, and always; `{pod_ip}` stands for every address of the node.
fn included(context: &Context<'_>, what: &str, always: &[&str]) -> Vec<String> {
    let annotation = context.node.annotations.get(&format!("sidecar.istio.io/statsInclusion{what}"));
    let config = context.config.pointer(&format!("/proxyStatsMatcher/inclusion{what}")).and_then(Value::as_array);
    let mut all: Vec<String> = match annotation.filter(|text| !text.is_empty()) {
        Some(text) => text.split(',').map(str::to_owned).collect(),
        None => config.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
    };
    all.extend(always.iter().map(|text| (*text).to_owned()));
    let filled = |text: &String| match text.contains("{pod_ip}") {
        true => context.node.addresses.iter().map(|address| text.replace("{pod_ip}", address)).collect(),
        false => vec![text.clone()],
    };
    all.iter().flat_map(filled).collect()
}

/// Buckets of histograms, by prefix of their names.
fn buckets(context: &mut Context<'_>) -> Option<Value> {
    let text = context.node.annotations.get("sidecar.istio.io/statsHistogramBuckets")?;
    match serde_json::from_str::<std::collections::BTreeMap<String, Vec<f64>>>(text) {
        Ok(buckets) if buckets.is_empty() => None,
        Ok(buckets) => {
            let each = |(prefix, limits)| json!({ "match": { "prefix": prefix }, "buckets": limits });
            Some(buckets.into_iter().map(each).collect())
        }
        Err(error) => {
            context.warnings.push(format!("annotation sidecar.istio.io/statsHistogramBuckets is left out: {error}"));
            None
        }
    }
}

/// An interval of an annotation, in nanoseconds.
fn interval(context: &mut Context<'_>, what: &str) -> Option<u128> {
    let annotation = format!("sidecar.istio.io/stats{what}Interval");
    let text = context.node.annotations.get(&annotation)?;
    match api::scalars::Duration::parse(text) {
        Ok(interval) => Some(interval.std().as_nanos()),
        Err(error) => {
            context.warnings.push(format!("annotation {annotation} is left out: {error}"));
            None
        }
    }
}

fn seconds(nanos: u128) -> Value {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    json!(if rest == 0 { format!("{whole}s") } else { format!("{whole}.{rest:09}s") })
}

/// `stats_flush_interval` and `stats_eviction_interval`, where they are set; the second must fit the first.
pub(super) fn intervals(context: &mut Context<'_>) -> (Option<Value>, Option<Value>) {
    let (flush, mut eviction) = (interval(context, "Flush"), interval(context, "Eviction"));
    let every = flush.unwrap_or(FLUSH);
    if eviction.is_some_and(|eviction| every == 0 || eviction % every != 0) {
        let text = "annotation sidecar.istio.io/statsEvictionInterval is left out: it must be a multiple of the flush interval";
        context.warnings.push(text.to_owned());
        eviction = None;
    }
    (flush.map(seconds), eviction.map(seconds))
}

/// `stats_sinks`: the metrics service, and statsd.
pub(super) fn sinks(context: &mut Context<'_>) -> Option<Value> {
    let mut all = Vec::new();
    if !context.text("/envoyMetricsService/address").is_empty() {
        all.push(json!({
            "name": "envoy.stat_sinks.metrics_service",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.metrics.v3.MetricsServiceConfig",
                "transport_api_version": "V3",
                "grpc_service": { "envoy_grpc": { "cluster_name": "envoy_metrics_service" } },
            },
        }));
    }
    let statsd = context.text("/statsdUdpAddress").to_owned();
    if !statsd.is_empty() {
        // Envoy takes an address here, not a name.
        let resolved = statsd.to_socket_addrs().ok().and_then(|mut all| all.next());
        let resolved = resolved.and_then(|address| split(context, "statsdUdpAddress", &address.to_string()).ok());
        match resolved {
            Some(address) => all.push(json!({
                "name": "envoy.stat_sinks.statsd",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.config.metrics.v3.StatsdSink",
                    "address": address,
                },
            })),
            None => context.warnings.push(format!("statsdUdpAddress is left out: {statsd} is not known")),
        }
    }
    (!all.is_empty()).then_some(Value::Array(all))
}
