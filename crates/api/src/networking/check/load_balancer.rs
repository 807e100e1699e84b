//! Rules of load balancing in DestinationRules.

use std::collections::BTreeSet;

use crate::networking::{ConsistentHashLb, Failover, LoadBalancerSettings, LocalityLbSetting, WarmupConfiguration};
use crate::{Issues, rules};

const WITHOUT_EJECTION: &str = "has no effect without outlierDetection: nothing is ever found to fail";

/// Labels that say where something stands.
const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

/// `ejects` says whether outlier detection stands beside it.
pub(super) fn check(path: &str, balancer: &LoadBalancerSettings, ejects: bool, issues: &mut Issues) {
    let policies = usize::from(balancer.simple.is_some())
        + usize::from(balancer.consistent_hash.is_some())
        + usize::from(balancer.backend_utilization.is_some());
    if policies > 1 {
        issues.error(path, "simple, consistentHash and backendUtilization exclude each other");
    }
    if let Some(hash) = &balancer.consistent_hash {
        consistent_hash(&format!("{path}.consistentHash"), hash, issues);
    }
    if balancer.warmup.is_some() && balancer.warmup_duration_secs.is_some() {
        issues.error(path, "warmup and warmupDurationSecs exclude each other");
    }
    if let Some(duration) = balancer.warmup_duration_secs {
        rules::duration(&format!("{path}.warmupDurationSecs"), duration, issues);
    }
    if let Some(said) = &balancer.warmup {
        warmup(&format!("{path}.warmup"), said, issues);
    }
    if let Some(setting) = &balancer.locality_lb_setting {
        locality(&format!("{path}.localityLbSetting"), setting, issues);
        let matters = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
        if matters && !ejects {
            issues.warning(format!("{path}.localityLbSetting"), WITHOUT_EJECTION);
        }
    }
    if balancer.locality_lb_setting.is_some() && balancer.zone_aware_lb_setting.is_some() {
        issues.error(path, "localityLbSetting and zoneAwareLbSetting exclude each other");
    }
    if let Some(setting) = &balancer.zone_aware_lb_setting {
        let path = format!("{path}.zoneAwareLbSetting");
        failovers(&path, &setting.failover, issues);
        if setting.min_cluster_size.is_some_and(|size| !(1..=u64::from(u32::MAX)).contains(&size)) {
            issues.error(format!("{path}.minClusterSize"), "1 to 4294967295");
        }
        if (!setting.failover.is_empty() || !setting.failover_priority.is_empty()) && !ejects {
            issues.warning(path.as_str(), WITHOUT_EJECTION);
        }
        for (at, label) in setting.failover_priority.iter().enumerate() {
            if TOPOLOGY.contains(&label.as_str()) {
                issues.error(format!("{path}.failoverPriority[{at}]"), "region, zone and subzone are taken care of");
            }
        }
    }
}

fn consistent_hash(path: &str, hash: &ConsistentHashLb, issues: &mut Issues) {
    let keys = usize::from(hash.http_header_name.is_some())
        + usize::from(hash.http_cookie.is_some())
        + usize::from(hash.use_source_ip.is_some())
        + usize::from(hash.http_query_parameter_name.is_some());
    if keys != 1 {
        let message = "exactly one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName is needed";
        issues.error(path, message);
    }
    if hash.ring_hash.is_some() && hash.maglev.is_some() {
        issues.error(path, "ringHash and maglev exclude each other");
    }
    if hash.minimum_ring_size.is_some_and(|size| size > 0) {
        issues.warning(format!("{path}.minimumRingSize"), "deprecated; use ringHash.minimumRingSize");
        if hash.ring_hash.is_some() || hash.maglev.is_some() {
            issues.error(path, "minimumRingSize excludes ringHash and maglev");
        }
    }
    if let Some(maglev) = &hash.maglev
        && !maglev.table_size.is_some_and(|size| size < 5_000_011 && is_prime(size))
    {
        issues.error(format!("{path}.maglev.tableSize"), "a prime below 5000011 is needed");
    }
    if let Some(cookie) = &hash.http_cookie {
        if cookie.name.is_empty() {
            issues.error(format!("{path}.httpCookie.name"), "a cookie needs a name");
        }
        let mut names = BTreeSet::new();
        for (at, attribute) in cookie.attributes.iter().enumerate() {
            if attribute.name.is_empty() || !names.insert(&attribute.name) {
                let path = format!("{path}.httpCookie.attributes[{at}].name");
                issues.error(path, "names of attributes are not empty, and each is there once");
            }
        }
    }
}

