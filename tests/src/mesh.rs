//! Meshes made of text.

use std::fmt::Write;

/// A Kubernetes Service with its endpoints on some ports of loopback.
#[must_use]
pub fn service(name: &str, namespace: &str, last: u8, port_name: &str, endpoints: &[(&str, u16, &str)]) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: 10.96.0.{last}, selector: {{app: {name}}}, ports: [{{name: {port_name}, port: 80}}]}}
---
"
    );
    for (at, (address, port, version)) in endpoints.iter().enumerate() {
        let _ = write!(
            text,
            "apiVersion: v1
kind: Pod
metadata: {{name: {name}-{at}, namespace: {namespace}, labels: {{app: {name}, version: {version}}}}}
status: {{podIP: {address}, phase: Running}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-{at}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}], targetRef: {{kind: Pod, name: {name}-{at}}}}}]
ports: [{{name: {port_name}, port: {port}}}]
---
"
        );
    }
    text
}

/// A Gateway for everything on a port.
#[must_use]
pub fn gateway(port: u16) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{app: ingress}}
  servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
"
    )
}

/// The scale mesh: `services` services with `endpoints` endpoints each, in `namespaces` namespaces, with a VirtualService each and a
/// DestinationRule for every second one.
#[must_use]
pub fn scale(services: usize, endpoints: usize, namespaces: usize) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for number in 0..services {
        let namespace = format!("ns-{}", number % namespaces);
        let (high, low) = (number / 250, number % 250 + 1);
        let mut text = format!(
            "apiVersion: v1
kind: Service
metadata: {{name: svc-{number}, namespace: {namespace}}}
spec: {{clusterIP: 10.96.{high}.{low}, selector: {{app: svc-{number}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: svc-{number}, namespace: {namespace}}}
spec:
  hosts: [svc-{number}]
  http: [{{timeout: 5s, route: [{{destination: {{host: svc-{number}}}}}]}}]
---
"
        );
        text += &slice(number, &namespace, endpoints, 1);
        if number % 2 == 0 {
            let _ = write!(
                text,
                "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: svc-{number}, namespace: {namespace}}}
spec: {{host: svc-{number}, trafficPolicy: {{connectionPool: {{tcp: {{maxConnections: 100}}}}}}}}
"
            );
        }
        files.push((format!("svc-{number}.yaml"), text));
    }
    files
}

/// The endpoints of one service of the scale mesh; the first one is at `10.<first>.x.x`.
#[must_use]
pub fn slice(number: usize, namespace: &str, endpoints: usize, first: u8) -> String {
    let (high, low) = (number / 250, number % 250);
    let list = (0..endpoints).map(|at| {
        let net = if at == 0 { first } else { 2 };
        format!("{{addresses: [10.{net}.{}.{}]}}", (high * 20 + at) % 250, low + 1)
    });
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: svc-{number}, namespace: {namespace}, labels: {{kubernetes.io/service-name: svc-{number}}}}}
addressType: IPv4
endpoints: [{}]
ports: [{{name: http, port: 8080}}]
",
        list.collect::<Vec<_>>().join(", ")
    )
}
