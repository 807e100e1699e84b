//! Listeners (LDS).

use graph::Reader;
use model::proxies::Caps;
use model::settings::{MeshSettings, settings};
use proto::Encoded;
use proto::envoy::config::core::v3::TrafficDirection;
use proto::envoy::config::listener::v3::listener_filter::ConfigType;
use proto::envoy::config::listener::v3::{FilterChain, Listener, ListenerFilter};

use crate::keys::ListenerKey;
use crate::way::{Side, Way};
use crate::wire::address;

pub(crate) mod filters;
mod gateway;
mod grpc;
pub(crate) mod http;
mod inbound;

pub(crate) use inbound::ports as inbound_ports;
pub(crate) mod opaque;
mod outbound;
mod tls;

/// A listener's name.
#[must_use]
pub fn name(key: &ListenerKey) -> String {
    match key {
        ListenerKey::VirtualOutbound { .. } => "virtualOutbound".to_owned(),
        ListenerKey::Outbound(listener) => format!("{}_{}", listener.address, listener.port),
        ListenerKey::Inbound { .. } => "virtualInbound".to_owned(),
        ListenerKey::InboundPort { inbound, port, .. } => {
            format!("{}_{port}", inbound::bound_at(inbound))
        }
        ListenerKey::Gateway(listener) => format!("{}_{}", listener.bind, listener.port),
        ListenerKey::Grpc { name, .. } => name.to_string(),
        ListenerKey::GrpcServer { at, .. } => format!("{}{at}", grpc::SERVER),
    }
}

pub(crate) fn encoded(key: &ListenerKey, read: &mut Reader<'_>) -> Option<Encoded> {
    let settings = settings(read)?;
    let way = |side, caps: Caps| Way { side, caps, settings: &settings };
    let listener = match key {
        ListenerKey::VirtualOutbound { interception, unknown, caps } => {
            outbound::virtual_listener(*interception, unknown, way(Side::Outbound, *caps))
        }
        ListenerKey::Outbound(listener) => outbound::listener(listener, way(Side::Outbound, listener.caps)),
        ListenerKey::Inbound { inbound, caps } => inbound::virtual_listener(inbound, way(Side::Inbound, *caps), read),
        ListenerKey::InboundPort { inbound, port, caps } => {
            inbound::bound(inbound, *port, way(Side::Inbound, *caps), read)
        }
        ListenerKey::Gateway(listener) => gateway::listener(listener, way(Side::Gateway, listener.caps), read),
        ListenerKey::Grpc { name, table } => grpc::listener(name, table),
        ListenerKey::GrpcServer { at, mutual } => grpc::server(*at, *mutual),
    };
    let named = Listener { name: name(key), ..listener };
    Some(Encoded::new(&named.name, &named))
}

/// What all listeners of Envoy have in common.
fn base(at: &str, port: u16, direction: TrafficDirection) -> Listener {
    Listener {
        address: Some(address(at, port)),
        traffic_direction: direction as i32,
        max_connections_to_accept_per_socket_event: Some(1),
        ..Listener::default()
    }
}

/// Protocol detection waits for the client's first bytes, for ever unless the mesh says otherwise.
fn detect(listener: &mut Listener, filters: Vec<ListenerFilter>, settings: &MeshSettings) {
    listener.listener_filters = filters;
    listener.listener_filters_timeout = Some(crate::wire::duration(settings.mesh.protocol_detection_timeout));
    listener.continue_on_listener_filters_timeout = true;
}

fn listener_filter<M: prost::Message + prost::Name>(name: &str, message: &M) -> ListenerFilter {
    ListenerFilter {
        name: format!("envoy.filters.listener.{name}"),
        config_type: Some(ConfigType::TypedConfig(proto::any(message))),
        ..ListenerFilter::default()
    }
}

fn http_inspector() -> ListenerFilter {
    listener_filter(
        "http_inspector",
        &proto::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector {},
    )
}

fn tls_inspector() -> ListenerFilter {
    let message = proto::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector {
        initial_read_buffer_size: Some(512),
        ..Default::default()
    };
    listener_filter("tls_inspector", &message)
}

fn original_dst() -> ListenerFilter {
    listener_filter("original_dst", &proto::envoy::extensions::filters::listener::original_dst::v3::OriginalDst {})
}

/// Keeps the client's address on the way to the workload, under the mark that the capture rules of TPROXY let through.
fn original_src() -> ListenerFilter {
    use proto::envoy::extensions::filters::listener::original_src::v3::OriginalSrc;
    listener_filter("original_src", &OriginalSrc { mark: 1337, ..OriginalSrc::default() })
}

/// A chain that sends everything to one cluster.
fn chain_to(way: Way<'_>, name: &str, cluster: &str) -> FilterChain {
    FilterChain { name: name.to_owned(), filters: opaque::to(way, cluster), ..FilterChain::default() }
}
