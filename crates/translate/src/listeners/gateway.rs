//! Listeners of gateways: a plain port is one connection manager; a TLS port has a chain for each server, told apart by SNI.

use graph::Reader;
use model::gateways::gateway;
use model::networking::ServerTlsSettings;
use names::Name;
use proto::envoy::config::core::v3::TrafficDirection;
use proto::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};

use super::http::Routes;
use super::{base, detect, http, opaque, tls, tls_inspector};
use crate::keys::{GatewayListener, Serving, TlsServer};
use crate::way::Way;
use crate::wire::seconds;

pub(super) fn listener(key: &GatewayListener, way: Way<'_>, read: &mut Reader<'_>) -> Listener {
    let mut listener = base(&key.bind, key.port, TrafficDirection::Outbound);
    let prefix = format!("outbound_{}_{};", key.bind, key.port);
    match &key.serving {
        Serving::Http { table } => {
            let filter = http::filter(way, &prefix, Routes::Table(table.to_string()));
            listener.filter_chains = vec![FilterChain { filters: vec![filter], ..FilterChain::default() }];
            listener.listener_filters_timeout = Some(seconds(0));
        }
        Serving::Opaque { chains } => {
            listener.filter_chains = chains.iter().map(|chain| opaque::chain(way, chain)).collect()
        }
        Serving::Tls { servers } => {
            for server in servers {
                listener.filter_chains.extend(chains(way, server, &prefix, read));
            }
            detect(&mut listener, vec![tls_inspector()], way.settings);
        }
    }
    listener
}

fn chains(way: Way<'_>, server: &TlsServer, prefix: &str, read: &mut Reader<'_>) -> Vec<FilterChain> {
    let written = gateway(&server.gateway, read);
    let written = written.as_ref().and_then(|row| row.spec.servers.get(server.number)?.tls.as_ref());
    let default = ServerTlsSettings::default();
    let written = written.unwrap_or(&default);
    let socket = tls::terminating(written, server.table.is_some(), way.settings);
    if let Some(table) = &server.table {
        let filter = http::filter(way, prefix, Routes::Table(table.to_string()));
        let filters = vec![filter];
        return vec![FilterChain {
            filter_chain_match: Some(by_sni(&server.names)),
            filters,
            transport_socket: socket,
            ..FilterChain::default()
        }];
    }
    let made =
        server.opaque.iter().map(|chain| FilterChain { transport_socket: socket.clone(), ..opaque::chain(way, chain) });
    made.collect()
}

/// A server for all names has no condition on them.
fn by_sni(names: &[Name]) -> FilterChainMatch {
    let all = names.iter().any(|name| *name == "*");
    let server_names = if all { Vec::new() } else { names.iter().map(opaque::server_name).collect() };
    FilterChainMatch { server_names, transport_protocol: "tls".to_owned(), ..FilterChainMatch::default() }
}
