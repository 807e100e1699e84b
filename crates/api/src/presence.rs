//! Fields that are written and empty. For our types they are as good as missing; for the API server they are there, and it refuses some of
//! them (conditions of `crate::schema` with `has`). So that what passes here passes there, they are looked for in the document itself.

use serde_json::Value;

use crate::{Issues, Kind};

/// Owners, and groups of fields with spaces between them: fields of at most one group may be there.
const EXCLUSIVE: &[(Kind, &str, &[&str])] = &[
    (Kind::AuthorizationPolicy, "", TARGETS),
    (Kind::RequestAuthentication, "", TARGETS),
    (Kind::Telemetry, "", TARGETS),
    (Kind::WasmPlugin, "", TARGETS),
    (Kind::TrafficExtension, "", &["selector", "targetRefs"]),
    (Kind::EnvoyFilter, "", &["workloadSelector", "targetRefs"]),
    (Kind::ServiceEntry, "", &["workloadSelector", "endpoints"]),
    (
        Kind::AuthorizationPolicy,
        "rules[].from[].source",
        &["serviceAccounts notServiceAccounts", "principals notPrincipals namespaces notNamespaces"],
    ),
    (Kind::RequestAuthentication, "jwtRules[]", &["jwksUri", "jwks_uri", "jwks"]),
    (Kind::Gateway, "servers[].tls", &["credentialName tlsCertificates", "credentialNames"]),
    (Kind::Sidecar, "ingress[].tls", &["credentialName tlsCertificates", "credentialNames"]),
];
const TARGETS: &[&str] = &["selector", "targetRef", "targetRefs"];

/// Owners, and fields that are not empty when they are there.
const FILLED: &[(Kind, &str, &[&str])] = &[
    (Kind::RequestAuthentication, "jwtRules[]", &["issuer", "jwksUri", "jwks_uri"]),
    (Kind::Gateway, "servers[].tls", &["credentialNames", "tlsCertificates"]),
    (Kind::Sidecar, "ingress[].tls", &["credentialNames", "tlsCertificates"]),
];

/// Owners, a field and how its value begins, and the field that may not be there then.
const UNLESS: &[(Kind, &str, (&str, &str), &str)] = &[
    (Kind::ServiceEntry, "", ("resolution", "NONE"), "endpoints"),
    (Kind::ServiceEntry, "endpoints[]", ("address", SOCKET), "ports"),
    (Kind::WorkloadEntry, "", ("address", SOCKET), "ports"),
    (Kind::WorkloadGroup, "template", ("address", SOCKET), "ports"),
    (Kind::Telemetry, "metrics[].overrides[].tagOverrides{}", ("operation", "REMOVE"), "value"),
    (Kind::WasmPlugin, "vmConfig.env[]", ("valueFrom", "HOST"), "value"),
    (Kind::TrafficExtension, "wasm.vmConfig.env[]", ("valueFrom", "HOST"), "value"),
];
const SOCKET: &str = "unix://";

/// Looks through the body of an object. What is wrong with fields that are not empty is told by the kind's own rules.
pub(crate) fn check(kind: Kind, body: &Value, inner: &str, issues: &mut Issues) {
    for (_, owner, groups) in EXCLUSIVE.iter().filter(|(of, ..)| *of == kind) {
        each(body, inner, owner, &mut |value, at| exclusive(value, at, groups, issues));
    }
    for (_, owner, fields) in FILLED.iter().filter(|(of, ..)| *of == kind) {
        each(body, inner, owner, &mut |value, at| {
            for field in fields.iter().filter(|field| is_empty(&value[**field])) {
                issues.error(format!("{at}.{field}"), "must not be empty; leave it out");
            }
        });
    }
    for (_, owner, (field, begin), other) in UNLESS.iter().filter(|(of, ..)| *of == kind) {
        each(body, inner, owner, &mut |value, at| {
            // Of a word the first one is what is meant without it.
            let said = value[*field].as_str().unwrap_or(if *begin == "NONE" { begin } else { "" });
            if said.starts_with(begin) && is_empty(&value[*other]) {
                issues.error(format!("{at}.{other}"), format!("even empty not with {field} {said}; leave it out"));
            }
        });
    }
}

fn exclusive(value: &Value, at: &str, groups: &[&str], issues: &mut Issues) {
    let there = groups.iter().map(|group| group.split(' ').filter(|field| value.get(field).is_some()));
    let there: Vec<Vec<&str>> = there.map(Iterator::collect).filter(|fields: &Vec<_>| !fields.is_empty()).collect();
    if there.len() < 2 {
        return;
    }
    if let Some(field) = there.concat().into_iter().find(|field| is_empty(&value[*field])) {
        let all = there.concat().join(" and ");
        issues.error(format!("{at}.{field}"), format!("{all} exclude each other, even empty; leave it out"));
    }
}

/// Whether it is there and says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Goes to each value at a path: `[]` is any item of a list, `{}` any value of a mapping.
fn each(value: &Value, at: &str, path: &str, found: &mut dyn FnMut(&Value, &str)) {
    if path.is_empty() {
        return found(value, at);
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let key = first.trim_end_matches(['[', ']', '{', '}']);
    let at = format!("{at}.{key}");
    let Some(inside) = value.get(key) else { return };
    match (&first[key.len()..], inside) {
        ("[]", Value::Array(items)) => {
            items.iter().enumerate().for_each(|(number, item)| each(item, &format!("{at}[{number}]"), rest, found));
        }
        ("{}", Value::Object(map)) => {
            map.iter().for_each(|(name, value)| each(value, &format!("{at}.{name}"), rest, found));
        }
        ("", _) => each(inside, &at, rest, found),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
