//! A DestinationRule's balancing, limits and ejection in a cluster.

use model::networking::{
    ConnectionPoolSettings, LoadBalancerSettings, OutlierDetection, SimpleLb, TcpKeepalive, TrafficPolicy,
};
use proto::envoy::config::cluster::v3::circuit_breakers::thresholds::RetryBudget;
use proto::envoy::config::cluster::v3::cluster::common_lb_config::{LocalityConfigSpecifier, LocalityWeightedLbConfig};
use proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, CommonLbConfig, DiscoveryType, LbConfig, LbPolicy, LeastRequestLbConfig, MaglevLbConfig,
    RingHashLbConfig, RoundRobinLbConfig, SlowStartConfig,
};
use proto::envoy::config::cluster::v3::{Cluster, OutlierDetection as Ejection, UpstreamConnectionOptions};
use proto::envoy::config::core::v3::{RuntimeDouble, TcpKeepalive as Probes};
use proto::envoy::r#type::v3::Percent;

use super::Outbound;
use crate::keys::For;
use crate::wire::duration;

/// Balancing is left to the client's choice of address.
pub(super) fn passes_through(traffic: &TrafficPolicy) -> bool {
    traffic.load_balancer.as_ref().and_then(|balancer| balancer.simple) == Some(SimpleLb::Passthrough)
}

pub(super) fn apply(from: &Outbound<'_>, cluster: &mut Cluster) {
    let traffic = from.traffic;
    if let Some(pool) = &traffic.connection_pool {
        limits(pool, cluster);
    }
    let keepalive = traffic.connection_pool.as_ref().and_then(|pool| pool.tcp.as_ref()?.tcp_keepalive.as_ref());
    if let Some(keepalive) = keepalive.or(from.settings.mesh.tcp_keepalive.as_ref()) {
        let tcp_keepalive = Some(probes(keepalive));
        let options = UpstreamConnectionOptions { tcp_keepalive, ..UpstreamConnectionOptions::default() };
        cluster.upstream_connection_options = Some(options);
    }
    if let Some(budget) = &traffic.retry_budget
        && let Some(thresholds) = cluster.circuit_breakers.as_mut().and_then(|breakers| breakers.thresholds.first_mut())
    {
        thresholds.retry_budget = Some(RetryBudget {
            budget_percent: Some(Percent { value: budget.percent.unwrap_or(20.0) }),
            min_retry_concurrency: Some(if budget.min_retry_concurrency == 0 {
                3
            } else {
                budget.min_retry_concurrency
            }),
            budget_interval: budget.budget_interval.map(duration),
        });
    }
    common(from, cluster);
    if let Some(outlier) = &traffic.outlier_detection {
        cluster.outlier_detection = Some(ejection(outlier));
    }
    balance(from, cluster);
}

/// Unhealthy endpoints are sent, so panic mode (sending to all when few are healthy) is off unless asked for.
fn common(from: &Outbound<'_>, cluster: &mut Cluster) {
    let outlier = from.traffic.outlier_detection.as_ref();
    let threshold = outlier.map_or(0, |outlier| outlier.min_health_percent);
    let locality = from.traffic.load_balancer.as_ref().and_then(|balancer| balancer.locality_lb_setting.as_ref());
    let mesh = from.settings.mesh.locality_lb_setting.as_ref();
    let distributes = locality.or(mesh).is_some_and(|setting| !setting.distribute.is_empty());
    let weighted = LocalityConfigSpecifier::LocalityWeightedLbConfig(LocalityWeightedLbConfig {});
    cluster.common_lb_config = Some(CommonLbConfig {
        healthy_panic_threshold: Some(Percent { value: f64::from(threshold) }),
        locality_config_specifier: (distributes || outlier.is_some()).then_some(weighted),
        ..CommonLbConfig::default()
    });
}

/// Zero means unset.
fn limits(pool: &ConnectionPoolSettings, cluster: &mut Cluster) {
    let set = |value: i32| u32::try_from(value).ok().filter(|value| *value > 0);
    if let Some(timeout) = pool.tcp.as_ref().and_then(|tcp| tcp.connect_timeout) {
        cluster.connect_timeout = Some(duration(timeout));
    }
    let Some(thresholds) = cluster.circuit_breakers.as_mut().and_then(|breakers| breakers.thresholds.first_mut())
    else {
        return;
    };
    if let Some(tcp) = &pool.tcp {
        thresholds.max_connections = set(tcp.max_connections).or(thresholds.max_connections);
    }
    if let Some(http) = &pool.http {
        thresholds.max_pending_requests = set(http.http1_max_pending_requests).or(thresholds.max_pending_requests);
        thresholds.max_requests = set(http.http2_max_requests).or(thresholds.max_requests);
        thresholds.max_retries = set(http.max_retries).or(thresholds.max_retries);
    }
}

