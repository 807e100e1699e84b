//! Rules of Sidecars (`istio: pkg/config/validation/validation.go ValidateSidecar`).

use std::collections::BTreeSet;

use names::Protocol;

use super::{destination_rule, gateway};
use crate::networking::{
    CaptureMode, IstioEgressListener, IstioIngressListener, OutboundTrafficPolicy, OutboundTrafficPolicyMode,
    ServerTlsMode, ServerTlsSettings, Sidecar, SidecarPort,
};
use crate::{Issues, ObjectMeta, rules, selectors};

pub(in crate::networking) fn check(spec: &Sidecar, _: &ObjectMeta, issues: &mut Issues) {
    let says_nothing = spec.ingress.is_empty()
        && spec.egress.is_empty()
        && spec.outbound_traffic_policy.is_none()
        && spec.inbound_connection_pool.is_none();
    if says_nothing {
        issues.error("spec", "one of ingress, egress, outboundTrafficPolicy and inboundConnectionPool is needed");
    }
    if let Some(selector) = &spec.workload_selector {
        selectors::labels("spec.workloadSelector.labels", &selector.labels, issues);
    }
    if let Some(pool) = &spec.inbound_connection_pool {
        destination_rule::connection_pool("spec.inboundConnectionPool", pool, issues);
    }
    if let Some(policy) = &spec.outbound_traffic_policy {
        outbound(policy, issues);
    }
    let mut ports = BTreeSet::new();
    for (at, listener) in spec.ingress.iter().enumerate() {
        ingress(&format!("spec.ingress[{at}]"), listener, &mut ports, issues);
    }
    let mut taken = BTreeSet::new();
    for (at, listener) in spec.egress.iter().enumerate() {
        let path = format!("spec.egress[{at}]");
        egress(&path, listener, &mut taken, issues);
        let last = at + 1 == spec.egress.len();
        if listener.port.is_none() && !last {
            issues.error(path, "the listener without port comes last, and there is only one");
        }
    }
}

fn outbound(policy: &OutboundTrafficPolicy, issues: &mut Issues) {
    let Some(proxy) = &policy.egress_proxy else { return };
    let path = "spec.outboundTrafficPolicy.egressProxy";
    if policy.mode.unwrap_or_default() != OutboundTrafficPolicyMode::AllowAny {
        return issues.error(path, "only with ALLOW_ANY");
    }
    rules::fqdn(&format!("{path}.host"), &proxy.host, issues);
    match &proxy.port {
        None => issues.error(format!("{path}.port"), "a port is needed"),
        Some(port) => rules::port(&format!("{path}.port.number"), port.number.into(), issues),
    }
}

fn port(path: &str, port: &SidecarPort, issues: &mut Issues) {
    if port.target_port > 0 {
        issues.error(format!("{path}.targetPort"), "has no effect here; leave it out");
    }
    if !port.name.is_empty() && !rules::dns_label(&port.name) {
        issues.error(format!("{path}.name"), "a port's name is a DNS label");
    }
    rules::protocol(&format!("{path}.protocol"), &port.protocol, issues);
}

fn ingress(path: &str, listener: &IstioIngressListener, ports: &mut BTreeSet<u16>, issues: &mut Issues) {
    let Some(said) = &listener.port else { return issues.error(format!("{path}.port"), "a port is needed") };
    port(&format!("{path}.port"), said, issues);
    rules::port(&format!("{path}.port.number"), said.number.into(), issues);
    if !ports.insert(said.number) {
        issues.error(format!("{path}.port.number"), format!("port {} is there twice", said.number));
    }
    if !listener.bind.is_empty() && listener.bind.parse::<std::net::IpAddr>().is_err() {
        issues.error(format!("{path}.bind"), format!("{:?} is not an address", listener.bind));
    }
    if !listener.default_endpoint.is_empty() {
        endpoint(&format!("{path}.defaultEndpoint"), &listener.default_endpoint, issues);
    }
    if let Some(settings) = &listener.tls {
        tls(&format!("{path}.tls"), settings, Protocol::parse(&said.protocol), issues);
    }
    if let Some(pool) = &listener.connection_pool {
        destination_rule::connection_pool(&format!("{path}.connectionPool"), pool, issues);
    }
}

