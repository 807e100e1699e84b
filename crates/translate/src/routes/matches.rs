//! Conditions: those that Envoy checks, and those that are decided when the routes are made.

use model::networking::HttpMatchRequest;
use model::rules::{Rule, gateway_name};
use model::scalars::{Match, StringMatch};
use proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use proto::envoy::config::route::v3::route_match::PathSpecifier;
use proto::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use proto::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};

use super::Place;

/// Whether the conditions that do not depend on the request hold: the listener's port, the gateway, the client.
pub(super) fn holds(each: &HttpMatchRequest, rule: &Rule, place: &Place<'_>) -> bool {
    if each.port.is_some_and(|port| port != u32::from(place.port)) {
        return false;
    }
    bound(&each.gateways, rule, place) && from_source(each, place)
}

/// A match's own list of gateways overrides the rule's.
fn bound(gateways: &[names::Name], rule: &Rule, place: &Place<'_>) -> bool {
    if gateways.is_empty() {
        return true;
    }
    gateways.iter().any(|written| match gateway_name(written, &rule.id.namespace) {
        None => place.gateways.is_empty(),
        Some(named) => place.gateways.contains(&named),
    })
}

/// Conditions on the client hold for the mesh only; a gateway's clients have neither labels nor namespace.
fn from_source(each: &HttpMatchRequest, place: &Place<'_>) -> bool {
    if each.source_labels.is_empty() && each.source_namespace.is_empty() {
        return true;
    }
    let Some(view) = place.source else { return false };
    view.source.labels.contain(&each.source_labels)
        && (each.source_namespace.is_empty() || each.source_namespace == view.namespace)
}

/// Whether a match that holds takes every request.
pub(super) fn takes_all(each: &HttpMatchRequest) -> bool {
    let any_path = match each.uri.as_ref().and_then(StringMatch::kind) {
        None => true,
        Some(Match::Prefix(prefix)) => prefix == "/" || prefix.is_empty(),
        Some(Match::Regex(regex)) => regex == "*" || regex == ".*",
        Some(Match::Exact(_)) => false,
    };
    any_path
        && each.scheme.is_none()
        && each.method.is_none()
        && each.authority.is_none()
        && each.headers.is_empty()
        && each.without_headers.is_empty()
        && each.query_params.is_empty()
}

/// The conditions that Envoy checks.
pub(super) fn envoy(each: &HttpMatchRequest, rule: &Rule) -> RouteMatch {
    let path = match each.uri.as_ref().and_then(StringMatch::kind) {
        None => PathSpecifier::Prefix("/".to_owned()),
        Some(Match::Exact(path)) => PathSpecifier::Path(path.to_owned()),
        Some(Match::Prefix(prefix)) if rule.ingress => parts(prefix),
        Some(Match::Prefix(prefix)) => PathSpecifier::Prefix(prefix.to_owned()),
        Some(Match::Regex(regex)) => PathSpecifier::SafeRegex(expression(regex)),
    };
    let mut headers = Vec::new();
    for (name, matcher) in [(":scheme", &each.scheme), (":method", &each.method), (":authority", &each.authority)] {
        headers.extend(matcher.as_ref().map(|matcher| header(name, matcher)));
    }
    headers.extend(each.headers.iter().map(|(name, matcher)| header(name, matcher)));
    headers.extend(each.without_headers.iter().map(|(name, matcher)| without(name, matcher)));
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: each.ignore_uri_case.then_some(false),
        headers,
        query_parameters: each.query_params.iter().map(|(name, matcher)| query(name, matcher)).collect(),
        ..RouteMatch::default()
    }
}

/// A prefix of whole parts between slashes: `/a` and `/a/` are for `/a` and `/a/b`, and not for `/ab`.
fn parts(prefix: &str) -> PathSpecifier {
    match prefix.trim_end_matches('/') {
        "" => PathSpecifier::Prefix("/".to_owned()),
        prefix => PathSpecifier::PathSeparatedPrefix(prefix.to_owned()),
    }
}

fn expression(regex: &str) -> RegexMatcher {
    // Alone, an asterisk means "anything" to users, and is no expression to RE2.
    let regex = if regex == "*" { ".*" } else { regex };
    RegexMatcher { regex: regex.to_owned(), ..RegexMatcher::default() }
}

/// A string condition as Envoy's, `None` for presence.
pub(super) fn string(matcher: &StringMatch) -> Option<StringMatcher> {
    let pattern = match matcher.kind()? {
        Match::Exact(text) => MatchPattern::Exact(text.to_owned()),
        Match::Prefix(text) => MatchPattern::Prefix(text.to_owned()),
        Match::Regex("*") => return None,
        Match::Regex(text) => MatchPattern::SafeRegex(expression(text)),
    };
    Some(StringMatcher { match_pattern: Some(pattern), ignore_case: false })
}

fn header(name: &str, matcher: &StringMatch) -> HeaderMatcher {
    let specifier = match string(matcher) {
        Some(matcher) => HeaderMatchSpecifier::StringMatch(matcher),
        None => HeaderMatchSpecifier::PresentMatch(true),
    };
    HeaderMatcher { name: name.to_owned(), header_match_specifier: Some(specifier), ..HeaderMatcher::default() }
}

/// "Without" also holds for a request that lacks the header.
fn without(name: &str, matcher: &StringMatch) -> HeaderMatcher {
    let plain = header(name, matcher);
    let by_value = matches!(plain.header_match_specifier, Some(HeaderMatchSpecifier::StringMatch(_)));
    HeaderMatcher { invert_match: true, treat_missing_header_as_empty: by_value, ..plain }
}

fn query(name: &str, matcher: &StringMatch) -> QueryParameterMatcher {
    let specifier = match string(matcher) {
        Some(matcher) => QueryParameterMatchSpecifier::StringMatch(matcher),
        None => QueryParameterMatchSpecifier::PresentMatch(true),
    };
    QueryParameterMatcher { name: name.to_owned(), query_parameter_match_specifier: Some(specifier) }
}
