//! What changed between two pods, as a JSON patch: the webhook's answer (RFC 6902).

use json_patch::Patch;
use serde_json::Value;

/// The patch that makes one pod the other.
#[must_use]
pub fn patch(before: &Value, after: &Value) -> Patch {
    json_patch::diff(before, after)
}
