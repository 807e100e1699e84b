//! The envelope of webhooks: `AdmissionReview` in, `AdmissionReview` out, as `admission.k8s.io/v1` or `v1beta1`. What is decided is for
//! others.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// All warnings together, in characters, and one alone: the API server cuts off what is longer
/// (`k8s: staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go`).
const WARNINGS: usize = 4096;
const WARNING: usize = 256;
/// Versions of the envelope.
const VERSIONS: [&str; 2] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];

/// What is asked.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    /// Goes back with the answer.
    uid: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    #[serde(default)]
    pub(super) operation: String,
    /// The object as it would be kept.
    #[serde(default)]
    pub(super) object: Value,
    /// Where it would be; empty for objects without namespace.
    #[serde(default)]
    pub(super) namespace: String,
}

/// What is decided.
#[derive(Default, Debug)]
pub(super) struct Verdict {
    /// Why it is refused; none when it is allowed.
    pub(super) refused: Option<String>,
    /// What is said to the user either way.
    pub(super) warnings: Vec<String>,
    /// What is changed (RFC 6902).
    pub(super) patch: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
}

/// A review, read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review {
    api_version: String,
    kind: String,
    pub(super) request: Request,
}

impl Review {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(review: Value) -> Result<Self, String> {
        let review: Self = serde_json::from_value(review).map_err(|error| format!("no AdmissionReview: {error}"))?;
        if review.kind != "AdmissionReview" || !VERSIONS.contains(&review.api_version.as_str()) {
            let (version, kind) = (&review.api_version, &review.kind);
            return Err(format!("{version} {kind} is none of AdmissionReview {}", VERSIONS.join(", ")));
        }
        Ok(review)
    }

    /// The answer that says what was decided.
    pub(super) fn answer(self, decided: Verdict) -> Value {
        let Verdict { refused, warnings, patch } = decided;
        let status = refused.as_ref().map(|message| json!({ "code": 400, "reason": "BadRequest", "message": message }));
        let patch = patch.map(|patch| BASE64.encode(patch.to_string().as_bytes()));
        let answer = Answer {
            uid: self.request.uid,
            allowed: refused.is_none(),
            status,
            warnings: bounded(warnings),
            patch_type: patch.as_ref().map(|_| "JSONPatch"),
            patch,
        };
        json!({ "apiVersion": self.api_version, "kind": "AdmissionReview", "response": answer })
    }
}

/// As many warnings as get through; the last one says how many do not.
fn bounded(warnings: Vec<String>) -> Vec<String> {
    let (all, mut left, mut shown) = (warnings.len(), WARNINGS - WARNING, Vec::new());
    for warning in warnings {
        let text: String = match warning.chars().count() > WARNING {
            true => warning.chars().take(WARNING - 1).chain(['…']).collect(),
            false => warning,
        };
        let Some(rest) = left.checked_sub(text.chars().count()) else { break };
        left = rest;
        shown.push(text);
    }
    if shown.len() < all {
        shown.push(format!("and {} more", all - shown.len()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_cut_off_is_counted_instead() {
        let few = bounded(vec!["a".into(), "ä".repeat(300)]);
        assert_eq!((few.len(), few[1].chars().count()), (2, WARNING));
        let many = bounded(vec!["x".repeat(200); 100]);
        assert_eq!(many.last().map(String::as_str), Some("and 81 more"));
        assert!(many.iter().map(|text| text.chars().count()).sum::<usize>() <= WARNINGS);
    }

    #[test]
    fn an_answer_has_the_version_and_uid_of_its_question() {
        for version in VERSIONS {
            let asked = json!({ "apiVersion": version, "kind": "AdmissionReview", "request": { "uid": "u-1" } });
            let decided = Verdict { refused: Some("no".into()), ..Verdict::default() };
            let refused = Review::read(asked).unwrap().answer(decided);
            assert_eq!(refused["apiVersion"], version);
            assert_eq!(refused["response"]["uid"], "u-1");
            assert_eq!(refused["response"]["allowed"], false);
            assert_eq!(refused["response"]["status"]["message"], "no");
        }
        let other = json!({ "apiVersion": "v1", "kind": "Pod", "request": { "uid": "" } });
        assert!(Review::read(other).err().unwrap().contains("v1 Pod"));
    }
}
