//! Where Ingresses can be reached is said in their status (`istio: pilot/pkg/config/kube/ingress`): by the holder of the Lease. All of ours are
//! reached at one place, the Service in front of the gateways; of others nothing is said, and what was is taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use api::core::Service;
use api::ingress::{Ingress, ReachedAt};
use api::{Kind, Node, ObjectId, Pod};
use kubernetes::lease::Lead;
use kubernetes::{Cluster, status};
use model::ingress::{Claim, selector};
use model::settings::MeshSettings;
use model::{Id, Mesh, Objects};
use names::{Labels, Name};

use crate::control::{Control, View};
use crate::writes::{self, Pace};

/// What was written is seen before it would be written again.
const PACE: Pace = Pace { look: Duration::from_millis(500), again: Duration::from_secs(2) };
/// The label that gives an object to one revision of the control plane, which is the one to write its status.
const REVISION: &str = "istio.io/rev";

/// What is to be said of one Ingress.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Write {
    object: ObjectId,
    /// Nothing takes back what was said.
    reached_at: Option<Vec<ReachedAt>>,
}

impl writes::Write for Write {
    const WHAT: &'static str = "where it can be reached";

    fn due(view: &View) -> Vec<Self> {
        due(&view.mesh)
    }

    fn object(&self) -> &ObjectId {
        &self.object
    }

    async fn write(&self, cluster: &Cluster) -> anyhow::Result<bool> {
        status::reached_at(cluster, &self.object, self.reached_at.as_deref()).await?;
        Ok(true)
    }
}

/// Keeps the status of all Ingresses at where they can be reached, while the Lease is ours. Never returns.
pub(crate) async fn run(cluster: Cluster, control: Control, lead: Lead) {
    writes::keep::<Write>(cluster, control, lead, PACE).await;
}

/// The Ingresses whose status says something else than it is to.
fn due(mesh: &Mesh) -> Vec<Write> {
    let settings = mesh.settings();
    let place = place(mesh, &settings);
    let mut writes = Vec::new();
    for (id, row) in mesh.db().inputs::<Objects<Ingress>>() {
        let others = row.meta.labels.get(REVISION).is_some_and(|revision| *revision != mesh.base().revision);
        let said: BTreeSet<&ReachedAt> = row.spec.reached_at.iter().collect();
        let as_ours = said.iter().copied().eq(&place);
        let reached_at = match Claim::new(&row.meta, &row.spec).is_ours(&settings, mesh.db()) {
            _ if others => continue,
            true if as_ours => continue,
            true => Some(place.iter().cloned().collect()),
            // It was ours, or somebody says the same of it, whose word stays.
            false if as_ours && !said.is_empty() => None,
            false => continue,
        };
        let object = ObjectId { kind: Kind::Ingress, namespace: id.namespace.clone(), name: id.name.clone() };
        writes.push(Write { object, reached_at });
    }
    writes.sort_by(|one, other| one.object.cmp(&other.object));
    writes
}

/// Where the gateways that serve Ingresses can be reached.
fn place(mesh: &Mesh, settings: &MeshSettings) -> BTreeSet<ReachedAt> {
    let base = &settings.base;
    let name = &settings.mesh.ingress_service;
    let found = if name.is_empty() {
        of_nodes(mesh, &base.ingress_namespace, &selector(&settings.mesh))
    } else {
        let id = Id { cluster: base.cluster.clone(), namespace: base.ingress_namespace.clone(), name: name.clone() };
        mesh.db().input::<Objects<Service>>(&id).map(|row| of_service(&row.spec)).unwrap_or_default()
    };
    found.into_iter().filter(|written| !written.is_empty()).map(|written| reached_at(&written)).collect()
}

/// The load balancer of a Service, and other addresses that lead to it.
fn of_service(service: &Service) -> Vec<Name> {
    if service.is_external_name() {
        return service.spec.external_name.iter().cloned().collect();
    }
    let balancer = service.status.load_balancer.ingress.iter();
    let balanced = balancer.map(|each| if each.ip.is_empty() { each.hostname.clone() } else { each.ip.clone() });
    balanced.chain(service.spec.external_ips.iter().cloned()).collect()
}

/// The outside addresses of the node on which the first gateway runs.
fn of_nodes(mesh: &Mesh, namespace: &Name, selector: &Labels) -> Vec<Name> {
    let db = mesh.db();
    let gateways = db.inputs::<Objects<Pod>>().filter(|(id, row)| {
        id.namespace == *namespace && row.spec.status.phase == "Running" && row.meta.labels.contain(selector)
    });
    let mut nodes: Vec<(&Id, &Name)> = gateways.map(|(id, row)| (id, &row.spec.spec.node_name)).collect();
    nodes.sort();
    let node = nodes.into_iter().find_map(|(id, node)| {
        let id = Id { namespace: Name::default(), name: node.clone(), ..id.clone() };
        db.input::<Objects<Node>>(&id)
    });
    let addresses = node.iter().flat_map(|row| &row.spec.status.addresses);
    addresses.filter(|each| each.r#type == "ExternalIP").map(|each| each.address.clone()).collect()
}

/// An address, or else a name.
fn reached_at(written: &Name) -> ReachedAt {
    match written.parse::<std::net::IpAddr>() {
        Ok(_) => ReachedAt { ip: written.clone(), ..ReachedAt::default() },
        Err(_) => ReachedAt { hostname: written.clone(), ..ReachedAt::default() },
    }
}

#[cfg(test)]
mod tests;
