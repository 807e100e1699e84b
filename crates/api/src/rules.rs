//! Rules that several kinds share: host names, ports, labels.

use names::Labels;

use crate::Issues;
use crate::scalars::Duration;

/// A host: DNS labels, of which only the first may be `*`.
pub(crate) fn host(path: &str, host: &str, issues: &mut Issues) {
    if host.contains(':') && host.parse::<std::net::IpAddr>().is_err() {
        issues.error(path, format!("host {host:?} must not hold a port"));
        return;
    }
    let rest = if host == "*" { return } else { host.strip_prefix("*.").unwrap_or(host) };
    if host.is_empty() || host.len() > 255 || !rest.split('.').all(dns_label) {
        issues.error(path, format!("{host:?} is not a host name, nor a wildcard of one such as *.example.com"));
    }
}

/// A DNS-1123 label, in any case.
pub(crate) fn dns_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = label.as_bytes();
    bytes.len() <= 63 && outer(bytes.first()) && outer(bytes.last()) && bytes.iter().all(|byte| inner(*byte))
}

/// A port number.
pub(crate) fn port(path: &str, number: u32, issues: &mut Issues) {
    if !(1..=65535).contains(&number) {
        issues.error(path, format!("port {number} is not in 1..65535"));
    }
}

/// Label keys and values.
pub(crate) fn labels(path: &str, labels: &Labels, issues: &mut Issues) {
    for (key, value) in labels.iter() {
        let name = key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || name.len() > 63 {
            issues.error(path, format!("label key {key:?} is not valid"));
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if value.len() > 63 || !value.bytes().all(fits) {
            issues.error(path, format!("label value {value:?} of {key} is not valid"));
        }
    }
}

/// `exportTo`: `*` stands alone, nothing is there twice.
pub(crate) fn export_to(path: &str, export: &[names::Name], issues: &mut Issues) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, namespace) in export.iter().enumerate() {
        let known = ["*", ".", "~"].contains(&namespace.as_str());
        if !known && !dns_label(namespace) {
            issues.error(format!("{path}[{at}]"), format!("{namespace:?} is neither a namespace nor one of * . ~"));
        }
        if !seen.insert(namespace) {
            issues.error(format!("{path}[{at}]"), format!("{namespace} is there twice"));
        }
        if (*namespace == "*" || *namespace == "~") && export.len() > 1 {
            issues.error(format!("{path}[{at}]"), format!("{namespace} stands alone"));
        }
    }
}

/// An address or a CIDR.
pub(crate) fn network(path: &str, written: &str, issues: &mut Issues) {
    if written.parse::<std::net::IpAddr>().is_err() && written.parse::<ipnet::IpNet>().is_err() {
        issues.error(path, format!("{written:?} is neither an address nor a CIDR"));
    }
}

/// At least 1 ms, in whole milliseconds.
pub(crate) fn duration(path: &str, duration: Duration, issues: &mut Issues) {
    let nanos = duration.std().as_nanos();
    if nanos < 1_000_000 || !nanos.is_multiple_of(1_000_000) {
        issues.error(path, format!("{duration}: durations are whole milliseconds, at least one"));
    }
}
