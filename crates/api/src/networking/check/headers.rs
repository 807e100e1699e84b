//! Header names and values, as routes match and edit them.

use names::Name;

use crate::Issues;
use crate::networking::{HeaderOperations, Headers};

/// Edits in both directions.
pub(super) fn edits(path: &str, headers: &Headers, issues: &mut Issues) {
    if let Some(request) = &headers.request {
        operations(&format!("{path}.request"), request, true, issues);
    }
    if let Some(response) = &headers.response {
        operations(&format!("{path}.response"), response, false, issues);
    }
}

fn operations(path: &str, operations: &HeaderOperations, request: bool, issues: &mut Issues) {
    for (kind, map) in [("set", &operations.set), ("add", &operations.add)] {
        for (name, written) in map {
            let authority = request && is_authority(name);
            if !authority && !is_name(name) {
                issues.error(
                    format!("{path}.{kind}"),
                    format!("{name:?} is not the name of a header that can be changed"),
                );
            }
            value(&format!("{path}.{kind}.{name}"), written, issues);
        }
    }
    for (at, name) in operations.remove.iter().enumerate() {
        if !is_name(name) || is_authority(name) {
            issues.error(
                format!("{path}.remove[{at}]"),
                format!("{name:?} is not the name of a header that can be removed"),
            );
        }
    }
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

/// How often the authority is edited: Envoy rewrites it once.
pub(super) fn authority_edits(headers: Option<&Headers>) -> usize {
    let request = headers.and_then(|headers| headers.request.as_ref());
    let values = request.into_iter().flat_map(|request| request.set.iter().chain(&request.add));
    values.filter(|(name, value)| is_authority(name) && !value.is_empty()).count()
}

/// A header name (RFC 9110: tokens).
fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}

/// What HTTP/2 sends before the headers.
const PSEUDO: [&str; 5] = [":method", ":scheme", ":authority", ":path", ":status"];

/// A name in a match: also pseudo headers, and claims of tokens.
pub(super) fn matched(path: &str, name: &Name, issues: &mut Issues) {
    if !PSEUDO.contains(&name.as_str()) && !is_name(name) && !is_claim(name) {
        issues.error(path, format!("{name:?} is not the name of a header"));
    }
}

/// `@request.auth.claims.name` or `@request.auth.claims[name]`.
pub(super) fn is_claim(name: &str) -> bool {
    let rest = name.strip_prefix("@request.auth.claims");
    rest.is_some_and(|rest| rest.len() > 1 && (rest.starts_with('.') || rest.starts_with('[') && rest.ends_with(']')))
}

/// Names of headers in answers to other origins; `*` is any.
pub(super) fn shared(path: &str, names: &[Name], issues: &mut Issues) {
    for (at, name) in names.iter().enumerate().filter(|(_, name)| **name != "*" && !is_name(name)) {
        issues.error(format!("{path}[{at}]"), format!("{name:?} is not the name of a header"));
    }
}

/// A value: `%COMMAND(…)%` for what Envoy fills in, `%%` for a percent sign, no control characters.
fn value(path: &str, written: &str, issues: &mut Issues) {
    if written.chars().any(|character| character.is_control() && character != '\t') {
        issues.error(path, "control characters are not allowed in a header");
    }
    let mut rest = written;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
            continue;
        }
        let Some(end) = command(rest) else {
            issues.error(
                path,
                format!(
                    "{written:?}: a percent sign begins a command such as %DOWNSTREAM_REMOTE_ADDRESS%; write %% for one"
                ),
            );
            return;
        };
        rest = &rest[end..];
    }
}

/// The length of a command up to and with its closing percent sign.
fn command(text: &str) -> Option<usize> {
    let name =
        text.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_').count();
    if name == 0 {
        return None;
    }
    let mut at = name;
    if text[at..].starts_with('(') {
        at += text[at..].find(')')? + 1;
    }
    if text[at..].starts_with(':') {
        at += 1 + text[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
    }
    text[at..].starts_with('%').then_some(at + 1)
}
