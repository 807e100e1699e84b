//! Rules of DestinationRules (`istio: pkg/config/validation/validation.go ValidateDestinationRule`).

use std::collections::BTreeSet;

use crate::networking::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, DestinationRule, H2UpgradePolicy, LoadBalancerSettings,
    OutlierDetection, PortTrafficPolicy, TrafficPolicy,
};
use crate::{Issues, ObjectMeta, rules, selectors};

use super::load_balancer;

pub(in crate::networking) fn check(spec: &DestinationRule, meta: &ObjectMeta, issues: &mut Issues) {
    if spec.host.is_empty() {
        issues.error("spec.host", "a host is needed");
    } else {
        rules::host("spec.host", &spec.host, issues);
    }
    if let Some(policy) = &spec.traffic_policy {
        traffic("spec.trafficPolicy", policy, issues);
    }
    rules::export_to("spec.exportTo", &spec.export_to, &meta.namespace, false, issues);
    if let Some(selector) = &spec.workload_selector {
        selectors::labels("spec.workloadSelector.matchLabels", &selector.match_labels, issues);
        let own = |to: &names::Name| *to == "." || *to == meta.namespace;
        if !spec.export_to.iter().all(own) {
            issues.error("spec.exportTo", "a rule for selected workloads is only for its own namespace");
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
    extras(path, policy, issues);
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
        if *level == (PortTrafficPolicy { port: level.port, ..PortTrafficPolicy::default() }) {
            issues.error(path.as_str(), "settings of a port must say something");
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

/// What only a whole policy can say.
fn extras(path: &str, policy: &TrafficPolicy, issues: &mut Issues) {
    if let Some(tunnel) = &policy.tunnel {
        let path = format!("{path}.tunnel");
        if !["", "CONNECT", "POST"].contains(&tunnel.protocol.as_str()) {
            issues.error(format!("{path}.protocol"), "CONNECT or POST");
        }
        rules::fqdn_or_address(&format!("{path}.targetHost"), &tunnel.target_host, issues);
        rules::port(&format!("{path}.targetPort"), tunnel.target_port, issues);
    }
    let share = policy.retry_budget.as_ref().and_then(|budget| budget.percent);
    if share.is_some_and(|share| !(0.0..=100.0).contains(&share)) {
        issues.error(format!("{path}.retryBudget.percent"), "a percentage is in 0..100");
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
        load_balancer::check(&format!("{path}.loadBalancer"), balancer, outlier.is_some(), issues);
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
            if let Some(value) = value {
                rules::duration(&format!("{path}.outlierDetection.{name}"), value, issues);
            }
        }
        let local = outlier.consecutive_local_origin_failures.is_some_and(|count| count > 0);
        if local && !outlier.split_external_local_origin_errors {
            let path = format!("{path}.outlierDetection.consecutiveLocalOriginFailures");
            issues.error(path, "needs splitExternalLocalOriginErrors");
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

pub(super) fn connection_pool(path: &str, pool: &ConnectionPoolSettings, issues: &mut Issues) {
    if pool.tcp.is_none() && pool.http.is_none() {
        issues.error(path, "tcp or http is needed");
    }
    if let Some(tcp) = &pool.tcp {
        if tcp.max_connections < 0 {
            issues.error(format!("{path}.tcp.maxConnections"), "not negative");
        }
        let keepalive = tcp.tcp_keepalive.as_ref();
        for (name, value) in [
            ("connectTimeout", tcp.connect_timeout),
            ("maxConnectionDuration", tcp.max_connection_duration),
            ("idleTimeout", tcp.idle_timeout.filter(|timeout| !timeout.is_zero())),
            ("tcpKeepalive.time", keepalive.and_then(|keepalive| keepalive.time)),
            ("tcpKeepalive.interval", keepalive.and_then(|keepalive| keepalive.interval)),
        ] {
            if let Some(value) = value {
                rules::duration(&format!("{path}.tcp.{name}"), value, issues);
            }
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
    if let Some(timeout) = http.idle_timeout {
        rules::duration(&format!("{path}.http.idleTimeout"), timeout, issues);
    }
    if http.use_client_protocol && http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade) {
        issues.error(format!("{path}.http.useClientProtocol"), "excludes h2UpgradePolicy UPGRADE");
    }
    if let Some(keepalive) = &http.http2_keep_alive {
        let path = format!("{path}.http.http2KeepAlive");
        if keepalive.interval.is_none() || keepalive.timeout.is_none() {
            issues.error(path.as_str(), "interval and timeout are both needed");
        }
        for (name, value) in [("interval", keepalive.interval), ("timeout", keepalive.timeout)] {
            if let Some(value) = value {
                rules::duration(&format!("{path}.{name}"), value, issues);
            }
        }
    }
}

/// What a mode leaves unused is a warning; what contradicts itself in the mode is an error
/// (`istio: pkg/config/validation/agent/validation.go ValidateTLS`).
fn tls(path: &str, settings: &ClientTlsSettings, issues: &mut Issues) {
    for (at, _) in settings.subject_alt_names.iter().enumerate().filter(|(_, name)| name.is_empty()) {
        issues.error(format!("{path}.subjectAltNames[{at}]"), "must not be empty");
    }
    let mode = settings.mode.unwrap_or_default();
    let own = !settings.client_certificate.is_empty() || !settings.private_key.is_empty();
    let files = own || !settings.ca_certificates.is_empty() || !settings.ca_crl.is_empty();
    let secret = !settings.credential_name.is_empty();
    match mode {
        ClientTlsMode::Disable => {}
        ClientTlsMode::IstioMutual => {
            if files || secret {
                issues.warning(path, "ISTIO_MUTUAL uses the mesh's certificates; those that are named are not used");
            }
        }
        ClientTlsMode::Simple | ClientTlsMode::Mutual => {
            if secret && files {
                issues.error(path, "credentialName excludes certificate files");
            }
            unchecked(path, settings, mode == ClientTlsMode::Simple && secret, issues);
            if mode == ClientTlsMode::Mutual
                && !secret
                && (settings.client_certificate.is_empty() || settings.private_key.is_empty())
            {
                issues.error(path, "MUTUAL needs clientCertificate and privateKey, or a credentialName");
            }
        }
    }
}

/// Whoever does not look at the server's certificate has nothing to compare it with.
fn unchecked(path: &str, settings: &ClientTlsSettings, secret: bool, issues: &mut Issues) {
    let compares = secret || !settings.ca_certificates.is_empty() || !settings.subject_alt_names.is_empty();
    if settings.insecure_skip_verify == Some(true) && compares {
        issues.error(
            path,
            "insecureSkipVerify excludes caCertificates and subjectAltNames, and with SIMPLE credentialName",
        );
    }
}
