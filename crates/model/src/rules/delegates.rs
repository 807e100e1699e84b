//! Delegation: the HTTP routes of other VirtualServices in place of a route that names them
//! (`istio: pilot/pkg/model/virtualservice.go mergeVirtualServices`).

use api::networking::{HttpMatchRequest, HttpRoute, VirtualService};
use graph::Reader;
use names::Name;

use crate::export::Export;
use crate::settings::settings;
use crate::{Id, Objects, Row};

/// The root with each delegating route replaced by those of the delegate. A delegate that is missing or not visible leaves nothing in
/// the route's place.
pub(super) fn merged(root: &Row<VirtualService>, read: &mut Reader<'_>) -> VirtualService {
    let mut http = Vec::new();
    for route in &root.spec.http {
        let Some(delegate) = &route.delegate else {
            http.push(route.clone());
            continue;
        };
        let namespace = Some(&delegate.namespace).filter(|of| !of.is_empty()).unwrap_or(&root.meta.namespace);
        if let Some(row) = visible_delegate(namespace, &delegate.name, &root.meta.namespace, read) {
            http.extend(row.spec.http.iter().filter_map(|inner| merge(route, &qualified(inner, &row))));
        }
    }
    VirtualService { http, ..(*root.spec).clone() }
}

fn visible_delegate(
    namespace: &Name,
    name: &Name,
    viewer: &Name,
    read: &mut Reader<'_>,
) -> Option<std::sync::Arc<Row<VirtualService>>> {
    let settings = settings(read)?;
    let cluster = settings.base.cluster.clone();
    let row =
        read.input::<Objects<VirtualService>>(&Id { cluster, namespace: namespace.clone(), name: name.clone() })?;
    let export = Export::new(row.spec.export_to.iter().map(Name::as_str), namespace);
    // Only a VirtualService without hosts is a delegate.
    let usable =
        row.spec.hosts.is_empty() && export.allows(viewer, namespace, &settings.mesh.default_virtual_service_export_to);
    usable.then_some(row)
}

/// Short hosts in a delegate belong to the delegate's namespace.
fn qualified(route: &HttpRoute, of: &Row<VirtualService>) -> HttpRoute {
    let mut route = route.clone();
    let weighted = route.route.iter_mut().filter_map(|route| route.destination.as_mut());
    let mirrors = route.mirrors.iter_mut().filter_map(|mirror| mirror.destination.as_mut());
    for destination in weighted.chain(route.mirror.as_mut()).chain(mirrors) {
        destination.host = of.host(&destination.host).name().clone();
    }
    route
}

/// The delegate's route under the root's conditions: both must match, and what only the root says holds too. `None` when no request
/// can meet both.
fn merge(root: &HttpRoute, inner: &HttpRoute) -> Option<HttpRoute> {
    let r#match = match (root.r#match.is_empty(), inner.r#match.is_empty()) {
        (true, _) => inner.r#match.clone(),
        (_, true) => root.r#match.clone(),
        (false, false) => {
            let pairs = root.r#match.iter().flat_map(|a| inner.r#match.iter().filter_map(move |b| both(a, b)));
            let pairs: Vec<_> = pairs.collect();
            if pairs.is_empty() {
                return None;
            }
            pairs
        }
    };
    let name = match (root.name.is_empty(), inner.name.is_empty()) {
        (true, _) => inner.name.clone(),
        (_, true) => root.name.clone(),
        (false, false) => Name::from(format!("{}-{}", root.name, inner.name)),
    };
    let mirrors = if inner.mirrors.is_empty() { &root.mirrors } else { &inner.mirrors };
    Some(HttpRoute {
        name,
        r#match,
        direct_response: inner.direct_response.clone().or_else(|| root.direct_response.clone()),
        redirect: inner.redirect.clone().or_else(|| root.redirect.clone()),
        rewrite: inner.rewrite.clone().or_else(|| root.rewrite.clone()),
        timeout: inner.timeout.or(root.timeout),
        retries: inner.retries.clone().or_else(|| root.retries.clone()),
        fault: inner.fault.clone().or_else(|| root.fault.clone()),
        mirror: inner.mirror.clone().or_else(|| root.mirror.clone()),
        mirrors: mirrors.clone(),
        mirror_percent: inner.mirror_percent.or(root.mirror_percent),
        mirror_percentage: inner.mirror_percentage.or(root.mirror_percentage),
        cors_policy: inner.cors_policy.clone().or_else(|| root.cors_policy.clone()),
        headers: inner.headers.clone().or_else(|| root.headers.clone()),
        ..inner.clone()
    })
}

/// A match that only requests meet which meet both; `None` when they contradict each other.
fn both(root: &HttpMatchRequest, inner: &HttpMatchRequest) -> Option<HttpMatchRequest> {
    let mut merged = inner.clone();
    if root.uri.is_some() && inner.uri.is_some() {
        merged.uri = Some(narrower(root.uri.as_ref()?, inner.uri.as_ref()?)?);
    } else if inner.uri.is_none() {
        merged.uri.clone_from(&root.uri);
    }
    merged.scheme = one_of(&root.scheme, &inner.scheme)?;
    merged.method = one_of(&root.method, &inner.method)?;
    merged.authority = one_of(&root.authority, &inner.authority)?;
    merged.port = one_of(&root.port, &inner.port)?;
    merged.ignore_uri_case = root.ignore_uri_case || inner.ignore_uri_case;
    for (ours, theirs) in [
        (&root.headers, &mut merged.headers),
        (&root.without_headers, &mut merged.without_headers),
        (&root.query_params, &mut merged.query_params),
    ] {
        for (name, value) in ours {
            if theirs.insert(name.clone(), value.clone()).is_some_and(|other| other != *value) {
                return None;
            }
        }
    }
    if !root.source_namespace.is_empty() {
        if !inner.source_namespace.is_empty() && inner.source_namespace != root.source_namespace {
            return None;
        }
        merged.source_namespace = root.source_namespace.clone();
    }
    merged.source_labels =
        root.source_labels.iter().chain(inner.source_labels.iter()).map(|(k, v)| (k.clone(), v.clone())).collect();
    if merged.gateways.is_empty() {
        merged.gateways.clone_from(&root.gateways);
    }
    Some(merged)
}

/// Whichever is said; `None` when both are and differ.
fn one_of<T: Clone + PartialEq>(root: &Option<T>, inner: &Option<T>) -> Option<Option<T>> {
    match (root, inner) {
        (Some(a), Some(b)) if a != b => None,
        (Some(_), _) => Some(root.clone()),
        (None, _) => Some(inner.clone()),
    }
}

/// The path match that both admit: a delegate may only narrow the root's prefix.
fn narrower(root: &api::scalars::StringMatch, inner: &api::scalars::StringMatch) -> Option<api::scalars::StringMatch> {
    use api::scalars::Match::{Exact, Prefix, Regex};
    let fits = match (root.kind()?, inner.kind()?) {
        (Prefix(a), Prefix(b) | Exact(b)) => b.starts_with(a),
        (Exact(a), Exact(b)) | (Regex(a), Regex(b)) => a == b,
        (Exact(_) | Regex(_), _) | (Prefix(_), Regex(_)) => false,
    };
    fits.then(|| inner.clone())
}
