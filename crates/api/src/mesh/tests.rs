//! Mesh settings: what is read, what is said, and that the table is whole.

use super::messages::MESSAGES;
use super::schema::Shape;
use super::*;

fn said(text: &str) -> Vec<String> {
    MeshConfig::from_yaml(text).1.iter().map(|issue| format!("{} {}", issue.severity, issue.path)).collect()
}

#[test]
fn the_table_names_only_messages_that_it_has() {
    let has = |wanted: &str| MESSAGES.iter().any(|message| message.name == wanted);
    for message in MESSAGES {
        for (field, shape) in message.fields {
            if let Shape::One(name) | Shape::Many(name) | Shape::Named(name) = shape {
                assert!(has(name), "{}.{field} is a {name}", message.name);
            }
        }
        for name in message.needed.iter().chain(message.one_of) {
            assert!(message.fields.iter().any(|(field, _)| field == name), "{}.{name}", message.name);
        }
        assert_eq!(MESSAGES.iter().filter(|other| other.name == message.name).count(), 1, "{}", message.name);
    }
}

#[test]
fn one_wrong_setting_takes_no_other_along() {
    let (config, issues) =
        MeshConfig::from_yaml("trustDomain: corp.test\nconnectTimeout: soon\naccessLogFile: /dev/stdout\n");
    assert_eq!(config.trust_domain, "corp.test");
    assert_eq!(config.access_log_file, "/dev/stdout");
    assert_eq!(config.connect_timeout, MeshConfig::default().connect_timeout);
    let [issue] = issues.as_slice() else { panic!("{issues:?}") };
    assert_eq!((issue.severity, issue.path.as_str()), (Severity::Error, "connectTimeout"));
    assert_eq!(issue.place.as_ref().unwrap().line, 2);
}

#[test]
fn settings_are_judged_one_by_one() {
    for (text, wanted) in [
        ("trustDomain: a.test", ""),
        ("trustDomain: 5", "error trustDomain"),
        ("proxyListenPort: 70000", "error proxyListenPort"),
        ("enableAutoMtls: 'true'", "error enableAutoMtls"),
        ("enableAutoMtls: true", ""),
        ("trustDomian: a", "warning trustDomian"),
        ("enableTracing: true", "info enableTracing"),
        ("ingressControllerMode: SOMETIMES", "error ingressControllerMode"),
        ("defaultServiceExportTo: ['*', a]", "error defaultServiceExportTo[0]"),
        ("defaultServiceExportTo: [a, b]", ""),
        ("connectTimeout: 0s", "error connectTimeout"),
        ("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", ""),
        ("outboundTrafficPolicy: {mode: NEVER}", "error outboundTrafficPolicy.mode"),
        ("tcpKeepalive: {probes: x}", "error tcpKeepalive.probes"),
        ("localityLbSetting: []", "error localityLbSetting"),
        ("defaultConfig: {concurrency: 2}", "info defaultConfig"),
        (
            "discoverySelectors: [{matchExpressions: [{key: a, operator: Is}]}]",
            "error discoverySelectors[0].matchExpressions[0].operator",
        ),
        ("discoverySelectors: [{matchLabels: {a: b}}]", ""),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said(text), wanted, "{text}");
    }
}

#[test]
fn nested_settings_name_their_path() {
    let first = |text: &str| said(text).into_iter().find(|line| !line.starts_with("info")).unwrap_or_default();
    for (text, wanted) in [
        ("defaultConfig: {concurency: 2}", "warning defaultConfig.concurency"),
        ("defaultConfig: {concurrency: -1}", "error defaultConfig.concurrency"),
        ("defaultConfig: {drainDuration: 1500ms}", "error defaultConfig.drainDuration"),
        ("defaultConfig: {discoveryAddress: 'istiod.istio-system.svc:15012'}", ""),
        ("defaultConfig: {discoveryAddress: istiod}", "error defaultConfig.discoveryAddress"),
        ("defaultConfig: {proxyMetadata: {A: 1}}", "error defaultConfig.proxyMetadata.A"),
        ("defaultConfig: {tracing: {sampling: 101}}", "error defaultConfig.tracing.sampling"),
        ("defaultConfig: {tracing: {zipkin: {address: 'a:1'}, datadog: {}}}", "error defaultConfig.tracing"),
        ("defaultConfig: {tracing: {tlsSettings: {mode: NONE}}}", "error defaultConfig.tracing.tlsSettings.mode"),
        (
            "defaultConfig: {proxyStatsMatcher: {inclusionRegexps: ['(']}}",
            "error defaultConfig.proxyStatsMatcher.inclusionRegexps[0]",
        ),
        (
            "defaultConfig: {connectionSettings: {http2InitialStreamWindowSize: 1}}",
            "error defaultConfig.connectionSettings.http2InitialStreamWindowSize",
        ),
        ("extensionProviders: [{name: a, zipkin: {service: z.test, port: 9411}}]", ""),
        ("extensionProviders: [{zipkin: {service: z.test, port: 9411}}]", "error extensionProviders[0].name"),
        ("extensionProviders: [{name: a, zipkin: {service: z.test}}]", "error extensionProviders[0].zipkin.port"),
        (
            "extensionProviders: [{name: a, prometheus: {}, envoyFileAccessLog: {path: /dev/stdout}}]",
            "error extensionProviders[0]",
        ),
        ("tlsDefaults: {ecdhCurves: [P-256, P-256]}", "error tlsDefaults.ecdhCurves[1]"),
        ("tlsDefaults: {ecdhCurves: [P-1]}", "error tlsDefaults.ecdhCurves[0]"),
        ("- a", "error "),
    ] {
        assert_eq!(first(text), wanted, "{text}");
    }
}
