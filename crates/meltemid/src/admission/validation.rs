//! Whether an object is one that can be used: the same rules as everywhere, strict. Warnings never refuse.

use std::sync::atomic::{AtomicU64, Ordering};

use api::yaml::Document;
use api::{Issue, Mode, Severity, decode};
use model::Mesh;

use super::review::{Request, Verdict};

/// Counts since the start, under Galley's names.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) passed: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) broken: AtomicU64,
}

impl Counts {
    /// Somebody asked something that is no question.
    pub(super) fn broken(&self) {
        self.broken.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is known of an object by itself.
pub(super) struct Judged {
    objects: Vec<api::AnyObject>,
    errors: Vec<Issue>,
    others: Vec<Issue>,
}

impl Judged {
    /// Judges the object of a request; none where there is nothing to judge.
    pub(super) fn of(request: &mut Request) -> Option<Self> {
        // What goes is not looked at, nor what has no object.
        if !matches!(request.operation.as_str(), "CREATE" | "UPDATE") || request.object.is_null() {
            return None;
        }
        let mut object = request.object.take();
        // The API server may ask before it has put the namespace in.
        if let Some(meta) = object.get_mut("metadata").and_then(serde_json::Value::as_object_mut)
            && !request.namespace.is_empty()
        {
            meta.entry("namespace").or_insert_with(|| request.namespace.as_str().into());
        }
        let (objects, issues) = decode(&Document::from(object), Mode::Strict);
        let (errors, others) = issues.into_iter().partition(|issue| issue.severity == Severity::Error);
        Some(Self { objects, errors, others })
    }

    /// What is wrong with it beside others, as they are in a mesh.
    pub(super) fn across(&self, mesh: &Mesh) -> Vec<Issue> {
        self.objects.iter().flat_map(|object| analyze::references(mesh, object)).collect()
    }

    /// The verdict, with what was found beside others.
    pub(super) fn verdict(self, across: &[Issue], counts: &Counts) -> Verdict {
        let warnings = self.others.iter().map(said).chain(across.iter().map(coded)).collect();
        if self.errors.is_empty() {
            counts.passed.fetch_add(1, Ordering::Relaxed);
            return Verdict { warnings, ..Verdict::default() };
        }
        counts.failed.fetch_add(1, Ordering::Relaxed);
        let refused = self.errors.iter().map(said).collect::<Vec<_>>().join("; ");
        Verdict { refused: Some(refused), warnings, patch: None }
    }
}

fn coded(issue: &Issue) -> String {
    format!("{}: {}", issue.code, said(issue))
}

/// An issue without what the user knows: which object it is.
fn said(issue: &Issue) -> String {
    match issue.path.is_empty() {
        true => issue.message.clone(),
        false => format!("{}: {}", issue.path, issue.message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(operation: &str, spec: Value) -> Verdict {
        let request = json!({
            "uid": "u", "operation": operation, "namespace": "shop",
            "object": {
                "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                "metadata": { "name": "r" }, "spec": spec,
            },
        });
        let judged = Judged::of(&mut serde_json::from_value(request).unwrap());
        judged.map_or_else(Verdict::default, |judged| judged.verdict(&[], &Counts::default()))
    }

    #[test]
    fn mistakes_are_refused_with_their_paths() {
        let refused = ask("CREATE", json!({ "hosts": ["a"], "http": [{ "rout": [] }] })).refused.unwrap();
        assert!(refused.contains("spec.http[0].rout"), "{refused}");
        assert!(ask("DELETE", json!({ "hosts": 7 })).refused.is_none());
    }

    #[test]
    fn good_objects_pass() {
        let spec = json!({ "hosts": ["a"], "http": [{ "route": [{ "destination": { "host": "a" } }] }] });
        let verdict = ask("UPDATE", spec);
        assert!(verdict.refused.is_none(), "{verdict:?}");
    }
}
