use names::Name;

use super::*;
use crate::yaml::documents;

fn read(text: &str, mode: Mode) -> (Vec<AnyObject>, Vec<Issue>) {
    let documents = documents(text, Some(&Name::from("t.yaml"))).unwrap();
    let read: Vec<_> = documents.iter().map(|document| decode(document, mode)).collect();
    let (objects, issues): (Vec<_>, Vec<_>) = read.into_iter().unzip();
    (objects.into_iter().flatten().collect(), issues.into_iter().flatten().collect())
}

const RULE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart]
  http:
  - {match: [{uri: {prefix: /a}}], route: [{destination: {host: a}}]}
  - match: [{uri: {prefix: /x}, port: many}]
    route: [{destination: {host: b}}]
  - {route: [{destination: {host: c}}], colour: red}
";

#[test]
fn a_wrong_value_takes_its_route_along_and_nothing_else() {
    let (objects, issues) = read(RULE, Mode::Lenient);
    let [AnyObject::VirtualService(rule)] = objects.as_slice() else { panic!("{objects:?}") };
    let hosts: Vec<_> = rule.spec().http.iter().map(|http| http.route[0].destination.clone().unwrap().host).collect();
    assert_eq!(hosts, ["a", "c"], "the only match was wrong, so the whole route goes: it must not become a catch-all");
    let told: Vec<_> =
        issues.iter().map(|issue| (issue.severity, issue.path.as_str(), issue.place.as_ref().unwrap().line)).collect();
    assert_eq!(
        told,
        [
            (Severity::Error, "spec.http[1].match[0].port", 9),
            (Severity::Error, "spec.http[1]", 9),
            (Severity::Warning, "spec.http[2].colour", 11),
        ]
    );
}

#[test]
fn strict_refuses_unknown_fields_and_wrong_values() {
    let (objects, issues) = read(RULE, Mode::Strict);
    assert!(objects.is_empty() && issues[0].message.contains("many"), "{issues:?}");
    let (_, issues) = read(&RULE.replace("port: many", "port: 80"), Mode::Strict);
    assert_eq!(
        (issues.len(), issues[0].severity, issues[0].path.as_str()),
        (1, Severity::Error, "spec.http[2].colour")
    );
}

#[test]
fn a_wrong_value_outside_lists_leaves_no_object() {
    let text = RULE.replace("hosts: [cart]", "hosts: 5");
    let (objects, issues) = read(&text, Mode::Lenient);
    assert!(objects.is_empty());
    assert_eq!(issues[0].path, "spec.hosts");
    assert_eq!(issues[0].object.as_ref().unwrap().to_string(), "VirtualService shop/cart");
}

#[test]
fn fields_without_effect_leave_an_entry_each() {
    let text = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a}
spec:
  host: a
  trafficPolicy: {proxyProtocol: {version: V1}, outlierDetection: {interval: 1s}}
  subsets: [{name: v1}, {name: v2, trafficPolicy: {tunnel: {targetHost: x, targetPort: 1}}}]
";
    let (objects, issues) = read(text, Mode::Strict);
    assert_eq!(objects.len(), 1);
    let told: Vec<_> =
        issues.iter().map(|issue| (issue.severity, issue.path.as_str(), issue.place.as_ref().unwrap().line)).collect();
    assert_eq!(
        told,
        [
            (Severity::Info, "spec.trafficPolicy.proxyProtocol", 7),
            (Severity::Info, "spec.subsets[1].trafficPolicy.tunnel", 8)
        ]
    );
}

#[test]
fn metadata_lists_and_versions() {
    let (objects, issues) = read(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: x}}\n- {apiVersion: v1, kind: Service, metadata: {name: s}}",
        Mode::Strict,
    );
    assert_eq!(
        objects.iter().map(|object| object.id().to_string()).collect::<Vec<_>>(),
        ["Namespace a", "Service default/s"]
    );
    assert!(issues.is_empty());
    for (text, path) in [
        ("apiVersion: networking.istio.io/v2\nkind: Gateway\nmetadata: {name: a}", "apiVersion"),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {}", "metadata.name"),
        ("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a, labels: {x: 5}}", "metadata.labels.x"),
    ] {
        let (objects, issues) = read(text, Mode::Lenient);
        assert!(objects.is_empty());
        assert_eq!(issues[0].path, path);
    }
}