/// A port of the workload itself.
fn endpoint(path: &str, written: &str, issues: &mut Issues) {
    if let Some(socket) = written.strip_prefix("unix://") {
        return rules::unix_path(path, socket, issues);
    }
    let (host, port) = written.rsplit_once(':').unwrap_or((written, ""));
    let known = ["", "127.0.0.1", "0.0.0.0", "[::1]", "[::]"].contains(&host);
    if !known || !port.parse::<u32>().is_ok_and(|port| (1..=65535).contains(&port)) {
        issues.error(
            path,
            format!("{written:?} is none of 127.0.0.1:port, 0.0.0.0:port, [::1]:port, [::]:port, unix://path"),
        );
    }
}

fn tls(path: &str, settings: &ServerTlsSettings, protocol: Option<Protocol>, issues: &mut Issues) {
    for (field, said) in [
        ("subjectAltNames", !settings.subject_alt_names.is_empty()),
        ("httpsRedirect", settings.https_redirect),
        ("credentialName", !settings.credential_name.is_empty()),
        ("credentialNames", !settings.credential_names.is_empty()),
        ("tlsCertificates", !settings.tls_certificates.is_empty()),
    ] {
        if said {
            issues.error(format!("{path}.{field}"), "not supported at sidecars");
        }
    }
    if matches!(settings.mode, Some(ServerTlsMode::IstioMutual | ServerTlsMode::AutoPassthrough)) {
        issues.error(format!("{path}.mode"), "not supported at sidecars");
    }
    if !protocol.is_some_and(Protocol::is_tls) {
        issues.error(path, "only for a port with protocol HTTPS or TLS");
    }
    gateway::tls(path, settings, issues);
}

fn egress(path: &str, listener: &IstioEgressListener, taken: &mut BTreeSet<String>, issues: &mut Issues) {
    if listener.hosts.is_empty() {
        issues.error(format!("{path}.hosts"), "at least one host is needed");
    }
    for (number, host) in listener.hosts.iter().enumerate() {
        let path = format!("{path}.hosts[{number}]");
        match host.split_once('/') {
            // `~namespace/host` takes out what another entry lets in.
            Some((namespace, dns)) => {
                let within = namespace.strip_prefix('~');
                if within != Some("") {
                    gateway::namespaced(&path, within.unwrap_or(namespace), issues);
                }
                gateway::long(&path, dns, issues);
            }
            None => issues.error(path, format!("write {host:?} as namespace/host, such as ./* or */{host}")),
        }
    }
    let Some(said) = &listener.port else {
        if !listener.bind.is_empty() {
            issues.warning(format!("{path}.bind"), "an address has no effect without a port");
        }
        return;
    };
    port(&format!("{path}.port"), said, issues);
    let unix = listener.bind.starts_with("unix://");
    if unix && said.number != 0 {
        issues.error(format!("{path}.bind"), "a socket has port 0");
    }
    rules::bind(&format!("{path}.bind"), &listener.bind, issues);
    let key = match (said.number, unix) {
        (0, true) => {
            let mode = listener.capture_mode.unwrap_or_default();
            if mode == CaptureMode::Iptables {
                issues.error(format!("{path}.captureMode"), "a socket is not captured: DEFAULT or NONE");
            }
            listener.bind.to_string()
        }
        (0, false) => return issues.error(format!("{path}.port.number"), "0 is only for a unix:// address"),
        (number, _) => number.to_string(),
    };
    if !taken.insert(key) {
        issues.error(format!("{path}.port.number"), "there is another listener on it");
    }
}
