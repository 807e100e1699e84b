//! Objects of an installation, applied and removed. Only kinds that an installation has.

use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::Value;
use tokio::time::Instant;

use crate::Cluster;

/// Who installs, as the API server shows it in `managedFields`.
const MANAGER: &str = "meltemi-install";
/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(500);
/// An image that cannot be had for so long will not come by itself.
const PULLED: Duration = Duration::from_secs(15);
/// Why containers wait for an image (`k8s: pkg/kubelet/images/types.go`).
const NO_IMAGE: [&str; 4] = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"];

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
    let mut stuck_since = None;
    loop {
        let found = api.get_opt(&name).await.with_context(|| shown(object))?;
        let status = found.map(|found| found.data["status"].clone()).unwrap_or_default();
        let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|found| found["type"] == condition && found["status"] == "True") {
            return Ok(());
        }
        match no_image(cluster, object).await? {
            None => stuck_since = None,
            Some(why) if stuck_since.get_or_insert_with(Instant::now).elapsed() >= PULLED.min(limit) => {
                bail!("{} cannot start: {why}", shown(object));
            }
            Some(_) => {}
        }
        if Instant::now() >= until {
            let said: Vec<&str> = conditions.iter().filter_map(|found| found["message"].as_str()).collect();
            bail!("{} is not {condition} after {limit:?}: {}", shown(object), said.join("; "));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What the pods of a Deployment say of an image that they cannot get; none while they say nothing of the kind.
async fn no_image(cluster: &Cluster, object: &Value) -> anyhow::Result<Option<String>> {
    let selector = object["spec"]["selector"]["matchLabels"].as_object();
    let (Some(labels), Some(namespace)) = (selector, object["metadata"]["namespace"].as_str()) else { return Ok(None) };
    let labels: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let pods = pods.list(&ListParams::default().labels(&labels.join(","))).await.context("listing pods")?;
    let statuses = pods.items.into_iter().filter_map(|pod| pod.status).flat_map(|status| {
        let all = [status.init_container_statuses, status.container_statuses];
        all.into_iter().flatten().flatten()
    });
    let waiting = statuses.filter_map(|status| Some((status.image, status.state?.waiting?)));
    let mut failed = waiting.filter_map(|(image, waiting)| {
        let reason = waiting.reason.filter(|reason| NO_IMAGE.contains(&reason.as_str()))?;
        Some(format!("{reason} of {image}: {}", waiting.message.unwrap_or_default()))
    });
    Ok(failed.next())
}
