//! Rules of VirtualServices (`istio: pkg/config/validation/virtualservice.go`).

use std::collections::BTreeMap;

use names::{Hostname, Name};

use crate::networking::{Destination, HttpMatchRequest, HttpRoute, VirtualService};
use crate::scalars::{Match, StringMatch};
use crate::{Issues, ObjectMeta, Severity, rules};

use super::{headers, http, opaque};

pub(in crate::networking) fn check(spec: &VirtualService, meta: &ObjectMeta, issues: &mut Issues) {
    let for_mesh = spec.gateways.is_empty() || spec.gateways.iter().any(|gateway| *gateway == "mesh");
    hosts(spec, for_mesh, issues);
    rules::gateways("spec.gateways", &spec.gateways, issues);
    let is_delegate = spec.hosts.is_empty();
    if is_delegate && !spec.gateways.is_empty() {
        issues.error("spec.gateways", "a VirtualService without hosts is a delegate and has no gateways");
    }
    if is_delegate && !(spec.tcp.is_empty() && spec.tls.is_empty()) {
        issues.error("spec", "a VirtualService without hosts is a delegate and has only http routes");
    }
    if spec.http.is_empty() && spec.tcp.is_empty() && spec.tls.is_empty() {
        issues.error("spec", "one of http, tls or tcp is needed");
    }
    rules::export_to("spec.exportTo", &spec.export_to, &meta.namespace, false, issues);
    unreachable(spec, issues);
    for (at, route) in spec.http.iter().enumerate() {
        http_route(&format!("spec.http[{at}]"), route, is_delegate, issues);
        if for_mesh {
            claims(&format!("spec.http[{at}]"), route, issues);
        }
    }
    opaque::check(spec, issues);
}

fn hosts(spec: &VirtualService, for_mesh: bool, issues: &mut Issues) {
    for (at, host) in spec.hosts.iter().enumerate() {
        let path = format!("spec.hosts[{at}]");
        let by_name = spec.tls.iter().flat_map(|route| &route.r#match).any(|each| !each.sni_hosts.is_empty());
        if !(by_name && !for_mesh && opaque::is_cluster_name(host)) {
            rules::host_or_address(&path, host, issues);
        }
        if *host == "*" && for_mesh {
            issues.error(path.as_str(), "the host * is only for gateways; list them under gateways");
        }
        let written = Hostname::new(host);
        let earlier = spec.hosts[..at].iter().map(|other| Hostname::new(other));
        if let Some(other) = earlier.into_iter().find(|other| other.covers(&written) || written.covers(other)) {
            issues.error(path, format!("host {host} is there twice, or overlaps with {other}"));
        }
    }
}

/// Tokens are only read at gateways.
fn claims(path: &str, route: &HttpRoute, issues: &mut Issues) {
    for (at, each) in route.r#match.iter().enumerate() {
        for (field, map) in [("headers", &each.headers), ("withoutHeaders", &each.without_headers)] {
            for name in map.keys().filter(|name| headers::is_claim(name)) {
                let path = format!("{path}.match[{at}].{field}.{name}");
                issues.error(path, "claims of tokens are only for gateways; list them under gateways, without mesh");
            }
        }
    }
}

fn http_route(path: &str, route: &HttpRoute, in_delegate: bool, issues: &mut Issues) {
    for (at, each) in route.r#match.iter().enumerate() {
        http_match(&format!("{path}.match[{at}]"), each, issues);
    }
    actions(path, route, in_delegate, issues);
    http::check(path, route, issues);
    let weights: Vec<i32> = route.route.iter().map(|route| route.weight).collect();
    weighted(path, &weights, issues);
    for (at, each) in route.route.iter().enumerate() {
        destination(&format!("{path}.route[{at}].destination"), each.destination.as_ref(), issues);
    }
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        issues.error(format!("{path}.mirrors"), "mirror and mirrors exclude each other");
    }
    if let Some(mirror) = &route.mirror {
        destination(&format!("{path}.mirror"), Some(mirror), issues);
    }
    for (at, mirror) in route.mirrors.iter().enumerate() {
        destination(&format!("{path}.mirrors[{at}].destination"), mirror.destination.as_ref(), issues);
    }
    if let Some(rewrite) = &route.rewrite
        && rewrite.uri_regex_rewrite.is_some()
        && !rewrite.uri.is_empty()
    {
        issues.error(format!("{path}.rewrite"), "uri and uriRegexRewrite exclude each other");
    }
    if let Some(retries) = &route.retries {
        let says_more = retries.per_try_timeout.is_some()
            || !retries.retry_on.is_empty()
            || retries.retry_remote_localities.is_some();
        if retries.attempts < 0 || (retries.attempts == 0 && says_more) {
            let message = "with attempts 0 there are no retries, so nothing else can be said of them";
            issues.error(format!("{path}.retries.attempts"), message);
        }
    }
    if let Some(fault) = &route.fault {
        if fault.delay.is_none() && fault.abort.is_none() {
            issues.error(format!("{path}.fault"), "a delay or an abort is needed");
        }
        let status = fault.abort.as_ref().and_then(|abort| abort.http_status);
        if status.is_some_and(|status| !(200..=600).contains(&status)) {
            issues.error(format!("{path}.fault.abort.httpStatus"), "a status is in 200..600");
        }
    }
}