/// The errors of a strict reading of a spec.
fn strict(kind: &str, spec: &str) -> Vec<String> {
    let head = format!("apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\n");
    let (_, issues) = read(&format!("{head}spec: {spec}\n"), Mode::Strict);
    issues.into_iter().filter(|issue| issue.severity == Severity::Error).map(|issue| issue.path).collect()
}

#[test]
fn types_are_taken_as_the_schema_takes_them() {
    let tls = |text: &str| strict("DestinationRule", &format!("{{host: a, trafficPolicy: {{{text}}}}}"));
    for (text, wanted) in [
        ("loadBalancer: {simple: RANDOM}", ""),
        ("loadBalancer: []", "spec.trafficPolicy.loadBalancer"),
        ("loadBalancer: [RANDOM]", "spec.trafficPolicy.loadBalancer"),
        ("tls: []", "spec.trafficPolicy.tls"),
        ("portLevelSettings: {}", "spec.trafficPolicy.portLevelSettings"),
        ("portLevelSettings: [[]]", "spec.trafficPolicy.portLevelSettings[0]"),
        ("connectionPool: {tcp: {maxConnections: 10}}", ""),
        ("connectionPool: {tcp: {maxConnections: 10.0}}", ""),
        ("connectionPool: {tcp: {maxConnections: 1e1}}", ""),
        ("connectionPool: {tcp: {maxConnections: 10.5}}", "spec.trafficPolicy.connectionPool.tcp.maxConnections"),
        ("connectionPool: {tcp: {maxConnections: '10'}}", "spec.trafficPolicy.connectionPool.tcp.maxConnections"),
        ("connectionPool: {tcp: {maxConnections: 3e9}}", "spec.trafficPolicy.connectionPool.tcp.maxConnections"),
        (
            "connectionPool: {http: {useClientProtocol: 'yes'}}",
            "spec.trafficPolicy.connectionPool.http.useClientProtocol",
        ),
        ("connectionPool: {http: {useClientProtocol: yes}}", ""),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(tls(text), wanted, "{text}");
    }
}

#[test]
fn lists_are_read_item_by_item() {
    let item = "{metadata: {name: NAME}, spec: {egress: [{hosts: ['*/*']}]}}";
    let (objects, issues) = read(
        &format!(
            "apiVersion: networking.istio.io/v1\nkind: SidecarList\nmetadata: {{resourceVersion: ''}}\nitems: [{}, {}, {{}}]\n",
            item.replace("NAME", "a"),
            item.replace("NAME", "b")
        ),
        Mode::Strict,
    );
    assert_eq!(objects.iter().map(|object| object.id().name.to_string()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(issues.iter().map(|issue| issue.path.as_str()).collect::<Vec<_>>(), ["items[2].metadata.name"]);
    let (objects, issues) = read("apiVersion: v1\nkind: List\nitems: {}\n", Mode::Strict);
    assert_eq!((objects.len(), issues[0].path.as_str(), issues[0].severity), (0, "items", Severity::Error));
    let (_, issues) = read("apiVersion: v1\nkind: List\nitems: [x]\n", Mode::Strict);
    assert_eq!((issues[0].path.as_str(), issues[0].severity), ("items[0]", Severity::Error));
}

#[test]
fn unknown_kinds_of_istio_are_errors_and_those_of_others_are_not() {
    let severity = |api_version: &str, kind: &str| {
        let (_, issues) =
            read(&format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n"), Mode::Strict);
        issues[0].severity
    };
    assert_eq!(severity("networking.istio.io/v1", "VirtualServices"), Severity::Error);
    assert_eq!(severity("networking.istio.io/v2", "VirtualService"), Severity::Error);
    assert_eq!(severity("security.istio.io/v1", "VirtualService"), Severity::Error);
    assert_eq!(severity("config.istio.io/v1alpha2", "handler"), Severity::Error);
    assert_eq!(severity("install.istio.io/v1alpha1", "IstioOperator"), Severity::Info);
    assert_eq!(severity("apps/v1", "Deployment"), Severity::Info);
    assert_eq!(severity("example.com/v1", "VirtualService"), Severity::Info);
}
