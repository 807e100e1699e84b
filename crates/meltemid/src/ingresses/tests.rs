//! What is said of which Ingress.

use api::{Mode, decode, yaml};
use graph::Inline;
use model::mesh::Edit;
use model::settings::Base;

use super::*;

const OURS: &str = "annotations: {kubernetes.io/ingress.class: istio}";

fn ingress(name: &str, meta: &str, said: &str) -> String {
    format!(
        "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: {name}, namespace: shop, {meta}}}, spec: {{defaultBackend: \
         {{service: {{name: a, port: {{number: 80}}}}}}}}, status: {{loadBalancer: {{ingress: [{said}]}}}}}}"
    )
}

fn service(more: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: istio-ingressgateway, namespace: istio-system}}, spec: {{ports: [{{port: 80}}], {more}}}"
    )
}

fn settings(text: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: istio, namespace: istio-system}}, data: {{mesh: \"{text}\"}}}}"
    )
}

/// What is written: name and places, `-` where it is taken back.
fn said(objects: &[String]) -> Vec<String> {
    let mut mesh = Mesh::new(model::mesh::schema(), Base::new());
    let mut edit = Edit::default();
    for document in objects.iter().flat_map(|text| yaml::documents(text, None).unwrap()) {
        let (objects, issues) = decode(&document, Mode::Lenient);
        assert_eq!(objects.len(), 1, "{issues:?}");
        objects.into_iter().for_each(|object| mesh.upsert(object, &mut edit));
    }
    mesh.commit(edit, &Inline);
    let shown = |each: &ReachedAt| format!("{}{}", each.hostname, each.ip);
    let places = |write: &Write| match &write.reached_at {
        Some(all) => all.iter().map(shown).collect::<Vec<_>>().join(" "),
        None => "-".to_owned(),
    };
    due(&mesh).iter().map(|write| format!("{}: {}", write.object.name, places(write))).collect()
}

#[test]
fn the_addresses_are_those_of_the_service() {
    let balanced =
        "externalIPs: [192.0.2.9]}, status: {loadBalancer: {ingress: [{hostname: lb.test}, {ip: 192.0.2.7}]}}";
    let all = "in: 192.0.2.7 192.0.2.9 lb.test";
    assert_eq!(said(&[service(balanced), ingress("in", OURS, "")]), [all]);
    assert_eq!(said(&[service(balanced), ingress("in", OURS, "{ip: 192.0.2.1}")]), [all]);
    // Whatever the order, and whoever said it.
    let same = "{hostname: lb.test}, {ip: 192.0.2.9}, {ip: 192.0.2.7, ports: [{port: 80, protocol: TCP}]}";
    assert_eq!(said(&[service(balanced), ingress("in", OURS, same)]), Vec::<String>::new());
    assert_eq!(
        said(&[service("type: ExternalName, externalName: in.test}"), ingress("in", OURS, "")]),
        ["in: in.test"]
    );
    // Without a Service, or without a load balancer, it cannot be reached.
    assert_eq!(said(&[ingress("in", OURS, "{ip: 192.0.2.1}")]), ["in: "]);
    assert_eq!(said(&[service("type: LoadBalancer}"), ingress("in", OURS, "")]), Vec::<String>::new());
}

#[test]
fn of_ingresses_of_others_only_what_we_said_is_taken_back() {
    let balanced = service("externalIPs: [192.0.2.9]}");
    let others = "annotations: {kubernetes.io/ingress.class: other}";
    let written = [
        balanced,
        ingress("a", others, "{ip: 192.0.2.9}"),
        ingress("b", others, "{ip: 192.0.2.1}"),
        ingress("c", "labels: {istio.io/rev: other}, annotations: {kubernetes.io/ingress.class: istio}", ""),
        ingress("d", "labels: {istio.io/rev: default}, annotations: {kubernetes.io/ingress.class: istio}", ""),
    ];
    assert_eq!(said(&written), ["a: -", "d: 192.0.2.9"]);
    let off = [settings("ingressControllerMode: 'OFF'"), written[0].clone(), ingress("in", OURS, "")];
    assert_eq!(said(&off), Vec::<String>::new());
}

#[test]
fn without_a_service_it_is_the_node_of_a_gateway() {
    let pod = |name: &str, node: &str, phase: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: istio-system, labels: {{istio: edge}}}}, \
             spec: {{nodeName: {node}}}, status: {{phase: {phase}}}}}"
        )
    };
    let node = |name: &str, address: &str| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{addresses: [{{type: InternalIP, address: 10.0.0.1}}, \
             {{type: ExternalIP, address: {address}}}]}}}}"
        )
    };
    let written = [
        settings("{ingressService: '', ingressSelector: edge}"),
        pod("a", "one", "Pending"),
        pod("b", "two", "Running"),
        pod("c", "three", "Running"),
        node("one", "192.0.2.1"),
        node("two", "192.0.2.2"),
        node("three", "192.0.2.3"),
        ingress("in", OURS, ""),
    ];
    assert_eq!(said(&written), ["in: 192.0.2.2"]);
}
