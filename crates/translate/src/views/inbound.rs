//! Clusters and listeners for what comes to the workload.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use graph::Reader;
use model::peers::PeerMode;
use model::proxies::{Caps, Inbound, Interception};
use names::Name;

use super::Draft;
use crate::clusters;
use crate::keys::{ClusterKey, ListenerKey};
use crate::listeners;
use crate::resources::ResourceKey;

/// The facets without what clusters do not depend on would share more; the ports are the same rows either way.
pub(super) fn clusters(inbound: &Arc<Inbound>, draft: &mut Draft, read: &mut Reader<'_>) {
    for port in listeners::inbound_ports(inbound, read) {
        let services = inbound.served.iter().filter(|served| served.target == port.number);
        let key = ClusterKey::Inbound {
            port: port.number,
            endpoint: port.endpoint.as_deref().map(Name::from),
            bound: inbound.interception == Interception::None,
            services: Arc::new(services.map(|served| served.service.clone()).collect()),
            http2: port.protocol.is_http2(),
        };
        draft.add(Name::from(clusters::name(&key)), ResourceKey::Cluster(Arc::new(key)));
    }
    let rest = ClusterKey::InboundPassthrough;
    draft.add(Name::from(clusters::name(&rest)), ResourceKey::Cluster(Arc::new(rest)));
}

pub(super) fn listeners(inbound: &Arc<Inbound>, caps: Caps, draft: &mut Draft, read: &mut Reader<'_>) {
    let captured = inbound.interception != Interception::None;
    if captured {
        draft.add_listener(ListenerKey::Inbound { inbound: inbound.clone(), caps });
    }
    for port in listeners::inbound_ports(inbound, read) {
        if port.bind == Some(true) || !captured {
            draft.add_listener(ListenerKey::InboundPort { inbound: inbound.clone(), port: port.number, caps });
        }
    }
}

/// A gRPC server asks for the address that it listens at, which it chooses itself: any of its own, of loopback, or all.
pub(super) fn grpc_servers(inbound: &Arc<Inbound>, draft: &mut Draft, read: &mut Reader<'_>) {
    let general = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    for port in listeners::inbound_ports(inbound, read) {
        let mutual = inbound.peers.at(port.number) != PeerMode::Disable;
        for address in general.iter().chain(&inbound.addresses) {
            draft.add_listener(ListenerKey::GrpcServer { at: SocketAddr::new(*address, port.number), mutual });
        }
    }
}
