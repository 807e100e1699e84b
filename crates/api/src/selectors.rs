//! What policies select: workloads by labels, or objects by reference (`istio: pkg/config/validation/validation.go validateOneOfSelectorType`).

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Issues;
use crate::schema::{AtMost, Each, Rule, no_wildcard, required};

/// Selects workloads by labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MatchSelector {
    /// Workloads that have all of these labels.
    #[schemars(extend("maxProperties" = 4096))]
    #[schemars(transform = Rule(
        "self.all(key, key != '' && !key.contains('*'))",
        "keys are not empty, and wildcards are not supported in them",
    ))]
    #[schemars(transform = Each(AtMost(63)))]
    #[schemars(transform = Each(no_wildcard()))]
    pub match_labels: Labels,
}

/// Refers to what a policy is attached to, in its own namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyTargetReference {
    /// API group of the target; empty for core.
    #[schemars(length(max = 253), regex(pattern = GROUP))]
    pub group: Name,
    /// Kind of the target.
    #[schemars(length(min = 1, max = 63), regex(pattern = KIND), transform = required)]
    pub kind: Name,
    /// Name of the target.
    #[schemars(length(min = 1, max = 253), transform = required)]
    pub name: Name,
    /// Not supported: other namespaces cannot be referred to.
    #[schemars(transform = Rule("self == ''", "other namespaces cannot be referred to; leave it out"))]
    pub namespace: Name,
}

/// Of kinds that have all three.
pub(crate) const fn one_target() -> Rule {
    Rule(
        "[has(self.selector), has(self.targetRef), has(self.targetRefs)].filter(said, said).size() <= 1",
        "only one of targetRefs or selector can be set",
    )
}

const GROUP: &str = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)?$";
const KIND: &str = "^[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$";

/// What can be referred to.
const TARGETS: [(&str, &str); 5] = [
    ("", "Service"),
    ("core", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
];

/// At most one of `selector`, `targetRef` and `targetRefs`, each of them sound.
pub(crate) fn check(
    selector: Option<&MatchSelector>,
    target: Option<&PolicyTargetReference>,
    targets: &[PolicyTargetReference],
    issues: &mut Issues,
) {
    let said = usize::from(selector.is_some()) + usize::from(target.is_some()) + usize::from(!targets.is_empty());
    if said > 1 {
        issues.error("spec", "only one of targetRefs or selector can be set");
    }
    if let Some(selector) = selector {
        labels("spec.selector.matchLabels", &selector.match_labels, issues);
    }
    if targets.len() > 16 {
        issues.error("spec.targetRefs", "at most 16 targets");
    }
    let listed = targets.iter().enumerate().map(|(at, target)| (format!("spec.targetRefs[{at}]"), target));
    for (path, target) in target.map(|target| ("spec.targetRef".to_owned(), target)).into_iter().chain(listed) {
        if target.name.is_empty() || target.name.len() > 253 {
            issues.error(format!("{path}.name"), "a name of 1 to 253 characters is needed");
        }
        if !target.namespace.is_empty() {
            issues.error(format!("{path}.namespace"), "other namespaces cannot be referred to; leave it out");
        }
        if target.kind.is_empty() {
            issues.error(format!("{path}.kind"), "a kind is needed");
        } else if !TARGETS.contains(&(target.group.as_str(), target.kind.as_str())) {
            let message = format!("{}/{} is nothing that a policy can be attached to", target.group, target.kind);
            issues.error(format!("{path}.kind"), message);
        }
    }
}

/// Labels of a selector: no wildcards, no empty keys; an empty one covers the namespace.
pub(crate) fn labels(path: &str, labels: &Labels, issues: &mut Issues) {
    // As many as the schema lets pass; `labels` of the networking kinds hold fewer than `matchLabels` of the others.
    let most = if path.ends_with("matchLabels") { 4096 } else { 256 };
    if labels.len() > most {
        issues.error(path, format!("at most {most} labels"));
    }
    if labels.is_empty() {
        issues.warning(path, "an empty selector covers every workload of the namespace");
    }
    for (key, value) in labels.iter() {
        if key.is_empty() {
            issues.error(path, "an empty key selects nothing");
        }
        if key.contains('*') || value.contains('*') {
            issues.error(path, format!("{key}: {value}: wildcards are not supported in selectors"));
        } else if value.len() > 63 {
            issues.error(path, format!("{key}: a value has at most 63 characters"));
        }
    }
}
