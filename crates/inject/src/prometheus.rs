//! Metrics of the application go through the agent: what Prometheus is told becomes what the agent is told, and Prometheus asks the agent
//! (`istio: pkg/kube/inject/webhook.go`, applyPrometheusMerge; `pilot/cmd/pilot-agent/status/server.go`).

use serde::Serialize;
use serde_json::Value;

use crate::annotations::{MERGE_METRICS, boolean};
use crate::error::Error;
use crate::pod;

/// What the agent is told.
#[derive(Debug, Default, Serialize)]
struct Scrape {
    scrape: String,
    path: String,
    port: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct Target {
    port: String,
    path: String,
}

/// Ports of proxy and agent: gathering from them would gather the gathered.
const RESERVED: [(u16, &str); 9] = [
    (15000, "Envoy admin"),
    (15001, "outbound traffic capture"),
    (15004, "debug of the control plane"),
    (15006, "inbound traffic capture"),
    (15008, "HBONE tunnel"),
    (15020, "the agent's own metrics, merged"),
    (15021, "Envoy health"),
    (15053, "DNS proxy"),
    (15090, "Envoy's metrics, merged already"),
];

/// A name as Prometheus sees it: `prometheus.io/port` and `prometheus-io.port` are one to it.
fn seen(name: &str) -> String {
    name.chars().map(|each| if each.is_ascii_alphanumeric() { each } else { '_' }).collect()
}

/// Annotations with their names as Prometheus sees them.
fn annotations(pod: &Value) -> impl Iterator<Item = (String, &str)> {
    let map = pod["metadata"]["annotations"].as_object().into_iter().flatten();
    map.filter_map(|(name, value)| Some((seen(name), value.as_str()?)))
}

fn said<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    annotations(pod).find(|(seen, _)| seen == name).map(|(_, value)| value)
}

fn clear(pod: &mut Value) {
    const OURS: [&str; 4] =
        ["prometheus_io_scrape", "prometheus_io_port", "prometheus_io_path", "prometheus_istio_io_scrape_targets"];
    if let Some(map) = pod.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        map.retain(|name, _| !OURS.contains(&seen(name).as_str()));
    }
}

/// Takes away what an earlier injection told Prometheus.
pub(crate) fn clear_ours(pod: &mut Value, status_port: &str) {
    if said(pod, "prometheus_io_port") == Some(status_port) {
        clear(pod);
    }
}

/// Lets the agent gather the application's metrics, unless pod or mesh do not want that, or the agent has no port for it.
pub(crate) fn merge(pod: &mut Value, by_mesh: bool, status_port: u16) -> Result<(), Error> {
    let scraped =
        annotations(pod).filter(|(name, _)| name == "prometheus_io_scrape").find_map(|(_, value)| boolean(value));
    let wanted = pod["metadata"]["annotations"][MERGE_METRICS].as_str().and_then(boolean).unwrap_or(by_mesh);
    let port = status_port.to_string();
    // A port that is the agent's: the pod was injected before.
    let done = said(pod, "prometheus_io_port") == Some(port.as_str());
    if status_port == 0 || scraped == Some(false) || !wanted || done {
        return Ok(());
    }
    let scrape = configuration(pod, status_port)?;
    let told = serde_json::to_string(&scrape).unwrap_or_default();
    let empty = scrape.scrape.is_empty() && scrape.path.is_empty() && scrape.port.is_empty();
    if let Some(sidecar) = pod::sidecar_mut(pod).filter(|_| !empty) {
        pod::set_env(sidecar, "ISTIO_PROMETHEUS_ANNOTATIONS", &told);
    }
    clear(pod);
    let map = pod::object(pod, &["metadata", "annotations"]);
    for (name, value) in [("port", port.as_str()), ("path", "/stats/prometheus"), ("scrape", "true")] {
        map.insert(format!("prometheus.io/{name}"), Value::from(value));
    }
    Ok(())
}

/// What the pod tells Prometheus.
fn configuration(pod: &Value, status_port: u16) -> Result<Scrape, Error> {
    let text = |name: &str| said(pod, name).unwrap_or_default().to_owned();
    let mut scrape = Scrape {
        scrape: text("prometheus_io_scrape"),
        path: text("prometheus_io_path"),
        port: text("prometheus_io_port"),
        targets: said(pod, "prometheus_istio_io_scrape_targets").map(targets).unwrap_or_default(),
    };
    let (about, ports): (_, Vec<&String>) = match scrape.targets.as_slice() {
        [] => ("prometheus.io/port", Some(&scrape.port).filter(|port| !port.is_empty()).into_iter().collect()),
        targets => ("prometheus.istio.io/scrape-targets", targets.iter().map(|target| &target.port).collect()),
    };
    for port in ports {
        usable(port, status_port).map_err(|why| Error::pod(format!("metadata.annotations.{about}"), why))?;
    }
    // Older agents know one target only.
    if let Some(first) = scrape.targets.first() {
        (scrape.port, scrape.path) = (first.port.clone(), first.path.clone());
    }
    Ok(scrape)
}

/// `port:path` with commas between; a list in which a port is missing is none.
fn targets(text: &str) -> Vec<Target> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let target = |entry: &str| {
        let (port, path) = entry.split_once(':').unwrap_or((entry, ""));
        let (port, path) = (port.trim(), path.trim());
        let path = if path.is_empty() { "/metrics" } else { path };
        (!port.is_empty()).then(|| Target { port: port.to_owned(), path: path.to_owned() })
    };
    entries.map(target).collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn usable(text: &str, status_port: u16) -> Result<(), String> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(|| format!("{text:?} is not a port"))?;
    if port == status_port {
        return Err(format!("port {port} is the agent's own"));
    }
    match RESERVED.iter().find(|(reserved, _)| *reserved == port) {
        Some((_, whose)) => Err(format!("port {port} is reserved ({whose}) and cannot be scraped")),
        None => Ok(()),
    }
}

/// Tells Prometheus of the port with client certificates, if the proxy has one and the pod says nothing of it.
pub(crate) fn tell_secure_port(pod: &mut Value) {
    let sidecar = pod::sidecar(pod);
    let env = sidecar.map(|sidecar| pod::items(&sidecar["env"])).unwrap_or_default();
    let port = env.iter().find(|each| pod::name(each) == "ENVOY_SECURE_MERGED_METRICS_PORT");
    let port = port.and_then(|each| each["value"].as_str()).filter(|port| !port.is_empty() && *port != "0");
    let Some(port) = port.map(str::to_owned).filter(|_| said(pod, "prometheus_istio_io_secure_port").is_none()) else {
        return;
    };
    let map = pod::object(pod, &["metadata", "annotations"]);
    map.insert("prometheus.istio.io/secure-port".to_owned(), Value::String(port));
}
