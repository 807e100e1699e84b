//! The ingress gateway: a Service, and a Deployment whose pods get their proxy by injection, from the template `gateway`.

use serde_json::{Value, json};

use crate::{Values, control_plane};

const NAME: &str = "istio-ingressgateway";
/// Pods may bind low ports without any rights.
const LOW_PORTS: &str = "net.ipv4.ip_unprivileged_port_start";

/// Its objects; none where it is not wanted.
pub(crate) fn all(values: &Values) -> Vec<Value> {
    if *values.at("gateways.istio-ingressgateway.enabled") != true {
        return Vec::new();
    }
    let role = format!("{NAME}-sds");
    let group = "rbac.authorization.k8s.io";
    let api_version = format!("{group}/v1");
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(values, &format!("{NAME}-service-account")) }),
        json!({
            "apiVersion": api_version, "kind": "Role", "metadata": meta(values, &role),
            "rules": [{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"] }],
        }),
        json!({
            "apiVersion": api_version, "kind": "RoleBinding", "metadata": meta(values, &role),
            "roleRef": { "apiGroup": group, "kind": "Role", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": format!("{NAME}-service-account") }],
        }),
        service(values),
        deployment(values),
    ]
}

fn labels() -> Value {
    json!({ "app": NAME, "istio": "ingressgateway" })
}

fn meta(values: &Values, name: &str) -> Value {
    let mut labels = labels();
    labels["istio.io/rev"] = values.revision().into();
    labels["app.kubernetes.io/name"] = NAME.into();
    labels["app.kubernetes.io/managed-by"] = "meltemi".into();
    json!({ "name": name, "namespace": values.namespace(), "labels": labels })
}

fn service(values: &Values) -> Value {
    let mut meta = meta(values, NAME);
    let annotations = values.at("gateways.istio-ingressgateway.serviceAnnotations");
    if !annotations.is_null() {
        meta["annotations"] = annotations.clone();
    }
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {
            "type": values.at("gateways.istio-ingressgateway.type"),
            "selector": labels(),
            "ports": values.at("gateways.istio-ingressgateway.ports"),
        },
    })
}

fn deployment(values: &Values) -> Value {
    let mut pod_labels = labels();
    pod_labels["sidecar.istio.io/inject"] = "true".into();
    if values.revision() != "default" {
        pod_labels["istio.io/rev"] = values.revision().into();
    }
    let mut pod = json!({
        "serviceAccountName": format!("{NAME}-service-account"),
        "securityContext": {
            "sysctls": [{ "name": LOW_PORTS, "value": "0" }],
            "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "istio-proxy",
            "image": "auto",
            "resources": values.at("gateways.istio-ingressgateway.resources"),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
                "runAsNonRoot": true,
                "runAsUser": 1337,
                "runAsGroup": 1337,
            },
        }],
    });
    let secrets = control_plane::pull_secrets(values);
    if !secrets.is_null() {
        pod["imagePullSecrets"] = secrets;
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(values, NAME),
        "spec": {
            "replicas": values.at("gateways.istio-ingressgateway.replicaCount"),
            "selector": { "matchLabels": labels() },
            "template": {
                "metadata": { "labels": pod_labels, "annotations": { "inject.istio.io/templates": "gateway" } },
                "spec": pod,
            },
        },
    })
}
