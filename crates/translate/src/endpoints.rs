//! Endpoint assignments (EDS): each endpoint is encoded once and spliced into every assignment that holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use graph::{Derived, Reader};
use model::endpoints::{Endpoint, Endpoints, EndpointsKey, Health, Locality};
use model::networking::TrafficPolicy;
use model::policy::Policies;
use model::settings::{MeshSettings, settings};
use names::Labels;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::Encoded;
use proto::envoy::config::core::v3::{self as core, HealthStatus};
use proto::envoy::config::endpoint::v3::{self as envoy, LbEndpoint, lb_endpoint};

use crate::keys::{AssignmentKey, For};
use crate::wire::{address, istio_metadata, object, string};

/// Field `lb_endpoints` of `LocalityLbEndpoints`.
const LB_ENDPOINTS: u32 = 2;
/// Field `endpoints` of `ClusterLoadAssignment`.
const LOCALITIES: u32 = 2;
const TYPE_URL: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";

/// The table of encoded endpoints, tag and length included: an edit of one endpoint encodes one.
pub struct Fragments;

impl Derived for Fragments {
    type Key = Arc<Endpoint>;
    type Value = Bytes;
    const NAME: &'static str = "endpoint fragment";
    const LEVEL: u8 = 4;

    fn build(endpoint: &Arc<Endpoint>, _: &mut Reader<'_>) -> Option<Bytes> {
        Some(fragment(endpoint))
    }
}

/// One endpoint as an element of a locality.
#[must_use]
pub fn fragment(endpoint: &Endpoint) -> Bytes {
    let made = lb_endpoint(endpoint);
    // There are very many, and they stay: none takes more than it needs.
    let mut out = Vec::with_capacity(prost::encoding::message::encoded_len(LB_ENDPOINTS, &made));
    prost::encoding::message::encode(LB_ENDPOINTS, &made, &mut out);
    Bytes::from(out)
}

/// One endpoint as a message.
#[must_use]
pub fn lb_endpoint(endpoint: &Endpoint) -> LbEndpoint {
    let workload = &endpoint.workload;
    let shown = format!(
        "{};{};{};{};{}",
        workload.name, workload.namespace, workload.canonical_name, workload.canonical_revision, endpoint.cluster
    );
    let mut metadata = istio_metadata([("workload", string(&shown))]);
    if endpoint.mtls {
        let mode = object([("tlsMode", string("istio"))]);
        metadata.filter_metadata.insert("envoy.transport_socket_match".to_owned(), mode);
    }
    let health = match endpoint.health {
        Health::Ready => HealthStatus::Unknown,
        Health::Unready => HealthStatus::Unhealthy,
    };
    LbEndpoint {
        health_status: health as i32,
        metadata: Some(metadata),
        load_balancing_weight: Some(endpoint.weight),
        host_identifier: Some(lb_endpoint::HostIdentifier::Endpoint(envoy::Endpoint {
            address: Some(address(&endpoint.address, endpoint.port)),
            ..envoy::Endpoint::default()
        })),
    }
}

/// The endpoints of one locality, ready to be spliced.
pub struct Group {
    /// Where they are.
    pub locality: Locality,
    /// 0 is tried first.
    pub priority: u32,
    /// Relative share of the locality.
    pub weight: u32,
    /// Encoded endpoints.
    pub fragments: Vec<Bytes>,
}

/// Puts an assignment together from encoded endpoints.
#[must_use]
pub fn splice(name: &str, groups: &[Group]) -> Vec<u8> {
    let mut bodies = Vec::with_capacity(groups.len());
    for group in groups {
        let head = envoy::LocalityLbEndpoints {
            // Present even when nothing is known: gRPC refuses endpoints without.
            locality: Some(core::Locality {
                region: group.locality.region.to_string(),
                zone: group.locality.zone.to_string(),
                sub_zone: group.locality.subzone.to_string(),
            }),
            load_balancing_weight: Some(group.weight),
            priority: group.priority,
            ..envoy::LocalityLbEndpoints::default()
        };
        bodies.push(head.encode_to_vec());
    }
    let size: usize = groups.iter().flat_map(|group| &group.fragments).map(Bytes::len).sum();
    let mut out = Vec::with_capacity(size + name.len() + 64 * groups.len() + 16);
    prost::encoding::string::encode(1, &name.to_owned(), &mut out);
    for (group, head) in groups.iter().zip(bodies) {
        let size = head.len() + group.fragments.iter().map(Bytes::len).sum::<usize>();
        encode_key(LOCALITIES, WireType::LengthDelimited, &mut out);
        encode_varint(size as u64, &mut out);
        out.extend_from_slice(&head);
        group.fragments.iter().for_each(|fragment| out.extend_from_slice(fragment));
    }
    out
}

/// The resource.
pub(crate) fn encoded(key: &AssignmentKey, read: &mut Reader<'_>) -> Option<Encoded> {
    let groups = groups(key, read);
    let client = if key.passed { For::Passing } else { For::Sidecar };
    let name = client.cluster(key.port, key.subset.as_ref(), &key.service.host).to_string();
    Some(Encoded::from_body(&name, TYPE_URL, &splice(&name, &groups)))
}