/// As Envoy sees it: 1 counts.
fn is_prime(number: u64) -> bool {
    number > 0 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

fn warmup(path: &str, warmup: &WarmupConfiguration, issues: &mut Issues) {
    match warmup.duration {
        None => issues.error(format!("{path}.duration"), "a duration is needed"),
        Some(duration) => rules::duration(&format!("{path}.duration"), duration, issues),
    }
    if warmup.minimum_percent.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
        issues.error(format!("{path}.minimumPercent"), "a percentage is in 0..100");
    }
    if warmup.aggression.is_some_and(|aggression| aggression <= 0.0) {
        issues.error(format!("{path}.aggression"), "more than 0");
    }
}

/// Shares of localities sum to 100; a region does not take over from itself.
pub(super) fn locality(path: &str, setting: &LocalityLbSetting, issues: &mut Issues) {
    if !setting.distribute.is_empty() && !setting.failover.is_empty() {
        issues.error(path, "distribute and failover exclude each other");
    }
    let places = setting.failover_priority.iter().any(|label| TOPOLOGY.contains(&label.as_str()));
    if !setting.failover.is_empty() && places {
        issues.error(format!("{path}.failoverPriority"), "failover already orders by region, zone and subzone");
    }
    let mut from = Vec::new();
    for (at, rule) in setting.distribute.iter().enumerate() {
        let path = format!("{path}.distribute[{at}]");
        let sum: u64 = rule.to.values().map(|share| u64::from(*share)).sum();
        if sum != 100 || rule.to.values().any(|share| *share == 0) {
            issues.error(format!("{path}.to"), format!("shares are 1 to 100 and sum to 100, not to {sum}"));
        }
        let mut to = Vec::new();
        for locality in rule.to.keys() {
            place(&format!("{path}.to"), locality, &mut to, issues);
        }
        place(&format!("{path}.from"), &rule.from, &mut from, issues);
    }
    failovers(path, &setting.failover, issues);
}

/// A locality: up to three parts, `*` only at the end; it overlaps with none before it.
fn place(path: &str, written: &str, before: &mut Vec<String>, issues: &mut Issues) {
    let parts: Vec<&str> = written.split('/').collect();
    let star = parts.iter().position(|part| part.contains('*'));
    let whole = star.is_none_or(|at| at + 1 == parts.len() && parts[at] == "*");
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) || !whole {
        return issues.error(path, format!("{written:?} is not region/zone/subzone, nor the beginning of one with *"));
    }
    let stem = written.trim_end_matches('*').trim_end_matches('/').to_owned();
    let inside =
        |a: &str, b: &str| b.is_empty() || a == b || a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    if before.iter().any(|other| inside(&stem, other) || inside(other, &stem)) {
        issues.error(path, format!("{written} overlaps with another locality"));
    }
    before.push(stem);
}

fn failovers(path: &str, failovers: &[Failover], issues: &mut Issues) {
    for (at, rule) in failovers.iter().enumerate() {
        if rule.from == rule.to {
            issues.error(format!("{path}.failover[{at}]"), "from and to differ");
        }
        if [&rule.from, &rule.to].iter().any(|region| region.contains(['/', '*'])) {
            issues.error(format!("{path}.failover[{at}]"), "regions only, without zone or *");
        }
    }
}
