//! The objects of a mesh, each as JSON in the form that the API server takes.

use serde_json::{Value, json};

/// Namespace of what counts for the whole mesh.
pub(crate) const ROOT: &str = "istio-system";

pub(crate) fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

pub(crate) fn service(name: &str, namespace: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "clusterIP": address, "selector": { "app": name },
            "ports": [{ "name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080 }],
        },
    })
}

/// A pod with a proxy, as an injector labels it.
pub(crate) fn pod(service: &str, namespace: &str, at: u32, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{service}-{at}"), "namespace": namespace,
            "labels": {
                "app": service, "version": version(at), "pod-template-hash": "5d5f7db9c5", "security.istio.io/tlsMode": "istio",
            },
        },
        "spec": { "containers": [{ "name": "app", "image": "app", "ports": [{ "containerPort": 8080 }] }] },
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
}

/// One of four endpoints is of the second version.
fn version(at: u32) -> &'static str {
    if at % 4 == 3 { "v2" } else { "v1" }
}

/// The endpoints of a service; the last one may not be ready.
pub(crate) fn slice(service: &str, namespace: &str, addresses: &[String], last_is_ready: bool) -> Value {
    let endpoint = |(at, address): (usize, &String)| {
        json!({
            "addresses": [address],
            "conditions": { "ready": last_is_ready || at + 1 < addresses.len() },
            "targetRef": { "kind": "Pod", "name": format!("{service}-{at}"), "namespace": namespace },
        })
    };
    let endpoints: Vec<Value> = addresses.iter().enumerate().map(endpoint).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": service, "namespace": namespace, "labels": { "kubernetes.io/service-name": service } },
        "addressType": "IPv4", "endpoints": endpoints,
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
    })
}

/// What happens to requests of a service: a share goes to its second version, where a rule has versions.
pub(crate) fn route(service: &str, namespace: &str, seconds: u32, second: Option<u32>) -> Value {
    let to =
        |version: &str, weight: u32| json!({ "destination": { "host": service, "subset": version }, "weight": weight });
    let destinations = match second {
        Some(share) => json!([to("v1", 100 - share), to("v2", share)]),
        None => json!([{ "destination": { "host": service } }]),
    };
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": { "name": service, "namespace": namespace },
        "spec": { "hosts": [service], "http": [{ "timeout": format!("{seconds}s"), "route": destinations }] },
    })
}

pub(crate) fn rule(service: &str, namespace: &str, connections: u32, versions: bool) -> Value {
    let subset = |name: &str| json!({ "name": name, "labels": { "version": name } });
    let mut spec =
        json!({ "host": service, "trafficPolicy": { "connectionPool": { "tcp": { "maxConnections": connections } } } });
    if versions {
        spec["subsets"] = json!([subset("v1"), subset("v2")]);
    }
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": { "name": service, "namespace": namespace }, "spec": spec,
    })
}

pub(crate) fn policy(service: &str, namespace: &str) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": { "name": service, "namespace": namespace },
        "spec": {
            "selector": { "matchLabels": { "app": service } },
            "rules": [{ "to": [{ "operation": { "paths": ["/v1/*"] } }] }],
        },
    })
}

/// What the pods of a service take on their port: plain text only, or mutual TLS only.
pub(crate) fn peers_of(service: &str, namespace: &str, plain: bool) -> Value {
    let mode = if plain { "DISABLE" } else { "STRICT" };
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": { "name": service, "namespace": namespace },
        "spec": { "selector": { "matchLabels": { "app": service } }, "portLevelMtls": { "8080": { "mode": mode } } },
    })
}

/// What a namespace sees: itself and the root namespace.
pub(crate) fn scope(namespace: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
        "metadata": { "name": "default", "namespace": namespace },
        "spec": { "egress": [{ "hosts": ["./*", format!("{ROOT}/*")] }] },
    })
}

/// Whether all of the mesh refuses plain text.
pub(crate) fn peers(strict: bool) -> Value {
    let mode = if strict { "STRICT" } else { "PERMISSIVE" };
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
        "metadata": { "name": "default", "namespace": ROOT }, "spec": { "mtls": { "mode": mode } },
    })
}

/// A Gateway of three hosts and the rule behind it.
pub(crate) fn gateway(number: u32, namespace: &str, service: &str) -> [Value; 2] {
    let name = format!("gw-{number}");
    let hosts: Vec<String> = ["a", "b", "c"].iter().map(|part| format!("{part}.{name}.example.com")).collect();
    let server = json!({ "port": { "number": 80, "name": "http", "protocol": "HTTP" }, "hosts": hosts });
    let metadata = json!({ "name": name, "namespace": namespace });
    [
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": metadata,
            "spec": { "selector": { "istio": "ingressgateway" }, "servers": [server] },
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata,
            "spec": {
                "hosts": hosts, "gateways": [name],
                "http": [{ "route": [{ "destination": { "host": service, "port": { "number": 80 } } }] }],
            },
        }),
    ]
}

/// The Gateway of the Gateway API to which all HTTPRoutes belong.
pub(crate) fn edge() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": "edge", "namespace": ROOT },
        "spec": {
            "gatewayClassName": "istio",
            "listeners": [{
                "name": "http", "port": 80, "protocol": "HTTP", "hostname": "*.example.org",
                "allowedRoutes": { "namespaces": { "from": "All" } },
            }],
        },
    })
}

/// A host of that Gateway, all of whose requests go to a service.
pub(crate) fn http_route(number: u32, namespace: &str, service: &str, seconds: u32) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": format!("http-{number}"), "namespace": namespace },
        "spec": {
            "parentRefs": [{ "name": "edge", "namespace": ROOT }],
            "hostnames": [format!("http-{number}.example.org")],
            "rules": [{
                "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }],
                "timeouts": { "request": format!("{seconds}s") },
                "backendRefs": [{ "name": service, "port": 80 }],
            }],
        },
    })
}
