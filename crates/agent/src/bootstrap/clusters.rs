//! Static clusters: Envoy's own pages, the agent, its sockets, tracers and the services that take metrics and access logs.

use serde_json::{Value, json};

use super::{Context, Refused};

/// An address and a port.
pub(super) fn socket(address: &str, port: &Value) -> Value {
    json!({ "socket_address": { "protocol": "TCP", "address": address, "port_value": port } })
}

fn cluster(name: &str, kind: &str, timeout: &str, address: &Value) -> Value {
    json!({
        "name": name,
        "alt_stat_name": format!("{name};"),
        "type": kind,
        "connect_timeout": timeout,
        "lb_policy": "ROUND_ROBIN",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

fn http2(mut cluster: Value) -> Value {
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        },
    });
    cluster
}

/// All static clusters.
pub(super) fn clusters(context: &mut Context<'_>) -> Result<Vec<Value>, Refused> {
    let localhost = context.places.localhost;
    let local = |name: &str, port: &str| cluster(name, "STATIC", "0.250s", &socket(localhost, &context.config[port]));
    let pipe = |name: &str, path: String| http2(cluster(name, "STATIC", "1s", &json!({ "pipe": { "path": path } })));
    let file = context.node.text("WORKLOAD_IDENTITY_SOCKET_FILE").unwrap_or("socket");
    let mut xds = pipe("xds-grpc", format!("{}/XDS", context.text("/configPath")));
    let threshold = |priority: &str| {
        json!({
            "priority": priority,
            "max_connections": 100_000,
            "max_pending_requests": 100_000,
            "max_requests": 100_000,
        })
    };
    xds["circuit_breakers"] = json!({ "thresholds": [threshold("DEFAULT"), threshold("HIGH")] });
    xds["upstream_connection_options"] = json!({ "tcp_keepalive": { "keepalive_time": 300 } });
    xds["max_requests_per_connection"] = json!(1);
    let mut all = vec![
        local("prometheus_stats", "proxyAdminPort"),
        local("agent", "statusPort"),
        pipe("sds-grpc", format!("./var/run/secrets/workload-spiffe-uds/{file}")),
        xds,
    ];
    all.extend(tracer(context)?);
    for (key, name) in
        [("envoyMetricsService", "envoy_metrics_service"), ("envoyAccessLogService", "envoy_accesslog_service")]
    {
        all.extend(service(context, key, name)?);
    }
    if context.node.is_true("ENABLE_SELF_DISCOVERY") {
        all.push(local_cluster());
    }
    Ok(all)
}

/// `host:port`, where `$(HOST_IP)` stands for the node.
pub(super) fn split(context: &Context<'_>, what: &str, address: &str) -> Result<Value, Refused> {
    let refuse = || Refused(format!("{what}: {address:?} is not host:port"));
    let (host, port) = address.rsplit_once(':').ok_or_else(refuse)?;
    let port: u16 = port.parse().map_err(|_| refuse())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let node = context.input.environment.get("HOST_IP").filter(|address| !address.is_empty());
    let host = if host == "$(HOST_IP)" { node.map_or(host, String::as_str) } else { host };
    Ok(json!({ "socket_address": { "address": host, "port_value": port } }))
}

fn dns(context: &Context<'_>, name: &str, address: &Value) -> Value {
    let mut cluster = cluster(name, "STRICT_DNS", "1s", address);
    cluster["respect_dns_ttl"] = json!(true);
    cluster["dns_lookup_family"] = json!(context.places.lookup);
    cluster
}

fn tracer(context: &mut Context<'_>) -> Result<Option<Value>, Refused> {
    if context.config.pointer("/tracing/lightstep").is_some() {
        context.warnings.push("the LightStep tracer is left out: Envoy no longer has it".to_owned());
    }
    if context.config.pointer("/tracing/stackdriver").is_some() {
        return Err(Refused("tracing.stackdriver: the GCP project is not known".to_owned()));
    }
    let tracers = [("zipkin", "zipkin"), ("datadog", "datadog_agent")];
    let found = tracers.into_iter().find(|(key, _)| !context.text(&format!("/tracing/{key}/address")).is_empty());
    let Some((key, name)) = found else { return Ok(None) };
    let address = split(context, &format!("tracing.{key}.address"), context.text(&format!("/tracing/{key}/address")))?;
    let mut cluster = dns(context, name, &address);
    if key == "zipkin" {
        cluster["dns_refresh_rate"] = json!("30s");
    }
    if let Some(tls) =
        context.config.pointer("/tracing/tlsSettings").and_then(|tls| transport(context, tls, "tracer", false))
    {
        cluster["transport_socket"] = tls;
    }
    Ok(Some(cluster))
}

/// The tracer that Envoy uses where a listener names none.
pub(super) fn tracing(context: &Context<'_>) -> Option<Value> {
    let http = if !context.text("/tracing/zipkin/address").is_empty() {
        json!({
            "name": "envoy.tracers.zipkin",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.ZipkinConfig",
                "collector_cluster": "zipkin",
                "collector_endpoint": "/api/v2/spans",
                "collector_endpoint_version": "HTTP_JSON",
                "trace_id_128bit": true,
                "shared_span_context": false,
            },
        })
    } else if !context.text("/tracing/datadog/address").is_empty() {
        json!({
            "name": "envoy.tracers.datadog",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.DatadogConfig",
                "collector_cluster": "datadog_agent",
                "service_name": context.node.cluster(),
            },
        })
    } else {
        return None;
    };
    Some(json!({ "http": http }))
}

