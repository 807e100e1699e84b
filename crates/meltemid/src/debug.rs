//! Readiness, metrics and debug pages.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use model::{Id, Objects};
use serde_json::{Value, json};
use translate::proxies::Configs;
use translate::resources::Resources;
use translate::views::Views;
use xds::Server;

use crate::control::{Control, View};
use crate::metrics::{self, Measured};
use crate::start::Start;

mod guard;
mod sync;

pub(crate) use guard::Ends;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// The mesh.
    pub control: Control,
    /// The streams.
    pub server: Server,
    /// The secured port, if there is one.
    pub(crate) secure: Option<crate::secure::Secure>,
    /// What answers webhooks, if something does.
    pub(crate) admission: Option<crate::admission::Admission>,
    /// What has to be so before it is ready, where a cluster is served.
    pub(crate) start: Option<crate::start::Start>,
    /// When each kind was last heard of there.
    pub(crate) heard: Option<kubernetes::Heard>,
}

type Args = Query<BTreeMap<String, String>>;

/// All pages. Those about the mesh are not for everybody.
pub fn router(pages: Pages) -> Router {
    let guarded = Router::new()
        .route("/debug/syncz", get(sync::syncz))
        .route("/debug/config_dump", get(config_dump))
        .route("/debug/why", get(why))
        .route("/debug/ledger", get(ledger))
        .route("/debug/list", get(|| async { Json(LIST) }))
        .route_layer(axum::middleware::from_fn_with_state(pages.clone(), guard::guard));
    Router::new()
        .route("/ready", get(ready))
        .route("/metrics", get(prometheus))
        .route("/version", get(|| async { VERSION }))
        .merge(guarded)
        .with_state(pages)
}

/// The debug pages, as `/debug/list` names them.
const LIST: [&str; 4] = ["config_dump", "ledger", "syncz", "why"];
/// In the form in which Kiali reads it: version, commit, state of the checkout.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-meltemi-Clean\n");

/// Readiness alone.
pub fn readiness(pages: Pages) -> Router {
    Router::new().route("/ready", get(ready)).with_state(pages)
}

async fn ready(State(pages): State<Pages>) -> Response {
    let start = pages.start.as_ref();
    let obstacle = match pages.control.view() {
        Some(_) => start.and_then(Start::obstacle),
        None => {
            let what = start.and_then(Start::awaited).map(|awaited| format!(": {awaited}")).unwrap_or_default();
            Some(format!("the configuration was not read yet{what}"))
        }
    };
    match obstacle {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, format!("{obstacle}\n")).into_response(),
    }
}

