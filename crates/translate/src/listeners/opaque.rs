//! Traffic that is not opened: tcp_proxy.

use names::{ClusterName, Name};
use proto::envoy::config::core::v3::CidrRange;
use proto::envoy::config::listener::v3::{Filter, FilterChain, FilterChainMatch};
use proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use proto::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, WeightedCluster, weighted_cluster,
};

use crate::istio;
use crate::keys::OpaqueChain;
use crate::mutual::ALPN_ANY;
use crate::way::{Side, Way};
use crate::wire::network_filter;

/// The filters that send everything to one cluster.
pub(crate) fn to(way: Way<'_>, cluster: &str) -> Vec<Filter> {
    proxy(way, cluster, ClusterSpecifier::Cluster(cluster.to_owned()))
}

fn proxy(way: Way<'_>, prefix: &str, clusters: ClusterSpecifier) -> Vec<Filter> {
    let proxy = TcpProxy { stat_prefix: prefix.to_owned(), cluster_specifier: Some(clusters), ..TcpProxy::default() };
    let mut filters = Vec::new();
    if way.caps.istio_filters && way.side == Side::Inbound {
        filters.push(istio::metadata_exchange());
    }
    filters.push(network_filter("envoy.filters.network.tcp_proxy", &proxy));
    filters
}

fn weighted(way: Way<'_>, clusters: &[(ClusterName, u32)]) -> Vec<Filter> {
    match clusters {
        [] => to(way, crate::clusters::BLACK_HOLE),
        [(only, _)] => to(way, &only.to_string()),
        several => {
            let clusters = several.iter().map(|(name, weight)| weighted_cluster::ClusterWeight {
                name: name.to_string(),
                weight: *weight,
                ..weighted_cluster::ClusterWeight::default()
            });
            let weighted = WeightedCluster { clusters: clusters.collect() };
            proxy(way, &several[0].0.to_string(), ClusterSpecifier::WeightedClusters(weighted))
        }
    }
}

/// A chain with its conditions.
pub(crate) fn chain(way: Way<'_>, chain: &OpaqueChain) -> FilterChain {
    let mut conditions = FilterChainMatch {
        prefix_ranges: chain.networks.iter().filter_map(|network| cidr(network)).collect(),
        server_names: chain.server_names.iter().filter(|name| **name != "*").map(server_name).collect(),
        ..FilterChainMatch::default()
    };
    if chain.mutual {
        conditions.application_protocols = ALPN_ANY.iter().map(ToString::to_string).collect();
    }
    if !chain.server_names.is_empty() {
        conditions.transport_protocol = "tls".to_owned();
    }
    let all = conditions == FilterChainMatch::default();
    FilterChain {
        filter_chain_match: (!all).then_some(conditions),
        filters: weighted(way, &chain.clusters),
        ..FilterChain::default()
    }
}

/// Envoy writes wildcards of server names as Istio does.
pub(crate) fn server_name(name: &Name) -> String {
    name.to_string()
}

/// An address or a network.
pub(crate) fn cidr(written: &str) -> Option<CidrRange> {
    let (address, length) = match written.parse::<ipnet::IpNet>() {
        Ok(net) => (net.network(), net.prefix_len()),
        Err(_) => {
            let address: std::net::IpAddr = written.parse().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    Some(CidrRange { address_prefix: address.to_string(), prefix_len: Some(length.into()) })
}
