//! Clusters (CDS).

use graph::Reader;
use model::networking::{ClientTlsMode, TrafficPolicy};
use model::policy::{Policies, Policy};
use model::proxies::Caps;
use model::scalars::Duration;
use model::services::{Resolution, Service, ServicePort, Services};
use model::settings::{MeshSettings, settings};
use names::{ClusterName, Hostname};
use proto::Encoded;
use proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbPolicy,
};
use proto::envoy::config::cluster::v3::{CircuitBreakers, Cluster, Filter, circuit_breakers::Thresholds};
use proto::envoy::config::core::v3::{BindConfig, SocketAddress, socket_address};

use crate::endpoints;
use crate::istio::upstream_metadata_exchange;
use crate::keys::{AssignmentKey, ClusterKey, For};
use crate::wire::{ads, config_path, duration, istio_metadata, list, object_value, seconds, string};

mod policy;
mod protocol;
mod tls;

use protocol::Version;

/// Refuses connections.
pub const BLACK_HOLE: &str = "BlackHoleCluster";
/// Sends to where the client wanted.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// Sends what comes in to where it was meant for.
pub const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";

/// The source address of connections from the sidecar to its workload: the capture rules let it through.
const INBOUND_SOURCE: &str = "127.0.0.6";

/// The name of a cluster.
#[must_use]
pub fn name(key: &ClusterKey) -> String {
    match key {
        ClusterKey::Outbound { service, port, subset, client, .. } => {
            client.cluster(*port, subset.as_ref(), &service.host).to_string()
        }
        ClusterKey::Inbound { port, .. } => ClusterName::inbound(*port).to_string(),
        ClusterKey::BlackHole => BLACK_HOLE.to_owned(),
        ClusterKey::Passthrough(_) => PASSTHROUGH.to_owned(),
        ClusterKey::InboundPassthrough => INBOUND_PASSTHROUGH.to_owned(),
    }
}

pub(crate) fn encoded(key: &ClusterKey, read: &mut Reader<'_>) -> Option<Encoded> {
    let settings = settings(read)?;
    let cluster = match key {
        ClusterKey::Outbound { .. } => outbound(key, &settings, read)?,
        ClusterKey::Inbound { .. } => inbound(key, &settings),
        ClusterKey::BlackHole => Cluster { name: name(key), ..typed(DiscoveryType::Static, &settings) },
        ClusterKey::Passthrough(caps) => Cluster {
            name: name(key),
            filters: exchange(*caps),
            typed_extension_protocol_options: protocol::options(&protocol::Upstream::client()),
            ..original_destination(&settings)
        },
        ClusterKey::InboundPassthrough => Cluster {
            name: name(key),
            upstream_bind_config: Some(from_inbound_source()),
            typed_extension_protocol_options: protocol::options(&protocol::Upstream::client()),
            ..original_destination(&settings)
        },
    };
    Some(Encoded::new(&cluster.name, &cluster))
}

/// Istio's Envoys tell each other who they are.
fn exchange(caps: Caps) -> Vec<Filter> {
    if caps.istio_filters { vec![upstream_metadata_exchange()] } else { Vec::new() }
}

fn typed(kind: DiscoveryType, settings: &MeshSettings) -> Cluster {
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(kind as i32)),
        connect_timeout: Some(duration(settings.mesh.connect_timeout)),
        ..Cluster::default()
    }
}

fn original_destination(settings: &MeshSettings) -> Cluster {
    Cluster {
        lb_policy: LbPolicy::ClusterProvided as i32,
        circuit_breakers: Some(unlimited()),
        ..typed(DiscoveryType::OriginalDst, settings)
    }
}

/// Envoy's own limits of 1024 are far too low for a mesh, so Istio writes the highest.
fn unlimited() -> CircuitBreakers {
    let max = Some(u32::MAX);
    let thresholds = Thresholds {
        max_connections: max,
        max_pending_requests: max,
        max_requests: max,
        max_retries: max,
        ..Thresholds::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..CircuitBreakers::default() }
}

fn from_inbound_source() -> BindConfig {
    let source = SocketAddress {
        address: INBOUND_SOURCE.to_owned(),
        port_specifier: Some(socket_address::PortSpecifier::PortValue(0)),
        ..SocketAddress::default()
    };
    BindConfig { source_address: Some(source), ..BindConfig::default() }
}