async fn prometheus(State(pages): State<Pages>) -> Response {
    let measured = Measured {
        control: &pages.control,
        server: &pages.server,
        secure: pages.secure.as_ref(),
        admission: pages.admission.as_ref(),
        start: pages.start.as_ref(),
        heard: pages.heard.as_ref(),
    };
    match metrics::text(&measured) {
        Ok(text) => text.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

/// The connection of a proxy, by `name.namespace`.
fn connection(pages: &Pages, proxy: &str) -> Option<u64> {
    let all = pages.server.connections();
    all.iter().rev().find(|connection| connection.node.split('~').nth(2) == Some(proxy)).map(|found| found.connection)
}

fn missing(args: &BTreeMap<String, String>, pages: &Pages) -> Response {
    let proxies: Vec<String> =
        pages.server.connections().iter().filter_map(|c| Some(c.node.split('~').nth(2)?.to_owned())).collect();
    let asked = args.get("proxyID").cloned().unwrap_or_default();
    let text = format!("no proxy {asked:?}; add ?proxyID= with one of: {}\n", proxies.join(" "));
    (StatusCode::NOT_FOUND, text).into_response()
}

/// What one proxy is to have, as JSON.
async fn config_dump(State(pages): State<Pages>, Query(args): Args) -> Response {
    let proxy = args.get("proxyID").and_then(|proxy| connection(&pages, proxy));
    let (Some(proxy), Some(view)) = (proxy, pages.control.view()) else { return missing(&args, &pages) };
    Json(dump(&view, proxy)).into_response()
}

/// All resources of a proxy by type and name.
fn dump(view: &View, proxy: u64) -> Value {
    let db = view.mesh.db();
    let mut shown = serde_json::Map::new();
    for (of, keys) in db.row::<Configs>(&proxy).iter().flat_map(|config| config.views.clone()) {
        let views = keys.iter().filter_map(|key| db.row::<Views>(key));
        let resources = views.flat_map(|view| view.entries.clone()).filter_map(|(name, key)| {
            let encoded = db.row::<Resources>(&key)?;
            Some((name.to_string(), proto::to_json(&encoded.any())))
        });
        shown.insert(format!("{of:?}").to_lowercase(), Value::Object(resources.collect()));
    }
    Value::Object(shown)
}

/// Which objects a resource of a proxy was made from, and where they stand.
async fn why(State(pages): State<Pages>, Query(args): Args) -> Response {
    let proxy = args.get("proxyID").and_then(|proxy| connection(&pages, proxy));
    let (Some(proxy), Some(view)) = (proxy, pages.control.view()) else { return missing(&args, &pages) };
    let wanted = args.get("resource").map_or("", String::as_str);
    let db = view.mesh.db();
    let config = db.row::<Configs>(&proxy);
    let views = config.iter().flat_map(|config| config.views.iter()).flat_map(|(_, keys)| keys);
    let mut entries = views.filter_map(|key| db.row::<Views>(key)).flat_map(|view| view.entries.clone());
    let Some((name, key)) = entries.find(|(name, _)| *name == wanted) else {
        return (StatusCode::NOT_FOUND, format!("the proxy has no resource {wanted:?}; add &resource=\n"))
            .into_response();
    };
    let Some(row) = db.find::<Resources>(&key) else { return missing(&args, &pages) };
    let origins = origins(&view, row);
    let version = db.row::<Resources>(&key).map(|encoded| encoded.version().to_string());
    Json(json!({ "resource": name.as_str(), "version": version, "from": origins })).into_response()
}

/// The objects behind a row. Objects that were looked for and are not there are shown as missing: making them would change the row.
fn origins(view: &View, row: graph::RowId) -> Vec<Value> {
    let mut found = Vec::new();
    macro_rules! each {
        ($($field:ident: $kind:ident),* $(,)?) => {
            $(for id in view.mesh.db().sources::<Objects<api::$kind>>(row) {
                found.push(origin(view, api::Kind::$kind, &id));
            })*
        };
    }
    api::for_each_kind!(each);
    found
}

fn origin(view: &View, kind: api::Kind, id: &Id) -> Value {
    let object = api::ObjectId { kind, namespace: id.namespace.clone(), name: id.name.clone() };
    match view.mesh.origin(&object) {
        Some(origin) => json!({
            "object": object.to_string(), "file": origin.file.as_deref(), "line": origin.line, "generation": origin.generation,
        }),
        None => json!({ "object": object.to_string(), "missing": true }),
    }
}

/// Mesh settings that have no effect, or cannot be read.
fn mesh_settings(view: &View) -> Vec<api::Issue> {
    let base = view.mesh.base();
    let id =
        Id { cluster: base.cluster.clone(), namespace: base.root_namespace.clone(), name: base.config_map.clone() };
    let map = view.mesh.db().input::<Objects<api::ConfigMap>>(&id);
    map.and_then(|map| map.spec.data.get("mesh").map(|text| api::of_mesh_settings(text))).unwrap_or_default()
}

/// Everything that was left out, overridden, or has no effect.
async fn ledger(State(pages): State<Pages>) -> Json<Value> {
    let Some(view) = pages.control.view() else { return Json(json!([])) };
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
    let settings = mesh_settings(&view);
    let issues = view.issues.iter().chain(&settings).map(|issue| {
        let place = issue.place.as_ref().map(ToString::to_string);
        let object = issue.object.as_ref().map(ToString::to_string);
        json!({
            "severity": issue.severity.to_string(), "code": issue.code, "object": object, "path": issue.path,
            "place": place, "message": issue.message,
        })
    });
    Json(issues.chain(faults).chain(left_out).chain(notes).collect())
}

#[cfg(test)]
mod tests;
