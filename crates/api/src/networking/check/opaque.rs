//! Rules of routes of TLS and TCP in VirtualServices.

use names::{Hostname, Name};

use super::virtual_service::{destination, weighted};
use crate::networking::{RouteDestination, TlsMatchAttributes, VirtualService};
use crate::{Issues, rules};

pub(super) fn check(spec: &VirtualService, issues: &mut Issues) {
    for (at, route) in spec.tls.iter().enumerate() {
        let path = format!("spec.tls[{at}]");
        if route.r#match.is_empty() {
            issues.error(format!("{path}.match"), "a TLS route needs a match with sniHosts");
        }
        for (number, each) in route.r#match.iter().enumerate() {
            server_names(&format!("{path}.match[{number}]"), each, spec, issues);
            let common = (&each.destination_subnets, each.port, &each.gateways);
            conditions(&format!("{path}.match[{number}]"), common, issues);
            rules::labels(&format!("{path}.match[{number}].sourceLabels"), &each.source_labels, issues);
        }
        destinations(&path, &route.route, issues);
    }
    for (at, route) in spec.tcp.iter().enumerate() {
        let path = format!("spec.tcp[{at}]");
        for (number, each) in route.r#match.iter().enumerate() {
            let common = (&each.destination_subnets, each.port, &each.gateways);
            conditions(&format!("{path}.match[{number}]"), common, issues);
            rules::labels(&format!("{path}.match[{number}].sourceLabels"), &each.source_labels, issues);
        }
        destinations(&path, &route.route, issues);
    }
}

fn conditions(path: &str, (subnets, port, gateways): (&Vec<Name>, u32, &Vec<Name>), issues: &mut Issues) {
    for (at, subnet) in subnets.iter().enumerate() {
        rules::network(&format!("{path}.destinationSubnets[{at}]"), subnet, issues);
    }
    if port != 0 {
        rules::port(&format!("{path}.port"), port, issues);
    }
    rules::gateways(&format!("{path}.gateways"), gateways, issues);
}

/// Server names, each covered by a host of the rule.
fn server_names(path: &str, each: &TlsMatchAttributes, spec: &VirtualService, issues: &mut Issues) {
    if each.sni_hosts.is_empty() {
        issues.error(format!("{path}.sniHosts"), "at least one server name is needed");
    }
    for (at, name) in each.sni_hosts.iter().enumerate() {
        let path = format!("{path}.sniHosts[{at}]");
        if name.parse::<std::net::IpAddr>().is_ok() {
            issues.warning(path, "clients send no addresses as server names");
            continue;
        }
        let at_gateway = !spec.gateways.is_empty() && !spec.gateways.iter().any(|gateway| *gateway == "mesh");
        if !(at_gateway && is_cluster_name(name)) {
            rules::host(&path, name, issues);
        }
        let wanted = Hostname::new(name);
        if !spec.hosts.iter().any(|host| *host == "*" || Hostname::new(host).covers(&wanted)) {
            issues.error(path, format!("{name} is covered by no host of the VirtualService"));
        }
    }
}

/// The name of a cluster as a server name, such as `outbound_.80_._.reviews.shop.svc.cluster.local`: what sidecars send to gateways
/// that pass through by it (`istio: pkg/config/validation/agent/validation.go ValidateWildcardDomainForVirtualServiceBoundToGateway`).
pub(super) fn is_cluster_name(name: &str) -> bool {
    let mut parts = name.splitn(4, '.');
    let mut next = || parts.next().unwrap_or_default();
    let (direction, port, subset, host) = (next(), next(), next(), next());
    let port = port.strip_suffix('_').is_some_and(|port| port.parse::<u16>().is_ok());
    direction == "outbound_" && port && subset.ends_with('_') && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn destinations(path: &str, route: &[RouteDestination], issues: &mut Issues) {
    if route.is_empty() {
        issues.error(format!("{path}.route"), "a destination is needed");
    }
    weighted(path, &route.iter().map(|route| route.weight).collect::<Vec<_>>(), issues);
    for (at, each) in route.iter().enumerate() {
        destination(&format!("{path}.route[{at}].destination"), each.destination.as_ref(), issues);
    }
}
