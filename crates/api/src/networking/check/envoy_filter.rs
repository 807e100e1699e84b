//! Rules of EnvoyFilters (`istio: pkg/config/validation/envoyfilter/envoyfilter.go`). What a patch holds is checked where it is applied.

use crate::networking::{
    ApplyTo, ConfigPatch, EnvoyFilter, FilterMatch, Patch, PatchContext, PatchMatch, PatchOperation,
};
use crate::{Issues, ObjectMeta, rules, selectors};

pub(in crate::networking) fn check(spec: &EnvoyFilter, _: &ObjectMeta, issues: &mut Issues) {
    if let Some(selector) = &spec.workload_selector {
        selectors::labels("spec.workloadSelector.labels", &selector.labels, issues);
        if !spec.target_refs.is_empty() {
            issues.error("spec", "only one of targetRefs or workloadSelector can be set");
        }
    }
    selectors::check(None, None, &spec.target_refs, issues);
    for (at, patch) in spec.config_patches.iter().enumerate() {
        config_patch(&format!("spec.configPatches[{at}]"), patch, issues);
    }
}

fn config_patch(path: &str, each: &ConfigPatch, issues: &mut Issues) {
    let at_waypoint = each.r#match.as_ref().is_some_and(|wanted| wanted.context == Some(PatchContext::Waypoint));
    let by_waypoint = each.r#match.as_ref().is_some_and(|wanted| wanted.waypoint.is_some());
    if at_waypoint != by_waypoint {
        issues.error(format!("{path}.match"), "context WAYPOINT and a waypoint match go together");
    }
    let waypoint = each.r#match.as_ref().and_then(|wanted| wanted.waypoint.as_ref());
    if let Some(port) = waypoint.and_then(|wanted| wanted.port_number) {
        rules::port(&format!("{path}.match.waypoint.portNumber"), port, issues);
    }
    if let Some(wanted) = &each.r#match {
        one_object(&format!("{path}.match"), wanted, issues);
    }
    let value = each.patch.as_ref().and_then(|patch| patch.value.as_ref());
    if value.is_some_and(|value| !value.is_object()) {
        issues.error(format!("{path}.patch.value"), "a mapping is needed");
    }
    if at_waypoint {
        // Nothing else is asked of them yet, in Istio too.
        return;
    }
    let apply_to = each.apply_to.unwrap_or_default();
    if apply_to == ApplyTo::Invalid {
        issues.error(format!("{path}.applyTo"), "applyTo is needed");
    }
    match &each.patch {
        None => issues.error(format!("{path}.patch"), "a patch is needed"),
        Some(said) => patch(&format!("{path}.patch"), said, apply_to, issues),
    }
    if let Some(wanted) = &each.r#match {
        patch_match(&format!("{path}.match"), wanted, apply_to, issues);
    }
}

fn patch(path: &str, patch: &Patch, apply_to: ApplyTo, issues: &mut Issues) {
    let operation = patch.operation.unwrap_or_default();
    match operation {
        PatchOperation::Invalid => issues.error(format!("{path}.operation"), "an operation is needed"),
        PatchOperation::Replace if !matches!(apply_to, ApplyTo::HttpFilter | ApplyTo::NetworkFilter) => {
            issues.warning(
                format!("{path}.operation"),
                "has no effect: REPLACE is only for HTTP_FILTER and NETWORK_FILTER",
            );
        }
        PatchOperation::Remove => {}
        PatchOperation::Merge
        | PatchOperation::Add
        | PatchOperation::InsertBefore
        | PatchOperation::InsertAfter
        | PatchOperation::InsertFirst
        | PatchOperation::Replace
        | PatchOperation::MergeAndReplaceList => {
            if patch.value.is_none() {
                issues.error(format!("{path}.value"), format!("{operation:?} needs a value"));
            }
        }
    }
    let places = patch.filter_class.unwrap_or_default() != crate::networking::FilterClass::Unspecified;
    if places && apply_to != ApplyTo::HttpFilter {
        issues.warning(format!("{path}.filterClass"), "has no effect: only HTTP filters are placed by class");
    }
}

