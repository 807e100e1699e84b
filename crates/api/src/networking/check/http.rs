//! Rules of what an HTTP route does: retries, redirects, rewrites, faults, CORS, mirrors, timeouts.

use crate::networking::{CorsPolicy, HttpDirectResponse, HttpFaultInjection, HttpRedirect, HttpRetry, HttpRoute};
use crate::scalars::{Match, Percent, StringMatch};
use crate::{Issues, expressions, rules};

use super::headers;

/// Everything but conditions and destinations.
pub(super) fn check(path: &str, route: &HttpRoute, issues: &mut Issues) {
    if let Some(timeout) = route.timeout {
        rules::duration(&format!("{path}.timeout"), timeout, issues);
    }
    if let Some(retry) = &route.retries {
        retries(&format!("{path}.retries"), retry, issues);
    }
    if let Some(redirect) = &route.redirect {
        redirects(path, redirect, route, issues);
    }
    if let Some(fault) = &route.fault {
        faults(&format!("{path}.fault"), fault, issues);
    }
    if let Some(cors) = &route.cors_policy {
        cors_policy(&format!("{path}.corsPolicy"), cors, issues);
    }
    rewrite(path, route, issues);
    authority(path, route, issues);
    mirrors(path, route, issues);
    if let Some(edits) = &route.headers {
        headers::edits(&format!("{path}.headers"), edits, issues);
    }
    for (at, each) in route.route.iter().enumerate() {
        if let Some(edits) = &each.headers {
            headers::edits(&format!("{path}.route[{at}].headers"), edits, issues);
        }
    }
    if let Some(delegate) = &route.delegate
        && delegate.name.is_empty()
    {
        issues.error(format!("{path}.delegate.name"), "a delegate needs a name");
    }
}

fn percent(path: &str, percent: Option<Percent>, issues: &mut Issues) {
    let Some(Percent { value }) = percent else { return };
    if !(0.0..=100.0).contains(&value) || (value > 0.0 && value < 0.0001) {
        issues.error(path, format!("{value}: a percentage is 0, or 0.0001 to 100"));
    }
}

/// What Envoy retries on, for HTTP and for gRPC.
const CONDITIONS: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// A status that has a name (`istio: pkg/config/validation/agent/validation.go ValidateHTTPRetry` asks Go's `net/http` for it).
fn is_status(text: &str) -> bool {
    matches!(
        text.parse::<u16>(),
        Ok(
            100..=103
            | 200..=208
            | 226
            | 300..=305
            | 307
            | 308
            | 400..=418
            | 421..=426
            | 428
            | 429
            | 431
            | 451
            | 500..=508
            | 510
            | 511,
        )
    )
}

fn retries(path: &str, retry: &HttpRetry, issues: &mut Issues) {
    if let Some(timeout) = retry.per_try_timeout {
        rules::duration(&format!("{path}.perTryTimeout"), timeout, issues);
    }
    if let Some(backoff) = retry.backoff {
        rules::duration(&format!("{path}.backoff"), backoff, issues);
    }
    for condition in retry.retry_on.split(',').filter(|_| !retry.retry_on.is_empty()) {
        if !is_status(condition) && !CONDITIONS.contains(&condition) {
            issues.error(format!("{path}.retryOn"), format!("{condition:?} is not something that Envoy retries on"));
        }
    }
}

