//! Endpoints: who serves a service port, from EndpointSlices, ServiceEntries, Pods and WorkloadEntries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::core::{EndpointSlice, Node, Pod, SliceEndpoint};
use api::networking::{ServiceEntry, WorkloadEntry};
use graph::{Derived, Index, Reader};
use names::{Labels, Name, Namespace, Selector};

use crate::peers::{PeerMode, Policies};
use crate::services::{Resolution, Service, ServiceId, ServicePort, Services, Target};
use crate::{Id, Objects, Row};

/// Region, zone and subzone; empty where unknown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Locality {
    /// Largest part.
    pub region: Name,
    /// Part of the region.
    pub zone: Name,
    /// Part of the zone.
    pub subzone: Name,
}

impl Locality {
    /// Reads `region/zone/subzone`, of which the later parts may be missing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/');
        let mut next = || Name::from(parts.next().unwrap_or_default());
        Self { region: next(), zone: next(), subzone: next() }
    }

    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.region.is_empty() && self.zone.is_empty() && self.subzone.is_empty()
    }
}

/// Whether an endpoint takes traffic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Health {
    /// It does.
    Ready,
    /// It does not now, and is sent so that a client out of ready ones can try it.
    Unready,
}

/// One endpoint of one service port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoint {
    /// An IP, a host name (DNS resolutions), or `unix://` and a path.
    pub address: Name,
    /// The port of the workload.
    pub port: u16,
    /// Where it is.
    pub locality: Locality,
    /// Relative share.
    pub weight: u32,
    /// Whether it takes traffic.
    pub health: Health,
    /// Its sidecar accepts Istio mTLS.
    pub mtls: bool,
    /// What telemetry shows of it.
    pub workload: Workload,
    /// Labels of the workload: subsets and failover look at them.
    pub labels: Labels,
    /// Its network, empty for the default.
    pub network: Name,
    /// Its cluster.
    pub cluster: Name,
    /// The node it runs on, for node-local services.
    pub node: Name,
    /// `hostname.subdomain` of a pod that has a name of its own in DNS, else empty.
    pub dns: Name,
}

/// The workload an endpoint belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Workload {
    /// Name of the Deployment or other owner, as far as it can be told.
    pub name: Name,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its service account: its identity.
    pub service_account: Name,
    /// The canonical service (label `service.istio.io/canonical-name`, `app.kubernetes.io/name`, `app`).
    pub canonical_name: Name,
    /// The canonical revision; empty for `latest`.
    pub canonical_revision: Name,
}

/// A service port whose endpoints are asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointsKey {
    /// The service.
    pub service: ServiceId,
    /// Its port.
    pub port: u16,
}

/// EndpointSlices by the Service they belong to.
pub struct SlicesByService;

impl Index for SlicesByService {
    type Of = Objects<EndpointSlice>;
    type Bucket = (Namespace, Name);
    type Item = Arc<Row<EndpointSlice>>;
    const NAME: &'static str = "endpoint slices by service";

    fn entries(id: &Id, row: &Arc<Row<EndpointSlice>>) -> Vec<((Namespace, Name), Self::Item)> {
        let service = row.meta.labels.get("kubernetes.io/service-name").cloned();
        service.map(|service| ((id.namespace.clone(), service), row.clone())).into_iter().collect()
    }
}

/// Pods by namespace, for ServiceEntries that select workloads.
pub struct PodsByNamespace;

impl Index for PodsByNamespace {
    type Of = Objects<Pod>;
    type Bucket = Namespace;
    type Item = Arc<Row<Pod>>;
    const NAME: &'static str = "pods by namespace";

    fn entries(id: &Id, row: &Arc<Row<Pod>>) -> Vec<(Namespace, Self::Item)> {
        vec![(id.namespace.clone(), row.clone())]
    }
}

/// WorkloadEntries by namespace.
pub struct WorkloadsByNamespace;

impl Index for WorkloadsByNamespace {
    type Of = Objects<WorkloadEntry>;
    type Bucket = Namespace;
    type Item = Arc<Row<WorkloadEntry>>;
    const NAME: &'static str = "workload entries by namespace";

