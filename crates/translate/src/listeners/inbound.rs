//! Listeners for what comes to the workload, in plain text and in the mesh's mutual TLS as its policies say.

use std::collections::{BTreeMap, BTreeSet};

use graph::Reader;
use model::Objects;
use model::networking::{IstioIngressListener, ServerTlsSettings, Sidecar};
use model::peers::PeerMode;
use model::proxies::{Inbound, Interception, Served};
use names::{ClusterName, Protocol};
use proto::envoy::config::core::v3::TrafficDirection;
use proto::envoy::config::listener::v3::{Filter, FilterChain, FilterChainMatch, Listener};
use proto::envoy::config::route::v3::route::Action;
use proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use proto::envoy::config::route::v3::route_match::PathSpecifier;
use proto::envoy::config::route::v3::{Decorator, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost};

use super::http::Routes;
use super::{base, chain_to, detect, http, opaque, original_dst, original_src, tls};
use crate::clusters::{BLACK_HOLE, INBOUND_PASSTHROUGH};
use crate::mutual;
use crate::way::Way;
use crate::wire::seconds;

mod inspectors;
mod matrix;

use matrix::{Row, Speaks};

/// One port of the workload.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    /// The port that clients connect to.
    pub(crate) number: u16,
    pub(crate) protocol: Protocol,
    /// The service host and port for names of routes and spans.
    pub(crate) host: String,
    pub(crate) service_port: u16,
    /// Where the workload listens, when a Sidecar says so.
    pub(crate) endpoint: Option<String>,
    /// Whether the proxy binds it, when a Sidecar says so.
    pub(crate) bind: Option<bool>,
    /// TLS that the user terminates here, when a Sidecar says so.
    tls: Option<ServerTlsSettings>,
}

impl Port {
    fn speaks(&self) -> Speaks {
        if self.protocol.is_http() {
            Speaks::Http
        } else if self.protocol == Protocol::Auto {
            Speaks::Auto
        } else {
            Speaks::Opaque
        }
    }
}

/// The ports that a workload serves: those of its Sidecar's `ingress`, else those of its services, the first service of a port deciding.
pub(crate) fn ports(inbound: &Inbound, read: &mut Reader<'_>) -> Vec<Port> {
    let sidecar = inbound.sidecar.as_ref().and_then(|id| read.input::<Objects<Sidecar>>(id));
    let ingress = sidecar.as_ref().map(|row| row.spec.ingress.as_slice()).unwrap_or_default();
    if !ingress.is_empty() {
        return ingress.iter().filter_map(|listener| of_ingress(listener, inbound)).collect();
    }
    let mut ports = BTreeMap::<u16, Port>::new();
    for served in &inbound.served {
        ports.entry(served.target).or_insert_with(|| of_service(served));
    }
    ports.into_values().filter(|port| port.protocol != Protocol::Udp).collect()
}

fn of_service(served: &Served) -> Port {
    Port {
        number: served.target,
        protocol: served.protocol,
        host: served.service.host.to_string(),
        service_port: served.port,
        endpoint: None,
        bind: None,
        tls: None,
    }
}

fn of_ingress(listener: &IstioIngressListener, inbound: &Inbound) -> Option<Port> {
    let port = listener.port.as_ref()?;
    let protocol = Protocol::parse(&port.protocol).unwrap_or(Protocol::Auto);
    let endpoint = Some(listener.default_endpoint.to_string()).filter(|endpoint| !endpoint.is_empty());
    let bind = match listener.capture_mode.unwrap_or_default() {
        model::networking::CaptureMode::None => Some(true),
        model::networking::CaptureMode::Default | model::networking::CaptureMode::Iptables => None,
    };
    let host = inbound.served.first().map_or_else(|| "localhost".to_owned(), |served| served.service.host.to_string());
    let tls = listener.tls.clone();
    Some(Port { number: port.number, protocol, host, service_port: port.number, endpoint, bind, tls })
}

/// Takes all inbound traffic.
pub(super) fn virtual_listener(inbound: &Inbound, way: Way<'_>, read: &mut Reader<'_>) -> Listener {
    let port = way.settings.mesh.proxy_inbound_listen_port;
    let mut looping = chain_to(way, "virtualInbound-blackhole", BLACK_HOLE);
    looping.filter_chain_match =
        Some(FilterChainMatch { destination_port: Some(port.into()), ..FilterChainMatch::default() });
    let mut filter_chains = vec![looping];
    let served: Vec<Port> = ports(inbound, read).into_iter().filter(|port| port.bind != Some(true)).collect();
    let numbers: BTreeSet<u16> = served.iter().map(|port| port.number).collect();
    filter_chains.extend(passthrough(None, inbound.peers.mode, way));
    // What a policy says of a port holds also where no service is.
    for (port, mode) in inbound.peers.ports.iter().filter(|(port, _)| !numbers.contains(port)) {
        filter_chains.extend(passthrough(Some(*port), *mode, way));
    }
    for port in &served {
        filter_chains.extend(chains(port, inbound.peers.at(port.number), way));
    }
    let mut filters = vec![original_dst()];
    let transparent = inbound.interception == Interception::Tproxy;
    if transparent {
        filters.push(original_src());
    }
    filters.extend(inspectors::of(&filter_chains));
    let mut listener = Listener {
        filter_chains,
        transparent: transparent.then_some(true),
        ..base("0.0.0.0", port, TrafficDirection::Inbound)
    };
    detect(&mut listener, filters, way.settings);
    listener
}

