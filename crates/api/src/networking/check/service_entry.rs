//! Rules of ServiceEntries and WorkloadEntries (`istio: pkg/config/validation/validation.go ValidateServiceEntry`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use names::Protocol;

use crate::networking::{Location, Resolution, ServiceEntry, WorkloadEntry};
use crate::{Issues, ObjectMeta, rules, selectors};

pub(in crate::networking) fn check(spec: &ServiceEntry, meta: &ObjectMeta, issues: &mut Issues) {
    if spec.hosts.is_empty() || spec.hosts.len() > 256 {
        issues.error("spec.hosts", "1 to 256 hosts are needed");
    }
    for (at, host) in spec.hosts.iter().enumerate() {
        let path = format!("spec.hosts[{at}]");
        match host.as_str() {
            "*" => issues.error(path, "the host * is not allowed"),
            host => {
                rules::host(&path, host, issues);
                if host.starts_with('*') && !host.starts_with("*.") {
                    issues.warning(path, "a wildcard is a whole label, such as *.example.com");
                }
            }
        }
    }
    let resolution = spec.resolution.unwrap_or_default();
    rules::export_to("spec.exportTo", &spec.export_to, &meta.namespace, true, issues);
    if let Some(selector) = &spec.workload_selector {
        selectors::labels("spec.workloadSelector.labels", &selector.labels, issues);
    }
    addresses(spec, resolution, issues);
    ports(spec, resolution, issues);
    endpoints(spec, meta, resolution, issues);
}

fn addresses(spec: &ServiceEntry, resolution: Resolution, issues: &mut Issues) {
    if spec.addresses.len() > 256 {
        issues.error("spec.addresses", "at most 256 addresses");
    }
    for (at, address) in spec.addresses.iter().enumerate() {
        let path = format!("spec.addresses[{at}]");
        rules::network(&path, address, issues);
        if address.contains('/') && !matches!(resolution, Resolution::None | Resolution::Static) {
            issues.error(path, "a CIDR is only for resolution NONE and STATIC");
        }
    }
}

fn ports(spec: &ServiceEntry, resolution: Resolution, issues: &mut Issues) {
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    if spec.ports.len() > 256 {
        issues.error("spec.ports", "at most 256 ports");
    }
    for (at, port) in spec.ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        rules::port(&format!("{path}.number"), port.number.into(), issues);
        rules::protocol(&format!("{path}.protocol"), &port.protocol, issues);
        if !rules::dns_label(&port.name) {
            issues.error(format!("{path}.name"), "a port's name is a DNS label");
        }
        if !numbers.insert(port.number) || !names.insert(&port.name) {
            issues.error(path.as_str(), "numbers and names of ports are unique");
        }
        let protocol = Protocol::parse(&port.protocol);
        let told_apart = protocol.is_some_and(|protocol| protocol.is_http() || protocol.is_tls());
        if spec.hosts.len() > 1 && resolution != Resolution::None && !told_apart {
            issues.error(format!("{path}.protocol"), "several hosts can only be told apart by HTTP and TLS");
        }
        let by_name = [Protocol::Http, Protocol::Http2, Protocol::Grpc, Protocol::Tls];
        if resolution == Resolution::DynamicDns && !protocol.is_some_and(|protocol| by_name.contains(&protocol)) {
            issues.error(format!("{path}.protocol"), "resolution DYNAMIC_DNS needs HTTP, HTTP2, GRPC or TLS");
        }
        if let Some(target) = port.target_port {
            rules::port(&format!("{path}.targetPort"), target.into(), issues);
        }
    }
}