    fn entries(id: &Id, row: &Arc<Row<WorkloadEntry>>) -> Vec<(Namespace, Self::Item)> {
        vec![(id.namespace.clone(), row.clone())]
    }
}

/// The table of endpoint lists, each sorted.
pub struct Endpoints;

impl Derived for Endpoints {
    type Key = EndpointsKey;
    type Value = Vec<Arc<Endpoint>>;
    const NAME: &'static str = "endpoints";
    const LEVEL: u8 = 3;

    fn build(key: &EndpointsKey, read: &mut Reader<'_>) -> Option<Vec<Arc<Endpoint>>> {
        let service = read.row::<Services>(&key.service)?;
        let port = service.port(key.port)?;
        let mut found = Vec::new();
        if service.kubernetes {
            of_slices(&service, port, read, &mut found);
            selected_workloads(&service, port, read, &mut found);
        } else {
            for id in &service.entries {
                if let Some(entry) = read.input::<Objects<ServiceEntry>>(id) {
                    of_entry(&service, &entry, port, read, &mut found);
                }
            }
        }
        refused_by_policy(&mut found, read);
        found.sort();
        found.dedup();
        // Collecting would keep the room of the endpoints for their pointers.
        let mut shared = Vec::with_capacity(found.len());
        shared.extend(found.into_iter().map(Arc::new));
        Some(shared)
    }
}

/// An endpoint whose policy takes plain text only is not spoken to in mutual TLS.
fn refused_by_policy(found: &mut [Endpoint], read: &mut Reader<'_>) {
    let mut policies = BTreeMap::<Namespace, Policies>::new();
    for endpoint in found.iter_mut().filter(|endpoint| endpoint.mtls) {
        let namespace = &endpoint.workload.namespace;
        let policies = policies.entry(namespace.clone()).or_insert_with(|| Policies::of(namespace, read));
        endpoint.mtls = policies.workload(&endpoint.labels).at(endpoint.port) != PeerMode::Disable;
    }
}

/// The identities behind a service port: a row of its own, so that what names them is not rebuilt with every endpoint.
pub struct Accounts;

impl Derived for Accounts {
    type Key = EndpointsKey;
    /// Namespace and service account, each once, in order.
    type Value = Vec<(Namespace, Name)>;
    const NAME: &'static str = "service accounts";
    const LEVEL: u8 = 4;

    fn build(key: &EndpointsKey, read: &mut Reader<'_>) -> Option<Vec<(Namespace, Name)>> {
        let endpoints = read.row::<Endpoints>(key)?;
        let named = endpoints.iter().map(|endpoint| &endpoint.workload).filter(|who| !who.service_account.is_empty());
        let accounts: BTreeSet<_> = named.map(|who| (who.namespace.clone(), who.service_account.clone())).collect();
        Some(accounts.into_iter().collect())
    }
}

fn of_slices(service: &Service, port: &ServicePort, read: &mut Reader<'_>, found: &mut Vec<Endpoint>) {
    for (id, slice) in &read.bucket::<SlicesByService>(&(service.id.namespace.clone(), service.name.clone())) {
        let Some(target) = slice.spec.ports.iter().find(|target| target.name == port.name).and_then(|port| port.port)
        else {
            continue;
        };
        for endpoint in &slice.spec.endpoints {
            let Some(health) = health(endpoint, service.publish_not_ready) else { continue };
            let pod = endpoint.target_pod().and_then(|pod| {
                read.input::<Objects<Pod>>(&Id {
                    cluster: id.cluster.clone(),
                    namespace: id.namespace.clone(),
                    name: pod,
                })
            });
            let node = endpoint.node_name.clone().unwrap_or_default();
            let mut made = match &pod {
                Some(pod) => of_pod(pod, &id.cluster, read),
                None => bare(&id.cluster, &id.namespace),
            };
            if made.locality.is_empty() {
                made.locality = node_locality(&id.cluster, &node, read);
            }
            if made.locality.zone.is_empty()
                && let Some(zone) = &endpoint.zone
            {
                made.locality.zone = zone.clone();
            }
            (made.health, made.port) = (health, target);
            if !node.is_empty() {
                made.node = node;
            }
            let each = endpoint.addresses.iter().map(|address| Endpoint { address: address.clone(), ..made.clone() });
            found.extend(each);
        }
    }
}

