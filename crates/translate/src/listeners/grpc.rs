//! What gRPC is told without a proxy: a client that asks for the name it is to call, where its routes are; a server that asks for the
//! address at which it listens, whom it takes.

use std::net::SocketAddr;

use proto::envoy::config::listener::v3::filter::ConfigType;
use proto::envoy::config::listener::v3::{ApiListener, Filter, FilterChain, Listener};
use proto::envoy::config::route::v3::route::Action;
use proto::envoy::config::route::v3::route_match::PathSpecifier;
use proto::envoy::config::route::v3::{NonForwardingAction, Route, RouteConfiguration, RouteMatch, VirtualHost};
use proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use proto::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};

use super::filters;
use crate::mutual;
use crate::wire::{address, ads};

/// What the names of servers' listeners begin with; their address follows.
pub(super) const SERVER: &str = "xds.istio.io/grpc/lds/inbound/";

pub(super) fn listener(name: &str, table: &str) -> Listener {
    let manager = HttpConnectionManager {
        stat_prefix: name.to_owned(),
        http_filters: filters::grpc(),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(ads()),
            route_config_name: table.to_owned(),
        })),
        ..HttpConnectionManager::default()
    };
    Listener { api_listener: Some(ApiListener { api_listener: Some(proto::any(&manager)) }), ..Listener::default() }
}

/// All calls, to the server itself. Servers refuse a listener that says anything else of a listener of Envoy
/// (`istio: pilot/pkg/grpcgen/lds.go buildInboundListeners`).
pub(super) fn server(at: SocketAddr, mutual: bool) -> Listener {
    let kind = if mutual { "mtls" } else { "plaintext" };
    let route = Route {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        action: Some(Action::NonForwardingAction(NonForwardingAction {})),
        ..Route::default()
    };
    let host = VirtualHost {
        name: "inbound".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    let manager = HttpConnectionManager {
        http_filters: filters::grpc_server(),
        route_specifier: Some(RouteSpecifier::RouteConfig(RouteConfiguration {
            name: "inbound".to_owned(),
            virtual_hosts: vec![host],
            ..RouteConfiguration::default()
        })),
        ..HttpConnectionManager::default()
    };
    let filter =
        Filter { name: format!("inbound-hcm{kind}"), config_type: Some(ConfigType::TypedConfig(proto::any(&manager))) };
    let chain = FilterChain {
        name: format!("inbound-{kind}"),
        filters: vec![filter],
        transport_socket: mutual.then(mutual::grpc_server),
        ..FilterChain::default()
    };
    Listener {
        address: Some(address(&at.ip().to_string(), at.port())),
        filter_chains: vec![chain],
        ..Listener::default()
    }
}
