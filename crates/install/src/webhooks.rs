//! The webhooks: which pods are injected, by the labels that users have on namespaces and pods, and which objects are validated
//! (`istio: manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`).

use serde_json::{Value, json};

use crate::{Values, meta};

/// Namespaces that are never injected by themselves.
const SYSTEM: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];
const INJECTION: &str = "istio-injection";
const REVISION: &str = "istio.io/rev";
const INJECT: &str = "sidecar.istio.io/inject";

/// Both configurations.
pub(crate) fn all(values: &Values) -> Vec<Value> {
    let mut objects = vec![injector(values)];
    if values.at("global.configValidation") != false {
        objects.push(validator(values));
    }
    objects
}

fn is(key: &str, operator: &str, values: &[&str]) -> Value {
    json!({ "key": key, "operator": operator, "values": values })
}

fn absent(key: &str) -> Value {
    json!({ "key": key, "operator": "DoesNotExist" })
}

fn service(values: &Values, path: &str) -> Value {
    let service = json!({ "name": values.named("istiod"), "namespace": values.namespace(), "path": path, "port": 443 });
    json!({ "service": service })
}

fn injector(values: &Values) -> Value {
    let revision = values.revision();
    let not_refused = is(INJECT, "NotIn", &["false"]);
    let mut hooks = vec![
        ("rev.namespace", vec![is(REVISION, "In", &[revision]), absent(INJECTION)], vec![not_refused.clone()]),
        (
            "rev.object",
            vec![absent(REVISION), absent(INJECTION)],
            vec![not_refused.clone(), is(REVISION, "In", &[revision])],
        ),
    ];
    if revision == "default" {
        hooks.push(("namespace", vec![is(INJECTION, "In", &["enabled"])], vec![not_refused]));
        let wanted = vec![is(INJECT, "In", &["true"]), absent(REVISION)];
        hooks.push(("object", vec![absent(INJECTION), absent(REVISION)], wanted));
        if values.at("sidecarInjectorWebhook.enableNamespacesByDefault") == true {
            let others = is("kubernetes.io/metadata.name", "NotIn", &SYSTEM);
            let unlabelled = vec![absent(INJECTION), absent(REVISION), others];
            hooks.push(("auto", unlabelled, vec![absent(INJECT), absent(REVISION)]));
        }
    }
    let reinvocation = values.at("sidecarInjectorWebhook.reinvocationPolicy").as_str().unwrap_or("Never");
    let hooks: Vec<Value> = hooks
        .into_iter()
        .map(|(prefix, namespaces, pods)| {
            json!({
                "name": format!("{prefix}.sidecar-injector.istio.io"),
                "clientConfig": service(values, "/inject"),
                "rules": [{
                    "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
                }],
                "namespaceSelector": { "matchExpressions": namespaces },
                "objectSelector": { "matchExpressions": pods },
                "failurePolicy": "Fail",
                "reinvocationPolicy": reinvocation,
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            })
        })
        .collect();
    let mut meta = meta(values, &values.named("istio-sidecar-injector"), false);
    meta["labels"]["app"] = "sidecar-injector".into();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": meta, "webhooks": hooks,
    })
}

/// Until validation was seen to work, what it cannot see passes; the control plane changes that.
fn validator(values: &Values) -> Value {
    let revision = values.revision();
    let groups = ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"];
    let mut ours = vec![("rev.validation.istio.io", is(REVISION, "In", &[revision]))];
    if revision == "default" {
        // Objects that name no revision are the default one's.
        ours.push(("validation.istio.io", absent(REVISION)));
    }
    let hooks: Vec<Value> = ours
        .into_iter()
        .map(|(name, which)| {
            json!({
                "name": name,
                "clientConfig": service(values, "/validate"),
                "rules": [{
                    "operations": ["CREATE", "UPDATE"], "apiGroups": groups, "apiVersions": ["*"], "resources": ["*"],
                }],
                "failurePolicy": "Ignore",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "objectSelector": { "matchExpressions": [which] },
            })
        })
        .collect();
    let name = format!("{}-{}", values.named("istio-validator"), values.namespace());
    let mut meta = meta(values, &name, false);
    meta["labels"]["istio"] = "istiod".into();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": meta,
        "webhooks": hooks,
    })
}
