//! The streams of proxies, as they are now (`istio: pilot/pkg/xds/debug.go AdsClients`).

use axum::http::StatusCode;
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use super::asked::{Asked, Connected, NOT_HERE, Said};

/// Who is connected, where from and since when.
pub(super) fn connections(asked: &Asked<'_>) -> Said {
    all(asked.proxies().iter().map(|connected| Value::Object(client(connected))).collect())
}

/// The same, with what each says of itself and asked for; or one of them, by `?proxyID=`.
pub(super) fn adsz(asked: &Asked<'_>) -> Said {
    if asked.args.contains_key("push") {
        let why = "nothing is pushed by hand: a proxy that lacks something is being sent it\n";
        return Said::text(StatusCode::BAD_REQUEST, why);
    }
    let wanted = asked.args.get("proxyID").filter(|name| !name.is_empty());
    let proxies = match wanted {
        None => asked.proxies(),
        Some(name) => match asked.named(name) {
            Some((connected, _)) => vec![connected],
            None => return Said::text(StatusCode::NOT_FOUND, NOT_HERE),
        },
    };
    let shown = proxies.iter().map(|connected| {
        let mut shown = client(connected);
        shown.extend(details(connected));
        Value::Object(shown)
    });
    all(shown.collect())
}

/// Ends the stream of the proxy `?proxyID=`; it connects again, here or elsewhere.
pub(super) fn force_disconnect(asked: &Asked<'_>) -> Said {
    let connected = match asked.proxy() {
        Ok((connected, _)) => connected,
        Err(said) => return said,
    };
    if !asked.pages.server.disconnect(connected.status.connection) {
        return Said::text(StatusCode::NOT_FOUND, NOT_HERE);
    }
    tracing::warn!(connection = connected.id(), "a proxy is disconnected by hand");
    Said::text(StatusCode::OK, "OK")
}

fn all(clients: Vec<Value>) -> Said {
    json!({ "totalClients": clients.len(), "clients": clients }).into()
}

fn client(connected: &Connected) -> Map<String, Value> {
    let client = &connected.status.client;
    [
        ("connectionId".to_owned(), connected.id().into()),
        ("connectedAt".to_owned(), Timestamp::from(client.since.0).to_string().into()),
        ("address".to_owned(), client.address.to_string().into()),
    ]
    .into_iter()
    .collect()
}

fn details(connected: &Connected) -> Map<String, Value> {
    let status = &connected.status;
    let watches = status.types.iter().map(|(of, _)| {
        let names: Vec<&str> = of.names.iter().map(|name| name.as_str()).collect();
        (of.kind.url().to_owned(), json!(names))
    });
    let mut shown = Map::new();
    if let Some(proxy) = &connected.proxy {
        shown.insert("labels".to_owned(), json!(proxy.labels));
        let place = &proxy.locality;
        shown.insert(
            "locality".to_owned(),
            json!({ "region": place.region, "zone": place.zone, "subZone": place.subzone }),
        );
        let metadata = json!({
            "CLUSTER_ID": proxy.cluster, "NAMESPACE": proxy.namespace, "NETWORK": proxy.network,
            "ISTIO_VERSION": status.client.istio_version,
        });
        shown.insert("metadata".to_owned(), metadata);
    }
    shown.insert("program".to_owned(), status.client.program.clone().into());
    shown.insert("watches".to_owned(), Value::Object(watches.collect()));
    shown
}
