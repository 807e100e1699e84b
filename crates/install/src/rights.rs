//! Who the control plane is and what it may do: as much as it does, as the API server's audit log shows.

use serde_json::{Value, json};

use crate::{Values, meta};

/// Istio's kinds, by group.
const KINDS: [(&str, &[&str]); 4] = [
    (
        "networking.istio.io",
        &[
            "virtualservices",
            "destinationrules",
            "gateways",
            "serviceentries",
            "workloadentries",
            "workloadgroups",
            "sidecars",
            "envoyfilters",
            "proxyconfigs",
        ],
    ),
    ("security.istio.io", &["peerauthentications", "requestauthentications", "authorizationpolicies"]),
    ("telemetry.istio.io", &["telemetries"]),
    ("extensions.istio.io", &["wasmplugins", "trafficextensions"]),
];

/// Its account, and the roles.
pub(crate) fn all(values: &Values) -> Vec<Value> {
    let (account, namespace) = (values.named("istiod"), values.namespace());
    let cluster_role = format!("{}-{namespace}", values.named("istiod-clusterrole"));
    let subjects = json!([{ "kind": "ServiceAccount", "name": account, "namespace": namespace }]);
    let group = "rbac.authorization.k8s.io";
    let bound = |kind: &str, name: &str| json!({ "apiGroup": group, "kind": kind, "name": name });
    let api_version = format!("{group}/v1");
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(values, &account, true) }),
        json!({
            "apiVersion": api_version, "kind": "ClusterRole", "metadata": meta(values, &cluster_role, false),
            "rules": everywhere(values),
        }),
        json!({
            "apiVersion": api_version, "kind": "ClusterRoleBinding", "metadata": meta(values, &cluster_role, false),
            "roleRef": bound("ClusterRole", &cluster_role), "subjects": subjects,
        }),
        json!({
            "apiVersion": api_version, "kind": "Role", "metadata": meta(values, &account, true), "rules": at_home(),
        }),
        json!({
            "apiVersion": api_version, "kind": "RoleBinding", "metadata": meta(values, &account, true),
            "roleRef": bound("Role", &account), "subjects": subjects,
        }),
    ]
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

fn everywhere(values: &Values) -> Vec<Value> {
    let read = ["list", "watch"];
    let mut rules: Vec<Value> = KINDS.iter().map(|(group, resources)| rule(group, resources, &read)).collect();
    if values.switched("PILOT_ENABLE_IP_AUTOALLOCATE", true) {
        rules.push(rule("networking.istio.io", &["serviceentries/status"], &["patch"]));
    }
    // What analysis finds is said in the status of the objects.
    if values.switched("PILOT_ENABLE_ANALYSIS", false) {
        rules.extend(KINDS.iter().map(|(group, resources)| {
            let statuses: Vec<String> = resources.iter().map(|resource| format!("{resource}/status")).collect();
            rule(group, &statuses.iter().map(String::as_str).collect::<Vec<_>>(), &["patch"])
        }));
    }
    rules.extend([
        rule("", &["services", "pods", "namespaces", "nodes", "configmaps", "secrets"], &read),
        rule("discovery.k8s.io", &["endpointslices"], &read),
        rule("networking.k8s.io", &["ingresses", "ingressclasses"], &read),
        // Where they can be reached.
        rule("networking.k8s.io", &["ingresses/status"], &["patch"]),
        // Istio's kinds may come later, or go.
        rule("apiextensions.k8s.io", &["customresourcedefinitions"], &read),
        // Whose token a caller shows.
        rule("authentication.k8s.io", &["tokenreviews"], &["create"]),
        // Whether it may have keys.
        rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
        // The webhooks are told our roots.
        rule(
            "admissionregistration.k8s.io",
            &["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
            &["list", "watch", "patch"],
        ),
        // The roots in every namespace.
        json!({
            "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["istio-ca-root-cert"],
            "verbs": ["create", "patch"],
        }),
    ]);
    rules
}

fn at_home() -> Vec<Value> {
    vec![
        json!({
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cacerts", "istio-ca-secret"],
            "verbs": ["get", "list", "watch"],
        }),
        // A replacement of the authority is remembered, and a root that a control plane made is made anew in time.
        json!({
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["meltemi-ca-state", "istio-ca-secret"],
            "verbs": ["get", "update"],
        }),
        // Names of what is to be made cannot be told beforehand.
        rule("", &["secrets"], &["create"]),
        // Who writes, and what each replica says of the authority.
        rule("coordination.k8s.io", &["leases"], &["get", "list", "create", "update", "patch", "delete"]),
        // A bad one is tried, without keeping it: whether validation refuses it.
        rule("networking.istio.io", &["gateways"], &["create"]),
    ]
}