/// The endpoints of a cluster by locality, with priorities and shares.
pub(crate) fn groups(key: &AssignmentKey, read: &mut Reader<'_>) -> Vec<Group> {
    let Some(settings) = settings(read) else { return Vec::new() };
    let all = read.row::<Endpoints>(&EndpointsKey { service: key.service.clone(), port: key.port });
    let policy = if key.rules.is_empty() { None } else { read.row::<Policies>(&key.rules) };
    let wanted = key.subset.as_ref().and_then(|subset| policy.as_ref()?.subset_labels(subset)).cloned();
    let traffic = match &policy {
        Some(policy) => policy.effective(&settings.mesh, key.subset.as_ref(), key.port),
        None => settings.mesh.default_traffic_policy.clone().unwrap_or_default(),
    };
    let chosen = all.iter().flat_map(|all| all.iter()).filter(|endpoint| takes(endpoint, wanted.as_ref(), &traffic));
    let chosen = chosen.filter(|endpoint| endpoint.mtls || !key.passed);
    let mut by_place = BTreeMap::<(u32, Locality), Vec<&Arc<Endpoint>>>::new();
    for endpoint in chosen {
        let priority = priority(key, endpoint, &traffic, &settings);
        by_place.entry((priority, endpoint.locality.clone())).or_default().push(endpoint);
    }
    compact(&mut by_place);
    let mut groups = Vec::with_capacity(by_place.len());
    for ((priority, locality), endpoints) in by_place {
        let weight = endpoints.iter().map(|endpoint| endpoint.weight).sum();
        let fragments = endpoints.iter().filter_map(|endpoint| read.row::<Fragments>(endpoint));
        let fragments = fragments.map(|fragment| (*fragment).clone()).collect();
        groups.push(Group { locality, priority, weight, fragments });
    }
    distribute(key, &traffic, &settings, &mut groups);
    groups
}

/// In the subset, and — where few healthy endpoints are to switch balancing off — ready.
fn takes(endpoint: &Endpoint, wanted: Option<&Labels>, traffic: &TrafficPolicy) -> bool {
    let only_ready = traffic.outlier_detection.as_ref().is_some_and(|outlier| outlier.min_health_percent > 0);
    wanted.is_none_or(|wanted| endpoint.labels.contain(wanted)) && !(only_ready && endpoint.health == Health::Unready)
}

/// Priorities without gaps, as Envoy wants them.
fn compact(by_place: &mut BTreeMap<(u32, Locality), Vec<&Arc<Endpoint>>>) {
    let used: std::collections::BTreeSet<u32> = by_place.keys().map(|(priority, _)| *priority).collect();
    let rank: BTreeMap<u32, u32> = used.into_iter().zip(0..).collect();
    let old = std::mem::take(by_place);
    by_place.extend(old.into_iter().map(|((priority, locality), endpoints)| ((rank[&priority], locality), endpoints)));
}

/// How far an endpoint is, when failing endpoints are to be left for farther ones
/// (`istio: pilot/pkg/networking/core/loadbalancer/loadbalancer.go`).
fn priority(key: &AssignmentKey, endpoint: &Endpoint, traffic: &TrafficPolicy, settings: &MeshSettings) -> u32 {
    let Some(here) = &key.locality else { return 0 };
    let mesh = settings.mesh.locality_lb_setting.as_ref();
    let own = traffic.load_balancer.as_ref().and_then(|balancer| balancer.locality_lb_setting.as_ref());
    let Some(setting) = own.or(mesh) else {
        return if traffic.outlier_detection.is_some() { distance(here, &endpoint.locality, &[]) } else { 0 };
    };
    let off = setting.enabled.or(mesh.and_then(|mesh| mesh.enabled)) == Some(false);
    if off || traffic.outlier_detection.is_none() || !setting.distribute.is_empty() {
        return 0;
    }
    let next: Vec<&str> = setting
        .failover
        .iter()
        .filter(|failover| failover.from == here.region)
        .map(|failover| failover.to.as_str())
        .collect();
    distance(here, &endpoint.locality, &next)
}

/// 0 in the same subzone, then zone, region, the region that takes over, anywhere.
fn distance(here: &Locality, there: &Locality, next: &[&str]) -> u32 {
    if here.region != there.region {
        return if next.contains(&there.region.as_str()) || next.is_empty() { 3 } else { 4 };
    }
    match (here.zone == there.zone, here.subzone == there.subzone) {
        (false, _) => 2,
        (true, false) => 1,
        (true, true) => 0,
    }
}

/// Shares by locality, when the policy gives them; localities without a share get no traffic.
fn distribute(key: &AssignmentKey, traffic: &TrafficPolicy, settings: &MeshSettings, groups: &mut Vec<Group>) {
    let own = traffic.load_balancer.as_ref().and_then(|balancer| balancer.locality_lb_setting.as_ref());
    let Some(setting) = own.or(settings.mesh.locality_lb_setting.as_ref()) else { return };
    let Some(here) = &key.locality else { return };
    let Some(rule) = setting.distribute.iter().find(|rule| within(here, &rule.from)) else { return };
    let mut kept = Vec::new();
    for (to, share) in &rule.to {
        let members: Vec<usize> =
            groups.iter().enumerate().filter(|(_, group)| within(&group.locality, to)).map(|(at, _)| at).collect();
        let total: u32 = members.iter().map(|at| groups[*at].weight).sum();
        for at in members {
            let weight = (u64::from(groups[at].weight) * u64::from(*share) * 100 / u64::from(total.max(1))).max(1);
            kept.push((at, u32::try_from(weight).unwrap_or(u32::MAX)));
        }
    }
    kept.iter().for_each(|(at, weight)| groups[*at].weight = *weight);
    let mut at = 0;
    groups.retain(|_| {
        at += 1;
        kept.iter().any(|(kept, _)| *kept == at - 1)
    });
}

/// Whether a locality is inside `region/zone/subzone` with `*` at the end.
fn within(locality: &Locality, pattern: &str) -> bool {
    let mut parts = pattern.split('/');
    for actual in [&locality.region, &locality.zone, &locality.subzone] {
        match parts.next() {
            None | Some("*") => return true,
            Some(part) if *actual != part => return false,
            Some(_) => {}
        }
    }
    true
}
