//! Rules of DestinationRules (`istio: pkg/config/validation/validation.go ValidateDestinationRule`).

use std::collections::BTreeSet;

use crate::networking::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, DestinationRule, H2UpgradePolicy, LoadBalancerSettings,
    LocalityLbSetting, OutlierDetection, TrafficPolicy,
};
use crate::{Issues, ObjectMeta, rules};

pub(in crate::networking) fn check(spec: &DestinationRule, _: &ObjectMeta, issues: &mut Issues) {
    if spec.host.is_empty() {
        issues.error("spec.host", "a host is needed");
    } else {
        rules::host("spec.host", &spec.host, issues);
    }
    if let Some(policy) = &spec.traffic_policy {
        traffic("spec.trafficPolicy", policy, issues);
    }
    rules::export_to("spec.exportTo", &spec.export_to, issues);
    if let Some(selector) = &spec.workload_selector {
        rules::labels("spec.workloadSelector.labels", &selector.labels, issues);
        if selector.labels.is_empty() {
            issues.warning("spec.workloadSelector", "an empty selector selects every workload of the namespace");
        }
    }
    let mut names = BTreeSet::new();
    for (at, subset) in spec.subsets.iter().enumerate() {
        let path = format!("spec.subsets[{at}]");
        if !rules::dns_label(&subset.name) {
            issues.error(format!("{path}.name"), "a subset's name is a DNS label");
        } else if !names.insert(&subset.name) {
            issues.error(format!("{path}.name"), format!("there is another subset {}", subset.name));
        }
        rules::labels(&format!("{path}.labels"), &subset.labels, issues);
        if let Some(policy) = &subset.traffic_policy {
            traffic(&format!("{path}.trafficPolicy"), policy, issues);
        }
    }
}

fn traffic(path: &str, policy: &TrafficPolicy, issues: &mut Issues) {
    if *policy == TrafficPolicy::default() {
        issues.error(path, "a traffic policy must say something");
    }
    blocks(
        path,
        policy.load_balancer.as_ref(),
        policy.connection_pool.as_ref(),
        policy.outlier_detection.as_ref(),
        issues,
    );
    if let Some(settings) = &policy.tls {
        tls(&format!("{path}.tls"), settings, issues);
    }
    for (at, level) in policy.port_level_settings.iter().enumerate() {
        let path = format!("{path}.portLevelSettings[{at}]");
        match &level.port {
            Some(port) => rules::port(&format!("{path}.port.number"), port.number.into(), issues),
            None => issues.error(format!("{path}.port"), "a port is needed"),
        }
        blocks(
            &path,
            level.load_balancer.as_ref(),
            level.connection_pool.as_ref(),
            level.outlier_detection.as_ref(),
            issues,
        );
        if let Some(settings) = &level.tls {
            tls(&format!("{path}.tls"), settings, issues);
        }
    }
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        issues.error(path, "tunnel and proxyProtocol exclude each other");
    }
}

fn blocks(
    path: &str,
    balancer: Option<&LoadBalancerSettings>,
    pool: Option<&ConnectionPoolSettings>,
    outlier: Option<&OutlierDetection>,
    issues: &mut Issues,
) {
    if let Some(balancer) = balancer {
        load_balancer(&format!("{path}.loadBalancer"), balancer, issues);
    }
    if let Some(pool) = pool {
        connection_pool(&format!("{path}.connectionPool"), pool, issues);
    }
    if let Some(outlier) = outlier {
        for (name, percent) in
            [("maxEjectionPercent", outlier.max_ejection_percent), ("minHealthPercent", outlier.min_health_percent)]
        {
            if !(0..=100).contains(&percent) {
                issues.error(format!("{path}.outlierDetection.{name}"), "a percentage is in 0..100");
            }
        }
        for (name, value) in [("interval", outlier.interval), ("baseEjectionTime", outlier.base_ejection_time)] {
            if value.is_some_and(crate::scalars::Duration::is_zero) {
                issues.error(format!("{path}.outlierDetection.{name}"), "a duration of at least 1ms is needed");
            }
        }
        for (at, status) in outlier.outlier_detection_http_error_codes.iter().enumerate() {
            if !(100..600).contains(status) {
                issues.error(
                    format!("{path}.outlierDetection.outlierDetectionHttpErrorCodes[{at}]"),
                    "a status is in 100..599",
                );
            }
        }
        if outlier.consecutive_errors != 0 {
            let message = "deprecated and without effect; use consecutive5xxErrors or consecutiveGatewayErrors";
            issues.warning(format!("{path}.outlierDetection.consecutiveErrors"), message);
        }
    }
}

