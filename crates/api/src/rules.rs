//! Rules that several kinds share: host names, ports, labels.

use names::Labels;

use crate::Issues;
use crate::scalars::Duration;

/// A host, of which the first label may be a wildcard: `*`, or `*` with the end of a label
/// (`istio: pkg/config/validation/agent/validation.go ValidateWildcardDomain`).
pub(crate) fn host(path: &str, host: &str, issues: &mut Issues) {
    if host == "*" {
        return;
    }
    let rest = match host.split_once('.') {
        Some(("*", rest)) => rest,
        _ => host.strip_prefix("*-").or_else(|| host.strip_prefix('*')).unwrap_or(host),
    };
    if rest.contains(':') {
        return issues.error(path, format!("host {host:?} must not hold a port"));
    }
    if host.len() > 255 || !names_host(rest) {
        issues.error(path, format!("{host:?} is not a host name, nor a wildcard of one such as *.example.com"));
    }
}

/// A host or an address.
pub(crate) fn host_or_address(path: &str, written: &str, issues: &mut Issues) {
    if written.parse::<std::net::IpAddr>().is_err() {
        host(path, written, issues);
    }
}

/// A fully qualified name, without wildcard.
pub(crate) fn fqdn(path: &str, written: &str, issues: &mut Issues) {
    if written.is_empty() || written.len() > 255 || !names_host(written) {
        issues.error(path, format!("{written:?} is not a host name"));
    }
}

/// A fully qualified name or an address.
pub(crate) fn fqdn_or_address(path: &str, written: &str, issues: &mut Issues) {
    if written.parse::<std::net::IpAddr>().is_err() {
        fqdn(path, written, issues);
    }
}

/// Labels with dots, of which the last one is not a number; a dot may end it.
fn names_host(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    !last.bytes().all(|byte| byte.is_ascii_digit()) && name.split('.').all(dns_label)
}

/// `mesh`, a name, or `namespace/name` of a Gateway.
pub(crate) fn gateways(path: &str, gateways: &[names::Name], issues: &mut Issues) {
    for (at, gateway) in gateways.iter().enumerate() {
        let path = format!("{path}[{at}]");
        match gateway.split_once('/') {
            Some((namespace, name)) if dns_label(namespace) && dns_label(name) => {}
            Some(_) => issues.error(path, format!("{gateway:?} is not namespace/name of a Gateway")),
            None => {
                fqdn(&path, gateway, issues);
                if let Some((name, rest)) = gateway.split_once('.') {
                    let namespace = rest.split('.').next().unwrap_or_default();
                    issues.warning(path, format!("{gateway:?} is the older form; write {namespace}/{name}"));
                }
            }
        }
    }
}

/// A protocol that is known, or none: then it is found out.
pub(crate) fn protocol(path: &str, written: &str, issues: &mut Issues) {
    if !written.is_empty() && names::Protocol::parse(written).is_none() {
        issues.error(path, format!("protocol {written:?} is not known"));
    }
}

/// A file for a socket: absolute, or abstract with `@`.
pub(crate) fn unix_path(path: &str, written: &str, issues: &mut Issues) {
    let absolute = written.starts_with('/') && !written.ends_with('/');
    if !absolute && !written.starts_with('@') {
        issues.error(path, format!("{written:?} is not the absolute path of a socket"));
    }
}

/// An address, or a socket's path after `unix://`.
pub(crate) fn bind(path: &str, written: &str, issues: &mut Issues) {
    match written.strip_prefix("unix://") {
        Some(socket) => unix_path(path, socket, issues),
        None if written.is_empty() || written.parse::<std::net::IpAddr>().is_ok() => {}
        None => issues.error(path, format!("{written:?} is not an address")),
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
        if !qualified_name(key) {
            issues.error(path, format!("label key {key:?} is not valid"));
        }
        if !label_value(value) {
            issues.error(path, format!("label value {value:?} of {key} is not valid"));
        }
    }
}

/// A key of a label or an annotation: a name, maybe after a domain and a slash.
pub(crate) fn qualified_name(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefixed = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(dns_label));
    prefixed && !name.is_empty() && label_value(name)
}

/// Up to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends; or nothing.
fn label_value(value: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63 && outer(bytes.first()) && outer(bytes.last()) && bytes.iter().all(|byte| fits(*byte))
}

/// `exportTo` of an object in `namespace`: `*` stands alone, nothing is there twice; `~` is only for ServiceEntries.
pub(crate) fn export_to(path: &str, export: &[names::Name], namespace: &str, nobody: bool, issues: &mut Issues) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, written) in export.iter().enumerate() {
        let path = format!("{path}[{at}]");
        match written.as_str() {
            "*" | "~" if export.len() > 1 => issues.error(path.as_str(), format!("{written} stands alone")),
            "~" if !nobody => issues.error(path.as_str(), "~ is only for ServiceEntries"),
            "*" | "." | "~" => {}
            other if dns_label(other) => {}
            _ => issues.error(path.as_str(), format!("{written:?} is neither a namespace nor one of * . ~")),
        }
        if !seen.insert(if *written == "." { namespace } else { written.as_str() }) {
            issues.error(path, format!("{written} is there twice"));
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
