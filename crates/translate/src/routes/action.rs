//! Forwarding: clusters and weights, rewrites, timeouts, mirrors.

use graph::Reader;
use model::networking::{Destination, HttpRoute, HttpRouteDestination};
use model::rules::Rule;
use model::scalars::Percent;
use model::settings::settings;
use proto::envoy::config::core::v3::RuntimeFractionalPercent;
use proto::envoy::config::route::v3::route_action::{
    ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration, RequestMirrorPolicy,
};
use proto::envoy::config::route::v3::weighted_cluster::{ClusterWeight, cluster_weight};
use proto::envoy::config::route::v3::{RouteAction, WeightedCluster};
use proto::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher};

use super::{Destinations, headers, retries};
use crate::wire::{duration, fraction, seconds};

/// Timeouts of gRPC clients do not shorten a stream unless the rule says so.
pub(super) fn no_limit() -> MaxStreamDuration {
    MaxStreamDuration {
        max_stream_duration: Some(seconds(0)),
        grpc_timeout_header_max: Some(seconds(0)),
        ..MaxStreamDuration::default()
    }
}

/// `None` when there is nowhere to go.
pub(super) fn route(
    rule: &Rule,
    http: &HttpRoute,
    destinations: &mut Destinations<'_>,
    read: &mut Reader<'_>,
) -> Option<RouteAction> {
    let settings = settings(read)?;
    let mut action =
        RouteAction { timeout: Some(http.timeout.map_or_else(|| seconds(0), duration)), ..RouteAction::default() };
    clusters(rule, http, destinations, read, &mut action)?;
    let wanted = http.retries.as_ref().or(settings.mesh.default_http_retry_policy.as_ref());
    action.retry_policy = retries::policy(wanted, !action.hash_policy.is_empty());
    action.max_stream_duration = Some(MaxStreamDuration {
        max_stream_duration: Some(seconds(0)),
        grpc_timeout_header_max: Some(http.timeout.map_or_else(|| seconds(0), duration)),
        ..MaxStreamDuration::default()
    });
    rewrite(http, &mut action);
    mirrors(rule, http, destinations, read, &mut action);
    Some(action)
}

fn clusters(
    rule: &Rule,
    http: &HttpRoute,
    destinations: &mut Destinations<'_>,
    read: &mut Reader<'_>,
    action: &mut RouteAction,
) -> Option<()> {
    // Of several destinations those without weight get nothing; a single one gets everything, whatever it says.
    let several = http.route.len() > 1;
    let used: Vec<&HttpRouteDestination> = http
        .route
        .iter()
        .filter(|route| !several || route.weight > 0)
        .filter(|route| route.destination.is_some())
        .collect();
    let mut hashes = Vec::new();
    let mut weighted = Vec::with_capacity(used.len());
    for route in &used {
        let destination = route.destination.as_ref()?;
        let cluster = destinations.cluster(rule, destination, read);
        for hash in destinations.hash_policy(&cluster, read) {
            if !hashes.contains(&hash) {
                hashes.push(hash);
            }
        }
        weighted.push((cluster.to_string(), route));
    }
    action.hash_policy = hashes;
    match weighted.as_slice() {
        [] => return None,
        [(cluster, _)] => action.cluster_specifier = Some(ClusterSpecifier::Cluster(cluster.clone())),
        _ => {
            let clusters = weighted.into_iter().map(|(cluster, route)| weight(cluster, route)).collect();
            let weighted = WeightedCluster { clusters, ..WeightedCluster::default() };
            action.cluster_specifier = Some(ClusterSpecifier::WeightedClusters(weighted));
        }
    }
    Some(())
}

fn weight(cluster: String, route: &HttpRouteDestination) -> ClusterWeight {
    let edits = headers::edits(route.headers.as_ref());
    ClusterWeight {
        name: cluster,
        weight: Some(u32::try_from(route.weight).unwrap_or(0)),
        request_headers_to_add: edits.request_add,
        request_headers_to_remove: edits.request_remove,
        response_headers_to_add: edits.response_add,
        response_headers_to_remove: edits.response_remove,
        host_rewrite_specifier: edits.authority.map(cluster_weight::HostRewriteSpecifier::HostRewriteLiteral),
        ..ClusterWeight::default()
    }
}

fn rewrite(http: &HttpRoute, action: &mut RouteAction) {
    let set_authority = headers::edits(http.headers.as_ref()).authority;
    let single = if http.route.len() == 1 { http.route[0].headers.as_ref() } else { None };
    let authority = set_authority.or_else(|| headers::edits(single).authority);
    let written =
        http.rewrite.as_ref().map(|rewrite| rewrite.authority.to_string()).filter(|written| !written.is_empty());
    action.host_rewrite_specifier = written.or(authority).map(HostRewriteSpecifier::HostRewriteLiteral);
    let Some(rewrite) = &http.rewrite else { return };
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        action.regex_rewrite = Some(substitute(&regex.r#match, &regex.rewrite));
    } else if !rewrite.uri.is_empty() {
        // Envoy replaces what matched: the prefix of a prefix match, the whole path of any other.
        action.prefix_rewrite = rewrite.uri.to_string();
    }
}

fn substitute(regex: &str, with: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(RegexMatcher { regex: regex.to_owned(), ..RegexMatcher::default() }),
        substitution: with.to_owned(),
    }
}

/// A share that is not said is everything; a share of 0 is no mirror.
fn mirrors(
    rule: &Rule,
    http: &HttpRoute,
    destinations: &mut Destinations<'_>,
    read: &mut Reader<'_>,
    action: &mut RouteAction,
) {
    let old = http.mirror_percent.map(|percent| Percent { value: f64::from(percent) });
    let single = http.mirror.iter().map(|mirror| (mirror, http.mirror_percentage.or(old)));
    let several = http.mirrors.iter().filter_map(|mirror| Some((mirror.destination.as_ref()?, mirror.percentage)));
    let all: Vec<(&Destination, Option<Percent>)> = single.chain(several).collect();
    for (destination, share) in all {
        let share = share.map_or(100.0, |percent| percent.value);
        if share > 0.0 {
            action.request_mirror_policies.push(RequestMirrorPolicy {
                cluster: destinations.cluster(rule, destination, read).to_string(),
                runtime_fraction: Some(RuntimeFractionalPercent {
                    default_value: Some(fraction(share)),
                    ..RuntimeFractionalPercent::default()
                }),
                trace_sampled: Some(false),
                disable_shadow_host_suffix_append: true,
                ..RequestMirrorPolicy::default()
            });
        }
    }
}
