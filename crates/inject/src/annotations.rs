//! Annotations and labels of pods that say how they are injected, and which of their values are refused
//! (`istio: pkg/kube/inject/validate.go`) or told to be without effect.

use std::net::IpAddr;

use api::mesh::strictly;

use crate::error::{Error, Fault};
use crate::pod::Strings;
use crate::quantity;

/// Whether to inject; the label of this name wins over the annotation.
pub(crate) const INJECT: &str = "sidecar.istio.io/inject";
/// What was added, as JSON; its presence says that a pod was injected.
pub(crate) const STATUS: &str = "sidecar.istio.io/status";
/// What a user wrote in the containers that injection adds, as JSON.
pub(crate) const OVERRIDES: &str = "proxy.istio.io/overrides";
/// ProxyConfig of the pod.
pub(crate) const CONFIG: &str = "proxy.istio.io/config";
/// Templates of the pod, with commas between.
pub(crate) const TEMPLATES: &str = "inject.istio.io/templates";
pub(crate) const REVISION: &str = "istio.io/rev";
pub(crate) const NATIVE: &str = "sidecar.istio.io/nativeSidecar";
pub(crate) const INTERCEPTION: &str = "sidecar.istio.io/interceptionMode";
pub(crate) const STATUS_PORT: &str = "status.sidecar.istio.io/port";
pub(crate) const READY_DELAY: &str = "readiness.status.sidecar.istio.io/initialDelaySeconds";
pub(crate) const READY_PERIOD: &str = "readiness.status.sidecar.istio.io/periodSeconds";
pub(crate) const READY_FAILURES: &str = "readiness.status.sidecar.istio.io/failureThreshold";
const READY_PORTS: &str = "readiness.status.sidecar.istio.io/applicationPorts";
pub(crate) const IN_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
pub(crate) const EX_RANGES: &str = "traffic.sidecar.istio.io/excludeOutboundIPRanges";
pub(crate) const IN_INBOUND: &str = "traffic.sidecar.istio.io/includeInboundPorts";
pub(crate) const EX_INBOUND: &str = "traffic.sidecar.istio.io/excludeInboundPorts";
pub(crate) const IN_OUTBOUND: &str = "traffic.sidecar.istio.io/includeOutboundPorts";
pub(crate) const EX_OUTBOUND: &str = "traffic.sidecar.istio.io/excludeOutboundPorts";
pub(crate) const EX_INTERFACES: &str = "traffic.sidecar.istio.io/excludeInterfaces";
pub(crate) const KUBEVIRT: &str = "traffic.sidecar.istio.io/kubevirtInterfaces";
pub(crate) const REROUTE: &str = "istio.io/reroute-virtual-interfaces";
pub(crate) const MERGE_METRICS: &str = "prometheus.istio.io/merge-metrics";
pub(crate) const CPU: &str = "sidecar.istio.io/proxyCPU";
pub(crate) const CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";
pub(crate) const MEMORY: &str = "sidecar.istio.io/proxyMemory";
pub(crate) const MEMORY_LIMIT: &str = "sidecar.istio.io/proxyMemoryLimit";
pub(crate) const IMAGE: &str = "sidecar.istio.io/proxyImage";
pub(crate) const IMAGE_TYPE: &str = "sidecar.istio.io/proxyImageType";
pub(crate) const LOG_LEVEL: &str = "sidecar.istio.io/logLevel";
pub(crate) const COMPONENT_LOG_LEVEL: &str = "sidecar.istio.io/componentLogLevel";
pub(crate) const AGENT_LOG_LEVEL: &str = "sidecar.istio.io/agentLogLevel";
pub(crate) const BOOTSTRAP: &str = "sidecar.istio.io/bootstrapOverride";
pub(crate) const USER_VOLUME: &str = "sidecar.istio.io/userVolume";
pub(crate) const USER_MOUNT: &str = "sidecar.istio.io/userVolumeMount";
pub(crate) const REWRITE_PROBES: &str = "sidecar.istio.io/rewriteAppHTTPProbers";
pub(crate) const BIND: &str = "sidecar.istio.io/capNetBindService";
/// Label: the network of a pod.
pub(crate) const NETWORK: &str = "topology.istio.io/network";

/// What a wrong value is.
type Rule = fn(&str) -> Result<(), String>;

