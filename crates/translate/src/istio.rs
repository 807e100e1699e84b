//! Configuration of the filters that only Istio's own Envoy has. Stock Envoy refuses a whole listener for one of them, so they go only to
//! proxies whose capabilities show them (`istio: pilot/pkg/xds/filters/filters.go`).

use proto::envoy::config::cluster::v3 as cluster;
use proto::envoy::config::listener::v3::Filter;
use proto::istio::envoy::config::filter::http::alpn::v2alpha1::FilterConfig;
use proto::istio::envoy::config::filter::http::alpn::v2alpha1::filter_config::{AlpnOverride, Protocol};
use proto::udpa::r#type::v1::TypedStruct;

use crate::way::Side;
use crate::wire::{boolean, list, network_filter, object, object_value, string};

const METADATA_EXCHANGE: &str = "istio.metadata_exchange";

/// Who calls and who answers, exchanged in headers.
pub(crate) fn http_metadata_exchange(side: Side) -> TypedStruct {
    let (discovery, propagation) = match side {
        Side::Inbound => ("downstream_discovery", "downstream_propagation"),
        Side::Outbound | Side::Gateway => ("upstream_discovery", "upstream_propagation"),
    };
    let method = |name| object_value([(name, object_value([]))]);
    TypedStruct {
        type_url: "type.googleapis.com/io.istio.http.peer_metadata.Config".to_owned(),
        value: Some(object([
            (discovery, list(vec![method("istio_headers"), method("workload_discovery")])),
            (propagation, list(vec![method("istio_headers")])),
        ])),
    }
}

/// The same for connections: the protocol that the two agree on at the start.
fn exchange() -> TypedStruct {
    TypedStruct {
        type_url: "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange".to_owned(),
        value: Some(object([("protocol", string("istio-peer-exchange")), ("enable_discovery", boolean(true))])),
    }
}

/// At the server's end of a connection.
pub(crate) fn metadata_exchange() -> Filter {
    network_filter(METADATA_EXCHANGE, &exchange())
}

/// At the client's end.
pub(crate) fn upstream_metadata_exchange() -> cluster::Filter {
    cluster::Filter {
        name: METADATA_EXCHANGE.to_owned(),
        typed_config: Some(proto::any(&exchange())),
        ..cluster::Filter::default()
    }
}

/// What is offered to peers, by what is spoken to them.
pub(crate) fn alpn() -> FilterConfig {
    let offered = |protocol: Protocol, offered: [&str; 3]| AlpnOverride {
        upstream_protocol: protocol as i32,
        alpn_override: offered.map(str::to_owned).to_vec(),
    };
    FilterConfig {
        alpn_override: vec![
            offered(Protocol::Http10, ["istio-http/1.0", "istio", "http/1.0"]),
            offered(Protocol::Http11, ["istio-http/1.1", "istio", "http/1.1"]),
            offered(Protocol::Http2, ["istio-h2", "istio", "h2"]),
        ],
    }
}
