//! Probes of the application go through the agent, which is not captured: kubelet has no certificate
//! (`istio: pkg/kube/inject/app_probe.go`). What was asked for is told to the agent in `ISTIO_KUBE_APP_PROBERS`.

use serde_json::{Map, Value, json};

use crate::pod::{self, LISTS, PROXY};

const PROBERS: &str = "ISTIO_KUBE_APP_PROBERS";
/// Field of the container, field in it, and where the agent answers for it.
const PROBES: [(&[&str], &str, &str); 5] = [
    (&["readinessProbe"], "app-health", "readyz"),
    (&["livenessProbe"], "app-health", "livez"),
    (&["startupProbe"], "app-health", "startupz"),
    (&["lifecycle", "preStop"], "app-lifecycle", "prestopz"),
    (&["lifecycle", "postStart"], "app-lifecycle", "poststartz"),
];

/// Sends the probes of all containers through the agent's port. Says which ones cannot be.
pub(crate) fn rewrite(pod: &mut Value, status_port: u16, again: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if status_port == 0 || pod::sidecar(pod).is_none() {
        return warnings;
    }
    let mut probers = Map::new();
    for list in LISTS {
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if pod::name(container) != PROXY {
                of_container(container, status_port, &mut probers, &mut warnings);
            }
        }
    }
    if let Some(sidecar) = pod::sidecar_mut(pod).filter(|_| !probers.is_empty()) {
        if again {
            probers.extend(told(sidecar));
        }
        pod::set_env(sidecar, PROBERS, &Value::Object(probers).to_string());
    }
    warnings
}

/// What the agent was told when the pod was injected before.
fn told(sidecar: &Value) -> Map<String, Value> {
    let before = pod::items(&sidecar["env"]).iter().find(|each| pod::name(each) == PROBERS);
    before.and_then(|each| serde_json::from_str(each["value"].as_str()?).ok()).unwrap_or_default()
}

fn of_container(container: &mut Value, status_port: u16, probers: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    let name = pod::name(container).to_owned();
    let ports = container["ports"].clone();
    for (path, folder, file) in PROBES {
        let probe = path.iter().try_fold(&mut *container, |at, key| at.get_mut(key));
        let Some(probe) = probe.filter(|probe| probe.is_object()) else { continue };
        let at = format!("/{folder}/{name}/{file}");
        match prober(probe, folder == "app-health", &ports) {
            Asked::Prober(prober) if port_of(&prober) == Some(i64::from(status_port)) => {}
            Asked::Prober(prober) => {
                redirect(probe, &at, status_port);
                probers.insert(at, prober);
            }
            Asked::Nothing => {}
            Asked::UnknownPort(port) => {
                warnings.push(format!(
                    "container {name}: {}: there is no port {port:?}; not sent through the agent",
                    path.join(".")
                ));
            }
        }
    }
}

/// What a probe asks for.
enum Asked {
    /// Something over the network, with its port as a number.
    Prober(Value),
    /// Nothing over the network.
    Nothing,
    /// A port with a name that the container does not have.
    UnknownPort(String),
}

fn prober(probe: &Value, health: bool, ports: &Value) -> Asked {
    let kinds: &[&str] = if health { &["httpGet", "tcpSocket", "grpc"] } else { &["httpGet", "tcpSocket"] };
    let Some(kind) = kinds.iter().find(|kind| probe[**kind].is_object()) else { return Asked::Nothing };
    let mut action = pod::without_nulls(&probe[*kind]);
    if let Some(name) = action["port"].as_str().filter(|_| *kind != "grpc").map(str::to_owned) {
        let known = pod::items(ports).iter().find(|port| pod::name(port) == name);
        match known {
            Some(port) => action["port"] = port["containerPort"].clone(),
            None => return Asked::UnknownPort(name),
        }
    }
    let mut prober = json!({ *kind: action });
    if health && let Some(seconds) = probe["timeoutSeconds"].as_i64().filter(|seconds| *seconds != 0) {
        prober["timeoutSeconds"] = json!(seconds);
    }
    Asked::Prober(prober)
}

fn port_of(prober: &Value) -> Option<i64> {
    ["httpGet", "tcpSocket"].iter().find_map(|kind| prober[*kind]["port"].as_i64())
}

/// Lets kubelet ask the agent, which asks the application in the way that was written.
fn redirect(probe: &mut Value, path: &str, status_port: u16) {
    let Some(fields) = probe.as_object_mut() else { return };
    fields.remove("tcpSocket");
    fields.remove("grpc");
    let mut action = fields.remove("httpGet").filter(Value::is_object).unwrap_or_else(|| json!({}));
    action["port"] = json!(status_port);
    action["path"] = json!(path);
    if action["scheme"] == "HTTPS" {
        action["scheme"] = json!("HTTP");
    }
    fields.insert("httpGet".to_owned(), action);
}
