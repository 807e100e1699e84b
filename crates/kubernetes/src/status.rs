//! What the control plane writes into the status of Istio's objects and of Ingresses, by server-side apply on the status alone: it changes no generation, and
//! what others say there stays.

use api::ingress::ReachedAt;
use api::networking::Allocated;
use api::{ObjectId, Said};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::Cluster;

/// Who says what analysis found: a name of its own, since what a name applies next takes the place of all that it applied.
const ANALYSIS: &str = "meltemi-analysis";
/// Who gives addresses.
const ADDRESSES: &str = "meltemi-addresses";
/// Who says where Ingresses can be reached.
const INGRESSES: &str = "meltemi-ingress";
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
    apply(cluster, object, (ANALYSIS, None), status).await
}

/// Gives the hosts of a ServiceEntry addresses, all of them anew (`istio: pilot/pkg/controllers/ipallocate`). Gives false when the object
/// is not the one of this version any more.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn address(
    cluster: &Cluster,
    object: &ObjectId,
    version: &str,
    addresses: &[Allocated],
) -> kube::Result<bool> {
    let addresses = addresses.iter().map(|each| json!({ "host": each.host, "value": each.address }));
    let status = json!({ "addresses": addresses.collect::<Vec<_>>() });
    apply(cluster, object, (ADDRESSES, Some(version)), status).await
}

/// Says where an Ingress can be reached, or takes back what was said. Gives false when the object is gone.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn reached_at(cluster: &Cluster, object: &ObjectId, places: Option<&[ReachedAt]>) -> kube::Result<bool> {
    let place = |each: &ReachedAt| match each.ip.is_empty() {
        true => json!({ "hostname": each.hostname }),
        false => json!({ "ip": each.ip }),
    };
    let status = match places {
        Some(places) => json!({ "loadBalancer": { "ingress": places.iter().map(place).collect::<Vec<_>>() } }),
        None => json!({}),
    };
    apply(cluster, object, (INGRESSES, None), status).await
}

async fn apply(
    cluster: &Cluster,
    object: &ObjectId,
    (manager, seen): (&str, Option<&str>),
    status: Value,
) -> kube::Result<bool> {
    let version = object.kind.versions().first().copied().unwrap_or("v1");
    let kind = GroupVersionKind::gvk(object.kind.group(), version, object.kind.name());
    let resource = ApiResource::from_gvk_with_plural(&kind, object.kind.plural());
    let objects: Api<DynamicObject> = Api::namespaced_with(cluster.client(), &object.namespace, &resource);
    let mut written = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": { "name": object.name, "namespace": object.namespace },
        "status": status,
    });
    if let Some(seen) = seen {
        written["metadata"]["resourceVersion"] = seen.into();
    }
    match objects.patch_status(&object.name, &PatchParams::apply(manager).force(), &Patch::Apply(written)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(error) => Err(error),
    }
}
