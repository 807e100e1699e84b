//! The rules of Istio's validation webhook, one file for each kind.

pub(super) mod destination_rule;
pub(super) mod envoy_filter;
pub(super) mod gateway;
mod headers;
mod http;
mod load_balancer;
mod opaque;
pub(super) mod service_entry;
pub(super) mod sidecar;
pub(super) mod virtual_service;
pub(super) mod workload_group;

use super::ProxyConfig;
use crate::{Issues, ObjectMeta, selectors};

/// Rules of ProxyConfigs.
pub(super) fn proxy_config(spec: &ProxyConfig, _: &ObjectMeta, issues: &mut Issues) {
    selectors::check(spec.selector.as_ref(), None, &[], issues);
    if spec.concurrency.is_some_and(|concurrency| concurrency < 0) {
        issues.error("spec.concurrency", "not negative");
    }
    for (name, value) in &spec.environment_variables {
        if name.is_empty() || value.len() > 2048 {
            let path = format!("spec.environmentVariables.{name}");
            issues.error(path, "a variable needs a name, and a value of at most 2048 characters");
        }
    }
}

#[cfg(test)]
mod tests;
