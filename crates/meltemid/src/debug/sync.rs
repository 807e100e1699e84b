//! What each proxy was sent and took: the fields that istioctl and Kiali read, and more exactly how far each type is.

use axum::Json;
use axum::extract::{Query, State};
use model::proxies::Proxies;
use serde_json::{Map, Value, json};
use xds::{ConnectionStatus, ResourceType, TypeStatus};

use super::{Args, Pages};

/// Types that have fields of their own, and what these are called (`istio: pilot/pkg/xds/debug.go SyncStatus`).
const FIELDS: [(ResourceType, &str); 5] = [
    (ResourceType::Cds, "cluster"),
    (ResourceType::Lds, "listener"),
    (ResourceType::Rds, "route"),
    (ResourceType::Eds, "endpoint"),
    (ResourceType::Ecds, "extensionconfig"),
];

/// All proxies, or those of `?namespace=`.
pub(super) async fn syncz(State(pages): State<Pages>, Query(args): Args) -> Json<Value> {
    let view = pages.control.view();
    let proxies = pages.server.connections().into_iter().filter_map(|connection| {
        let mut parts = connection.node.split('~');
        let (kind, name) = (parts.next().unwrap_or_default().to_owned(), parts.nth(1).unwrap_or_default().to_owned());
        let namespace = name.split_once('.').map_or("", |(_, namespace)| namespace);
        if args.get("namespace").is_some_and(|wanted| !wanted.is_empty() && wanted != namespace) {
            return None;
        }
        let known = view.as_ref().and_then(|view| view.mesh.db().input::<Proxies>(&connection.connection));
        let mut shown = status(&connection);
        shown.insert("proxy".to_owned(), name.into());
        shown.insert("proxy_type".to_owned(), kind.into());
        shown.insert("cluster_id".to_owned(), known.map(|proxy| proxy.cluster.to_string()).into());
        Some(Value::Object(shown))
    });
    Json(proxies.collect())
}

fn status(connection: &ConnectionStatus) -> Map<String, Value> {
    let mut shown = Map::new();
    let (mut types, mut resources) = (Map::new(), Map::new());
    for (status, live) in &connection.types {
        let rejected: Vec<&str> = status.rejected.iter().map(|name| name.as_str()).collect();
        let exact = json!({
            "sent": status.sent, "acked": status.acked, "live": live, "nonce": status.nonce,
            "rejected": rejected, "lastError": status.refusal,
        });
        types.insert(status.kind.short().to_owned(), exact);
        let (sent, acked) = nonces(status);
        if let Some((_, field)) = FIELDS.iter().find(|(kind, _)| *kind == status.kind) {
            shown.insert(format!("{field}_sent"), sent.clone().into());
            shown.insert(format!("{field}_acked"), acked.clone().into());
        }
        let summary = json!({ "sent": sent, "acked": acked, "lastError": status.refusal });
        resources.insert(status.kind.url().to_owned(), summary);
    }
    shown.insert("node".to_owned(), connection.node.clone().into());
    shown.insert("connection".to_owned(), connection.connection.into());
    shown.insert("revision".to_owned(), connection.revision.into());
    shown.insert("types".to_owned(), types.into());
    shown.insert("resources".to_owned(), resources.into());
    shown
}

/// The nonce that was sent last, and the same when it was taken: equal means in sync.
fn nonces(status: &TypeStatus) -> (String, String) {
    let sent = status.nonce.to_string();
    let acked = if status.acked >= status.sent { sent.clone() } else { String::new() };
    (sent, acked)
}
