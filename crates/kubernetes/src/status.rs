//! What the control plane writes into the status of Istio's objects, by server-side apply on the status alone: it changes no generation, and
//! what others say there stays.

use api::{ObjectId, Said};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::Cluster;

/// Who says what analysis found: a name of its own, since what a name applies next takes the place of all that it applied.
const ANALYSIS: &str = "meltemi-analysis";
/// Where codes are explained (`istio: pkg/url/url.go`).
const EXPLAINED: &str = "https://istio.io/latest/docs/reference/config/analysis";

/// Says in the status of an object what analysis found, as istiod does (`istio: pkg/config/analysis/incluster/controller.go`); without
/// messages what was said is taken back. Gives false when the object is gone.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn say(cluster: &Cluster, object: &ObjectId, said: &Said) -> kube::Result<bool> {
    let messages = said.messages.iter().map(|message| {
        json!({
            "type": { "code": message.code },
            "level": message.level,
            "documentationUrl": format!("{EXPLAINED}/{}/", message.code.to_lowercase()),
            "message": message.message,
        })
    });
    let status = json!({
        // As Istio writes it.
        "observedGeneration": said.generation.to_string(),
        "validationMessages": messages.collect::<Vec<_>>(),
    });
    apply(cluster, object, ANALYSIS, status).await
}

async fn apply(cluster: &Cluster, object: &ObjectId, manager: &str, status: Value) -> kube::Result<bool> {
    let version = object.kind.versions().first().copied().unwrap_or("v1");
    let kind = GroupVersionKind::gvk(object.kind.group(), version, object.kind.name());
    let resource = ApiResource::from_gvk_with_plural(&kind, object.kind.plural());
    let objects: Api<DynamicObject> = Api::namespaced_with(cluster.client(), &object.namespace, &resource);
    let written = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": { "name": object.name, "namespace": object.namespace },
        "status": status,
    });
    match objects.patch_status(&object.name, &PatchParams::apply(manager).force(), &Patch::Apply(written)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}
