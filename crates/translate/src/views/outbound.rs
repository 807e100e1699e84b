//! Outbound listeners of sidecars: one for each HTTP port, one for each address of other services, and the one that takes it all.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::Reader;
use model::endpoints::{Endpoints, EndpointsKey};
use model::networking::{CaptureMode, L4MatchAttributes, TlsMatchAttributes};
use model::proxies::{Caps, Interception};
use model::rules::{Rule, Rules};
use model::scopes::{Catalog, Catalogs, Egress, Entry, RulesOf, Scope, Unknown};
use model::services::{Resolution, ServicePort};
use model::settings::settings;
use names::{ClusterName, Name, Protocol};

use super::{Draft, entries};
use crate::keys::{ListenerKey, OpaqueChain, OutboundListener};
use crate::targets::weighted;

/// Ports that belong to the proxy itself, beside the two capture ports.
const OWN_PORTS: [u16; 3] = [15020, 15021, 15090];

pub(super) fn listeners(
    scope: &Arc<Scope>,
    interception: Interception,
    caps: Caps,
    draft: &mut Draft,
    read: &mut Reader<'_>,
) {
    let (Some(catalog), Some(settings)) = (read.row::<Catalogs>(scope), settings(read)) else { return };
    let unknown = catalog.unknown.clone();
    let mut taken: Vec<u16> = OWN_PORTS.to_vec();
    if interception != Interception::None {
        taken.extend([settings.mesh.proxy_listen_port, settings.mesh.proxy_inbound_listen_port]);
        draft.add_listener(ListenerKey::VirtualOutbound { interception, unknown: unknown.clone(), caps });
    }
    let mut build =
        Build { scope, catalog: &catalog, rules: RulesOf::default(), interception, caps, listeners: BTreeMap::new() };
    for egress in &catalog.egress {
        build.egress(egress, read);
    }
    for ((address, port), mut listener) in build.listeners {
        if taken.contains(&port) && address == "0.0.0.0" {
            let message = "services without addresses of their own have no listener on it: it is one of the proxy's";
            read.note(format!("port {port}"), message);
            continue;
        }
        let takes_all = listener.opaque.iter().any(|chain| chain.networks.is_empty() && chain.server_names.is_empty());
        let whole = listener.table.is_some() && !listener.sniff;
        listener.rest = (!takes_all && !whole).then(|| unknown.clone());
        draft.add_listener(ListenerKey::Outbound(Arc::new(listener)));
    }
}

struct Build<'a> {
    scope: &'a Scope,
    catalog: &'a Catalog,
    /// Of the egress listener at hand.
    rules: RulesOf<'a>,
    interception: Interception,
    caps: Caps,
    listeners: BTreeMap<(Name, u16), OutboundListener>,
}