fn probes(keepalive: &TcpKeepalive) -> Probes {
    let whole = |duration: model::scalars::Duration| u32::try_from(duration.std().as_secs()).unwrap_or(u32::MAX);
    Probes {
        keepalive_probes: Some(keepalive.probes).filter(|probes| *probes > 0),
        keepalive_time: keepalive.time.map(whole),
        keepalive_interval: keepalive.interval.map(whole),
    }
}

/// Success-rate ejection is never used; each other detector is on only where its number is not 0.
fn ejection(outlier: &OutlierDetection) -> Ejection {
    let enforced = |count: Option<u32>| count.map(|count| if count > 0 { 100 } else { 0 });
    let percent = u32::try_from(outlier.max_ejection_percent).ok().filter(|percent| *percent > 0);
    let split = outlier.split_external_local_origin_errors;
    let local = outlier.consecutive_local_origin_failures.filter(|_| split);
    let above_zero = |count: Option<u32>| count.filter(|count| *count > 0);
    Ejection {
        consecutive_5xx: above_zero(outlier.consecutive5xx_errors),
        enforcing_consecutive_5xx: enforced(outlier.consecutive5xx_errors),
        consecutive_gateway_failure: above_zero(outlier.consecutive_gateway_errors),
        enforcing_consecutive_gateway_failure: enforced(outlier.consecutive_gateway_errors),
        enforcing_success_rate: Some(0),
        interval: outlier.interval.map(duration),
        base_ejection_time: outlier.base_ejection_time.map(duration),
        max_ejection_percent: percent,
        split_external_local_origin_errors: split,
        consecutive_local_origin_failure: local,
        enforcing_consecutive_local_origin_failure: local.map(|_| 100),
        ..Ejection::default()
    }
}

fn balance(from: &Outbound<'_>, cluster: &mut Cluster) {
    let provided = ClusterDiscoveryType::Type(DiscoveryType::OriginalDst as i32);
    if cluster.cluster_discovery_type == Some(provided) {
        cluster.lb_policy = LbPolicy::ClusterProvided as i32;
        return;
    }
    let balancer = from.traffic.load_balancer.as_ref();
    if let Some(balancer) = balancer.filter(|balancer| balancer.consistent_hash.is_some()) {
        return by_hash(balancer, cluster);
    }
    // gRPC knows round robin as its default.
    let default = if from.client == For::Grpc { SimpleLb::RoundRobin } else { SimpleLb::LeastRequest };
    let simple = balancer.and_then(|balancer| balancer.simple).filter(|simple| *simple != SimpleLb::Unspecified);
    let slow_start = balancer.and_then(slow_start);
    match simple.unwrap_or(default) {
        SimpleLb::Random => cluster.lb_policy = LbPolicy::Random as i32,
        SimpleLb::RoundRobin => {
            cluster.lb_policy = LbPolicy::RoundRobin as i32;
            let config = |slow_start_config| RoundRobinLbConfig { slow_start_config };
            cluster.lb_config = slow_start.map(|slow| LbConfig::RoundRobinLbConfig(config(Some(slow))));
        }
        SimpleLb::LeastRequest | SimpleLb::LeastConn | SimpleLb::Unspecified | SimpleLb::Passthrough => {
            cluster.lb_policy = LbPolicy::LeastRequest as i32;
            let config =
                |slow_start_config| LeastRequestLbConfig { slow_start_config, ..LeastRequestLbConfig::default() };
            cluster.lb_config = slow_start.map(|slow| LbConfig::LeastRequestLbConfig(config(Some(slow))));
        }
    }
}

fn by_hash(balancer: &LoadBalancerSettings, cluster: &mut Cluster) {
    let Some(hash) = &balancer.consistent_hash else { return };
    if let Some(maglev) = &hash.maglev {
        cluster.lb_policy = LbPolicy::Maglev as i32;
        cluster.lb_config =
            maglev.table_size.map(|size| LbConfig::MaglevLbConfig(MaglevLbConfig { table_size: Some(size) }));
        return;
    }
    cluster.lb_policy = LbPolicy::RingHash as i32;
    let minimum = match &hash.ring_hash {
        Some(ring) => ring.minimum_ring_size,
        None => Some(hash.minimum_ring_size.filter(|size| *size > 0).unwrap_or(1024)),
    };
    let config = RingHashLbConfig { minimum_ring_size: minimum, ..RingHashLbConfig::default() };
    cluster.lb_config = Some(LbConfig::RingHashLbConfig(config));
}

fn slow_start(balancer: &LoadBalancerSettings) -> Option<SlowStartConfig> {
    if let Some(warmup) = &balancer.warmup {
        let aggression =
            warmup.aggression.map(|default_value| RuntimeDouble { default_value, runtime_key: String::new() });
        return Some(SlowStartConfig {
            slow_start_window: warmup.duration.map(duration),
            aggression,
            min_weight_percent: warmup.minimum_percent.map(|value| Percent { value }),
        });
    }
    let window = balancer.warmup_duration_secs?;
    Some(SlowStartConfig { slow_start_window: Some(duration(window)), ..SlowStartConfig::default() })
}
