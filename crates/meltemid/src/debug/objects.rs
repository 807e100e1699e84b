//! The objects and settings that the mesh is made of, as they are used: those that are left out are on the ledger
//! (`istio: pilot/pkg/xds/debug.go configz, authorizationz, telemetryz, meshHandler`).

use std::collections::BTreeMap;

use api::{ApiKind, Kind};
use axum::http::StatusCode;
use model::settings::Settings;
use model::{Objects, Row};
use prost_types::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::asked::{Asked, Said};
use crate::control::View;

/// Calls a macro with Istio's kinds: those that users write for the mesh.
macro_rules! istio_kinds {
    ($callback:ident) => {
        $callback!(
            VirtualService,
            DestinationRule,
            Gateway,
            ServiceEntry,
            WorkloadEntry,
            WorkloadGroup,
            Sidecar,
            EnvoyFilter,
            ProxyConfig,
            PeerAuthentication,
            RequestAuthentication,
            AuthorizationPolicy,
            Telemetry,
            WasmPlugin,
            TrafficExtension
        )
    };
}

/// What is said before the configuration was read.
pub(super) fn unread() -> Said {
    Said::text(StatusCode::SERVICE_UNAVAILABLE, "the configuration was not read yet\n")
}

/// All objects of Istio's kinds, by kind, namespace and name, as the API server would give them.
pub(super) fn configz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let mut all = Vec::new();
    macro_rules! each {
        ($($kind:ident),*) => { $(all.extend(rows::<api::$kind>(view).iter().map(|row| object(view, row)));)* };
    }
    istio_kinds!(each);
    Value::Array(all).into()
}

/// The kinds that are looked at.
pub(super) fn resourcesz(_: &Asked<'_>) -> Said {
    let kinds = Kind::ALL
        .iter()
        .map(|kind| json!({ "group": kind.group(), "version": kind.versions().first(), "kind": kind.name() }));
    Value::Array(kinds.collect()).into()
}

/// AuthorizationPolicies by namespace, oldest first.
pub(super) fn authorizationz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let by_namespace = by_namespace::<api::AuthorizationPolicy>(view, None);
    let policies = json!({ "namespace_to_policies": by_namespace, "root_namespace": view.mesh.base().root_namespace });
    json!({ "authorization_policies": policies }).into()
}

/// Telemetries by namespace, oldest first; with `?proxyID=` those of its namespace and the root.
pub(super) fn telemetryz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let namespace = match asked.args.contains_key("proxyID") {
        false => None,
        true => match asked.proxy() {
            Ok((connected, _)) => Some(connected.namespace().to_owned()),
            Err(said) => return said,
        },
    };
    let by_namespace = by_namespace::<api::Telemetry>(view, namespace.as_deref());
    let telemetries =
        json!({ "namespace_to_telemetries": by_namespace, "root_namespace": view.mesh.base().root_namespace });
    json!({ "telemetries": telemetries }).into()
}

/// The mesh's settings with their defaults.
pub(super) fn mesh(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let settings = view.mesh.db().row::<Settings>(&());
    let mut shown = settings.map_or_else(|| json!({}), |settings| written(&*settings.mesh));
    shown["rootNamespace"] = view.mesh.base().root_namespace.as_str().into();
    shown.into()
}

/// Oldest first.
fn rows<K: ApiKind>(view: &View) -> Vec<Row<K>> {
    let mut rows: Vec<Row<K>> = view.mesh.db().inputs::<Objects<K>>().map(|(_, row)| row.clone()).collect();
    rows.sort_by_key(Row::age);
    rows
}

fn by_namespace<K: ApiKind + Serialize>(view: &View, only: Option<&str>) -> BTreeMap<String, Vec<Value>> {
    let root = &view.mesh.base().root_namespace;
    let mut found = BTreeMap::<String, Vec<Value>>::new();
    for row in rows::<K>(view) {
        let namespace = &row.meta.namespace;
        if only.is_none_or(|only| *only == **namespace || namespace == root) {
            let shown = json!({ "name": row.meta.name, "namespace": namespace, "annotations": row.meta.annotations, "spec": written(&*row.spec) });
            found.entry(namespace.to_string()).or_default().push(shown);
        }
    }
    found
}

/// What was written, without fields that were not.
fn written(spec: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_default();
    without_nothing(&mut value);
    value
}

/// Takes out what says nothing. An empty object stays: `{}` may mean "all".
fn without_nothing(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(without_nothing);
            let says = |value: &Value| match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
            };
            fields.retain(|_, value| says(value));
        }
        Value::Array(items) => items.iter_mut().for_each(without_nothing),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn object<K: ApiKind + Serialize>(view: &View, row: &Row<K>) -> Value {
    let meta = &row.meta;
    let mut metadata = json!({
        "name": meta.name, "namespace": meta.namespace, "labels": meta.labels, "annotations": meta.annotations,
    });
    if let Some(seconds) = meta.created {
        metadata["creationTimestamp"] = Timestamp { seconds, nanos: 0 }.to_string().into();
    }
    let id = api::ObjectId { kind: K::KIND, namespace: meta.namespace.clone(), name: meta.name.clone() };
    if let Some(origin) = view.mesh.origin(&id).filter(|origin| !origin.resource_version.is_empty()) {
        metadata["generation"] = origin.generation.into();
        metadata["resourceVersion"] = origin.resource_version.as_str().into();
    }
    let version = K::VERSIONS.first().copied().unwrap_or_default();
    json!({
        "apiVersion": format!("{}/{version}", K::GROUP), "kind": K::KIND.name(), "metadata": metadata,
        "spec": written(&*row.spec),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_that_users_write_is_shown() {
        macro_rules! listed {
            ($($kind:ident),*) => { BTreeSet::from([$(Kind::$kind),*]) };
        }
        let defined: BTreeSet<Kind> = Kind::ALL.iter().copied().filter(|kind| kind.definition().is_some()).collect();
        assert_eq!(istio_kinds!(listed), defined);
    }

    #[test]
    fn what_says_nothing_goes_and_an_empty_object_stays() {
        let mut value = json!({ "a": null, "b": "", "c": [], "d": {}, "e": [{ "f": null }], "g": 0 });
        without_nothing(&mut value);
        assert_eq!(value, json!({ "d": {}, "e": [{}], "g": 0 }));
    }
}