/// Exactly one of route, redirect, directResponse, delegate.
fn actions(path: &str, route: &HttpRoute, in_delegate: bool, issues: &mut Issues) {
    let said = [
        ("route", !route.route.is_empty()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
    ];
    let said: Vec<_> = said.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    match said.as_slice() {
        [_] => {}
        [] => issues.error(path, "one of route, redirect, directResponse or delegate is needed"),
        several => issues.error(path, format!("{} exclude each other", several.join(" and "))),
    }
    if in_delegate && route.delegate.is_some() {
        issues.error(format!("{path}.delegate"), "a delegate cannot delegate again");
    }
    let answers = route.redirect.is_some() || route.direct_response.is_some();
    if answers && (route.rewrite.is_some() || route.fault.is_some()) {
        issues.error(path, "what is answered at once has neither rewrite nor fault");
    }
    if let Some(answer) = &route.direct_response {
        http::direct_response(&format!("{path}.directResponse"), answer, issues);
    }
}

fn http_match(path: &str, each: &HttpMatchRequest, issues: &mut Issues) {
    let single =
        [("uri", &each.uri), ("scheme", &each.scheme), ("method", &each.method), ("authority", &each.authority)];
    for (name, matcher) in single {
        if let Some(matcher) = matcher {
            string_match(&format!("{path}.{name}"), matcher, name == "uri", issues);
        }
    }
    let maps: [(&str, &BTreeMap<Name, StringMatch>); 3] =
        [("headers", &each.headers), ("withoutHeaders", &each.without_headers), ("queryParams", &each.query_params)];
    for (name, map) in maps {
        for (key, matcher) in map {
            if name != "queryParams" {
                headers::matched(&format!("{path}.{name}"), key, issues);
            }
            // `*` stands for presence where absence is asked for; elsewhere it is an expression like any other, and not a sound one.
            if name == "withoutHeaders" && matcher.kind() == Some(Match::Regex("*")) {
                continue;
            }
            string_match(&format!("{path}.{name}.{key}"), matcher, false, issues);
        }
    }
    if let Some(port) = each.port.filter(|port| *port != 0) {
        rules::port(&format!("{path}.port"), port, issues);
    }
    if !each.source_namespace.is_empty() && !rules::dns_label(&each.source_namespace) {
        issues.error(format!("{path}.sourceNamespace"), format!("{:?} is not a namespace", each.source_namespace));
    }
    rules::labels(&format!("{path}.sourceLabels"), &each.source_labels, issues);
    rules::gateways(&format!("{path}.gateways"), &each.gateways, issues);
}

fn string_match(path: &str, matcher: &StringMatch, empty_prefix: bool, issues: &mut Issues) {
    if matcher.alternatives() > 1 {
        issues.error(path, "exact, prefix and regex exclude each other");
    }
    match matcher.kind() {
        Some(Match::Prefix("")) if !empty_prefix => {
            issues.error(path, "an empty prefix matches everything; leave the match out")
        }
        Some(Match::Regex(regex)) => http::expression(path, regex, issues),
        Some(Match::Prefix(_) | Match::Exact(_)) | None => {}
    }
}

pub(super) fn destination(path: &str, destination: Option<&Destination>, issues: &mut Issues) {
    let Some(destination) = destination else { return issues.error(path, "a destination is needed") };
    match destination.host.as_str() {
        "*" | "" => issues.error(format!("{path}.host"), "a destination needs a host"),
        host => rules::host(&format!("{path}.host"), host, issues),
    }
    if let Some(port) = &destination.port {
        rules::port(&format!("{path}.port.number"), port.number.into(), issues);
    }
    if !destination.subset.is_empty() && !rules::dns_label(&destination.subset) {
        issues.error(format!("{path}.subset"), "a subset's name is a DNS label");
    }
}

pub(super) fn weighted(path: &str, weights: &[i32], issues: &mut Issues) {
    if weights.iter().any(|weight| *weight < 0) {
        issues.error(format!("{path}.route"), "weights are not negative");
    } else if weights.len() > 1 && weights.iter().all(|weight| *weight == 0) {
        issues.error(format!("{path}.route"), "of several destinations at least one needs a weight");
    }
}

/// Routes behind one that takes everything, and matches that an earlier route has already
/// (`istio: pkg/config/validation/validation.go analyzeUnreachableHTTPRules`).
fn unreachable(spec: &VirtualService, issues: &mut Issues) {
    // Names are for people: two matches that differ in nothing else are the same.
    let nameless = |each: &HttpMatchRequest| HttpMatchRequest { name: Name::default(), ..each.clone() };
    let http: Vec<Vec<_>> = spec.http.iter().map(|route| route.r#match.iter().map(nameless).collect()).collect();
    shadowed("http", &http, issues);
    let tls: Vec<Vec<_>> = spec.tls.iter().map(|route| route.r#match.clone()).collect();
    shadowed("tls", &tls, issues);
    let tcp: Vec<Vec<_>> = spec.tcp.iter().map(|route| route.r#match.clone()).collect();
    shadowed("tcp", &tcp, issues);
}

fn shadowed<M: PartialEq>(of: &str, routes: &[Vec<M>], issues: &mut Issues) {
    let mut taken_by = None;
    for (at, matches) in routes.iter().enumerate() {
        let path = format!("spec.{of}[{at}]");
        if let Some(by) = taken_by {
            let message = format!("never reached: spec.{of}[{by}] takes everything");
            issues.note(Severity::Warning, "IST0130", path, message);
            continue;
        }
        if matches.is_empty() {
            taken_by = Some(at);
            continue;
        }
        let mut again = 0;
        for (number, each) in matches.iter().enumerate() {
            let earlier = routes[..at].iter().position(|before| before.contains(each));
            let earlier = earlier.or_else(|| matches[..number].contains(each).then_some(at));
            if let Some(by) = earlier {
                again += 1;
                let message = format!("has no effect: spec.{of}[{by}] has the same match");
                issues.note(Severity::Info, "IST0131", format!("{path}.match[{number}]"), message);
            }
        }
        if again == matches.len() {
            issues.note(Severity::Warning, "IST0130", path, "never reached: earlier routes have all of its matches");
        }
    }
}
