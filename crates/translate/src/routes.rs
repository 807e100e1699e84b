//! HTTP routes of a virtual host: what VirtualServices say, or what holds without one.

use graph::Reader;
use model::gateways;
use model::networking::{HttpMatchRequest, HttpRoute};
use model::rules::{Rule, Rules};
use model::scopes::Unknown;
use model::settings::settings;
use names::{ClusterName, Name};
use proto::envoy::config::route::v3::route::Action;
use proto::envoy::config::route::v3::route_action::{ClusterSpecifier, HashPolicy};
use proto::envoy::config::route::v3::{
    Decorator, DirectResponseAction, Route, RouteAction, RouteMatch, route_match::PathSpecifier,
};

use crate::clusters::PASSTHROUGH;
use crate::keys::{HostKey, Routing};
use crate::wire::{config_path, istio_metadata, seconds};
use destinations::Destinations;

mod action;
mod answers;
mod destinations;
mod filters;
mod headers;
mod matches;
mod retries;

/// Where in a listener the routes are: what generation-time conditions look at.
pub(crate) struct Place<'a> {
    /// The listener's port.
    pub(crate) port: u16,
    /// Namespaces and names of the gateways; none for the mesh.
    pub(crate) gateways: &'a [(Name, Name)],
    /// The client, when rules look at it.
    pub(crate) source: Option<&'a crate::keys::SourceView>,
}

/// The routes of a host, in the order in which Envoy tries them.
pub(crate) fn of_host(key: &HostKey, read: &mut Reader<'_>) -> Vec<Route> {
    let place = |gateways| Place { port: key.port, gateways, source: key.source.as_deref() };
    match &key.routing {
        Routing::Unknown(unknown) => vec![to_unknown(unknown)],
        Routing::Service => to_service(key, read).into_iter().collect(),
        Routing::Rule(id) => {
            let rule = read.row::<Rules>(id);
            rule.map(|rule| of_rule(&rule, &place(&[]), key, read)).unwrap_or_default()
        }
        Routing::Gateway { rules, gateways } => {
            let mut routes = Vec::new();
            for id in rules.iter() {
                if let Some(rule) = gateways::rule(id, read) {
                    routes.extend(of_rule(&rule, &place(gateways.as_slice()), key, read));
                }
            }
            catch_alls_last(routes)
        }
    }
}

/// Hosts that nobody knows: on to where the client wanted, or refused.
fn to_unknown(unknown: &Unknown) -> Route {
    let (name, action) = match unknown {
        Unknown::Block => {
            let answer = DirectResponseAction { status: 502, ..DirectResponseAction::default() };
            ("block_all", Action::DirectResponse(answer))
        }
        Unknown::PassThrough => ("allow_any", Action::Route(plain(PASSTHROUGH.to_owned()))),
        Unknown::Proxy(cluster) => ("allow_any", Action::Route(plain(cluster.to_string()))),
    };
    Route { name: name.to_owned(), r#match: Some(everything()), action: Some(action), ..Route::default() }
}

fn plain(cluster: String) -> RouteAction {
    RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster)),
        timeout: Some(seconds(0)),
        ..RouteAction::default()
    }
}

fn everything() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..RouteMatch::default() }
}

/// Without a rule everything goes to the service.
fn to_service(key: &HostKey, read: &mut Reader<'_>) -> Option<Route> {
    let target = key.targets.first()?;
    let settings = settings(read)?;
    let mut destinations = Destinations::new(key);
    let cluster = ClusterName::outbound(key.port, None, &target.host);
    let hash_policy = destinations.hash_policy(&cluster, read);
    let mut action = plain(cluster.to_string());
    action.max_stream_duration = Some(action::no_limit());
    action.retry_policy = retries::policy(settings.mesh.default_http_retry_policy.as_ref(), !hash_policy.is_empty());
    action.hash_policy = hash_policy;
    Some(Route {
        name: "default".to_owned(),
        r#match: Some(everything()),
        decorator: Some(operation(&cluster)),
        action: Some(Action::Route(action)),
        ..Route::default()
    })
}

/// The name of spans.
fn operation(cluster: &ClusterName) -> Decorator {
    Decorator { operation: format!("{}:{}/*", cluster.host, cluster.port), ..Decorator::default() }
}

fn of_rule(rule: &Rule, place: &Place<'_>, key: &HostKey, read: &mut Reader<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    for http in &rule.spec.http {
        if http.r#match.is_empty() {
            routes.extend(one(rule, http, None, key, read));
            // Nothing gets past a route without conditions.
            break;
        }
        for each in http.r#match.iter().filter(|each| matches::holds(each, rule, place)) {
            routes.extend(one(rule, http, Some(each), key, read));
        }
        if http.r#match.iter().any(|each| matches::holds(each, rule, place) && matches::takes_all(each)) {
            break;
        }
    }
    routes
}

/// One Envoy route for one match of one rule.
fn one(
    rule: &Rule,
    http: &HttpRoute,
    each: Option<&HttpMatchRequest>,
    key: &HostKey,
    read: &mut Reader<'_>,
) -> Option<Route> {
    let mut destinations = Destinations::new(key);
    let action = if let Some(redirect) = &http.redirect {
        Action::Redirect(answers::redirect(redirect, key.port)?)
    } else if let Some(direct) = &http.direct_response {
        Action::DirectResponse(answers::direct(direct))
    } else {
        Action::Route(action::route(rule, http, &mut destinations, read)?)
    };
    let decorator = match &action {
        Action::Route(_) => destinations.first().map(|cluster| operation(&cluster)),
        _ => None,
    };
    let mut route = Route {
        name: name(http, each),
        r#match: Some(each.map_or_else(everything, |each| matches::envoy(each, rule))),
        metadata: Some(istio_metadata([("config", config_path("virtual-service", &rule.id))])),
        decorator,
        action: Some(action),
        stat_prefix: each.map(|each| each.stat_prefix.to_string()).unwrap_or_default(),
        typed_per_filter_config: filters::per_route(http),
        ..Route::default()
    };
    headers::on_route(http, &mut route);
    Some(route)
}

fn name(http: &HttpRoute, each: Option<&HttpMatchRequest>) -> String {
    let part: &Name = &http.name;
    match each.map(|each| &each.name).filter(|name| !name.is_empty()) {
        Some(of_match) if part.is_empty() => of_match.to_string(),
        Some(of_match) => format!("{part}.{of_match}"),
        None => part.to_string(),
    }
}

/// Where rules of several objects are merged, their catch-alls come last, or one team's `/` would swallow another's paths
/// (`istio: pilot/pkg/networking/core/route/route.go SortVHostRoutes`).
fn catch_alls_last(routes: Vec<Route>) -> Vec<Route> {
    let (all, rest): (Vec<_>, Vec<_>) = routes.into_iter().partition(is_catch_all);
    rest.into_iter().chain(all).collect()
}

fn is_catch_all(route: &Route) -> bool {
    let Some(condition) = &route.r#match else { return true };
    let path = match &condition.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => prefix == "/",
        Some(PathSpecifier::SafeRegex(regex)) => regex.regex == ".*",
        _ => false,
    };
    path && condition.headers.is_empty()
        && condition.query_parameters.is_empty()
        && condition.dynamic_metadata.is_empty()
}

/// What routes to a cluster hash by.
pub(crate) type Hashes = Vec<HashPolicy>;
