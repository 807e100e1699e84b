//! Whether a pod is injected, and why (`istio: pkg/kube/inject/inject.go`, injectRequired; the namespaces: `initializer.go`).

use std::fmt;

use api::mesh::LabelSelector;
use names::Labels;
use serde_json::Value;

use crate::annotations::INJECT;
use crate::pod;
use crate::settings::{Policy, Settings};

/// Namespaces whose pods are never injected.
const SYSTEM: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// Whether a pod is injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// It is.
    pub inject: bool,
    /// Why, or why not.
    pub reason: Reason,
    /// A label or annotation that says neither `true` nor `false`, and so nothing.
    pub ignored: Option<String>,
}

/// Why a pod is injected or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has the network of its node, whose rules injection would change.
    HostNetwork,
    /// It is in a namespace of Kubernetes itself.
    SystemNamespace(String),
    /// Its label says so.
    Label,
    /// Its annotation says so.
    Annotation,
    /// A selector of the injector's settings takes it out (`neverInjectSelector`, by number).
    Never(usize),
    /// A selector of the injector's settings takes it in (`alwaysInjectSelector`, by number).
    Always(usize),
    /// Nothing else was said.
    Policy(Policy),
}

impl Reason {
    /// As the value of a metric's label.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::HostNetwork => "host_network",
            Self::SystemNamespace(_) => "system_namespace",
            Self::Label => "label",
            Self::Annotation => "annotation",
            Self::Never(_) => "never_inject_selector",
            Self::Always(_) => "always_inject_selector",
            Self::Policy(_) => "policy",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostNetwork => f.write_str("it has host networking enabled"),
            Self::SystemNamespace(namespace) => write!(f, "namespace {namespace} is the cluster's own"),
            Self::Label => write!(f, "its label {INJECT} says so"),
            Self::Annotation => write!(f, "its annotation {INJECT} says so"),
            Self::Never(at) => write!(f, "neverInjectSelector[{at}] selects it"),
            Self::Always(at) => write!(f, "alwaysInjectSelector[{at}] selects it"),
            Self::Policy(Policy::Enabled) => f.write_str("the policy is enabled"),
            Self::Policy(Policy::Disabled) => f.write_str("the policy is disabled"),
        }
    }
}

/// Decides about a pod in a namespace. Whether the namespace's labels select it was decided before: [`crate::webhooks::selecting`].
#[must_use]
pub fn decide(pod: &Value, namespace: &str, settings: &Settings) -> Decision {
    let because = |inject, reason| Decision { inject, reason, ignored: None };
    if pod["spec"]["hostNetwork"] == true {
        return because(false, Reason::HostNetwork);
    }
    if SYSTEM.contains(&namespace) {
        return because(false, Reason::SystemNamespace(namespace.to_owned()));
    }
    let labels = pod::strings(pod, "labels");
    let annotations = pod::strings(pod, "annotations");
    let (said, from) = match (labels.get(INJECT), annotations.get(INJECT)) {
        (Some(label), _) => (label.as_str(), Reason::Label),
        (None, Some(annotation)) => (annotation.as_str(), Reason::Annotation),
        (None, None) => ("", Reason::Annotation),
    };
    let ignored = match said {
        "true" | "false" => return because(said == "true", from),
        "" => None,
        other => Some(format!("{INJECT} says {other:?}, which is neither true nor false")),
    };
    let labels: Labels = labels.into_iter().collect();
    let found = |selectors: &[LabelSelector]| selectors.iter().position(|each| selects(each, &labels));
    let injector = &settings.injector;
    let (inject, reason) = if let Some(at) = found(&injector.never_inject_selector) {
        (false, Reason::Never(at))
    } else if let Some(at) = found(&injector.always_inject_selector) {
        (true, Reason::Always(at))
    } else {
        (injector.policy == Policy::Enabled, Reason::Policy(injector.policy))
    };
    Decision { inject, reason, ignored }
}

/// A selector that asks for nothing selects nothing here.
fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    let asks = !selector.match_labels.is_empty() || !selector.match_expressions.is_empty();
    asks && selector.matches(labels)
}

#[cfg(test)]
mod tests;