/// Values that are refused.
const REFUSED: &[(&str, Rule)] = &[
    (INTERCEPTION, mode),
    (STATUS_PORT, port),
    (READY_DELAY, whole),
    (READY_PERIOD, whole),
    (READY_FAILURES, whole),
    (IN_RANGES, any_or_ranges),
    (EX_RANGES, ranges),
    (IN_INBOUND, any_or_ports),
    (EX_INBOUND, ports),
    (EX_OUTBOUND, ports),
    (EX_INTERFACES, interfaces),
    (KUBEVIRT, interfaces),
    (REROUTE, interfaces),
    (MERGE_METRICS, flag),
    (CONFIG, proxy_config),
    (CPU, quantity::check),
    (MEMORY, quantity::check),
    (CPU_LIMIT, quantity::check),
    (MEMORY_LIMIT, quantity::check),
    (USER_VOLUME, json_mapping),
    (USER_MOUNT, json_mapping),
];

/// Values that Istio takes, and that cannot do what they say.
const TOLD: &[(&str, Rule)] = &[
    (IN_OUTBOUND, any_or_ports),
    (READY_PORTS, ports),
    (NATIVE, flag),
    (REWRITE_PROBES, flag),
    (BIND, flag),
    (IMAGE, whole_image),
];

/// Refuses what cannot be done; says what will have no effect.
pub(crate) fn check(annotations: &Strings) -> Result<Vec<String>, Error> {
    let judge = |rules: &[(&str, Rule)]| -> Vec<Fault> {
        let said = rules.iter().filter_map(|(name, rule)| Some((*name, rule(annotations.get(*name)?).err()?)));
        said.map(|(name, why)| Fault::new(format!("metadata.annotations.{name}"), why)).collect()
    };
    let refused = judge(REFUSED);
    if refused.is_empty() {
        Ok(judge(TOLD).iter().map(ToString::to_string).collect())
    } else {
        Err(Error::Pod(refused))
    }
}

/// A boolean in any of the ways that Go reads.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn flag(text: &str) -> Result<(), String> {
    boolean(text).map(|_| ()).ok_or_else(|| format!("{text:?} is neither true nor false"))
}

fn mode(text: &str) -> Result<(), String> {
    let known = ["REDIRECT", "TPROXY", "NONE"].contains(&text);
    if known { Ok(()) } else { Err(format!("interceptionMode {text:?} is none of REDIRECT, TPROXY, NONE")) }
}

fn port(text: &str) -> Result<(), String> {
    text.trim().parse::<u16>().map(|_| ()).map_err(|_| format!("{text:?} is not a port"))
}

fn whole(text: &str) -> Result<(), String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = digits && text.parse::<u32>().is_ok();
    if fits { Ok(()) } else { Err(format!("{text:?} is not a whole number of 0 to 4294967295")) }
}

fn ports(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Ok(()) } else { text.split(',').try_for_each(port) }
}

fn any_or_ports(text: &str) -> Result<(), String> {
    if text == "*" { Ok(()) } else { ports(text) }
}

fn ranges(text: &str) -> Result<(), String> {
    if text.is_empty() { Ok(()) } else { text.split(',').try_for_each(range) }
}

fn any_or_ranges(text: &str) -> Result<(), String> {
    if text == "*" { Ok(()) } else { ranges(text) }
}

fn range(text: &str) -> Result<(), String> {
    let wrong = || format!("{text:?} is not a range such as 10.0.0.0/8");
    let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let plain = bits.bytes().all(|byte| byte.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let fits = plain && bits.parse::<u8>().is_ok_and(|bits| bits <= most);
    if fits { Ok(()) } else { Err(wrong()) }
}

fn interfaces(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    text.split(',').map(str::trim).try_for_each(|name| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let good = name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.bytes().all(letters);
        match name.len() {
            16.. => Err(format!("interface name {name:?} is longer than 15 characters")),
            _ if good => Ok(()),
            _ => Err(format!("{name:?} is not the name of an interface")),
        }
    })
}

fn proxy_config(text: &str) -> Result<(), String> {
    strictly("ProxyConfig", text).map(|_| ())
}

fn json_mapping(text: &str) -> Result<(), String> {
    type Mapping = serde_json::Map<String, serde_json::Value>;
    let read = serde_json::from_str::<std::collections::BTreeMap<String, Mapping>>(text);
    read.map(|_| ()).map_err(|error| format!("JSON objects by name are needed: {error}"))
}

/// Istio's template takes the annotation only when it is a whole image.
fn whole_image(text: &str) -> Result<(), String> {
    if text.contains('/') { Ok(()) } else { Err(format!("{text:?} has no effect: a whole image with a / is needed")) }
}

#[cfg(test)]
mod tests;
