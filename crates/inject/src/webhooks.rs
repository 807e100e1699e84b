//! Which control plane injects a pod: what the selectors of its webhooks say of the labels of namespace and pod
//! (`istio: manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`).

use names::Labels;

use crate::annotations::{INJECT, REVISION};

/// Label of namespaces, for the default revision.
const INJECTION: &str = "istio-injection";

/// A control plane, as its webhooks know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlPlane {
    /// Its revision; empty or `default` for the default one.
    pub revision: String,
    /// Tags that point at it.
    pub tags: Vec<String>,
    /// Whether namespaces that say nothing are injected (`sidecarInjectorWebhook.enableNamespacesByDefault`).
    pub namespaces_by_default: bool,
}

/// The entry of the webhook configuration that takes a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The namespace names the revision.
    RevisionOfNamespace,
    /// The pod names it, in a namespace that says nothing.
    RevisionOfPod,
    /// The namespace has `istio-injection: enabled`.
    Namespace,
    /// The pod asks for injection, in a namespace that says nothing.
    Pod,
    /// Nobody says anything, and that is enough.
    Auto,
}

impl ControlPlane {
    /// Whether a name is this revision or a tag of it.
    fn is(&self, name: &str) -> bool {
        name == self.name() || self.tags.iter().any(|tag| tag == name)
    }

    fn name(&self) -> &str {
        if self.revision.is_empty() { "default" } else { &self.revision }
    }

    /// Whether namespaces that name no revision are this one's: the default one, or one that tag `default` points at.
    fn is_default(&self) -> bool {
        self.is("default")
    }
}

/// The entry that takes a pod of this control plane, if one does. The label `istio-injection` of a namespace wins over `istio.io/rev`,
/// and that of a namespace over the pod's.
#[must_use]
pub fn selecting(plane: &ControlPlane, namespace: &Labels, pod: &Labels) -> Option<Entry> {
    let wanted = pod.get(INJECT).map(|value| value.as_str());
    if wanted == Some("false") {
        return None;
    }
    match (namespace.get(INJECTION), namespace.get(REVISION), pod.get(REVISION)) {
        (Some(injection), ..) => (injection.as_str() == "enabled" && plane.is_default()).then_some(Entry::Namespace),
        (None, Some(revision), _) => plane.is(revision).then_some(Entry::RevisionOfNamespace),
        (None, None, Some(revision)) => plane.is(revision).then_some(Entry::RevisionOfPod),
        (None, None, None) if !plane.is_default() => None,
        (None, None, None) => match wanted {
            Some("true") => Some(Entry::Pod),
            None if plane.namespaces_by_default => Some(Entry::Auto),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().copied().collect()
    }

    fn plane(revision: &str, tags: &[&str]) -> ControlPlane {
        ControlPlane {
            revision: revision.to_owned(),
            tags: tags.iter().map(ToString::to_string).collect(),
            namespaces_by_default: false,
        }
    }

    #[test]
    fn the_namespace_says_which_revision_and_the_older_label_wins() {
        let (default, canary) = (plane("", &[]), plane("canary", &["next"]));
        let none = labels(&[]);
        let named = labels(&[(REVISION, "canary")]);
        assert_eq!(selecting(&canary, &named, &none), Some(Entry::RevisionOfNamespace));
        assert_eq!(selecting(&default, &named, &none), None);
        assert_eq!(selecting(&canary, &labels(&[(REVISION, "next")]), &none), Some(Entry::RevisionOfNamespace));
        let both = labels(&[(INJECTION, "enabled"), (REVISION, "canary")]);
        assert_eq!(selecting(&default, &both, &none), Some(Entry::Namespace));
        assert_eq!(selecting(&canary, &both, &none), None);
        assert_eq!(selecting(&default, &labels(&[(INJECTION, "disabled")]), &labels(&[(INJECT, "true")])), None);
        assert_eq!(selecting(&default, &labels(&[(REVISION, "default")]), &none), Some(Entry::RevisionOfNamespace));
    }

    #[test]
    fn a_pod_speaks_where_its_namespace_does_not() {
        let (default, canary) = (plane("", &[]), plane("canary", &[]));
        let none = labels(&[]);
        assert_eq!(selecting(&default, &none, &none), None);
        assert_eq!(selecting(&default, &none, &labels(&[(INJECT, "true")])), Some(Entry::Pod));
        assert_eq!(selecting(&canary, &none, &labels(&[(INJECT, "true")])), None);
        assert_eq!(selecting(&canary, &none, &labels(&[(REVISION, "canary")])), Some(Entry::RevisionOfPod));
        assert_eq!(selecting(&canary, &labels(&[(REVISION, "other")]), &labels(&[(REVISION, "canary")])), None);
        let no = labels(&[(INJECT, "false"), (REVISION, "canary")]);
        assert_eq!(selecting(&canary, &labels(&[(REVISION, "canary")]), &no), None);
        assert_eq!(selecting(&plane("canary", &["default"]), &none, &labels(&[(INJECT, "true")])), Some(Entry::Pod));
    }

    #[test]
    fn silence_is_enough_where_that_is_switched_on() {
        let auto = ControlPlane { namespaces_by_default: true, ..plane("", &[]) };
        assert_eq!(selecting(&auto, &labels(&[]), &labels(&[])), Some(Entry::Auto));
        assert_eq!(selecting(&auto, &labels(&[(REVISION, "x")]), &labels(&[])), None);
        assert_eq!(selecting(&auto, &labels(&[]), &labels(&[(INJECT, "maybe")])), None);
    }
}