/// What a match asks of what is patched: names of the parts that are there.
fn said(wanted: &PatchMatch) -> Vec<&'static str> {
    let parts = [
        ("listener", wanted.listener.is_some()),
        ("routeConfiguration", wanted.route_configuration.is_some()),
        ("cluster", wanted.cluster.is_some()),
        ("waypoint", wanted.waypoint.is_some()),
    ];
    parts.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect()
}

fn one_object(path: &str, wanted: &PatchMatch, issues: &mut Issues) {
    let said = said(wanted);
    if said.len() > 1 {
        issues.error(path, format!("{} exclude each other", said.join(" and ")));
    }
}

fn patch_match(path: &str, wanted: &PatchMatch, apply_to: ApplyTo, issues: &mut Issues) {
    let fitting = match apply_to {
        ApplyTo::Listener
        | ApplyTo::FilterChain
        | ApplyTo::NetworkFilter
        | ApplyTo::HttpFilter
        | ApplyTo::ListenerFilter => Some("listener"),
        ApplyTo::RouteConfiguration | ApplyTo::VirtualHost | ApplyTo::HttpRoute => Some("routeConfiguration"),
        ApplyTo::Cluster => Some("cluster"),
        ApplyTo::Invalid | ApplyTo::ExtensionConfig | ApplyTo::Bootstrap => None,
    };
    for name in said(wanted).into_iter().filter(|name| *name != "waypoint") {
        if fitting.is_some_and(|fitting| fitting != name) {
            issues.error(format!("{path}.{name}"), format!("{apply_to:?} is not matched by it"));
        }
    }
    let filter = wanted.listener.as_ref().and_then(|listener| listener.filter_chain.as_ref()?.filter.as_ref());
    if let Some(filter) = filter {
        filter_match(&format!("{path}.listener.filterChain.filter"), filter, apply_to, issues);
    }
    if let Some(proxy) = &wanted.proxy
        && !proxy.proxy_version.is_empty()
    {
        super::http::expression(&format!("{path}.proxy.proxyVersion"), &proxy.proxy_version, issues);
    }
}

/// The names of the filter that holds HTTP filters, today's and the old one.
const CONNECTION_MANAGER: [&str; 2] =
    ["envoy.filters.network.http_connection_manager", "envoy.http_connection_manager"];

fn filter_match(path: &str, filter: &FilterMatch, apply_to: ApplyTo, issues: &mut Issues) {
    match apply_to {
        ApplyTo::Listener | ApplyTo::FilterChain => {
            issues.warning(path, "has no effect: whole listeners and filter chains are patched");
        }
        ApplyTo::NetworkFilter | ApplyTo::HttpFilter => {}
        ApplyTo::Invalid
        | ApplyTo::RouteConfiguration
        | ApplyTo::VirtualHost
        | ApplyTo::HttpRoute
        | ApplyTo::Cluster
        | ApplyTo::ExtensionConfig
        | ApplyTo::Bootstrap
        | ApplyTo::ListenerFilter => return,
    }
    if filter.name.is_empty() {
        return issues.error(format!("{path}.name"), "a filter is matched by its name");
    }
    let Some(inner) = &filter.sub_filter else { return };
    if apply_to != ApplyTo::HttpFilter {
        issues.error(format!("{path}.subFilter"), "only for HTTP_FILTER");
    } else if !CONNECTION_MANAGER.contains(&filter.name.as_str()) {
        issues.error(
            format!("{path}.name"),
            format!("{} holds HTTP filters, and nothing else does", CONNECTION_MANAGER[0]),
        );
    } else if inner.name.is_empty() {
        issues.error(format!("{path}.subFilter.name"), "a filter is matched by its name");
    }
}