impl Build<'_> {
    fn at(&mut self, address: &str, port: u16, egress: &Egress) -> &mut OutboundListener {
        let bound = self.interception == Interception::None || egress.capture == CaptureMode::None;
        let caps = Caps { vhds: false, ..self.caps };
        self.listeners.entry((Name::from(address), port)).or_insert_with(|| OutboundListener {
            address: Name::from(address),
            port,
            bind: bound,
            table: None,
            sniff: false,
            opaque: Vec::new(),
            rest: None::<Unknown>,
            caps,
        })
    }

    fn egress(&mut self, egress: &Egress, read: &mut Reader<'_>) {
        self.rules = self.catalog.rules_of(egress);
        let any = if self.interception == Interception::None { "127.0.0.1" } else { "0.0.0.0" };
        if let Some(port) = egress.port.as_ref().filter(|port| port.protocol.is_http()) {
            let address = egress.bind.clone().unwrap_or_else(|| Name::from(any));
            let listener = self.at(&address, port.number, egress);
            listener.table = Some(Name::from(port.number.to_string()));
            return;
        }
        for entry in entries(self.catalog, egress) {
            for port in entry.resolved.ports.iter() {
                if egress.port.as_ref().is_some_and(|only| only.number != port.number) {
                    continue;
                }
                self.service(entry, port, egress, any, read);
            }
        }
        self.rules_without_service(egress, any, read);
    }

    fn service(&mut self, entry: &Entry, port: &ServicePort, egress: &Egress, any: &str, read: &mut Reader<'_>) {
        match port.protocol {
            Protocol::Udp => {}
            protocol if protocol.is_http() => self.http(port.number, any, egress),
            Protocol::Auto => self.detected(entry, port, egress, any, read),
            _ => self.opaque(entry, port, egress, any, read),
        }
    }

    /// All HTTP services of a port share the listener for every address.
    fn http(&mut self, port: u16, any: &str, egress: &Egress) {
        let bound = self.interception == Interception::None;
        let listener = self.at(any, port, egress);
        listener.table = Some(Name::from(port.to_string()));
        listener.sniff = !bound;
    }

    /// HTTP is told from the rest by its first bytes, on the service's own addresses; without any, with the HTTP services of the port.
    fn detected(&mut self, entry: &Entry, port: &ServicePort, egress: &Egress, any: &str, read: &mut Reader<'_>) {
        let addresses = single_addresses(entry);
        if addresses.is_empty() {
            self.http(port.number, any, egress);
            let shared = Name::from(port.number.to_string());
            for address in self.given(entry, egress) {
                let listener = self.at(&address, port.number, egress);
                (listener.table, listener.sniff) = (Some(shared.clone()), true);
            }
            return self.opaque(entry, port, egress, any, read);
        }
        let chains = self.chains(entry, port, read);
        for address in addresses {
            let listener = self.at(&address, port.number, egress);
            if listener.table.is_none() {
                listener.table = Some(Name::from(format!("{}:{}", entry.host, port.number)));
                listener.sniff = true;
            }
            add(entry, &mut listener.opaque, chains.clone(), read);
        }
    }

    /// Addresses that the service was given. Nobody has them, so connections to them come only by way of capture; and not of all clients
    /// the names are resolved by an agent, so whatever else leads to the service stays.
    fn given(&self, entry: &Entry, egress: &Egress) -> Vec<Name> {
        let captured = self.interception != Interception::None && egress.capture != CaptureMode::None;
        let all = entry.resolved.allocated.iter().filter(|_| captured);
        all.map(|address| Name::from(address.to_string())).collect()
    }

    fn opaque(&mut self, entry: &Entry, port: &ServicePort, egress: &Egress, any: &str, read: &mut Reader<'_>) {
        let chains = self.chains(entry, port, read);
        let mut singles = single_addresses(entry);
        let networks: Vec<Name> =
            entry.resolved.addresses.iter().filter(|address| address.contains('/')).cloned().collect();
        if entry.resolved.headless {
            singles = pod_addresses(entry, port, read);
        }
        for address in &singles {
            let listener = self.at(address, port.number, egress);
            add(entry, &mut listener.opaque, chains.clone(), read);
        }
        for address in self.given(entry, egress) {
            let listener = self.at(&address, port.number, egress);
            add(entry, &mut listener.opaque, chains.clone(), read);
        }
        if !networks.is_empty() {
            let listener = self.at(any, port.number, egress);
            let chains =
                chains.iter().map(|chain| OpaqueChain { networks: networks.clone(), ..chain.clone() }).collect();
            add(entry, &mut listener.opaque, chains, read);
        } else if singles.is_empty() && !entry.resolved.headless {
            let by_name = port.protocol.is_tls();
            let host = entry.host.name().clone();
            let named = chains.into_iter().map(|mut chain| {
                if by_name && chain.server_names.is_empty() {
                    chain.server_names = vec![host.clone()];
                }
                chain
            });
            let named: Vec<_> = named.collect();
            let listener = self.at(any, port.number, egress);
            add(entry, &mut listener.opaque, named, read);
        }
    }

    /// The chains of a service port: what its VirtualService says of TLS and TCP, and else the service itself.
    fn chains(&self, entry: &Entry, port: &ServicePort, read: &mut Reader<'_>) -> Vec<OpaqueChain> {
        let rule = self.rules.holds_for(&entry.host).filter(|rule| rule.rule.opaque);
        let rule = rule.and_then(|rule| read.row::<Rules>(&rule.id));
        let mut chains = rule.map(|rule| self.of_rule(&rule, port.number)).unwrap_or_default();
        let takes_all = chains.iter().any(|chain| chain.networks.is_empty() && chain.server_names.is_empty());
        if !takes_all {
            let cluster = ClusterName::outbound(port.number, None, &entry.host);
            chains.push(OpaqueChain {
                networks: Vec::new(),
                server_names: Vec::new(),
                mutual: false,
                clusters: vec![(cluster, 0)],
            });
        }
        chains
    }

    fn of_rule(&self, rule: &Rule, port: u16) -> Vec<OpaqueChain> {
        let mut chains = Vec::new();
        for route in &rule.spec.tls {
            for each in route.r#match.iter().filter(|each| self.holds_tls(each, port)) {
                let clusters = weighted(rule, &route.route, port, Some(self.catalog));
                let networks = each.destination_subnets.clone();
                chains.push(OpaqueChain { networks, server_names: each.sni_hosts.clone(), mutual: false, clusters });
            }
        }
        for route in &rule.spec.tcp {
            let all = [L4MatchAttributes::default()];
            let matches = if route.r#match.is_empty() { &all[..] } else { &route.r#match[..] };
            for each in matches.iter().filter(|each| self.holds_tcp(each, port)) {
                let clusters = weighted(rule, &route.route, port, Some(self.catalog));
                chains.push(OpaqueChain {
                    networks: each.destination_subnets.clone(),
                    server_names: Vec::new(),
                    mutual: false,
                    clusters,
                });
            }
        }
        chains
    }

    fn holds_tls(&self, each: &TlsMatchAttributes, port: u16) -> bool {
        (each.port == 0 || each.port == u32::from(port))
            && self.for_mesh(&each.gateways)
            && self.scope.source.labels.contain(&each.source_labels)
            && (each.source_namespace.is_empty() || each.source_namespace == self.scope.namespace)
    }

    fn holds_tcp(&self, each: &L4MatchAttributes, port: u16) -> bool {
        (each.port == 0 || each.port == u32::from(port))
            && self.for_mesh(&each.gateways)
            && self.scope.source.labels.contain(&each.source_labels)
            && (each.source_namespace.is_empty() || each.source_namespace == self.scope.namespace)
    }

    fn for_mesh(&self, gateways: &[Name]) -> bool {
        gateways.is_empty() || gateways.iter().any(|gateway| *gateway == "mesh")
    }

    /// TLS and TCP routes for hosts that are no service, on the ports that they name.
    fn rules_without_service(&mut self, egress: &Egress, any: &str, read: &mut Reader<'_>) {
        for at in &egress.rules {
            let in_scope = &self.catalog.rules[*at];
            let known = in_scope.rule.hosts.iter().any(|host| self.catalog.service(host).is_some());
            if !in_scope.rule.opaque || known {
                continue;
            }
            let Some(rule) = read.row::<Rules>(&in_scope.id) else { continue };
            let tls = rule.spec.tls.iter().flat_map(|route| &route.r#match).map(|each| each.port);
            let tcp = rule.spec.tcp.iter().flat_map(|route| &route.r#match).map(|each| each.port);
            let ports: std::collections::BTreeSet<u16> =
                tls.chain(tcp).filter_map(|port| u16::try_from(port).ok()).filter(|port| *port > 0).collect();
            for port in ports {
                let chains = self.of_rule(&rule, port);
                let listener = self.at(any, port, egress);
                distinct(&mut listener.opaque, chains);
            }
        }
    }
}

/// Adds the chains of a service; what an earlier one takes already leaves a note.
fn add(entry: &Entry, to: &mut Vec<OpaqueChain>, chains: Vec<OpaqueChain>, read: &mut Reader<'_>) {
    if distinct(to, chains) {
        let message = "some of its connections go elsewhere: another service takes the same address and port";
        read.note(format!("service {}", entry.host), message);
    }
}

/// Chains with equal conditions are an error to Envoy; the first stays. Tells whether one was left out for another destination.
fn distinct(to: &mut Vec<OpaqueChain>, chains: Vec<OpaqueChain>) -> bool {
    let mut left_out = false;
    for chain in chains {
        match to.iter().find(|other| other.networks == chain.networks && other.server_names == chain.server_names) {
            None => to.push(chain),
            Some(other) => left_out |= other.clusters != chain.clusters,
        }
    }
    left_out
}

/// Virtual addresses that are no networks.
fn single_addresses(entry: &Entry) -> Vec<Name> {
    entry.resolved.addresses.iter().filter(|address| !address.contains('/')).cloned().collect()
}

/// Clients of a headless service call its pods by their addresses.
fn pod_addresses(entry: &Entry, port: &ServicePort, read: &mut Reader<'_>) -> Vec<Name> {
    if entry.resolved.resolution != Resolution::Passthrough {
        return Vec::new();
    }
    let key = EndpointsKey { service: entry.resolved.service.clone(), port: port.number };
    let endpoints = read.row::<Endpoints>(&key);
    let mut addresses: Vec<Name> =
        endpoints.iter().flat_map(|all| all.iter()).map(|endpoint| endpoint.address.clone()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}
