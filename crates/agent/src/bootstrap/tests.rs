//! What pilot-agent would say to the same input.

use super::*;

fn input(environment: &[(&str, &str)]) -> Input {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Input {
        kind: Kind::Sidecar,
        mesh_config: None,
        labels: None,
        annotations: None,
        environment: environment.iter().map(pair).collect(),
        addresses: vec!["10.0.0.5".to_owned()],
        domain: None,
        outlier_log: None,
        log_json: false,
    }
}

const POD: [(&str, &str); 3] = [("POD_NAME", "web-1"), ("POD_NAMESPACE", "shop"), ("SERVICE_ACCOUNT", "web")];

fn out(input: &Input) -> Value {
    bootstrap(input).unwrap().0
}

fn pod(more: &[(&str, &str)]) -> Input {
    input(&[&POD[..], more].concat())
}

#[test]
fn the_node_says_who_the_proxy_is() {
    let mut input = pod(&[("ISTIO_META_CLUSTER_ID", "east"), ("ISTIO_METAJSON_X", r#"{"A":{"b":1}}"#)]);
    input.labels =
        Some("app=\"web\"\npod-template-hash=\"x\"\nistio-locality=\"eu.west.a\"\nq=\"a\\\"b\\u00e9\"".to_owned());
    input.annotations = Some("note=\"one\\ntwo\"".to_owned());
    input.addresses = ["10.0.0.5", "10.0.0.6", "10.0.0.5"].map(str::to_owned).to_vec();
    let node = &out(&input)["node"];
    assert_eq!(node["id"], "sidecar~10.0.0.5~web-1.shop~shop.svc.cluster.local");
    assert_eq!(node["cluster"], "web.shop");
    assert_eq!(node["locality"], json!({ "region": "eu", "zone": "west", "sub_zone": "a" }));
    let metadata = &node["metadata"];
    assert_eq!(metadata["LABELS"], json!({ "app": "web", "istio-locality": "eu/west/a", "q": "a\"bé" }));
    assert_eq!(metadata["ANNOTATIONS"]["note"], "one\ntwo");
    assert_eq!(metadata["INSTANCE_IPS"], "10.0.0.5,10.0.0.6");
    assert_eq!((&metadata["CLUSTER_ID"], &metadata["A"]["b"]), (&json!("east"), &json!(1)));
    assert_eq!((&metadata["NAME"], &metadata["SERVICE_ACCOUNT"]), (&json!("web-1"), &json!("web")));
    assert_eq!(metadata["PILOT_SAN"], json!(["istiod.istio-system.svc"]));
    assert_eq!((&metadata["ENVOY_STATUS_PORT"], metadata.get("ENVOY_SECURE_METRICS_PORT")), (&json!(15021), None));
}

#[test]
fn the_cluster_has_a_name_by_what_is_known() {
    let name = |more: &[(&str, &str)]| out(&pod(more))["node"]["cluster"].as_str().unwrap().to_owned();
    assert_eq!(name(&[]), "istio-proxy.shop");
    assert_eq!(name(&[("ISTIO_META_WORKLOAD_NAME", "front")]), "front.shop");
    let labels = ("ISTIO_METAJSON_LABELS", r#"{"app":"a","service.istio.io/canonical-name":"c"}"#);
    assert_eq!(name(&[labels]), "a.shop");
    assert_eq!(name(&[labels, ("PROXY_CONFIG", "{serviceCluster: mine}")]), "mine");
    assert_eq!(name(&[labels, ("PROXY_CONFIG", "tracingServiceName: CANONICAL_NAME_ONLY")]), "c");
    assert_eq!(name(&[labels, ("PROXY_CONFIG", "tracing_service_name: CANONICAL_NAME_AND_NAMESPACE")]), "c.shop");
    assert_eq!(out(&input(&[]))["node"]["cluster"], "istio-proxy");
}

#[test]
fn settings_are_laid_over_each_other() {
    let mut input = pod(&[(
        "PROXY_CONFIG",
        "{proxyAdminPort: 15001, proxyMetadata: {B: b, ISTIO_META_C: c}, unknown: 1, concurrency: null}",
    )]);
    input.mesh_config =
        Some("defaultConfig:\n  proxyAdminPort: 1\n  drainDuration: 1m\n  proxyMetadata: {A: a, B: x}".to_owned());
    input.annotations =
        Some("proxy.istio.io/config=\"concurrency: 2\"\nsidecar.istio.io/discoveryAddress=\"x:1\"".to_owned());
    let metadata = &out(&input)["node"]["metadata"];
    let config = &metadata["PROXY_CONFIG"];
    assert_eq!(config["proxyMetadata"], json!({ "A": "a", "B": "b", "ISTIO_META_C": "c" }));
    assert_eq!((&config["proxyAdminPort"], &config["concurrency"]), (&json!(15001), &json!(2)));
    assert_eq!((&config["drainDuration"], &config["discoveryAddress"]), (&json!("60s"), &json!("x:1")));
    assert_eq!((&metadata["C"], config.get("unknown")), (&json!("c"), None));
    for wrong in [
        "proxyAdminPort: 70000",
        "drainDuration: x",
        "controlPlaneAuthPolicy: MAYBE",
        "proxyMetadata: []",
        "a: [",
        "concurrency: true",
    ] {
        assert!(bootstrap(&pod(&[("PROXY_CONFIG", wrong)])).is_err(), "{wrong}");
    }
    assert!(bootstrap(&pod(&[("ISTIO_META_DNS_CAPTURE", "perhaps")])).is_err());
    let wrong = [("ENVOY_STATUS_PORT", "x"), ("ISTIO_DELTA_XDS", "y"), ("ISTIO_META_LOAD_STATS_CONFIG_JSON", "{")];
    let (_, warnings) = bootstrap(&pod(&wrong)).unwrap();
    for (name, _) in wrong {
        let name = name.trim_start_matches("ISTIO_META_");
        assert!(warnings.iter().any(|warning| warning.contains(name)), "{name}: {warnings:?}");
    }
    let (_, warnings) = bootstrap(&pod(&[("ISTIO_METAJSON_X", "{")])).unwrap();
    assert!(warnings[0].contains("ISTIO_METAJSON_X"), "{warnings:?}");
}

#[test]
fn addresses_decide_on_what_envoy_listens() {
    let with = |addresses: &[&str], dual: &str| {
        let mut input = pod(&[("ISTIO_DUAL_STACK", dual)]);
        input.addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        let out = out(&input);
        let listener = &out["static_resources"]["listeners"][0];
        (listener["name"].as_str().unwrap().to_owned(), listener["additional_addresses"][0]["address"].clone())
    };
    let also = |address: &str| clusters::socket(address, &json!(15090));
    assert_eq!(with(&["10.0.0.1"], "false"), ("0.0.0.0_15090".to_owned(), Value::Null));
    assert_eq!(with(&["fd00::1"], "false"), ("::_15090".to_owned(), Value::Null));
    assert_eq!(with(&["10.0.0.1", "fd00::1"], "false"), ("0.0.0.0_15090".to_owned(), Value::Null));
    assert_eq!(with(&["10.0.0.1", "fd00::1"], "true"), ("0.0.0.0_15090".to_owned(), also("::")));
    assert_eq!(with(&["fd00::1", "10.0.0.1"], "true"), ("::_15090".to_owned(), also("0.0.0.0")));
}

#[test]
fn statistics_are_kept_as_annotations_say() {
    let mut input = pod(&[("PROXY_CONFIG", "proxyStatsMatcher: {inclusionPrefixes: [a], inclusionSuffixes: [b]}")]);
    input.annotations = Some(
        "sidecar.istio.io/statsInclusionPrefixes=\"http.{pod_ip}_,c\"\nsidecar.istio.io/extraStatTags=\"x,x\"\n\
        sidecar.istio.io/statsFlushInterval=\"1m\"\nsidecar.istio.io/statsEvictionInterval=\"90s\""
            .to_owned(),
    );
    let (out, warnings) = bootstrap(&input).unwrap();
    let patterns = out["stats_config"]["stats_matcher"]["inclusion_list"]["patterns"].as_array().unwrap();
    for wanted in [
        json!({ "prefix": "http.10.0.0.5_" }),
        json!({ "prefix": "c" }),
        json!({ "suffix": "b" }),
        json!({ "suffix": "rbac.denied" }),
    ] {
        assert!(patterns.contains(&wanted), "{wanted}");
    }
    assert!(!patterns.contains(&json!({ "prefix": "a" })));
    let tags = out["stats_config"]["stats_tags"].as_array().unwrap();
    assert_eq!(tags.iter().filter(|tag| tag["tag_name"] == "x").count(), 1);
    assert_eq!((&out["stats_flush_interval"], out.get("stats_eviction_interval")), (&json!("60s"), None));
    assert!(warnings[0].contains("multiple"), "{warnings:?}");
}

#[test]
fn limits_and_runtime_follow_the_settings() {
    let limit = |config: &str| {
        let out = out(&pod(&[("PROXY_CONFIG", config)]));
        out["overload_manager"]["resource_monitors"][0]["typed_config"]["max_active_downstream_connections"].clone()
    };
    assert_eq!(limit("{}"), 2_147_483_647);
    assert_eq!(limit("runtimeValues: {overload.global_downstream_max_connections: '7'}"), 7);
    let both = "{runtimeValues: {overload.global_downstream_max_connections: '7'}, proxyMetadata: {ISTIO_META_GLOBAL_DOWNSTREAM_MAX_CONNECTIONS: '8'}}";
    assert_eq!(limit(both), 8);
    assert_eq!(limit("connectionSettings: {globalDownstreamConnectionLimit: 9}"), 9);
    let out = out(&pod(&[("PROXY_CONFIG", "runtimeValues: {a: 'true', b: x, re2.max_program_size.error_level: ''}")]));
    let layer = &out["layered_runtime"]["layers"][0]["static_layer"];
    assert_eq!(
        (&layer["a"], &layer["b"], layer.get("re2.max_program_size.error_level")),
        (&json!(true), &json!("x"), None)
    );
}
