//! What the control plane holds: resources that are ready to be sent, and where it reads from (`istio: pilot/pkg/xds/debug.go cachez,
//! clusterz, networkz, mcsz`).

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde_json::json;
use translate::resources::Resources;

use super::asked::{Asked, Said};
use super::objects::unread;

/// The names of the resources that are encoded, by type; with `?sizes` their bytes.
pub(super) fn cachez(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    if asked.args.contains_key("clear") {
        let why = "nothing is cleared: each resource is what its objects say, and goes when nobody asks for it\n";
        return Said::text(StatusCode::BAD_REQUEST, why);
    }
    let all = view.mesh.db().rows::<Resources>();
    if asked.args.contains_key("sizes") {
        let mut sizes = BTreeMap::<String, usize>::new();
        for (_, encoded) in all {
            *sizes.entry(encoded.any().type_url).or_default() += encoded.len();
        }
        sizes.insert("total".to_owned(), sizes.values().sum());
        return json!(sizes.into_iter().map(|(of, bytes)| (of, format!("{bytes}B"))).collect::<BTreeMap<_, _>>())
            .into();
    }
    let mut names = BTreeMap::<String, BTreeSet<String>>::new();
    for (_, encoded) in all {
        names.entry(encoded.any().type_url).or_default().insert(encoded.name().to_owned());
    }
    json!(names).into()
}

/// The clusters that are read: there is one.
pub(super) fn clusterz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    json!([{ "id": view.mesh.base().cluster, "secretName": "", "syncStatus": "synced" }]).into()
}

/// Gateways between networks: none is used.
pub(super) fn networkz(_: &Asked<'_>) -> Said {
    json!([]).into()
}

/// Services of several clusters: none is known.
pub(super) fn mcsz(_: &Asked<'_>) -> Said {
    json!([]).into()
}