fn connection_pool(path: &str, pool: &ConnectionPoolSettings, issues: &mut Issues) {
    if pool.tcp.is_none() && pool.http.is_none() {
        issues.error(path, "tcp or http is needed");
    }
    if let Some(tcp) = &pool.tcp {
        if tcp.max_connections < 0 {
            issues.error(format!("{path}.tcp.maxConnections"), "not negative");
        }
        if let Some(timeout) = tcp.connect_timeout {
            super::http::duration(&format!("{path}.tcp.connectTimeout"), timeout, issues);
        }
    }
    let Some(http) = &pool.http else { return };
    let limits = [
        ("http1MaxPendingRequests", http.http1_max_pending_requests),
        ("http2MaxRequests", http.http2_max_requests),
        ("maxRequestsPerConnection", http.max_requests_per_connection),
        ("maxRetries", http.max_retries),
        ("maxConcurrentStreams", http.max_concurrent_streams),
    ];
    for (name, _) in limits.into_iter().filter(|(_, value)| *value < 0) {
        issues.error(format!("{path}.http.{name}"), "not negative");
    }
    if http.use_client_protocol && http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade) {
        issues.error(format!("{path}.http.useClientProtocol"), "excludes h2UpgradePolicy UPGRADE");
    }
    if let Some(keepalive) = &http.http2_keep_alive
        && (keepalive.interval.is_none() || keepalive.timeout.is_none())
    {
        issues.error(format!("{path}.http.http2KeepAlive"), "interval and timeout are both needed");
    }
}

fn is_prime(number: u64) -> bool {
    number > 1 && (2..).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

/// Shares of localities sum to 100; a region does not take over from itself.
fn locality(path: &str, setting: &LocalityLbSetting, issues: &mut Issues) {
    let fails_over = !setting.failover.is_empty() || !setting.failover_priority.is_empty();
    if !setting.distribute.is_empty() && fails_over {
        issues.error(path, "distribute and failover exclude each other");
    }
    for (at, rule) in setting.distribute.iter().enumerate() {
        let sum: u64 = rule.to.values().map(|share| u64::from(*share)).sum();
        if sum != 100 || rule.to.values().any(|share| *share == 0) {
            issues.error(
                format!("{path}.distribute[{at}].to"),
                format!("shares are 1 to 100 and sum to 100, not to {sum}"),
            );
        }
    }
    for (at, rule) in setting.failover.iter().enumerate() {
        if rule.from == rule.to {
            issues.error(format!("{path}.failover[{at}]"), "from and to differ");
        }
        if [&rule.from, &rule.to].iter().any(|region| region.contains(['/', '*'])) {
            issues.error(format!("{path}.failover[{at}]"), "regions only, without zone or *");
        }
    }
}

fn load_balancer(path: &str, balancer: &LoadBalancerSettings, issues: &mut Issues) {
    if balancer.simple.is_some() && balancer.consistent_hash.is_some() {
        issues.error(path, "simple and consistentHash exclude each other");
    }
    if let Some(hash) = &balancer.consistent_hash {
        let keys = usize::from(hash.http_header_name.is_some())
            + usize::from(hash.http_cookie.is_some())
            + usize::from(hash.use_source_ip.is_some())
            + usize::from(hash.http_query_parameter_name.is_some());
        if keys != 1 {
            let message = "exactly one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName is needed";
            issues.error(format!("{path}.consistentHash"), message);
        }
    }
    if balancer.warmup.is_some() && balancer.warmup_duration_secs.is_some() {
        issues.error(path, "warmup and warmupDurationSecs exclude each other");
    }
    if let Some(setting) = &balancer.locality_lb_setting {
        locality(&format!("{path}.localityLbSetting"), setting, issues);
    }
    if balancer.locality_lb_setting.is_some() && balancer.zone_aware_lb_setting.is_some() {
        issues.error(path, "localityLbSetting and zoneAwareLbSetting exclude each other");
    }
    let maglev = balancer.consistent_hash.as_ref().and_then(|hash| hash.maglev.as_ref());
    if maglev.is_some_and(|maglev| !maglev.table_size.is_some_and(|size| size < 5_000_011 && is_prime(size))) {
        issues.error(format!("{path}.consistentHash.maglev.tableSize"), "a prime below 5000011 is needed");
    }
    let cookie = balancer.consistent_hash.as_ref().and_then(|hash| hash.http_cookie.as_ref());
    if cookie.is_some_and(|cookie| cookie.name.is_empty()) {
        issues.error(format!("{path}.consistentHash.httpCookie.name"), "a cookie needs a name");
    }
}

fn tls(path: &str, settings: &ClientTlsSettings, issues: &mut Issues) {
    let files = !settings.client_certificate.is_empty() || !settings.private_key.is_empty();
    if settings.insecure_skip_verify == Some(true)
        && !(settings.ca_certificates.is_empty() && settings.subject_alt_names.is_empty())
    {
        issues.error(path, "insecureSkipVerify excludes caCertificates and subjectAltNames");
    }
    if !settings.credential_name.is_empty() && (files || !settings.ca_certificates.is_empty()) {
        issues.error(path, "credentialName excludes certificate files");
    }
    match settings.mode.unwrap_or_default() {
        ClientTlsMode::IstioMutual if files || !settings.ca_certificates.is_empty() => {
            issues.error(path, "ISTIO_MUTUAL uses the mesh's certificates; name none");
        }
        ClientTlsMode::Mutual if settings.credential_name.is_empty() => {
            if settings.client_certificate.is_empty() || settings.private_key.is_empty() {
                issues.error(path, "MUTUAL needs clientCertificate and privateKey, or a credentialName");
            }
        }
        ClientTlsMode::Mutual | ClientTlsMode::IstioMutual | ClientTlsMode::Simple | ClientTlsMode::Disable => {}
    }
}
