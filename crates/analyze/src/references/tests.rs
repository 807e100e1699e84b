use api::{Mode, decode, yaml};
use graph::Inline;
use model::mesh::Edit;
use model::settings::Base;

use super::*;

const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}, {name: admin, port: 81}]}
---
apiVersion: v1
kind: Pod
metadata: {name: in-1, namespace: istio-system, labels: {istio: ingressgateway}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec: {hosts: ['*.example.com'], ports: [{number: 443, name: tls, protocol: TLS}], resolution: NONE}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: in, namespace: shop}
spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {hosts: [web], http: [{route: [{destination: {host: web, port: {number: 80}}}]}]}
";

/// What is said of an object in that mesh: code and path.
fn said(text: &str) -> Vec<String> {
    let mut mesh = Mesh::new(model::mesh::schema(), Base::new());
    let mut edit = Edit::default();
    for object in objects(MESH) {
        mesh.upsert(object, &mut edit);
    }
    mesh.commit(edit, &Inline);
    let [object] = &objects(text)[..] else { panic!("one object") };
    references(&mesh, object).iter().map(|issue| format!("{} {}", issue.code, issue.path)).collect()
}

fn objects(text: &str) -> Vec<AnyObject> {
    let read = |document: &yaml::Document| {
        let (objects, issues) = decode(document, Mode::Lenient);
        assert!(issues.iter().all(|issue| issue.severity != Severity::Error), "{issues:?}");
        objects
    };
    yaml::documents(text, None).unwrap().iter().flat_map(read).collect()
}

fn rule(spec: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: r, namespace: shop}}, spec: {spec}}}"
    )
}

#[test]
fn destinations_that_are_nowhere_are_named() {
    let to = |destination: &str| {
        said(&rule(&format!("{{hosts: [x], http: [{{route: [{{destination: {destination}}}]}}]}}")))
    };
    let at = |field: &str| format!("spec.http[0].route[0].destination.{field}");
    assert_eq!(to("{host: wep, port: {number: 80}}"), [format!("IST0101 {}", at("host"))]);
    assert_eq!(to("{host: web, port: {number: 8080}}"), [format!("IST0101 {}", at("port"))]);
    assert_eq!(to("{host: web}"), [format!("IST0112 {}", at("port"))]);
    assert_eq!(to("{host: web, port: {number: 80}, subset: v2}"), [format!("IST0101 {}", at("subset"))]);
    assert!(to("{host: web.shop.svc.cluster.local, port: {number: 81}, subset: v1}").is_empty());
    assert!(to("{host: a.example.com}").is_empty(), "a wildcard's host");
}

#[test]
fn gateways_and_their_hosts_are_looked_up() {
    let of = |head: &str| said(&rule(&format!("{{{head}, http: [{{directResponse: {{status: 200}}}}]}}")));
    assert_eq!(of("hosts: [shop.example.com], gateways: [out]"), ["IST0101 spec.gateways[0]"]);
    assert_eq!(of("hosts: [other.example.com], gateways: [in]"), ["IST0132 spec.hosts[0]"]);
    assert!(of("hosts: [shop.example.com], gateways: [shop/in]").is_empty());
    let nowhere = "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g, namespace: shop}, \
         spec: {selector: {istio: none}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}";
    assert_eq!(said(nowhere), ["IST0101 spec.selector"]);
}

#[test]
fn the_younger_of_two_rules_for_a_host_loses() {
    assert_eq!(said(&rule("{hosts: [web], http: [{directResponse: {status: 200}}]}")), ["IST0109 spec.hosts[0]"]);
    let itself = MESH.split("---").last().unwrap();
    assert!(said(itself).is_empty(), "nothing conflicts with itself");
}

#[test]
fn selectors_without_workloads_are_named() {
    let policy = |namespace: &str, label: &str| {
        said(&format!(
            "{{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {{name: p, namespace: {namespace}}}, \
             spec: {{selector: {{matchLabels: {{istio: {label}}}}}, mtls: {{mode: STRICT}}}}}}"
        ))
    };
    assert_eq!(policy("shop", "ingressgateway"), ["IST0127 spec.selector"], "it is in another namespace");
    assert!(policy("istio-system", "ingressgateway").is_empty());
}

#[test]
fn all_objects_at_once_are_judged_as_each_alone() {
    let more = [
        rule("{hosts: [web], http: [{route: [{destination: {host: web, port: {number: 80}, subset: v2}}]}]}"),
        "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: g, namespace: shop}, \
         spec: {selector: {istio: none}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}"
            .to_owned(),
    ];
    let objects: Vec<AnyObject> =
        std::iter::once(MESH).chain(more.iter().map(String::as_str)).flat_map(objects).collect();
    let mut mesh = Mesh::new(model::mesh::schema(), Base::new());
    let mut edit = Edit::default();
    objects.iter().for_each(|object| mesh.upsert(object.clone(), &mut edit));
    mesh.commit(edit, &Inline);
    let lines = |issues: Vec<Issue>| {
        let mut lines: Vec<String> = issues.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    };
    let alone = objects.iter().flat_map(|object| references(&mesh, object)).collect();
    let together = lines(all(&mesh));
    assert_eq!(together.len(), 3, "{together:?}");
    assert_eq!(together, lines(alone));
}

#[test]
fn services_behind_ingresses_are_there() {
    let of = |class: &str, backend: &str| {
        said(&format!(
            "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: in, namespace: shop, annotations: \
             {{kubernetes.io/ingress.class: {class}}}}}, spec: {{rules: [{{http: {{paths: [{{path: /, pathType: Prefix, backend: \
             {{service: {backend}}}}}]}}}}]}}}}"
        ))
    };
    let at = "IST0101 spec.rules[0].http.paths[0].backend.service";
    assert_eq!(of("istio", "{name: web, port: {number: 80}}"), Vec::<String>::new());
    assert_eq!(of("istio", "{name: web, port: {name: admin}}"), Vec::<String>::new());
    assert_eq!(of("istio", "{name: web, port: {number: 82}}"), [format!("{at}.port")]);
    assert_eq!(of("istio", "{name: web, port: {name: none}}"), [format!("{at}.port")]);
    assert_eq!(of("istio", "{name: none, port: {number: 80}}"), [format!("{at}.name")]);
    assert_eq!(
        of("other", "{name: none, port: {number: 80}}"),
        Vec::<String>::new(),
        "that is for its controller to say"
    );
}