/// A service that takes metrics or access logs.
fn service(context: &Context<'_>, key: &str, name: &str) -> Result<Option<Value>, Refused> {
    let settings = &context.config[key];
    let address = settings["address"].as_str().unwrap_or_default();
    if address.is_empty() {
        return Ok(None);
    }
    let address = split(context, &format!("{key}.address"), address)?;
    let mut cluster = http2(dns(context, name, &address));
    if let Some(tls) = settings.get("tlsSettings").and_then(|tls| transport(context, tls, name, true)) {
        cluster["transport_socket"] = tls;
    }
    if let Some(keepalive) = settings.get("tcpKeepalive") {
        let seconds = |key: &str| {
            let text = keepalive[key].as_str()?;
            Some(api::scalars::Duration::parse(text).ok()?.std().as_secs()).filter(|seconds| *seconds > 0)
        };
        let probes = keepalive["probes"].as_u64().filter(|probes| *probes > 0);
        let mut out = json!({});
        for (key, value) in [
            ("keepalive_probes", probes),
            ("keepalive_time", seconds("time")),
            ("keepalive_interval", seconds("interval")),
        ] {
            value.into_iter().for_each(|value| out[key] = json!(value));
        }
        cluster["upstream_connection_options"] = json!({ "tcp_keepalive": out });
    }
    Ok(Some(cluster))
}

/// A secret that the agent hands out.
pub(super) fn secret(name: &str) -> Value {
    json!({
        "name": name,
        "sds_config": {
            "api_config_source": {
                "api_type": "GRPC",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "sds-grpc" } }],
                "set_node_on_first_message_only": true,
                "transport_api_version": "V3",
            },
            "initial_fetch_timeout": "0s",
            "resource_api_version": "V3",
        },
    })
}

/// TLS to a service, by the words of DestinationRules. Metadata of the node goes before the settings' own files.
fn transport(context: &Context<'_>, tls: &Value, sni: &str, h2: bool) -> Option<Value> {
    let text = |key: &str| tls[key].as_str().unwrap_or_default();
    let file = |key: &str, setting: &str| context.node.text(key).unwrap_or_else(|| text(setting)).to_owned();
    let root = file("TLS_CLIENT_ROOT_CERT", "caCertificates");
    let own = [file("TLS_CLIENT_CERT_CHAIN", "clientCertificate"), file("TLS_CLIENT_KEY", "privateKey")];
    let root = (!root.is_empty()).then(|| format!("file-root:{root}"));
    let own = (!own[0].is_empty() && !own[1].is_empty()).then(|| format!("file-cert:{}~{}", own[0], own[1]));
    let (own, root, alpn, sni) = match text("mode") {
        "SIMPLE" => (None, root, &["h2"][..], text("sni")),
        "MUTUAL" => (own, root, &["h2"][..], text("sni")),
        "ISTIO_MUTUAL" => {
            let sni = if text("sni").is_empty() { sni } else { text("sni") };
            (Some("default".to_owned()), Some("ROOTCA".to_owned()), &["istio", "h2"][..], sni)
        }
        _ => return None,
    };
    let names = tls["subjectAltNames"].as_array().into_iter().flatten();
    let names: Vec<Value> = names.map(|name| json!({ "exact": name })).collect();
    let checked = if names.is_empty() { json!({}) } else { json!({ "match_subject_alt_names": names }) };
    let mut common = match root {
        Some(root) => json!({ "combined_validation_context": {
            "default_validation_context": checked,
            "validation_context_sds_secret_config": secret(&root),
        } }),
        // Envoy takes no combined context without a secret.
        None => json!({ "validation_context": checked }),
    };
    own.into_iter().for_each(|name| common["tls_certificate_sds_secret_configs"] = json!([secret(&name)]));
    if h2 {
        common["alpn_protocols"] = json!(alpn);
    }
    let mut config = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common,
    });
    if !sni.is_empty() {
        config["sni"] = json!(sni);
    }
    Some(json!({ "name": "envoy.transport_sockets.tls", "typed_config": config }))
}

/// The proxies of the same workload, for balancing that knows how many there are.
fn local_cluster() -> Value {
    json!({
        "name": "local_cluster",
        "alt_stat_name": "local_cluster;",
        "type": "EDS",
        "connect_timeout": "1s",
        "load_balancing_policy": { "policies": [{ "typed_extension_config": {
            "name": "envoy.load_balancing_policies.least_request",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
                "locality_lb_config": { "zone_aware_lb_config": { "min_cluster_size": "1" } },
            },
        } }] },
        "eds_cluster_config": {
            "eds_config": { "ads": {}, "resource_api_version": "V3" },
            "service_name": "local_cluster",
        },
    })
}