fn redirects(path: &str, redirect: &HttpRedirect, route: &HttpRoute, issues: &mut Issues) {
    let at = |field: &str| format!("{path}.redirect.{field}");
    if !redirect.uri.is_empty() && !redirect.prefix_rewrite.is_empty() {
        issues.error(at("prefixRewrite"), "uri and prefixRewrite exclude each other");
    }
    let says = !redirect.uri.is_empty()
        || !redirect.prefix_rewrite.is_empty()
        || !redirect.authority.is_empty()
        || !redirect.scheme.is_empty()
        || redirect.port.is_some()
        || redirect.derive_port.is_some();
    if !says {
        issues.error(format!("{path}.redirect"), "a redirect must change something: uri, authority, scheme or port");
    }
    if redirect.port.is_some() && redirect.derive_port.is_some() {
        issues.error(at("derivePort"), "port and derivePort exclude each other");
    }
    if let Some(port) = redirect.port.filter(|port| *port != 0) {
        rules::port(&at("port"), port, issues);
    }
    if !redirect.scheme.is_empty() && !["http", "https"].contains(&redirect.scheme.as_str()) {
        issues.error(at("scheme"), "a scheme is http or https");
    }
    if redirect.redirect_code != 0 && !(300..400).contains(&redirect.redirect_code) {
        issues.error(at("redirectCode"), "a redirect's code is in 300..399");
    }
    let by_prefix = |uri: &StringMatch| matches!(uri.kind(), Some(Match::Prefix(_)));
    if !redirect.prefix_rewrite.is_empty() && !route.r#match.iter().filter_map(|each| each.uri.as_ref()).all(by_prefix)
    {
        issues.error(at("prefixRewrite"), "needs a prefix wherever the path is matched");
    }
}

fn rewrite(path: &str, route: &HttpRoute, issues: &mut Issues) {
    let Some(rewrite) = &route.rewrite else { return };
    if rewrite.uri.is_empty() && rewrite.authority.is_empty() && rewrite.uri_regex_rewrite.is_none() {
        issues.error(format!("{path}.rewrite"), "one of uri, authority and uriRegexRewrite is needed");
    }
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        if regex.rewrite.is_empty() {
            issues.error(format!("{path}.rewrite.uriRegexRewrite.rewrite"), "match and rewrite are both needed");
        }
        expression(&format!("{path}.rewrite.uriRegexRewrite.match"), &regex.r#match, issues);
    }
}

/// The authority is changed in one place (`istio: pkg/config/validation/virtualservice.go validateAuthorityRewrite`).
fn authority(path: &str, route: &HttpRoute, issues: &mut Issues) {
    let rewritten = route.rewrite.as_ref().is_some_and(|rewrite| !rewrite.authority.is_empty());
    let edits = headers::authority_edits(route.headers.as_ref());
    if rewritten && edits > 0 {
        issues.error(format!("{path}.rewrite.authority"), "the authority is changed under headers too");
    } else if edits > 1 {
        issues.error(format!("{path}.headers.request"), "the authority is changed more than once");
    }
}

/// An RE2 expression of usual size.
pub(super) fn expression(path: &str, regex: &str, issues: &mut Issues) {
    if regex.is_empty() || regex.len() > 1024 {
        issues.error(path, "an expression has 1 to 1024 characters");
    } else if let Err(error) = expressions::check(regex) {
        issues.error(path, format!("not an expression: {error}"));
    }
}

/// What is answered without asking anyone.
pub(super) fn direct_response(path: &str, answer: &HttpDirectResponse, issues: &mut Issues) {
    const LARGE: usize = 100 * 1024;
    const TOO_LARGE: usize = 1024 * 1024;
    if !(200..=600).contains(&answer.status) {
        issues.error(format!("{path}.status"), "a status is in 200..600");
    }
    let Some(body) = &answer.body else { return };
    if body.string.is_some() && body.bytes.is_some() {
        issues.error(format!("{path}.body"), "string and bytes exclude each other");
    }
    if body.bytes.as_ref().is_some_and(|bytes| !is_base64(bytes)) {
        issues.error(format!("{path}.body.bytes"), "base64 is needed, padded with =");
    }
    let size = body.string.as_ref().or(body.bytes.as_ref()).map_or(0, |text| text.len());
    if size > TOO_LARGE {
        issues.error(format!("{path}.body"), "a body has at most 1 MB");
    } else if size > LARGE {
        issues.warning(format!("{path}.body"), "a body of more than 100 KB is a burden on every proxy");
    }
}