/// Ready, or not, or — terminating — not to be sent at all.
fn health(endpoint: &SliceEndpoint, publish_not_ready: bool) -> Option<Health> {
    let conditions = &endpoint.conditions;
    let terminating = conditions.terminating.unwrap_or(false);
    let ready = conditions.ready.unwrap_or(true) || publish_not_ready;
    match (ready, terminating) {
        (true, _) => Some(Health::Ready),
        (false, true) => None,
        (false, false) => Some(Health::Unready),
    }
}

fn bare(cluster: &Name, namespace: &Namespace) -> Endpoint {
    Endpoint {
        address: Name::default(),
        port: 0,
        locality: Locality::default(),
        weight: 1,
        health: Health::Ready,
        mtls: false,
        workload: Workload { namespace: namespace.clone(), ..Workload::default() },
        labels: Labels::default(),
        network: Name::default(),
        cluster: cluster.clone(),
        node: Name::default(),
        dns: Name::default(),
    }
}

fn of_pod(pod: &Row<Pod>, cluster: &Name, read: &mut Reader<'_>) -> Endpoint {
    let node = pod.spec.spec.node_name.clone();
    let locality = match pod.meta.labels.get("istio-locality") {
        Some(written) => Locality::parse(&written.replace('.', "/")),
        None => node_locality(cluster, &node, read),
    };
    let account = pod.spec.service_account().clone();
    let dns = pod_name(pod);
    Endpoint {
        locality,
        node,
        dns,
        ..labelled(&pod.meta.labels, &pod.meta.name, &pod.meta.namespace, cluster, account)
    }
}

/// The name that a pod has in DNS under its headless Service (`istio: pilot/pkg/serviceregistry/kube/controller/endpoint_builder.go`).
fn pod_name(pod: &Row<Pod>) -> Name {
    let spec = &pod.spec.spec;
    if spec.subdomain.is_empty() {
        return Name::default();
    }
    let own = if spec.hostname.is_empty() { &pod.meta.name } else { &spec.hostname };
    Name::from(format!("{own}.{}", spec.subdomain))
}

/// What labels say of an endpoint.
fn labelled(labels: &Labels, name: &Name, namespace: &Namespace, cluster: &Name, service_account: Name) -> Endpoint {
    let first = |keys: &[&str]| keys.iter().find_map(|key| labels.get(key)).cloned();
    let workload = Workload {
        name: workload_name(name, labels),
        namespace: namespace.clone(),
        service_account,
        canonical_name: first(&["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"])
            .unwrap_or_else(|| workload_name(name, labels)),
        canonical_revision: first(&["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"])
            .filter(|revision| *revision != "latest")
            .unwrap_or_default(),
    };
    Endpoint {
        mtls: takes_mutual_tls(labels),
        network: labels.get("topology.istio.io/network").cloned().unwrap_or_default(),
        labels: labels.clone(),
        workload,
        ..bare(cluster, namespace)
    }
}

/// Whether a workload's labels promise that it takes mutual TLS.
pub(crate) fn takes_mutual_tls(labels: &Labels) -> bool {
    labels.get("security.istio.io/tlsMode").is_some_and(|mode| mode == "istio")
}

/// The Deployment's name, when the pod's name is made from it and the template hash; else the pod's name.
fn workload_name(pod: &Name, labels: &Labels) -> Name {
    if let Some(hash) = labels.get("pod-template-hash")
        && let Some((owner, _)) = pod.split_once(&format!("-{hash}-"))
    {
        return Name::from(owner);
    }
    pod.clone()
}