/// What an outbound cluster is made from.
struct Outbound<'a> {
    service: &'a Service,
    port: &'a ServicePort,
    name: ClusterName,
    client: For,
    caps: Caps,
    speaks: Version,
    policy: Option<&'a Policy>,
    traffic: &'a TrafficPolicy,
    settings: &'a MeshSettings,
}

fn outbound(key: &ClusterKey, settings: &MeshSettings, read: &mut Reader<'_>) -> Option<Cluster> {
    let ClusterKey::Outbound { service: id, port, subset, rules, client, caps } = key else { return None };
    let service = read.row::<Services>(id)?;
    let port = service.port(*port)?;
    let policy = if rules.is_empty() { None } else { read.row::<Policies>(rules) };
    let traffic = match &policy {
        Some(policy) => policy.effective(&settings.mesh, subset.as_ref(), port.number),
        None => settings.mesh.default_traffic_policy.clone().unwrap_or_default(),
    };
    let upstream = protocol::Upstream::outbound(port.protocol, &traffic, settings);
    let from = Outbound {
        service: &service,
        port,
        name: client.cluster(port.number, subset.as_ref(), &id.host),
        client: *client,
        caps: *caps,
        speaks: upstream.version(),
        policy: policy.as_deref(),
        traffic: &traffic,
        settings,
    };
    let kind = discovery(&from);
    let mut cluster = Cluster {
        name: from.name.to_string(),
        alt_stat_name: format!("{};", from.name),
        metadata: Some(metadata(&from)),
        circuit_breakers: Some(unlimited()),
        filters: exchange(*caps),
        ..typed(kind, settings)
    };
    match kind {
        DiscoveryType::Eds => {
            let eds_config = Some(ads());
            cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config, service_name: from.name.to_string() });
        }
        DiscoveryType::StrictDns | DiscoveryType::LogicalDns => by_dns(&from, key, &mut cluster, read),
        DiscoveryType::OriginalDst | DiscoveryType::Static => {}
    }
    policy::apply(&from, &mut cluster);
    cluster.typed_extension_protocol_options = protocol::options(&upstream);
    // What is passed on is encrypted already.
    if *client != For::Passing {
        tls::apply(&from, kind, &mut cluster, read);
    }
    Some(cluster)
}

/// How Envoy comes by the endpoints. Headless services are called by the address that the client chose, except at gateways, whose
/// clients choose none.
fn discovery(from: &Outbound<'_>) -> DiscoveryType {
    let passes_through = policy::passes_through(from.traffic);
    let gateway = from.client != For::Sidecar;
    match from.service.resolution {
        Resolution::Static if passes_through => DiscoveryType::OriginalDst,
        Resolution::Static => DiscoveryType::Eds,
        Resolution::Passthrough if from.service.headless && gateway => DiscoveryType::Eds,
        Resolution::Passthrough | Resolution::DynamicDns | Resolution::Alias => DiscoveryType::OriginalDst,
        Resolution::Dns => DiscoveryType::StrictDns,
        Resolution::DnsRoundRobin => DiscoveryType::LogicalDns,
    }
}

/// Whether the endpoints of a cluster come by EDS.
#[must_use]
pub fn by_eds(resolution: Resolution, headless: bool, client: For) -> bool {
    match resolution {
        Resolution::Static => true,
        Resolution::Passthrough => headless && client != For::Sidecar,
        Resolution::Dns | Resolution::DnsRoundRobin | Resolution::DynamicDns | Resolution::Alias => false,
    }
}

#[expect(deprecated, reason = "the typed form is a cluster extension that older proxies of a mesh do not have")]
fn by_dns(from: &Outbound<'_>, key: &ClusterKey, cluster: &mut Cluster, read: &mut Reader<'_>) {
    let ClusterKey::Outbound { service, port, subset, rules, client, .. } = key else { return };
    let assignment = AssignmentKey {
        passed: *client == For::Passing,
        service: service.clone(),
        port: *port,
        subset: subset.clone(),
        rules: rules.clone(),
        locality: None,
    };
    let mut groups = endpoints::groups(&assignment, read);
    if from.service.resolution == Resolution::DnsRoundRobin {
        // LOGICAL_DNS has exactly one endpoint.
        groups.truncate(1);
        groups.iter_mut().for_each(|group| group.fragments.truncate(1));
    }
    let body = endpoints::splice(&cluster.name, &groups);
    cluster.load_assignment = prost::Message::decode(body.as_slice()).ok();
    cluster.dns_lookup_family = DnsLookupFamily::V4Only as i32;
    cluster.dns_refresh_rate = Some(duration(from.settings.mesh.dns_refresh_rate));
    cluster.dns_jitter = Some(duration(Duration::millis(100)));
    cluster.respect_dns_ttl = true;
}

