//! Rules of EnvoyFilters (`istio: pkg/config/validation/envoyfilter/envoyfilter.go`). What a patch holds is checked where it is applied.

use crate::networking::{ApplyTo, ConfigPatch, EnvoyFilter, Patch, PatchMatch, PatchOperation};
use crate::{Issues, ObjectMeta, selectors};

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
            issues.error(format!("{path}.operation"), "REPLACE is only for HTTP_FILTER and NETWORK_FILTER");
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
        issues.error(format!("{path}.filterClass"), "only HTTP filters are placed by class");
    }
    if patch.value.as_ref().is_some_and(|value| !value.is_object()) {
        issues.error(format!("{path}.value"), "a mapping is needed");
    }
}

fn patch_match(path: &str, wanted: &PatchMatch, apply_to: ApplyTo, issues: &mut Issues) {
    let arms = [
        ("listener", wanted.listener.is_some()),
        ("routeConfiguration", wanted.route_configuration.is_some()),
        ("cluster", wanted.cluster.is_some()),
        ("waypoint", wanted.waypoint.is_some()),
    ];
    let said: Vec<&str> = arms.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    if said.len() > 1 {
        issues.error(path, format!("{} exclude each other", said.join(" and ")));
    }
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
    for name in said.into_iter().filter(|name| *name != "waypoint") {
        if fitting.is_some_and(|fitting| fitting != name) {
            issues.error(format!("{path}.{name}"), format!("{apply_to:?} is not matched by it"));
        }
    }
    let filter = wanted.listener.as_ref().and_then(|listener| listener.filter_chain.as_ref()?.filter.as_ref());
    if let Some(filter) = filter
        && let Some(inner) = &filter.sub_filter
    {
        let path = format!("{path}.listener.filterChain.filter");
        if apply_to != ApplyTo::HttpFilter {
            issues.error(format!("{path}.subFilter"), "only for HTTP_FILTER");
        }
        if filter.name.is_empty() && !inner.name.is_empty() {
            issues.error(format!("{path}.name"), "the filter that holds it has to be named");
        }
    }
    if let Some(proxy) = &wanted.proxy
        && !proxy.proxy_version.is_empty()
    {
        super::http::expression(&format!("{path}.proxy.proxyVersion"), &proxy.proxy_version, issues);
    }
}