/// Region, zone and subzone from the labels of a node.
pub(crate) fn node_locality(cluster: &Name, node: &str, read: &mut Reader<'_>) -> Locality {
    if node.is_empty() {
        return Locality::default();
    }
    let id = Id { cluster: cluster.clone(), namespace: Namespace::default(), name: Name::from(node) };
    let Some(node) = read.input::<Objects<Node>>(&id) else { return Locality::default() };
    let label = |keys: &[&str]| keys.iter().find_map(|key| node.meta.labels.get(key)).cloned().unwrap_or_default();
    Locality {
        region: label(&["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"]),
        zone: label(&["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"]),
        subzone: label(&["topology.istio.io/subzone"]),
    }
}

/// WorkloadEntries that a Kubernetes Service selects beside its pods.
fn selected_workloads(service: &Service, port: &ServicePort, read: &mut Reader<'_>, found: &mut Vec<Endpoint>) {
    let Some(selector) = &service.selector else { return };
    for (id, workload) in &read.bucket::<WorkloadsByNamespace>(&service.id.namespace) {
        if selector.matches(&workload.spec.labels) {
            found.extend(of_workload(&workload.spec, &workload.meta.name, id, port));
        }
    }
}

fn of_entry(
    service: &Service,
    entry: &Row<ServiceEntry>,
    port: &ServicePort,
    read: &mut Reader<'_>,
    found: &mut Vec<Endpoint>,
) {
    let id = Id { cluster: Name::default(), namespace: service.id.namespace.clone(), name: entry.meta.name.clone() };
    if let Some(selector) = &entry.spec.workload_selector {
        let selector = Selector(selector.labels.clone());
        return selected(service, &selector, port, read, found);
    }
    if !entry.spec.endpoints.is_empty() {
        found.extend(
            entry.spec.endpoints.iter().filter_map(|workload| of_workload(workload, &entry.meta.name, &id, port)),
        );
        return;
    }
    let by_dns = matches!(service.resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    if by_dns && !service.id.host.is_wildcard() {
        let Target::Number(target) = port.target else { return };
        let made =
            Endpoint { address: service.id.host.name().clone(), port: target, ..bare(&id.cluster, &id.namespace) };
        found.push(made);
    }
}

/// Pods and WorkloadEntries that a ServiceEntry selects.
fn selected(
    service: &Service,
    selector: &Selector,
    port: &ServicePort,
    read: &mut Reader<'_>,
    found: &mut Vec<Endpoint>,
) {
    let namespace = &service.id.namespace;
    for (id, workload) in &read.bucket::<WorkloadsByNamespace>(namespace) {
        if selector.matches(&workload.spec.labels) {
            found.extend(of_workload(&workload.spec, &workload.meta.name, id, port));
        }
    }
    for (id, pod) in &read.bucket::<PodsByNamespace>(namespace) {
        if !selector.matches(&pod.meta.labels) || !pod.spec.is_running() {
            continue;
        }
        let Target::Number(target) = port.target else { continue };
        let health = if pod.spec.is_ready() { Health::Ready } else { Health::Unready };
        let made = Endpoint { port: target, health, ..of_pod(pod, &id.cluster, read) };
        found.extend(pod.spec.ips().into_iter().map(|address| Endpoint { address, ..made.clone() }));
    }
}

/// A WorkloadEntry, or an inline endpoint of a ServiceEntry.
fn of_workload(workload: &WorkloadEntry, name: &Name, id: &Id, port: &ServicePort) -> Option<Endpoint> {
    let target = match (workload.ports.get(&port.name), &port.target) {
        (Some(number), _) => *number,
        (None, Target::Number(number)) => *number,
        (None, Target::Named(_)) => return None,
    };
    let account = workload.service_account.clone();
    let mut made = labelled(&workload.labels, name, &id.namespace, &id.cluster, account);
    made.address = workload.address.clone();
    made.port = if workload.address.starts_with("unix://") { 0 } else { target };
    made.weight = workload.weight.unwrap_or(1).max(1);
    made.locality = Locality::parse(&workload.locality);
    if !workload.network.is_empty() {
        made.network = workload.network.clone();
    }
    Some(made)
}
