//! The control plane itself: its Service, under the name and ports that agents have, and its Deployment, which a namespace with the
//! `restricted` Pod Security Standard takes.

use serde_json::{Map, Value, json};

use crate::{Values, meta};

/// Where the authority's files are, in memory.
const STATE: &str = "/var/run/meltemi";
/// The user that Istio's proxies and control planes run as.
const USER: u32 = 1337;

/// Service, Deployment and, with several replicas, PodDisruptionBudget.
pub(crate) fn all(values: &Values) -> Vec<Value> {
    let replicas = values.at("pilot.replicaCount").as_u64().unwrap_or(1);
    let mut objects = vec![service(values), deployment(values, replicas)];
    if replicas > 1 {
        objects.push(json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": meta(values, &values.named("istiod"), true),
            "spec": { "minAvailable": 1, "selector": { "matchLabels": selector(values) } },
        }));
    }
    objects
}

fn selector(values: &Values) -> Value {
    match values.revision() {
        "default" => json!({ "app": "istiod", "istio": "pilot" }),
        revision => json!({ "app": "istiod", "istio.io/rev": revision }),
    }
}

fn service(values: &Values) -> Value {
    let port = |name: &str, port: u16, target: u16| json!({ "name": name, "port": port, "targetPort": target });
    let mut meta = meta(values, &values.named("istiod"), true);
    meta["labels"]["istio"] = "pilot".into();
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {
            "selector": selector(values),
            "ports": [
                port("grpc-xds", 15010, 15010),
                port("https-dns", 15012, 15012),
                port("https-webhook", 443, 15017),
                port("http-monitoring", 15014, 15014),
            ],
        },
    })
}

fn deployment(values: &Values, replicas: u64) -> Value {
    let mut meta = meta(values, &values.named("istiod"), true);
    meta["labels"]["istio"] = "pilot".into();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
        "spec": {
            "replicas": replicas,
            "strategy": { "rollingUpdate": { "maxSurge": "100%", "maxUnavailable": "25%" } },
            "selector": { "matchLabels": selector(values) },
            "template": { "metadata": pod_meta(values), "spec": pod(values) },
        },
    })
}

fn pod_meta(values: &Values) -> Value {
    let mut labels = json!({
        "app": "istiod", "istio": "pilot", "istio.io/rev": values.revision(), "sidecar.istio.io/inject": "false",
        "app.kubernetes.io/name": "istiod", "app.kubernetes.io/part-of": "istio",
    });
    let mut annotations =
        json!({ "prometheus.io/port": "15014", "prometheus.io/scrape": "true", "sidecar.istio.io/inject": "false" });
    extend(&mut labels, values.at("pilot.podLabels"));
    extend(&mut annotations, values.at("pilot.podAnnotations"));
    json!({ "labels": labels, "annotations": annotations })
}

fn extend(map: &mut Value, more: &Value) {
    if let (Some(map), Some(more)) = (map.as_object_mut(), more.as_object()) {
        map.extend(more.clone());
    }
}

fn pod(values: &Values) -> Value {
    let spread = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": selector(values) },
    });
    let mut pod = json!({
        "serviceAccountName": values.named("istiod"),
        "terminationGracePeriodSeconds": 30,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "topologySpreadConstraints": [spread],
        "containers": [container(values)],
        "volumes": [{ "name": "state", "emptyDir": { "medium": "Memory" } }],
    });
    for (field, path) in [
        ("nodeSelector", "pilot.nodeSelector"),
        ("tolerations", "pilot.tolerations"),
        ("affinity", "pilot.affinity"),
        ("priorityClassName", "global.priorityClassName"),
    ] {
        if !values.at(path).is_null() {
            pod[field] = values.at(path).clone();
        }
    }
    let secrets = pull_secrets(values);
    if !secrets.is_null() {
        pod["imagePullSecrets"] = secrets;
    }
    pod
}

/// The Secrets with which images are pulled; null without.
pub(crate) fn pull_secrets(values: &Values) -> Value {
    match values.at("global.imagePullSecrets").as_array() {
        Some(names) if !names.is_empty() => names.iter().map(|name| json!({ "name": name })).collect(),
        _ => Value::Null,
    }
}

/// An image of ours, or the one that is named whole.
pub(crate) fn image(values: &Values, name: &str) -> String {
    match name.contains('/') {
        true => name.to_owned(),
        false => {
            let tag = values.at("global.tag");
            let tag = tag.as_str().map_or_else(|| tag.to_string(), str::to_owned);
            format!("{}/{name}:{tag}", values.text("global.hub"))
        }
    }
}

fn container(values: &Values) -> Value {
    let port = |name: &str, port: u16| json!({ "name": name, "containerPort": port, "protocol": "TCP" });
    let folder = format!("{STATE}/ca");
    let domain = values.at("global.proxy.clusterDomain").as_str().unwrap_or("cluster.local");
    let mut container = json!({
        "name": "discovery",
        "image": image(values, values.text("pilot.image")),
        "args": ["discovery", "--monitoringAddr=:15014", format!("--ca-dir={folder}"), "--domain", domain],
        "ports": [
            port("http-debug", 8080),
            port("grpc-xds", 15010),
            port("tls-xds", 15012),
            port("https-webhooks", 15017),
            port("http-monitoring", 15014),
        ],
        "readinessProbe": {
            "httpGet": { "path": "/ready", "port": 8080 }, "initialDelaySeconds": 1, "periodSeconds": 3, "timeoutSeconds": 5,
        },
        "env": environment(values),
        "resources": values.at("pilot.resources"),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": [{ "name": "state", "mountPath": STATE }],
    });
    if let Some(policy) = values.at("global.imagePullPolicy").as_str().filter(|policy| !policy.is_empty()) {
        container["imagePullPolicy"] = policy.into();
    }
    container
}

fn environment(values: &Values) -> Vec<Value> {
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let plain = |name: &str, value: &str| json!({ "name": name, "value": value });
    let namespace = values.namespace();
    // Istio's form names scopes, which are its own: `default:info`.
    let level = values.text("global.logging.level");
    let level = level.split(',').next().map_or(level, |first| first.strip_prefix("default:").unwrap_or(first));
    let mut environment = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
        plain("REVISION", values.revision()),
        plain("CLUSTER_ID", values.text("global.multiCluster.clusterName")),
        plain("RUST_LOG", level),
        plain("CA_TRUSTED_NODE_ACCOUNTS", &format!("{namespace}/ztunnel")),
    ];
    let empty = Map::new();
    for (name, value) in values.at("pilot.env").as_object().unwrap_or(&empty) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        environment.retain(|known| known["name"] != name.as_str());
        environment.push(plain(name, &value));
    }
    environment
}
