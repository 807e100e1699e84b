//! Rules of ServiceEntries and WorkloadEntries (`istio: pkg/config/validation/validation.go ValidateServiceEntry`).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::networking::{Resolution, ServiceEntry, WorkloadEntry};
use crate::{Issues, ObjectMeta, rules};

pub(in crate::networking) fn check(spec: &ServiceEntry, _: &ObjectMeta, issues: &mut Issues) {
    if spec.hosts.is_empty() {
        issues.error("spec.hosts", "at least one host is needed");
    }
    for (at, host) in spec.hosts.iter().enumerate() {
        let path = format!("spec.hosts[{at}]");
        match host.as_str() {
            "*" => issues.error(path, "the host * is not allowed"),
            host => rules::host(&path, host, issues),
        }
    }
    let resolution = spec.resolution.unwrap_or_default();
    rules::export_to("spec.exportTo", &spec.export_to, issues);
    addresses(spec, resolution, issues);
    ports(spec, issues);
    endpoints(spec, resolution, issues);
}

fn addresses(spec: &ServiceEntry, resolution: Resolution, issues: &mut Issues) {
    for (at, address) in spec.addresses.iter().enumerate() {
        let path = format!("spec.addresses[{at}]");
        if address.parse::<IpAddr>().is_ok() {
            continue;
        }
        if address.parse::<ipnet::IpNet>().is_err() {
            issues.error(path, format!("{address:?} is neither an address nor a CIDR"));
        } else if !matches!(resolution, Resolution::None | Resolution::Static) {
            issues.error(path, "a CIDR is only for resolution NONE and STATIC");
        }
    }
}

fn ports(spec: &ServiceEntry, issues: &mut Issues) {
    let (mut numbers, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (at, port) in spec.ports.iter().enumerate() {
        let path = format!("spec.ports[{at}]");
        rules::port(&format!("{path}.number"), port.number.into(), issues);
        if !rules::dns_label(&port.name) {
            issues.error(format!("{path}.name"), "a port's name is a DNS label");
        }
        if !numbers.insert(port.number) || !names.insert(&port.name) {
            issues.error(path, "numbers and names of ports are unique");
        }
    }
}

fn endpoints(spec: &ServiceEntry, resolution: Resolution, issues: &mut Issues) {
    let count = spec.endpoints.len();
    if spec.workload_selector.is_some() && count > 0 {
        issues.error("spec.endpoints", "endpoints and workloadSelector exclude each other");
    }
    let wildcard = spec.hosts.iter().any(|host| host.starts_with('*'));
    match resolution {
        Resolution::None if count > 0 => issues.error("spec.endpoints", "resolution NONE has no endpoints"),
        Resolution::DnsRoundRobin if count > 1 => {
            issues.error("spec.endpoints", "resolution DNS_ROUND_ROBIN has at most one endpoint");
        }
        Resolution::Dns | Resolution::DnsRoundRobin if count == 0 && wildcard => {
            issues.error("spec.hosts", "a wildcard host cannot be looked up; name endpoints or use another resolution");
        }
        Resolution::Static if count == 0 && spec.workload_selector.is_none() => {
            issues.error("spec.endpoints", "resolution STATIC needs endpoints or a workloadSelector");
        }
        Resolution::None
        | Resolution::Static
        | Resolution::Dns
        | Resolution::DnsRoundRobin
        | Resolution::DynamicDns => {}
    }
    for (at, endpoint) in spec.endpoints.iter().enumerate() {
        let path = format!("spec.endpoints[{at}]");
        workload(&path, endpoint, issues);
        let numeric = endpoint.address.parse::<IpAddr>().is_ok() || endpoint.address.starts_with("unix://");
        if resolution == Resolution::Static && !numeric {
            issues.error(format!("{path}.address"), "resolution STATIC needs IP addresses");
        }
    }
}

pub(in crate::networking) fn check_workload(spec: &WorkloadEntry, _: &ObjectMeta, issues: &mut Issues) {
    workload("spec", spec, issues);
}

fn workload(path: &str, spec: &WorkloadEntry, issues: &mut Issues) {
    if spec.address.is_empty() && spec.network.is_empty() {
        issues.error(format!("{path}.address"), "an address (or a network) is needed");
    }
    template(path, spec, issues);
}

/// What holds for a workload without an address of its own, too.
pub(super) fn template(path: &str, spec: &WorkloadEntry, issues: &mut Issues) {
    if spec.address.starts_with("unix://") && !spec.ports.is_empty() {
        issues.error(format!("{path}.ports"), "a unix address has no ports");
    }
    rules::labels(&format!("{path}.labels"), &spec.labels, issues);
}
