//! Listeners for what comes to the workload. Everything is taken in plain text: the chains that terminate the mesh's mTLS have their
//! place in [`chains`], beside the plain ones.

use std::collections::BTreeMap;

use graph::Reader;
use model::Objects;
use model::networking::{IstioIngressListener, Sidecar};
use model::proxies::{Inbound, Interception, Served};
use model::settings::MeshSettings;
use names::{ClusterName, Protocol};
use proto::envoy::config::core::v3::TrafficDirection;
use proto::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};
use proto::envoy::config::route::v3::route::Action;
use proto::envoy::config::route::v3::route_action::ClusterSpecifier;
use proto::envoy::config::route::v3::route_match::PathSpecifier;
use proto::envoy::config::route::v3::{Decorator, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost};

use super::http::{Routes, Side};
use super::{base, chain_to, detect, http, http_inspector, opaque, original_dst, tls_inspector};
use crate::clusters::{BLACK_HOLE, INBOUND_PASSTHROUGH};
use crate::wire::seconds;

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
    Some(Port { number: port.number, protocol, host, service_port: port.number, endpoint, bind })
}

/// Takes all inbound traffic.
pub(super) fn virtual_listener(inbound: &Inbound, settings: &MeshSettings, read: &mut Reader<'_>) -> Listener {
    let port = settings.mesh.proxy_inbound_listen_port;
    let mut looping = chain_to("virtualInbound-blackhole", BLACK_HOLE);
    looping.filter_chain_match =
        Some(FilterChainMatch { destination_port: Some(port.into()), ..FilterChainMatch::default() });
    let mut filter_chains = vec![looping];
    filter_chains.extend(passthrough(settings));
    for port in ports(inbound, read).iter().filter(|port| port.bind != Some(true)) {
        filter_chains.extend(chains(port, settings));
    }
    let mut listener = Listener {
        filter_chains,
        transparent: (inbound.interception == Interception::Tproxy).then_some(true),
        ..base("0.0.0.0", port, TrafficDirection::Inbound)
    };
    detect(&mut listener, vec![original_dst(), tls_inspector(), http_inspector()], settings);
    listener
}

/// One port that the proxy binds itself.
pub(super) fn bound(inbound: &Inbound, number: u16, settings: &MeshSettings, read: &mut Reader<'_>) -> Listener {
    let at = inbound.address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string());
    let mut listener = base(&at, number, TrafficDirection::Inbound);
    if let Some(port) = ports(inbound, read).iter().find(|port| port.number == number) {
        listener.filter_chains = chains(port, settings);
        for chain in &mut listener.filter_chains {
            // A bound port needs no condition on the port.
            let conditions = chain.filter_chain_match.get_or_insert_default();
            conditions.destination_port = None;
        }
        detect(&mut listener, vec![tls_inspector(), http_inspector()], settings);
    }
    listener
}

/// Ports that are no service's: HTTP is shown as such, the rest goes through.
fn passthrough(settings: &MeshSettings) -> Vec<FilterChain> {
    let routes = inline(INBOUND_PASSTHROUGH, INBOUND_PASSTHROUGH, "inbound|http|0", ":0/*");
    let mut plain = chain_to("virtualInbound", INBOUND_PASSTHROUGH);
    plain.filter_chain_match = None;
    let web = FilterChain {
        name: "virtualInbound-catchall-http".to_owned(),
        filter_chain_match: Some(plain_http(None)),
        filters: vec![http::filter(INBOUND_PASSTHROUGH, Side::Inbound, routes, settings)],
        ..FilterChain::default()
    };
    vec![web, plain]
}

fn plain_http(port: Option<u16>) -> FilterChainMatch {
    FilterChainMatch {
        destination_port: port.map(u32::from),
        transport_protocol: "raw_buffer".to_owned(),
        application_protocols: vec!["http/1.1".to_owned(), "h2c".to_owned()],
        ..FilterChainMatch::default()
    }
}

/// The chains of one port.
fn chains(port: &Port, settings: &MeshSettings) -> Vec<FilterChain> {
    let cluster = ClusterName::inbound(port.number).to_string();
    let name = format!("0.0.0.0_{}", port.number);
    let at_port = FilterChainMatch { destination_port: Some(port.number.into()), ..FilterChainMatch::default() };
    let web = |conditions| {
        let operation = format!("{}:{}/*", port.host, port.service_port);
        let routes = inline(&cluster, &cluster, &format!("inbound|http|{}", port.service_port), &operation);
        FilterChain {
            name: name.clone(),
            filter_chain_match: Some(conditions),
            filters: vec![http::filter(&format!("inbound_{name};"), Side::Inbound, routes, settings)],
            ..FilterChain::default()
        }
    };
    let plain = || FilterChain {
        name: name.clone(),
        filter_chain_match: Some(at_port.clone()),
        filters: opaque::to(&cluster),
        ..FilterChain::default()
    };
    if port.protocol.is_http() {
        vec![web(at_port.clone())]
    } else if port.protocol == Protocol::Auto {
        vec![web(plain_http(Some(port.number))), plain()]
    } else {
        vec![plain()]
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