/// What istioctl, Kiali and telemetry look for.
fn metadata(from: &Outbound<'_>) -> proto::envoy::config::core::v3::Metadata {
    let service = object_value([
        ("host", string(from.service.id.host.as_str())),
        ("name", string(&from.service.name)),
        ("namespace", string(&from.service.id.namespace)),
    ]);
    let mut fields = vec![("services", list(vec![service]))];
    if let Some(rule) = from.policy.and_then(|policy| policy.source.as_ref()) {
        fields.push(("config", config_path("destination-rule", rule)));
    }
    if let Some(subset) = &from.name.subset {
        fields.push(("subset", string(subset)));
    }
    if let Some(offered) = tls::alpn_of_requests(from) {
        fields.push(("alpn", string(offered)));
    }
    // `istio.alpn` leaves clusters alone whose TLS is the user's.
    let users = from.traffic.tls.as_ref().map(|tls| tls.mode.unwrap_or_default());
    if matches!(users, Some(ClientTlsMode::Simple | ClientTlsMode::Mutual)) {
        fields.push(("alpn_override", string("false")));
    }
    istio_metadata(fields)
}

fn inbound(key: &ClusterKey, settings: &MeshSettings) -> Cluster {
    let ClusterKey::Inbound { port, endpoint, bound, services, http2 } = key else { return Cluster::default() };
    let named = services.iter().map(|service| {
        object_value([
            ("host", string(service.host.as_str())),
            ("name", string(short_name(&service.host))),
            ("namespace", string(&service.namespace)),
        ])
    });
    let upstream = if *http2 { protocol::Upstream::http2() } else { protocol::Upstream::client() };
    let common = Cluster {
        name: name(key),
        metadata: Some(istio_metadata([("services", list(named.collect()))])),
        typed_extension_protocol_options: protocol::options(&upstream),
        circuit_breakers: Some(unlimited()),
        ..Cluster::default()
    };
    let local = endpoint.as_deref().or(bound.then_some("127.0.0.1"));
    let Some(local) = local else {
        let captured = original_destination(settings);
        return Cluster {
            cluster_discovery_type: captured.cluster_discovery_type,
            lb_policy: captured.lb_policy,
            connect_timeout: captured.connect_timeout,
            cleanup_interval: Some(seconds(60)),
            upstream_bind_config: Some(from_inbound_source()),
            ..common
        };
    };
    let assignment = static_assignment(&common.name, local, *port);
    Cluster {
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static as i32)),
        connect_timeout: Some(duration(settings.mesh.connect_timeout)),
        load_assignment: Some(assignment),
        ..common
    }
}

fn short_name(host: &Hostname) -> &str {
    host.as_str().split('.').next().unwrap_or_default()
}

/// One endpoint that is written as `address`, `address:port` or `unix://path`.
fn static_assignment(
    name: &str,
    written: &str,
    port: u16,
) -> proto::envoy::config::endpoint::v3::ClusterLoadAssignment {
    use proto::envoy::config::endpoint::v3 as envoy;
    let (host, port) = match written.rsplit_once(':') {
        Some((host, at)) if !written.starts_with("unix://") => (host, at.parse().unwrap_or(port)),
        _ => (written, port),
    };
    let endpoint = envoy::Endpoint { address: Some(crate::wire::address(host, port)), ..envoy::Endpoint::default() };
    let lb_endpoint = envoy::LbEndpoint {
        host_identifier: Some(envoy::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
        ..envoy::LbEndpoint::default()
    };
    let locality =
        envoy::LocalityLbEndpoints { lb_endpoints: vec![lb_endpoint], ..envoy::LocalityLbEndpoints::default() };
    envoy::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![locality],
        ..envoy::ClusterLoadAssignment::default()
    }
}
