//! Rules of Gateways (`istio: pkg/config/validation/validation.go ValidateGateway`).

use std::collections::BTreeSet;

use names::Protocol;

use crate::networking::{Gateway, Server, ServerTlsMode, ServerTlsSettings, TlsProtocol};
use crate::{Issues, ObjectMeta, rules};

pub(in crate::networking) fn check(spec: &Gateway, _: &ObjectMeta, issues: &mut Issues) {
    if spec.servers.is_empty() {
        issues.error("spec.servers", "at least one server is needed");
    }
    let mut names = BTreeSet::new();
    for (at, each) in spec.servers.iter().enumerate() {
        let path = format!("spec.servers[{at}]");
        server(&path, each, issues);
        if let Some(port) = &each.port
            && !names.insert(&port.name)
        {
            issues.error(format!("{path}.port.name"), format!("there is another port {:?}", port.name));
        }
    }
    rules::labels("spec.selector", &spec.selector, issues);
}

fn server(path: &str, server: &Server, issues: &mut Issues) {
    let Some(port) = &server.port else { return issues.error(format!("{path}.port"), "a port is needed") };
    let unix = server.bind.starts_with("unix://");
    if !(unix && port.number == 0) {
        rules::port(&format!("{path}.port.number"), port.number, issues);
    }
    let protocol = Protocol::parse(&port.protocol);
    if protocol.is_none() {
        issues.error(format!("{path}.port.protocol"), format!("protocol {:?} is not known", port.protocol));
    }
    if port.target_port != 0 {
        issues.error(format!("{path}.port.targetPort"), "not supported");
    }
    if server.hosts.is_empty() {
        issues.error(format!("{path}.hosts"), "at least one host is needed");
    }
    for (at, written) in server.hosts.iter().enumerate() {
        let host = written.split_once('/').map_or(written.as_str(), |(_, host)| host);
        let scoped = written.contains('/');
        if scoped && host != "*" && !host.contains('.') {
            issues.error(format!("{path}.hosts[{at}]"), format!("short names are not allowed: {host:?} has no dot"));
        }
        rules::host(&format!("{path}.hosts[{at}]"), host, issues);
    }
    let needs_tls = protocol.is_some_and(Protocol::is_tls);
    match &server.tls {
        None if needs_tls => issues.error(format!("{path}.tls"), format!("protocol {} needs tls", port.protocol)),
        None => {}
        Some(settings) => tls(&format!("{path}.tls"), settings, protocol, issues),
    }
}

fn tls(path: &str, settings: &ServerTlsSettings, protocol: Option<Protocol>, issues: &mut Issues) {
    let terminates = protocol.is_some_and(Protocol::is_tls);
    let mode = settings.mode.unwrap_or_default();
    if settings.https_redirect && terminates {
        issues.error(format!("{path}.httpsRedirect"), "only for plain HTTP");
    }
    if !terminates && protocol.is_some_and(Protocol::is_http) && mode != ServerTlsMode::Passthrough {
        issues.error(path, "a plain HTTP server has no tls but httpsRedirect");
    }
    let files = usize::from(!settings.server_certificate.is_empty());
    let secrets =
        usize::from(!settings.credential_name.is_empty()) + usize::from(!settings.credential_names.is_empty());
    let sources = files + secrets + usize::from(!settings.tls_certificates.is_empty());
    let (least, most) =
        (settings.min_protocol_version.unwrap_or_default(), settings.max_protocol_version.unwrap_or_default());
    if most != TlsProtocol::TlsAuto && least > most {
        issues.error(format!("{path}.maxProtocolVersion"), "is older than minProtocolVersion");
    }
    match mode {
        ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => {
            if sources != 1 {
                issues.error(
                    path,
                    "exactly one of serverCertificate, credentialName, credentialNames and tlsCertificates is needed",
                );
            }
            if files == 1 && settings.private_key.is_empty() {
                issues.error(format!("{path}.privateKey"), "serverCertificate needs a privateKey");
            }
            let checks_clients = mode != ServerTlsMode::Simple;
            if checks_clients && secrets == 0 && settings.ca_certificates.is_empty() {
                issues.error(format!("{path}.caCertificates"), "needed to check clients");
            }
        }
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough | ServerTlsMode::IstioMutual => {
            if sources != 0 {
                issues.error(path, "no certificate is used in this mode");
            }
        }
    }
}