/// With the padding and in the alphabet that the API server asks for; protobuf would take others too.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padded = text.len().is_multiple_of(4) && text.len() - digits.len() <= 2;
    padded && !text.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// Names of gRPC's statuses.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

fn mirrors(path: &str, route: &HttpRoute, issues: &mut Issues) {
    percent(&format!("{path}.mirrorPercentage"), route.mirror_percentage, issues);
    if route.mirror_percent.is_some() && route.mirror_percentage.is_some() {
        issues.error(format!("{path}.mirrorPercent"), "mirrorPercent and mirrorPercentage exclude each other");
    }
    if let Some(share) = route.mirror_percent {
        if share > 100 {
            issues.error(format!("{path}.mirrorPercent"), "a percentage is in 0..100");
        }
        issues.warning(format!("{path}.mirrorPercent"), "deprecated; use mirrorPercentage");
    }
    for (at, mirror) in route.mirrors.iter().enumerate() {
        percent(&format!("{path}.mirrors[{at}].percentage"), mirror.percentage, issues);
    }
}

fn faults(path: &str, fault: &HttpFaultInjection, issues: &mut Issues) {
    if let Some(delay) = &fault.delay {
        percent(&format!("{path}.delay.percentage"), delay.percentage, issues);
        match delay.fixed_delay {
            Some(_) if delay.exponential_delay.is_some() => {
                issues.error(format!("{path}.delay"), "fixedDelay and exponentialDelay exclude each other");
            }
            Some(fixed) => rules::duration(&format!("{path}.delay.fixedDelay"), fixed, issues),
            None if delay.exponential_delay.is_some() => {
                issues.error(format!("{path}.delay.exponentialDelay"), "not supported; use fixedDelay");
            }
            None => issues.warning(format!("{path}.delay"), "without fixedDelay nothing is delayed"),
        }
        if !(0..=100).contains(&delay.percent) {
            issues.error(format!("{path}.delay.percent"), "a percentage is in 0..100");
        }
    }
    if let Some(abort) = &fault.abort {
        percent(&format!("{path}.abort.percentage"), abort.percentage, issues);
        if abort.http2_error.is_some() {
            issues.error(format!("{path}.abort.http2Error"), "not supported");
        }
        match (abort.http_status, &abort.grpc_status) {
            (Some(_), Some(_)) => {
                issues.error(format!("{path}.abort"), "httpStatus and grpcStatus exclude each other");
            }
            (None, None) => issues.warning(format!("{path}.abort"), "without a status nothing is aborted"),
            (Some(_), None) => {}
            (None, Some(status)) if GRPC.contains(&status.as_str()) => {}
            (None, Some(status)) => {
                let message = format!("{status:?} is not the name of a gRPC status, such as NOT_FOUND");
                issues.error(format!("{path}.abort.grpcStatus"), message);
            }
        }
    }
}

fn cors_policy(path: &str, cors: &CorsPolicy, issues: &mut Issues) {
    const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];
    for (at, method) in cors.allow_methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            issues.error(format!("{path}.allowMethods[{at}]"), format!("{method:?} is not an HTTP method"));
        }
    }
    headers::shared(&format!("{path}.allowHeaders"), &cors.allow_headers, issues);
    headers::shared(&format!("{path}.exposeHeaders"), &cors.expose_headers, issues);
    for (at, origin) in cors.allow_origins.iter().enumerate() {
        let path = format!("{path}.allowOrigins[{at}]");
        if origin.alternatives() > 1 {
            issues.error(path.as_str(), "exact, prefix and regex exclude each other");
        }
        match origin.kind() {
            None | Some(Match::Exact("") | Match::Prefix("")) => issues.error(path, "an origin must not be empty"),
            Some(Match::Regex(regex)) => expression(&path, regex, issues),
            Some(Match::Exact(_) | Match::Prefix(_)) => {}
        }
    }
    if let Some(age) = cors.max_age
        && (age.std().subsec_nanos() != 0 || age.is_zero())
    {
        issues.error(format!("{path}.maxAge"), "whole seconds are needed");
    }
}
