//! Rules of WorkloadGroups (`istio: pkg/config/validation/validation.go ValidateWorkloadGroup`).

use crate::networking::{ReadinessProbe, WorkloadGroup};
use crate::{Issues, ObjectMeta, rules};

pub(in crate::networking) fn check(spec: &WorkloadGroup, _: &ObjectMeta, issues: &mut Issues) {
    // What a template lacks, its members fill in.
    match &spec.template {
        None => issues.error("spec.template", "a template is needed"),
        Some(said) => {
            super::service_entry::template("spec.template", said, issues);
            if said.address.starts_with("unix://") {
                rules::unix_path("spec.template.address", &said.address["unix://".len()..], issues);
                if !said.ports.is_empty() {
                    issues.error("spec.template.ports", "a unix address has no ports");
                }
            }
        }
    }
    if let Some(meta) = &spec.metadata {
        rules::labels("spec.metadata.labels", &meta.labels, issues);
        if meta.labels.len() > 256 || meta.annotations.len() > 256 {
            issues.error("spec.metadata", "at most 256 labels and 256 annotations");
        }
    }
    if let Some(said) = &spec.probe {
        probe(said, issues);
    }
}

fn probe(probe: &ReadinessProbe, issues: &mut Issues) {
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        if value < 0 {
            issues.error(format!("spec.probe.{name}"), "not negative");
        }
    }
    let methods = usize::from(probe.http_get.is_some())
        + usize::from(probe.tcp_socket.is_some())
        + usize::from(probe.exec.is_some())
        + usize::from(probe.grpc.is_some());
    if methods != 1 {
        issues.error("spec.probe", "exactly one of httpGet, tcpSocket, exec and grpc is needed");
    }
    if let Some(http) = &probe.http_get {
        rules::port("spec.probe.httpGet.port", http.port, issues);
        if !["", "HTTP", "HTTPS"].contains(&http.scheme.as_str()) {
            issues.error("spec.probe.httpGet.scheme", "a scheme is HTTP or HTTPS");
        }
        for (at, header) in http.http_headers.iter().enumerate() {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if header.name.is_empty() || !header.name.bytes().all(token) {
                issues.error(format!("spec.probe.httpGet.httpHeaders[{at}].name"), "not the name of a header");
            }
        }
    }
    if let Some(tcp) = &probe.tcp_socket {
        rules::port("spec.probe.tcpSocket.port", tcp.port, issues);
    }
    if let Some(grpc) = &probe.grpc {
        rules::port("spec.probe.grpc.port", grpc.port, issues);
    }
    if let Some(exec) = &probe.exec
        && (exec.command.is_empty() || exec.command.iter().any(|argument| argument.is_empty()))
    {
        issues.error("spec.probe.exec.command", "a program is needed, and no argument is empty");
    }
}
