//! Rules of what an HTTP route does: retries, redirects, rewrites, faults, CORS, mirrors, timeouts.

use crate::networking::{CorsPolicy, HttpDirectResponse, HttpFaultInjection, HttpRedirect, HttpRetry, HttpRoute};
use crate::scalars::{Duration, Match, Percent, StringMatch};
use crate::{Issues, rules};

use super::headers;

/// Everything but conditions and destinations.
pub(super) fn check(path: &str, route: &HttpRoute, issues: &mut Issues) {
    if let Some(timeout) = route.timeout {
        duration(&format!("{path}.timeout"), timeout, issues);
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

/// At least 1 ms, in whole milliseconds; 0 switches off.
pub(super) fn duration(path: &str, duration: Duration, issues: &mut Issues) {
    if !duration.is_zero() {
        rules::duration(path, duration, issues);
    }
}

fn percent(path: &str, percent: Option<Percent>, issues: &mut Issues) {
    let Some(Percent { value }) = percent else { return };
    if !(0.0..=100.0).contains(&value) || (value > 0.0 && value < 0.0001) {
        issues.error(path, format!("{value}: a percentage is 0, or 0.0001 to 100"));
    }
}

/// What Envoy retries on, for HTTP and for gRPC.
const CONDITIONS: [&str; 22] = [
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
    "connect",
    "unknown",
    "aborted",
    "data-loss",
    "unauthenticated",
    "permission-denied",
];

fn retries(path: &str, retry: &HttpRetry, issues: &mut Issues) {
    if let Some(timeout) = retry.per_try_timeout {
        duration(&format!("{path}.perTryTimeout"), timeout, issues);
    }
    if let Some(backoff) = retry.backoff {
        rules::duration(&format!("{path}.backoff"), backoff, issues);
    }
    for condition in retry.retry_on.split(',').map(str::trim).filter(|condition| !condition.is_empty()) {
        let status = condition.parse::<u32>().is_ok_and(|status| (100..600).contains(&status));
        if !status && !CONDITIONS.contains(&condition) {
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
    if let Some(port) = redirect.port {
        rules::port(&at("port"), port, issues);
    }
    if !redirect.scheme.is_empty() && !["http", "https"].contains(&redirect.scheme.as_str()) {
        issues.error(at("scheme"), "a scheme is http or https");
    }
    if redirect.redirect_code != 0 && !(300..400).contains(&redirect.redirect_code) {
        issues.error(at("redirectCode"), "a redirect's code is in 300..399");
    }
    let by_prefix = |uri: Option<&StringMatch>| matches!(uri.and_then(StringMatch::kind), Some(Match::Prefix(_)));
    if !redirect.prefix_rewrite.is_empty() && !route.r#match.iter().all(|each| by_prefix(each.uri.as_ref())) {
        issues.error(at("prefixRewrite"), "needs a prefix in each match");
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
    let set_elsewhere = headers::sets_authority(route.headers.as_ref())
        || route.route.iter().any(|each| headers::sets_authority(each.headers.as_ref()));
    if !rewrite.authority.is_empty() && set_elsewhere {
        issues.error(format!("{path}.rewrite.authority"), "the authority is changed under headers too");
    }
}

/// An RE2 expression of usual size.
pub(super) fn expression(path: &str, regex: &str, issues: &mut Issues) {
    if regex.is_empty() || regex.len() > 1024 {
        issues.error(path, "an expression has 1 to 1024 characters");
    } else if let Err(error) = regex::Regex::new(regex) {
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
    let size = body.string.as_ref().or(body.bytes.as_ref()).map_or(0, |text| text.len());
    if size > TOO_LARGE {
        issues.error(format!("{path}.body"), "a body has at most 1 MB");
    } else if size > LARGE {
        issues.warning(format!("{path}.body"), "a body of more than 100 KB is a burden on every proxy");
    }
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
