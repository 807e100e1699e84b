//! Static listeners: metrics for Prometheus, readiness, and both kinds of metrics behind mutual TLS where ports are set for them.

use serde_json::{Value, json};

use super::Context;
use super::clusters::{secret, socket};

/// All static listeners.
pub(super) fn listeners(context: &Context<'_>) -> Vec<Value> {
    let places = &context.places;
    let port = |key: &str| context.node.metadata.get(key);
    let local = context.config["proxyMetadata"]["METRICS_LOCALHOST_ACCESS_ONLY"] == "true";
    let (on, also) = match places.also {
        also if local => (places.localhost, also.map(|(localhost, _)| localhost)),
        also => (places.wildcard, also.map(|(_, wildcard)| wildcard)),
    };
    let nothing = json!(0);
    let compressed = context.config["statsCompression"] != false;
    let mut all = vec![listener(
        (on, also),
        port("ENVOY_PROMETHEUS_PORT").unwrap_or(&nothing),
        json!([{ "filters": [manager("stats", &[("/stats/prometheus", "prometheus_stats")], compressed)] }]),
    )];
    for (key, prefix, routes) in [
        ("ENVOY_SECURE_METRICS_PORT", "secure_stats", &[("/stats/prometheus", "prometheus_stats")][..]),
        (
            "ENVOY_SECURE_MERGED_METRICS_PORT",
            "secure_merged_stats",
            &[("/stats/prometheus", "agent"), ("/metrics", "agent")],
        ),
    ] {
        let Some(port) = port(key) else { continue };
        let mut secure = listener((places.wildcard, None), port, json!([secured(manager(prefix, routes, false))]));
        secure["listener_filters"] = json!([{
            "name": "envoy.filters.listener.tls_inspector",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector" },
        }]);
        all.push(secure);
    }
    let mut status = listener(
        (places.wildcard, places.also.map(|(_, wildcard)| wildcard)),
        port("ENVOY_STATUS_PORT").unwrap_or(&nothing),
        json!([{ "filters": [manager("agent", &[("/healthz/ready", "agent")], false)] }]),
    );
    if context.flag("ENVOY_STATUS_PORT_ENABLE_PROXY_PROTOCOL", false) {
        status["listener_filters"] = json!([{
            "name": "envoy.listener.proxy_protocol",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
                "allow_requests_without_proxy_protocol": true,
            },
        }]);
    }
    all.push(status);
    all
}

fn listener((address, also): (&str, Option<&str>), port: &Value, chains: Value) -> Value {
    let mut listener = json!({
        "name": format!("{address}_{port}"),
        "address": socket(address, port),
        "ignore_global_conn_limit": true,
        "bypass_overload_manager": true,
        "filter_chains": chains,
    });
    if let Some(also) = also {
        listener["additional_addresses"] = json!([{ "address": socket(also, port) }]);
    }
    listener
}

fn manager(prefix: &str, routes: &[(&str, &str)], compressed: bool) -> Value {
    let route =
        |(path, cluster): &(&str, &str)| json!({ "match": { "prefix": path }, "route": { "cluster": cluster } });
    let routes: Vec<Value> = routes.iter().map(route).collect();
    let mut filters: Vec<Value> =
        if compressed { ["brotli", "zstd", "gzip"].map(compressor).into() } else { Vec::new() };
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "codec_type": "AUTO",
            "stat_prefix": prefix,
            "route_config": { "virtual_hosts": [{ "name": "backend", "domains": ["*"], "routes": routes }] },
            "http_filters": filters,
        },
    })
}

fn compressor(name: &str) -> Value {
    let library = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    json!({
        "name": format!("envoy.filters.http.compressor.{name}"),
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor",
            "compressor_library": {
                "name": format!("stats_{name}"),
                "typed_config": { "@type": format!("type.googleapis.com/envoy.extensions.compression.{name}.compressor.v3.{library}") },
            },
            "response_direction_config": { "common_config": { "content_type": [
                "text/plain",
                "application/vnd.google.protobuf",
                "application/openmetrics-text",
                "application/openmetrics-protobuf",
            ] } },
        },
    })
}

/// A chain for clients with certificates of the mesh.
fn secured(filter: Value) -> Value {
    json!({
        "filter_chain_match": { "transport_protocol": "tls" },
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "common_tls_context": {
                    "tls_certificate_sds_secret_configs": [without_timeout(secret("default"))],
                    "combined_validation_context": {
                        "default_validation_context": {},
                        "validation_context_sds_secret_config": without_timeout(secret("ROOTCA")),
                    },
                },
            },
        },
        "filters": [filter],
    })
}

/// These listeners come up without waiting for ever.
fn without_timeout(mut secret: Value) -> Value {
    if let Some(config) = secret["sds_config"].as_object_mut() {
        config.remove("initial_fetch_timeout");
    }
    secret
}
