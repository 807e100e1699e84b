//! The HTTP filters in the order in which requests pass them (`istio: pilot/pkg/networking/core/listener_builder.go`).

use model::proxies::Caps;
use proto::envoy::config::core::v3::substitution_format_string::Format;
use proto::envoy::config::core::v3::{DataSource, SubstitutionFormatString, data_source};
use proto::envoy::extensions::filters::common::set_filter_state::v3::{FilterStateValue, filter_state_value};
use proto::envoy::extensions::filters::http::cors::v3::Cors;
use proto::envoy::extensions::filters::http::fault::v3::HttpFault;
use proto::envoy::extensions::filters::http::grpc_stats::v3::{FilterConfig, filter_config};
use proto::envoy::extensions::filters::http::router::v3::Router;
use proto::envoy::extensions::filters::http::set_filter_state::v3 as set_filter_state;
use proto::envoy::extensions::filters::network::http_connection_manager::v3::{HttpFilter, http_filter};

use crate::istio;
use crate::way::Side;

fn filter<M: prost::Message + prost::Name>(name: &str, message: &M) -> HttpFilter {
    HttpFilter {
        name: name.to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(proto::any(message))),
        ..HttpFilter::default()
    }
}

/// Filters of Envoy's connection managers. Faults and CORS do nothing until a route configures them.
pub(crate) fn envoy(side: Side, caps: Caps) -> Vec<HttpFilter> {
    let stats = FilterConfig {
        emit_filter_state: true,
        per_method_stat_specifier: Some(filter_config::PerMethodStatSpecifier::StatsForAllMethods(false)),
        ..FilterConfig::default()
    };
    let mut filters = Vec::new();
    if caps.istio_filters {
        filters.push(filter("istio.metadata_exchange", &istio::http_metadata_exchange(side)));
    }
    filters.push(filter("envoy.filters.http.grpc_stats", &stats));
    match (side, caps.istio_filters) {
        (Side::Inbound, _) => {}
        (Side::Outbound | Side::Gateway, true) => filters.push(filter("istio.alpn", &istio::alpn())),
        (Side::Outbound | Side::Gateway, false) => filters.push(offered_alpn()),
    }
    filters.extend([
        filter("envoy.filters.http.fault", &HttpFault::default()),
        filter("envoy.filters.http.cors", &Cors {}),
        filter("envoy.filters.http.router", &Router::default()),
    ]);
    filters
}

/// Takes the place of `istio.alpn` in other Envoys: where a cluster of the mesh says what requests offer, it is offered. A peer tells
/// HTTP from other traffic by it.
fn offered_alpn() -> HttpFilter {
    let format = SubstitutionFormatString {
        format: Some(Format::TextFormatSource(DataSource {
            specifier: Some(data_source::Specifier::InlineString("%CLUSTER_METADATA(istio:alpn)%".to_owned())),
            ..DataSource::default()
        })),
        omit_empty_values: true,
        ..SubstitutionFormatString::default()
    };
    let value = FilterStateValue {
        key: Some(filter_state_value::Key::ObjectKey("envoy.network.application_protocols".to_owned())),
        value: Some(filter_state_value::Value::FormatString(format)),
        shared_with_upstream: filter_state_value::SharedWithUpstream::Once as i32,
        skip_if_empty: true,
        ..FilterStateValue::default()
    };
    let config = set_filter_state::Config { on_request_headers: vec![value], ..set_filter_state::Config::default() };
    filter("envoy.filters.http.set_filter_state", &config)
}

/// Filters that gRPC clients know.
pub(crate) fn grpc() -> Vec<HttpFilter> {
    vec![
        filter("envoy.filters.http.fault", &HttpFault::default()),
        filter("envoy.filters.http.router", &Router::default()),
    ]
}

/// Filters that gRPC servers know.
pub(crate) fn grpc_server() -> Vec<HttpFilter> {
    vec![filter("envoy.filters.http.router", &Router::default())]
}
