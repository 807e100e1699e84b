//! Every golden output is one that Envoy takes.

use serde_json::{Value, json};
use tests::golden::{cases, resources};

use super::*;

/// A static configuration with the resources of a case: route tables stand in listeners made for them.
fn bootstrap(case: &Value) -> Value {
    let list = |key: &str| case[key].as_object().into_iter().flatten().map(|(_, value)| value.clone());
    let tables = list("rds").enumerate().map(|(at, table)| {
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "statPrefix": "x", "routeConfig": table,
            "httpFilters": [
                { "name": "envoy.filters.http.fault", "typedConfig": { "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault" } },
                { "name": "envoy.filters.http.cors", "typedConfig": { "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors" } },
                { "name": "envoy.filters.http.router", "typedConfig": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
            ],
        });
        json!({
            "name": format!("table-{at}"),
            "address": { "socketAddress": { "address": "127.0.0.1", "portValue": 20000 + at } },
            "filterChains": [{ "filters": [{ "name": "http", "typedConfig": manager }] }],
        })
    });
    let agents = |name: &str| {
        json!({
            "name": name, "type": "STATIC", "typedExtensionProtocolOptions": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicitHttpConfig": { "http2ProtocolOptions": {} },
            } },
        })
    };
    json!({
        "node": { "id": "x", "cluster": "x" },
        "dynamicResources": { "adsConfig": { "apiType": "DELTA_GRPC", "transportApiVersion": "V3", "grpcServices": [{ "envoyGrpc": { "clusterName": "xds" } }] } },
        "staticResources": {
            "listeners": list("lds").chain(tables).collect::<Vec<_>>(),
            "clusters": list("cds").chain([agents("xds"), agents("sds-grpc")]).collect::<Vec<_>>(),
        },
    })
}

#[test]
fn envoy_takes_every_golden_output() {
    let Ok(binary) = envoy().map_err(|why| need("golden", Some(why))) else { return };
    let folder = folder();
    for case in cases() {
        // What gRPC listens to is no listener to Envoy.
        if case.file_name().is_some_and(|name| name.to_string_lossy().starts_with("grpc")) {
            continue;
        }
        let config = bootstrap(&resources(&case).unwrap());
        let refused = bed::envoy::validate(&binary, &config, &folder).unwrap();
        if case.ends_with("istio-proxy") {
            assert!(refused.is_some_and(|why| why.contains("istio")), "stock Envoy has none of Istio's filters");
            continue;
        }
        assert_eq!(refused, None, "{}", case.display());
    }
    let bad = json!({ "staticResources": { "clusters": [{ "name": "" }] } });
    assert!(bed::envoy::validate(&binary, &bad, &folder).unwrap().is_some(), "Envoy says no to what is wrong");
}
