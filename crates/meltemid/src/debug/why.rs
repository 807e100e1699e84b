//! Which objects a resource of a proxy was made from, and where they stand.

use axum::http::StatusCode;
use model::{Id, Objects};
use serde_json::{Value, json};
use translate::proxies::Configs;
use translate::resources::Resources;
use translate::views::Views;

use super::asked::{Asked, Said};
use crate::control::View;

/// Of `?proxyID=` the resource with the name `resource=`.
pub(super) fn why(asked: &Asked<'_>) -> Said {
    let (connected, view) = match asked.proxy() {
        Ok(found) => found,
        Err(said) => return said,
    };
    let wanted = asked.args.get("resource").map_or("", String::as_str);
    let missing = || {
        let text = format!("the proxy has no resource {wanted:?}; add &resource=\n");
        Said::text(StatusCode::NOT_FOUND, text)
    };
    let db = view.mesh.db();
    let config = db.row::<Configs>(&connected.status.connection);
    let views = config.iter().flat_map(|config| config.views.iter()).flat_map(|(_, keys)| keys);
    let mut entries = views.filter_map(|key| db.row::<Views>(key)).flat_map(|view| view.entries.clone());
    let Some((name, key)) = entries.find(|(name, _)| *name == wanted) else { return missing() };
    let Some(row) = db.find::<Resources>(&key) else { return missing() };
    let origins = origins(view, row);
    let version = db.row::<Resources>(&key).map(|encoded| encoded.version().to_string());
    json!({ "resource": name.as_str(), "version": version, "from": origins }).into()
}

/// The objects behind a row. Objects that were looked for and are not there are shown as missing: making them would change the row.
fn origins(view: &View, row: graph::RowId) -> Vec<Value> {
    let mut found = Vec::new();
    macro_rules! each {
        ($($field:ident: $kind:ident),* $(,)?) => {
            $(for id in view.mesh.db().sources::<Objects<api::$kind>>(row) {
                let there = view.mesh.db().input::<Objects<api::$kind>>(&id).is_some();
                found.push(origin(view, api::Kind::$kind, &id, there));
            })*
        };
    }
    api::for_each_kind!(each);
    found
}

fn origin(view: &View, kind: api::Kind, id: &Id, there: bool) -> Value {
    let object = api::ObjectId { kind, namespace: id.namespace.clone(), name: id.name.clone() };
    match view.mesh.origin(&object) {
        Some(origin) => json!({
            "object": object.to_string(), "file": origin.file.as_deref(), "line": origin.line, "generation": origin.generation,
        }),
        None if there => json!({ "object": object.to_string() }),
        None => json!({ "object": object.to_string(), "missing": true }),
    }
}
