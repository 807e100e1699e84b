//! Rules of Gateways (`istio: pkg/config/validation/validation.go ValidateGateway`).

use std::collections::BTreeSet;

use names::Protocol;

use crate::networking::{Gateway, Server, ServerTlsMode, ServerTlsSettings, TlsProtocol};
use crate::{Issues, ObjectMeta, rules};

pub(in crate::networking) fn check(spec: &Gateway, meta: &ObjectMeta, issues: &mut Issues) {
    if !rules::dns_label(&meta.name) {
        issues.error("metadata.name", "the name of a Gateway is a DNS label: VirtualServices write namespace/name");
    }
    if spec.servers.is_empty() {
        issues.error("spec.servers", "at least one server is needed");
    }
    let (mut ports, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (at, each) in spec.servers.iter().enumerate() {
        let path = format!("spec.servers[{at}]");
        server(&path, each, issues);
        if let Some(port) = &each.port
            && !ports.insert(&port.name)
        {
            issues.error(format!("{path}.port.name"), format!("there is another port {:?}", port.name));
        }
        if !each.name.is_empty() && !names.insert(&each.name) {
            issues.warning(format!("{path}.name"), format!("there is another server {}", each.name));
        }
    }
    rules::labels("spec.selector", &spec.selector, issues);
}

fn server(path: &str, server: &Server, issues: &mut Issues) {
    if server.hosts.is_empty() {
        issues.error(format!("{path}.hosts"), "at least one host is needed");
    }
    for (at, written) in server.hosts.iter().enumerate() {
        let path = format!("{path}.hosts[{at}]");
        match written.split_once('/') {
            Some((namespace, host)) => {
                namespaced(&path, namespace, issues);
                full(&path, host, issues);
            }
            None => full(&path, written, issues),
        }
    }
    rules::bind(&format!("{path}.bind"), &server.bind, issues);
    let Some(port) = &server.port else { return issues.error(format!("{path}.port"), "a port is needed") };
    let unix = server.bind.starts_with("unix://");
    match (unix, port.number) {
        (true, 0) => {}
        (true, _) => issues.error(format!("{path}.port.number"), "0 for a socket"),
        (false, number) => rules::port(&format!("{path}.port.number"), number, issues),
    }
    if port.name.is_empty() {
        issues.error(format!("{path}.port.name"), "a port needs a name");
    }
    let protocol = Protocol::parse(&port.protocol);
    if protocol.is_none() {
        issues.error(format!("{path}.port.protocol"), format!("protocol {:?} is not known", port.protocol));
    }
    if port.target_port != 0 {
        issues.error(format!("{path}.port.targetPort"), "has no effect on gateways; leave it out");
    }
    let path = format!("{path}.tls");
    match (&server.tls, protocol) {
        (None, Some(protocol)) if protocol.is_tls() => {
            issues.error(path, format!("protocol {} needs tls", port.protocol));
        }
        (Some(settings), protocol) => {
            tls(&path, settings, issues);
            if let Some(protocol) = protocol {
                fits(&path, settings, protocol, issues);
            }
        }
        (None, _) => {}
    }
}

/// The namespace before the slash of a host.
pub(super) fn namespaced(path: &str, namespace: &str, issues: &mut Issues) {
    if !["*", "."].contains(&namespace) && !rules::dns_label(namespace) {
        issues.error(path, format!("{namespace:?} is not a namespace"));
    }
}

/// A host or an address, but no short name: it is not said in which namespace it would be one.
fn full(path: &str, host: &str, issues: &mut Issues) {
    if host.contains('.') && host.parse::<std::net::IpAddr>().is_ok() {
        return;
    }
    long(path, host, issues);
}

/// A host that is not a short name; a wildcard is a whole label.
pub(super) fn long(path: &str, host: &str, issues: &mut Issues) {
    if host != "*" && !host.contains('.') {
        return issues.error(path, format!("short names are not allowed: {host:?} has no dot"));
    }
    if host.starts_with('*') && host.len() > 1 && !host.starts_with("*.") {
        return issues.error(path, format!("{host:?}: a wildcard is a whole label, such as *.example.com"));
    }
    rules::host(path, host, issues);
}

/// A plain port has no TLS, but for the redirect to it.
fn fits(path: &str, settings: &ServerTlsSettings, protocol: Protocol, issues: &mut Issues) {
    if settings.https_redirect && !protocol.is_http() {
        issues.warning(format!("{path}.httpsRedirect"), "only has an effect on plain HTTP");
    }
    if protocol.is_tls() {
        return;
    }
    let mode = settings.mode.unwrap_or_default();
    let passes = matches!(mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough);
    let files =
        [&settings.ca_certificates, &settings.private_key, &settings.server_certificate].iter().any(|f| !f.is_empty());
    if !protocol.is_http() {
        issues.error(path, "a port that is neither HTTPS nor TLS has no tls");
    } else if !passes || files {
        issues.error(path, "a plain HTTP port has no tls but httpsRedirect");
    }
}

/// Suites that Envoy knows.
const SUITES: [&str; 15] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA",
    "AES256-SHA",
    "DES-CBC3-SHA",
];

