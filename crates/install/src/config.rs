//! What the mesh and injection are told: ConfigMaps under the names that Istio's tools look for.

use serde_json::{Value, json};

use crate::{Values, meta};

/// Both ConfigMaps.
pub(crate) fn all(values: &Values) -> Vec<Value> {
    let map = |name: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(values, &values.named(name), true), "data": data,
        })
    };
    vec![
        map("istio", json!({ "mesh": yaml(&mesh(values)), "meshNetworks": "networks: {}\n" })),
        map("istio-sidecar-injector", json!({ "config": yaml(&injector(values)), "values": pretty(values.tree()) })),
    ]
}

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("a tree of JSON can be written as YAML")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a tree can be written as JSON")
}

/// The chart's settings of the mesh, with the user's over them.
fn mesh(values: &Values) -> Value {
    let namespace = values.namespace();
    let mut mesh = json!({
        "trustDomain": "cluster.local",
        "rootNamespace": namespace,
        "enablePrometheusMerge": true,
        "defaultProviders": { "metrics": ["prometheus"] },
        "defaultConfig": { "discoveryAddress": format!("{}.{namespace}.svc:15012", values.named("istiod")) },
    });
    if let Some(id) = values.at("global.meshID").as_str() {
        mesh["defaultConfig"]["meshId"] = id.into();
    }
    over(&mut mesh, values.at("meshConfig"));
    mesh
}

/// Puts a tree over another: mappings are joined, everything else is replaced.
fn over(under: &mut Value, tree: &Value) {
    match (under, tree) {
        (Value::Object(under), Value::Object(tree)) => {
            for (key, value) in tree {
                over(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (under, tree) => *under = tree.clone(),
    }
}

/// Which pods are injected, and by which templates; the built-in ones need no text.
fn injector(values: &Values) -> Value {
    let of = |path: &str, usual: Value| match values.at(path) {
        Value::Null => usual,
        given => given.clone(),
    };
    let injector = |name: &str, usual: Value| of(&format!("sidecarInjectorWebhook.{name}"), usual);
    json!({
        "policy": of("global.proxy.autoInject", json!("enabled")),
        "alwaysInjectSelector": injector("alwaysInjectSelector", json!([])),
        "neverInjectSelector": injector("neverInjectSelector", json!([])),
        "injectedAnnotations": injector("injectedAnnotations", json!({})),
        "defaultTemplates": injector("defaultTemplates", json!(["sidecar"])),
        "templates": injector("templates", json!({})),
    })
}
