//! What a gRPC client is told when it asks for the name it is to call: where its routes are.

use proto::envoy::config::listener::v3::{ApiListener, Listener};
use proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use proto::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};

use super::filters;
use crate::wire::ads;

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