fn endpoints(spec: &ServiceEntry, meta: &ObjectMeta, resolution: Resolution, issues: &mut Issues) {
    let count = spec.endpoints.len();
    if spec.workload_selector.is_some() && count > 0 {
        issues.error("spec.endpoints", "endpoints and workloadSelector exclude each other");
    }
    if count > 4096 {
        issues.error("spec.endpoints", "at most 4096 endpoints");
    }
    let wildcard = spec.hosts.iter().any(|host| host.starts_with('*'));
    match resolution {
        Resolution::None => {
            if count > 0 {
                issues.error("spec.endpoints", "resolution NONE has no endpoints");
            }
            if spec.workload_selector.is_some() {
                issues.warning("spec.workloadSelector", "has no effect with resolution NONE");
            }
        }
        Resolution::Dns | Resolution::DnsRoundRobin => {
            if resolution == Resolution::DnsRoundRobin && count > 1 {
                issues.error("spec.endpoints", "resolution DNS_ROUND_ROBIN has at most one endpoint");
            }
            if count == 0 && wildcard {
                let message = "a wildcard host cannot be looked up; name endpoints or use another resolution";
                issues.error("spec.hosts", message);
            }
        }
        Resolution::DynamicDns => dynamic(spec, meta, issues),
        Resolution::Static => {}
    }
    let ports: BTreeSet<&str> = spec.ports.iter().map(|port| port.name.as_str()).collect();
    for (at, endpoint) in spec.endpoints.iter().enumerate() {
        let path = format!("spec.endpoints[{at}]");
        workload(&path, endpoint, resolution != Resolution::Static, issues);
        for name in endpoint.ports.keys().filter(|name| !ports.contains(name.as_str())) {
            issues.error(format!("{path}.ports.{name}"), "the ServiceEntry has no such port");
        }
        if endpoint.address.starts_with("unix://") && spec.ports.len() != 1 {
            issues.error(format!("{path}.address"), "a socket serves exactly one port");
        }
    }
}

/// Each request's host is looked up: wildcards, without anything that would say where they are.
fn dynamic(spec: &ServiceEntry, meta: &ObjectMeta, issues: &mut Issues) {
    if spec.hosts.iter().any(|host| !host.starts_with('*')) {
        issues.error("spec.hosts", "resolution DYNAMIC_DNS is only for wildcard hosts");
    }
    if !spec.addresses.is_empty() || !spec.endpoints.is_empty() {
        issues.error("spec", "resolution DYNAMIC_DNS has neither addresses nor endpoints");
    }
    let waypoint = meta.labels.get("istio.io/use-waypoint");
    let waypoint = waypoint.is_some_and(|name| !name.is_empty() && !name.eq_ignore_ascii_case("none"));
    if spec.location == Some(Location::MeshInternal) && waypoint {
        issues.error("spec.location", "with a waypoint, resolution DYNAMIC_DNS is for hosts outside the mesh");
    }
}

pub(in crate::networking) fn check_workload(spec: &WorkloadEntry, _: &ObjectMeta, issues: &mut Issues) {
    workload("spec", spec, true, issues);
}

fn workload(path: &str, spec: &WorkloadEntry, names: bool, issues: &mut Issues) {
    let at = format!("{path}.address");
    match spec.address.strip_prefix("unix://") {
        Some(socket) => {
            rules::unix_path(&at, socket, issues);
            if !spec.ports.is_empty() {
                issues.error(format!("{path}.ports"), "a unix address has no ports");
            }
        }
        None if spec.address.is_empty() && spec.network.is_empty() => {
            issues.error(at, "an address (or a network) is needed");
        }
        None if spec.address.is_empty() => issues.warning(at, "without an address it is reached through its network"),
        None if names => rules::fqdn_or_address(&at, &spec.address, issues),
        None if spec.address.parse::<IpAddr>().is_err() => {
            issues.error(at, "resolution STATIC needs IP addresses");
        }
        None => {}
    }
    template(path, spec, issues);
    rules::labels(&format!("{path}.labels"), &spec.labels, issues);
}

/// What the schema says of a workload, be it a template or not.
pub(super) fn template(path: &str, spec: &WorkloadEntry, issues: &mut Issues) {
    if spec.ports.len() > 128 || spec.labels.len() > 256 {
        issues.error(path, "at most 128 ports and 256 labels");
    }
    for (field, written, most) in [
        ("address", &spec.address, 256),
        ("network", &spec.network, 2048),
        ("locality", &spec.locality, 2048),
        ("serviceAccount", &spec.service_account, 253),
    ] {
        if written.chars().count() > most {
            issues.error(format!("{path}.{field}"), format!("at most {most} characters"));
        }
    }
    for (name, number) in &spec.ports {
        let path = format!("{path}.ports.{name}");
        if !rules::dns_label(name) || name.len() > 62 {
            issues.error(path.as_str(), "a port's name is a DNS label of at most 62 characters");
        }
        rules::port(&path, (*number).into(), issues);
    }
}
