//! Objects of an installation, applied and removed. Only kinds that an installation has.

use std::time::Duration;

use anyhow::{Context, bail};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::Value;
use tokio::time::Instant;

use crate::Cluster;

/// Who installs, as the API server shows it in `managedFields`.
const MANAGER: &str = "meltemi-install";
/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(500);

/// Kinds with their plural names, and whether they are in namespaces.
const KINDS: [(&str, &str, bool); 15] = [
    ("Namespace", "namespaces", false),
    ("CustomResourceDefinition", "customresourcedefinitions", false),
    ("ServiceAccount", "serviceaccounts", true),
    ("ClusterRole", "clusterroles", false),
    ("ClusterRoleBinding", "clusterrolebindings", false),
    ("Role", "roles", true),
    ("RoleBinding", "rolebindings", true),
    ("ConfigMap", "configmaps", true),
    ("Secret", "secrets", true),
    ("Service", "services", true),
    ("Deployment", "deployments", true),
    ("PodDisruptionBudget", "poddisruptionbudgets", true),
    ("HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
];

/// An object's kind, namespace and name, as people write them.
#[must_use]
pub fn shown(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, meta) = (text(&object["kind"]), &object["metadata"]);
    match meta["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{}", text(&meta["name"])),
        None => format!("{kind} {}", text(&meta["name"])),
    }
}

fn place(cluster: &Cluster, object: &Value) -> anyhow::Result<(Api<DynamicObject>, String)> {
    let kind = object["kind"].as_str().context("an object has a kind")?;
    let Some((_, plural, namespaced)) = KINDS.iter().find(|(known, ..)| *known == kind) else {
        bail!("{kind} is no kind of an installation");
    };
    let api_version = object["apiVersion"].as_str().context("an object has a version")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: (*plural).to_owned(),
    };
    let name = object["metadata"]["name"].as_str().context("an object has a name")?.to_owned();
    let client = cluster.client();
    let api = match object["metadata"]["namespace"].as_str().filter(|_| *namespaced) {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    Ok((api, name))
}

/// Puts an object into the cluster; what others wrote of it stays, but for the fields that are ours. With `trial` nothing is kept.
///
/// # Errors
/// When the API server refuses it.
pub async fn apply(cluster: &Cluster, object: &Value, trial: bool) -> anyhow::Result<()> {
    let (api, name) = place(cluster, object)?;
    let params = PatchParams { dry_run: trial, ..PatchParams::apply(MANAGER).force() };
    api.patch(&name, &params, &Patch::Apply(object)).await.with_context(|| shown(object))?;
    Ok(())
}

/// Takes an object out of the cluster; says whether it was there.
///
/// # Errors
/// When the API server refuses.
pub async fn remove(cluster: &Cluster, object: &Value) -> anyhow::Result<bool> {
    let (api, name) = place(cluster, object)?;
    match api.delete(&name, &DeleteParams::default()).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error).with_context(|| shown(object)),
    }
}

/// Waits until an object works: a definition is established, a Deployment has all its replicas. Others do at once.
///
/// # Errors
/// When it does not in time; the text says what the API server shows of it.
pub async fn settled(cluster: &Cluster, object: &Value, limit: Duration) -> anyhow::Result<()> {
    let condition = match object["kind"].as_str() {
        Some("CustomResourceDefinition") => "Established",
        Some("Deployment") => "Available",
        _ => return Ok(()),
    };
    let (api, name) = place(cluster, object)?;
    let until = Instant::now() + limit;
    loop {
        let found = api.get_opt(&name).await.with_context(|| shown(object))?;
        let status = found.map(|found| found.data["status"].clone()).unwrap_or_default();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|found| found["type"] == condition && found["status"] == "True") {
            return Ok(());
        }
        if Instant::now() >= until {
            let said: Vec<&str> = conditions.iter().filter_map(|found| found["message"].as_str()).collect();
            bail!("{} is not {condition} after {limit:?}: {}", shown(object), said.join("; "));
        }
        tokio::time::sleep(LOOK).await;
    }
}
