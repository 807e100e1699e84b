//! Everything that was left out, overridden, or has no effect.

use model::{Id, Objects};
use serde_json::{Value, json};

use super::asked::{Asked, Said};
use crate::control::View;

/// Mesh settings that have no effect, or cannot be read.
fn mesh_settings(view: &View) -> Vec<api::Issue> {
    let base = view.mesh.base();
    let id =
        Id { cluster: base.cluster.clone(), namespace: base.root_namespace.clone(), name: base.config_map.clone() };
    let map = view.mesh.db().input::<Objects<api::ConfigMap>>(&id);
    map.and_then(|map| map.spec.data.get("mesh").map(|text| api::of_mesh_settings(text))).unwrap_or_default()
}

/// All entries.
pub(super) fn ledger(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return json!([]).into() };
    let faults = view.mesh.db().faults().map(|fault| {
        json!({ "severity": "error", "code": "MLT0001", "object": fault.key, "path": fault.table, "message": fault.message })
    });
    let notes = view.mesh.db().notes().into_iter();
    let notes = notes.map(|note| {
        json!({ "severity": "warning", "code": "MLT0103", "object": note.about, "path": "", "message": note.message })
    });
    let left_out = view.mesh.left_out().map(|(object, why)| {
        json!({ "severity": "info", "code": "MLT0102", "object": object.to_string(), "path": "", "message": why })
    });
    let settings = mesh_settings(view);
    let issues = view.issues.iter().chain(&settings).map(|issue| {
        let place = issue.place.as_ref().map(ToString::to_string);
        let object = issue.object.as_ref().map(ToString::to_string);
        json!({
            "severity": issue.severity.to_string(), "code": issue.code, "object": object, "path": issue.path,
            "place": place, "message": issue.message,
        })
    });
    Value::Array(issues.chain(faults).chain(left_out).chain(notes).collect()).into()
}