/// Settings of a server's TLS, whatever speaks over it.
pub(super) fn tls(path: &str, settings: &ServerTlsSettings, issues: &mut Issues) {
    versions(path, settings, issues);
    for (field, count) in
        [("credentialNames", settings.credential_names.len()), ("tlsCertificates", settings.tls_certificates.len())]
    {
        if count > 2 {
            issues.error(format!("{path}.{field}"), "at most two, one RSA and one ECDSA");
        }
    }
    let mode = settings.mode.unwrap_or_default();
    let secrets = !settings.credential_name.is_empty() || !settings.credential_names.is_empty();
    let any = secrets
        || !settings.server_certificate.is_empty()
        || !settings.private_key.is_empty()
        || !settings.ca_certificates.is_empty()
        || !settings.tls_certificates.is_empty();
    match mode {
        ServerTlsMode::IstioMutual => {
            if any {
                issues.error(path, "ISTIO_MUTUAL uses the mesh's certificates; name none");
            }
            return;
        }
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough if any || !settings.ca_crl.is_empty() => {
            issues.warning(path, "no certificate is used in this mode");
        }
        ServerTlsMode::Passthrough
        | ServerTlsMode::AutoPassthrough
        | ServerTlsMode::Simple
        | ServerTlsMode::Mutual
        | ServerTlsMode::OptionalMutual => {}
    }
    let files = !settings.server_certificate.is_empty() && !settings.private_key.is_empty();
    let sources = usize::from(files)
        + usize::from(!settings.credential_name.is_empty())
        + usize::from(!settings.credential_names.is_empty())
        + usize::from(!settings.tls_certificates.is_empty());
    if sources > 1 {
        let message = "serverCertificate, credentialName, credentialNames and tlsCertificates exclude each other";
        issues.error(path, message);
    }
    let terminates = matches!(mode, ServerTlsMode::Simple | ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual);
    if terminates && secrets {
        // Everything comes in the secret.
        return;
    }
    if terminates {
        certificates(path, settings, mode, issues);
    }
    if !settings.ca_crl.is_empty() {
        if !settings.credential_name.is_empty() {
            issues.error(format!("{path}.caCrl"), "with a secret the list comes in the secret");
        }
        if mode == ServerTlsMode::Simple {
            issues.error(format!("{path}.caCrl"), "SIMPLE checks no clients");
        }
    }
}

fn certificates(path: &str, settings: &ServerTlsSettings, mode: ServerTlsMode, issues: &mut Issues) {
    if mode != ServerTlsMode::Simple && settings.ca_certificates.is_empty() {
        issues.error(format!("{path}.caCertificates"), "needed to check clients");
    }
    if settings.tls_certificates.is_empty() {
        if settings.server_certificate.is_empty() {
            issues.error(format!("{path}.serverCertificate"), "a certificate is needed, or a credentialName");
        }
        if settings.private_key.is_empty() {
            issues.error(format!("{path}.privateKey"), "a key is needed, or a credentialName");
        }
    }
    for (at, pair) in settings.tls_certificates.iter().enumerate() {
        if pair.server_certificate.is_empty() || pair.private_key.is_empty() {
            issues.error(format!("{path}.tlsCertificates[{at}]"), "a certificate and its key are both needed");
        }
    }
}

fn versions(path: &str, settings: &ServerTlsSettings, issues: &mut Issues) {
    let least = settings.min_protocol_version.unwrap_or_default();
    let most = settings.max_protocol_version.unwrap_or_default();
    if most != TlsProtocol::TlsAuto && least > most {
        issues.error(format!("{path}.maxProtocolVersion"), "is older than minProtocolVersion");
    }
    let old = matches!(least, TlsProtocol::Tls10 | TlsProtocol::Tls11);
    if old && settings.cipher_suites.is_empty() {
        issues.warning(format!("{path}.minProtocolVersion"), "below 1.2, cipherSuites must name suites that fit");
    }
    let mut seen = BTreeSet::new();
    for (at, suite) in settings.cipher_suites.iter().enumerate() {
        if !SUITES.contains(&suite.as_str()) {
            issues.warning(format!("{path}.cipherSuites[{at}]"), format!("{suite:?} is not known and is left out"));
        } else if !seen.insert(suite) {
            issues.warning(format!("{path}.cipherSuites[{at}]"), format!("{suite} is there twice"));
        }
    }
}