/// Where the proxy binds ports itself.
pub(super) fn bound_at(inbound: &Inbound) -> String {
    inbound.addresses.first().map_or_else(|| "0.0.0.0".to_owned(), ToString::to_string)
}

/// One port that the proxy binds itself.
pub(super) fn bound(inbound: &Inbound, number: u16, way: Way<'_>, read: &mut Reader<'_>) -> Listener {
    let mut listener = base(&bound_at(inbound), number, TrafficDirection::Inbound);
    if let Some(port) = ports(inbound, read).iter().find(|port| port.number == number) {
        listener.filter_chains = chains(port, inbound.peers.at(number), way);
        for chain in &mut listener.filter_chains {
            // A bound port needs no condition on the port.
            let conditions = chain.filter_chain_match.get_or_insert_default();
            conditions.destination_port = None;
        }
        let filters = inspectors::of(&listener.filter_chains);
        detect(&mut listener, filters, way.settings);
    }
    listener
}

/// Ports that are no service's: HTTP is shown as such, the rest goes through.
fn passthrough(port: Option<u16>, mode: PeerMode, way: Way<'_>) -> Vec<FilterChain> {
    let made = matrix::rows(mode, Speaks::Auto).iter().map(|row| {
        let (name, filters) = if row.http {
            let routes = inline(INBOUND_PASSTHROUGH, INBOUND_PASSTHROUGH, "inbound|http|0", ":0/*");
            let filter = http::filter(way, INBOUND_PASSTHROUGH, routes);
            ("virtualInbound-catchall-http", vec![filter])
        } else {
            ("virtualInbound", opaque::to(way, INBOUND_PASSTHROUGH))
        };
        chain(name, *row, port, filters, way)
    });
    made.collect()
}

/// The chains of one port.
fn chains(port: &Port, mode: PeerMode, way: Way<'_>) -> Vec<FilterChain> {
    let name = format!("0.0.0.0_{}", port.number);
    let number = Some(port.number);
    let speaks = port.speaks();
    // Where the mesh's own TLS is off, a Sidecar may say whose certificates are shown.
    if let Some(written) = port.tls.as_ref().filter(|_| mode == PeerMode::Disable) {
        let http = speaks == Speaks::Http;
        let conditions = FilterChainMatch {
            destination_port: number.map(u32::from),
            transport_protocol: "tls".to_owned(),
            ..FilterChainMatch::default()
        };
        return vec![FilterChain {
            name: name.clone(),
            filter_chain_match: Some(conditions),
            transport_socket: tls::terminating(written, http, way.settings),
            filters: filters_of(port, &name, http, way),
            ..FilterChain::default()
        }];
    }
    let rows = matrix::rows(mode, speaks);
    rows.iter().map(|row| chain(&name, *row, number, filters_of(port, &name, row.http, way), way)).collect()
}

fn filters_of(port: &Port, name: &str, http: bool, way: Way<'_>) -> Vec<Filter> {
    let cluster = ClusterName::inbound(port.number).to_string();
    if !http {
        return opaque::to(way, &cluster);
    }
    let operation = format!("{}:{}/*", port.host, port.service_port);
    let routes = inline(&cluster, &cluster, &format!("inbound|http|{}", port.service_port), &operation);
    vec![http::filter(way, &format!("inbound_{name};"), routes)]
}

fn chain(name: &str, row: Row, port: Option<u16>, filters: Vec<Filter>, way: Way<'_>) -> FilterChain {
    FilterChain {
        name: name.to_owned(),
        filter_chain_match: Some(row.conditions(port)),
        transport_socket: row.terminates.then(|| mutual::server(way.settings, row.agrees())),
        filters,
        ..FilterChain::default()
    }
}

/// The table of an inbound port: everything to the workload.
fn inline(table: &str, cluster: &str, host: &str, operation: &str) -> Routes {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: Some(seconds(0)),
        ..RouteAction::default()
    };
    let route = Route {
        name: "default".to_owned(),
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        decorator: Some(Decorator { operation: operation.to_owned(), ..Decorator::default() }),
        action: Some(Action::Route(action)),
        ..Route::default()
    };
    Routes::Inline(Box::new(RouteConfiguration {
        name: table.to_owned(),
        validate_clusters: Some(false),
        virtual_hosts: vec![VirtualHost {
            name: host.to_owned(),
            domains: vec!["*".to_owned()],
            routes: vec![route],
            ..VirtualHost::default()
        }],
        ..RouteConfiguration::default()
    }))
}
