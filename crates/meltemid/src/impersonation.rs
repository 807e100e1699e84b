//! Node agents ask for the certificates of workloads on their node, and of no others
//! (`istio: security/pkg/server/ca/node_auth.go`). That a workload is there is what the mesh says, not the agent.

use model::endpoints::PodsByNamespace;
use model::{Id, Objects, core};
use names::SpiffeId;

use crate::callers::Proven;
use crate::control::View;
use crate::settings::NodeAccount;

/// The identity that `caller` may have a certificate for in place of its own.
///
/// # Errors
/// When it may not: why.
pub(crate) fn allowed(view: &View, trusted: &[NodeAccount], caller: &Proven, wanted: &str) -> Result<SpiffeId, String> {
    let is_trusted = |id: &&SpiffeId| {
        trusted.iter().any(|NodeAccount(namespace, name)| *id.namespace == **namespace && *id.account == **name)
    };
    let own = caller.identities.iter().find(is_trusted).ok_or("its service account is not trusted with that")?;
    let wanted: SpiffeId = wanted.parse().map_err(|_| format!("{wanted:?} is no identity"))?;
    if wanted.trust_domain != view.mesh.trust_domain() {
        return Err(format!("{wanted} is not of this mesh"));
    }
    let proved = caller.pod.as_ref().ok_or("its token does not say of which pod it is")?;
    let cluster = view.mesh.base().cluster.clone();
    let id = Id { cluster: cluster.clone(), namespace: own.namespace.clone(), name: proved.name.clone() };
    let db = view.mesh.db();
    let pod =
        db.input::<Objects<core::Pod>>(&id).ok_or_else(|| format!("there is no pod {}/{}", id.namespace, id.name))?;
    if pod.meta.uid != proved.uid {
        return Err(format!("pod {}/{} is another one by now", id.namespace, id.name));
    }
    if *pod.spec.service_account() != own.account {
        return Err(format!("pod {}/{} has another service account", id.namespace, id.name));
    }
    let node = &pod.spec.spec.node_name;
    let there = |(id, pod): &(&Id, &std::sync::Arc<model::Row<core::Pod>>)| {
        id.cluster == cluster
            && pod.spec.spec.node_name == *node
            && pod.spec.status.phase != "Failed"
            && *pod.spec.service_account() == wanted.account
    };
    match !node.is_empty() && db.bucket::<PodsByNamespace>(&wanted.namespace).iter().any(|each| there(&each)) {
        true => Ok(wanted),
        false => Err(format!("no pod of {wanted} is on node {node:?}")),
    }
}
