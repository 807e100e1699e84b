//! The HTTP filters in the order in which requests pass them.

use proto::envoy::extensions::filters::http::cors::v3::Cors;
use proto::envoy::extensions::filters::http::fault::v3::HttpFault;
use proto::envoy::extensions::filters::http::grpc_stats::v3::{FilterConfig, filter_config};
use proto::envoy::extensions::filters::http::router::v3::Router;
use proto::envoy::extensions::filters::network::http_connection_manager::v3::{HttpFilter, http_filter};

fn filter<M: prost::Message + prost::Name>(name: &str, message: &M) -> HttpFilter {
    HttpFilter {
        name: name.to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(proto::any(message))),
        ..HttpFilter::default()
    }
}

/// Filters of Envoy's connection managers. Faults and CORS do nothing until a route configures them.
pub(crate) fn envoy() -> Vec<HttpFilter> {
    let stats = FilterConfig {
        emit_filter_state: true,
        per_method_stat_specifier: Some(filter_config::PerMethodStatSpecifier::StatsForAllMethods(false)),
        ..FilterConfig::default()
    };
    vec![
        filter("envoy.filters.http.grpc_stats", &stats),
        filter("envoy.filters.http.fault", &HttpFault::default()),
        filter("envoy.filters.http.cors", &Cors {}),
        filter("envoy.filters.http.router", &Router::default()),
    ]
}

/// Filters that gRPC clients know.
pub(crate) fn grpc() -> Vec<HttpFilter> {
    vec![
        filter("envoy.filters.http.fault", &HttpFault::default()),
        filter("envoy.filters.http.router", &Router::default()),
    ]
}
