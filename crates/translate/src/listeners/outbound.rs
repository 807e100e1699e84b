//! Listeners for what the workload sends.

use model::proxies::Interception;
use model::scopes::Unknown;
use proto::envoy::config::core::v3::TrafficDirection;
use proto::envoy::config::listener::v3::{FilterChain, FilterChainMatch, Listener};

use super::http::Routes;
use super::{base, chain_to, detect, http, http_inspector, opaque, tls_inspector};
use crate::clusters::{BLACK_HOLE, PASSTHROUGH};
use crate::keys::OutboundListener;
use crate::way::Way;
use crate::wire::seconds;

/// HTTP in plain text, as the http inspector reports it.
const PLAIN_HTTP: [&str; 2] = ["http/1.1", "h2c"];

fn cluster_of(unknown: &Unknown) -> String {
    match unknown {
        Unknown::PassThrough => PASSTHROUGH.to_owned(),
        Unknown::Block => BLACK_HOLE.to_owned(),
        Unknown::Proxy(cluster) => cluster.to_string(),
    }
}

/// Takes all outbound traffic and hands it to the listener of its destination; what has none is passed on or refused. A connection
/// to the port itself would loop.
pub(super) fn virtual_listener(interception: Interception, unknown: &Unknown, way: Way<'_>) -> Listener {
    let port = way.settings.mesh.proxy_listen_port;
    let mut looping = chain_to(way, "virtualOutbound-blackhole", BLACK_HOLE);
    looping.filter_chain_match =
        Some(FilterChainMatch { destination_port: Some(port.into()), ..FilterChainMatch::default() });
    Listener {
        use_original_dst: Some(true),
        transparent: (interception == Interception::Tproxy).then_some(true),
        filter_chains: vec![looping, chain_to(way, "virtualOutbound-catchall-tcp", &cluster_of(unknown))],
        ..base("0.0.0.0", port, TrafficDirection::Outbound)
    }
}

/// The listener of a port, or of one address and port.
pub(super) fn listener(key: &OutboundListener, way: Way<'_>) -> Listener {
    let mut listener = Listener {
        bind_to_port: (!key.bind).then_some(false),
        ..base(&key.address, key.port, TrafficDirection::Outbound)
    };
    let prefix = format!("outbound_{}_{};", key.address, key.port);
    let mut inspectors = Vec::new();
    if key.opaque.iter().any(|chain| !chain.server_names.is_empty()) {
        inspectors.push(tls_inspector());
    }
    let mut chains = Vec::new();
    if let Some(table) = &key.table {
        let filter = http::filter(way, &prefix, Routes::Table(table.to_string()));
        let plain = FilterChainMatch {
            transport_protocol: "raw_buffer".to_owned(),
            application_protocols: PLAIN_HTTP.iter().map(ToString::to_string).collect(),
            ..FilterChainMatch::default()
        };
        if key.sniff {
            inspectors.push(http_inspector());
        }
        chains.push(FilterChain {
            filter_chain_match: key.sniff.then_some(plain),
            filters: vec![filter],
            transport_socket_connect_timeout: Some(seconds(15)),
            ..FilterChain::default()
        });
    }
    chains.extend(key.opaque.iter().map(|chain| opaque::chain(way, chain)));
    settle(way, chains, key.rest.as_ref(), &mut listener);
    if inspectors.is_empty() {
        listener.listener_filters_timeout = Some(seconds(0));
    } else {
        detect(&mut listener, inspectors, way.settings);
    }
    listener
}

/// A chain that takes everything is the default, unless it is alone; without one, the rest goes where unknown traffic goes.
fn settle(way: Way<'_>, chains: Vec<FilterChain>, rest: Option<&Unknown>, listener: &mut Listener) {
    let alone = chains.len() == 1;
    for chain in chains {
        if chain.filter_chain_match.is_none() && !alone {
            listener.default_filter_chain.get_or_insert(chain);
        } else {
            listener.filter_chains.push(chain);
        }
    }
    let takes_all = alone && listener.filter_chains.first().is_some_and(|chain| chain.filter_chain_match.is_none());
    if let Some(rest) = rest
        && listener.default_filter_chain.is_none()
        && !takes_all
    {
        listener.default_filter_chain = Some(chain_to(way, "PassthroughFilterChain", &cluster_of(rest)));
    }
}
