//! Rules of DestinationRules (`istio: pkg/config/validation/validation.go ValidateDestinationRule`).

use std::collections::BTreeSet;

use crate::networking::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, DestinationRule, LoadBalancerSettings, OutlierDetection,
    TrafficPolicy,
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
    if let Some(pool) = pool
        && pool.tcp.is_none()
        && pool.http.is_none()
    {
        issues.error(format!("{path}.connectionPool"), "tcp or http is needed");
    }
    if let Some(outlier) = outlier {
        for (name, percent) in
            [("maxEjectionPercent", outlier.max_ejection_percent), ("minHealthPercent", outlier.min_health_percent)]
        {
            if !(0..=100).contains(&percent) {
                issues.error(format!("{path}.outlierDetection.{name}"), "a percentage is in 0..100");
            }
        }
        if outlier.consecutive_errors != 0 {
            let message = "deprecated and without effect; use consecutive5xxErrors or consecutiveGatewayErrors";
            issues.warning(format!("{path}.outlierDetection.consecutiveErrors"), message);
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
    if let Some(locality) = &balancer.locality_lb_setting
        && !locality.distribute.is_empty()
        && !(locality.failover.is_empty() && locality.failover_priority.is_empty())
    {
        issues.error(format!("{path}.localityLbSetting"), "distribute and failover exclude each other");
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
