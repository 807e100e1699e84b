//! Proxies: what is known of one that connected, which workload it is, and the facets it is a tuple of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use api::core::{EndpointSlice, Pod, Service as KubeService};
use api::networking::ServiceEntry;
use graph::{Derived, Index, Input, Reader};
use names::{Hostname, Labels, Name, Namespace, Protocol, Selector};

use crate::endpoints::{Locality, takes_mutual_tls};
use crate::gateways::GatewayId;
use crate::peers::{Peers, Policies};
use crate::scopes::{self, Scope};
use crate::services::{ServiceId, Services, Target};
use crate::settings::settings;
use crate::{Id, Objects, Row};

mod node;

pub use node::NodeFacts;

/// One connection of a proxy.
pub type ProxyId = u64;

/// What kind of data plane it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Envoy beside a workload.
    Sidecar,
    /// Envoy as a gateway.
    Router,
    /// Envoy as a waypoint.
    Waypoint,
    /// ztunnel.
    Ztunnel,
    /// A gRPC client or server without proxy.
    Grpc,
}

/// How traffic comes to the proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Interception {
    /// iptables REDIRECT.
    #[default]
    Redirect,
    /// iptables TPROXY.
    Tproxy,
    /// Not at all: the proxy binds the ports themselves.
    None,
}

/// What the proxy can do, as far as resources depend on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Caps {
    /// Istio's own Envoy: it has Istio's filters.
    pub istio_filters: bool,
    /// Takes route tables host by host: an Envoy that speaks delta.
    pub vhds: bool,
}

/// What a proxy said of itself and what its credentials say, reduced to what matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// The kind of data plane.
    pub kind: Kind,
    /// Name of its pod, if it has one.
    pub name: Name,
    /// Namespace of its workload.
    pub namespace: Namespace,
    /// Labels from the node metadata; the Pod's where that has none.
    pub labels: Labels,
    /// Its addresses, the first one first.
    pub addresses: Vec<IpAddr>,
    /// Where it runs.
    pub locality: Locality,
    /// Its network, empty for the default.
    pub network: Name,
    /// Its cluster.
    pub cluster: Name,
    /// How traffic comes to it.
    pub interception: Interception,
    /// What it can do.
    pub caps: Caps,
    /// It may not bind ports below 1024.
    pub unprivileged: bool,
    /// Which Secrets it may have: what the server found out about its identity, never what it says of itself.
    pub secrets: SecretAccess,
}

/// Which Secrets of its own namespace a proxy may be sent. Whoever authenticates the stream says so; nobody else may have any
/// (`istio: pilot/pkg/xds/sds.go`: a verified identity of the namespace, and for keys a SubjectAccessReview).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum SecretAccess {
    /// None: the stream is anonymous, or of another namespace.
    #[default]
    Denied,
    /// It is being found out. Until then nothing is said of Secrets, not even that there are none.
    Undecided,
    /// Roots, which are no secret.
    Roots,
    /// Keys too.
    All,
}

/// Secrets that a proxy may have. Proxies of a namespace with equal rights share what they are sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SecretGrant {
    /// The cluster whose Secrets they are.
    pub cluster: Name,
    /// Their namespace.
    pub namespace: Namespace,
    /// Which of them.
    pub access: SecretAccess,
}

/// The table of [`Proxy`] rows.
pub struct Proxies;

impl Input for Proxies {
    type Key = ProxyId;
    type Value = Proxy;
    const NAME: &'static str = "proxies";
}

/// The table of proxies whose agents asked for the names that they may resolve: for all others no names are put together.
pub struct AskedForNames;

impl Input for AskedForNames {
    type Key = ProxyId;
    type Value = ();
    const NAME: &'static str = "asked for names";
}

/// The table of rights that were found out after a proxy had connected; they stand in place of [`Proxy::secrets`].
pub struct FoundAccess;

impl Input for FoundAccess {
    type Key = ProxyId;
    type Value = SecretAccess;
    const NAME: &'static str = "found access";
}

/// The families of a proxy's own addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Families {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// Both.
    Dual,
}

impl Families {
    /// Of these addresses.
    #[must_use]
    pub fn of(addresses: &[IpAddr]) -> Self {
        match (addresses.iter().any(IpAddr::is_ipv4), addresses.iter().any(IpAddr::is_ipv6)) {
            (true, true) => Self::Dual,
            (false, true) => Self::V6,
            (_, false) => Self::V4,
        }
    }

    /// Whether a proxy with these can call an address.
    #[must_use]
    pub fn reach(self, address: IpAddr) -> bool {
        match self {
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
            Self::Dual => true,
        }
    }
}

/// EndpointSlices by the addresses in them.
pub struct SlicesByAddress;

impl Index for SlicesByAddress {
    type Of = Objects<EndpointSlice>;
    type Bucket = Name;
    type Item = Arc<Row<EndpointSlice>>;
    const NAME: &'static str = "endpoint slices by address";

    fn entries(_: &Id, row: &Arc<Row<EndpointSlice>>) -> Vec<(Name, Self::Item)> {
        let mut addresses: Vec<Name> =
            row.spec.endpoints.iter().flat_map(|endpoint| endpoint.addresses.clone()).collect();
        addresses.sort();
        addresses.dedup();
        addresses.into_iter().map(|address| (address, row.clone())).collect()
    }
}

/// Kubernetes Services with a selector, by namespace.
pub struct SelectingServices;

impl Index for SelectingServices {
    type Of = Objects<KubeService>;
    type Bucket = Namespace;
    type Item = Selector;
    const NAME: &'static str = "selecting services by namespace";

    fn entries(id: &Id, row: &Arc<Row<KubeService>>) -> Vec<(Namespace, Selector)> {
        let selector = row.spec.spec.selector.clone().filter(|labels| !labels.is_empty());
        selector.map(|labels| (id.namespace.clone(), Selector(labels))).into_iter().collect()
    }
}

/// ServiceEntries that select workloads or list addresses, by namespace.
pub struct SelectingEntries;

impl Index for SelectingEntries {
    type Of = Objects<ServiceEntry>;
    type Bucket = Namespace;
    type Item = Arc<Row<ServiceEntry>>;
    const NAME: &'static str = "selecting service entries by namespace";

    fn entries(id: &Id, row: &Arc<Row<ServiceEntry>>) -> Vec<(Namespace, Self::Item)> {
        let has = row.spec.workload_selector.is_some() || !row.spec.endpoints.is_empty();
        has.then(|| (id.namespace.clone(), row.clone())).into_iter().collect()
    }
}

/// One port on which a workload serves one port of one service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Served {
    /// The port of the workload.
    pub target: u16,
    /// The service.
    pub service: ServiceId,
    /// The service's port.
    pub port: u16,
    /// What it speaks.
    pub protocol: Protocol,
}

/// Which ports a workload serves, and whether its listeners are given by a Sidecar. Replicas are equal in it, so they share their listeners.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Inbound {
    /// The namespace of the workload.
    pub namespace: Namespace,
    /// By target port, then oldest service first.
    pub served: Vec<Served>,
    /// The Sidecar with `ingress` listeners, or with a connection pool for inbound clusters.
    pub sidecar: Option<Id>,
    /// How traffic comes to the proxy.
    pub interception: Interception,
    /// What it takes from its peers.
    pub peers: Peers,
    /// Where the proxy binds ports: its own address, and all of them for a gRPC server, which chooses itself. Empty where it binds none,
    /// so that replicas share the rest.
    pub addresses: Vec<IpAddr>,
}

/// The shared parts that a proxy's configuration is put together from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facet {
    /// The kind of data plane.
    pub kind: Kind,
    /// Whom it can call, and how.
    pub scope: Arc<Scope>,
    /// What it serves.
    pub inbound: Arc<Inbound>,
    /// Where it is.
    pub locality: Locality,
    /// Its network.
    pub network: Name,
    /// What it can do.
    pub caps: Caps,
    /// The gateways that select it, for routers: oldest first.
    pub gateways: Arc<Vec<GatewayId>>,
    /// For routers: service port → target port of the services it belongs to.
    pub port_map: Arc<BTreeMap<u16, u16>>,
    /// It may not bind ports below 1024.
    pub unprivileged: bool,
    /// The Secrets it may have.
    pub secrets: Arc<SecretGrant>,
    /// Its agent resolves names; the addresses that it can call.
    pub names: Option<Families>,
}

/// The table of [`Facet`] tuples.
pub struct Facets;

impl Derived for Facets {
    type Key = ProxyId;
    type Value = Facet;
    const NAME: &'static str = "facets";
    const LEVEL: u8 = 6;

    fn build(key: &ProxyId, read: &mut Reader<'_>) -> Option<Facet> {
        let proxy = read.input::<Proxies>(key)?;
        let labels = labels(&proxy, read);
        let served = served(&proxy, &labels, read);
        let sidecar = match proxy.kind {
            Kind::Sidecar | Kind::Grpc => scopes::sidecar_for(&proxy.namespace, &labels, read),
            Kind::Router | Kind::Waypoint | Kind::Ztunnel => None,
        };
        let gateways = match proxy.kind {
            Kind::Router => crate::gateways::selecting(&labels, read),
            Kind::Sidecar | Kind::Waypoint | Kind::Ztunnel | Kind::Grpc => Vec::new(),
        };
        let port_map = served.iter().map(|served| (served.port, served.target)).collect();
        let scope = Scope {
            namespace: proxy.namespace.clone(),
            sidecar: sidecar.clone(),
            source: scopes::source_answers(&proxy.namespace, &labels, read),
        };
        let bound = match proxy.kind {
            Kind::Sidecar if proxy.interception == Interception::None => 1,
            Kind::Grpc => proxy.addresses.len(),
            Kind::Sidecar | Kind::Router | Kind::Waypoint | Kind::Ztunnel => 0,
        };
        let peers = Policies::of(&proxy.namespace, read).workload(&labels);
        let inbound = Inbound {
            namespace: proxy.namespace.clone(),
            served,
            sidecar,
            interception: proxy.interception,
            peers: if proxy.kind == Kind::Grpc { peers.decided(takes_mutual_tls(&labels)) } else { peers },
            addresses: proxy.addresses.iter().take(bound).copied().collect(),
        };
        Some(Facet {
            kind: proxy.kind,
            scope: Arc::new(scope),
            inbound: Arc::new(inbound),
            locality: locality(&proxy, &labels, read),
            network: proxy.network.clone(),
            caps: proxy.caps,
            gateways: Arc::new(gateways),
            port_map: Arc::new(port_map),
            unprivileged: proxy.unprivileged,
            secrets: Arc::new(SecretGrant {
                cluster: proxy.cluster.clone(),
                namespace: proxy.namespace.clone(),
                access: read.input::<FoundAccess>(key).map_or(proxy.secrets, |found| *found),
            }),
            names: read.input::<AskedForNames>(key).map(|_| Families::of(&proxy.addresses)),
        })
    }
}

/// The labels that select a proxy: its own, else its Pod's.
fn labels(proxy: &Proxy, read: &mut Reader<'_>) -> Labels {
    if !proxy.labels.is_empty() {
        return proxy.labels.clone();
    }
    pod(proxy, read).map(|pod| pod.meta.labels.clone()).unwrap_or_default()
}

fn pod(proxy: &Proxy, read: &mut Reader<'_>) -> Option<Arc<Row<Pod>>> {
    let id = Id { cluster: proxy.cluster.clone(), namespace: proxy.namespace.clone(), name: proxy.name.clone() };
    read.input::<Objects<Pod>>(&id)
}

/// From the node message, else from the labels and the node of its Pod.
fn locality(proxy: &Proxy, labels: &Labels, read: &mut Reader<'_>) -> Locality {
    if !proxy.locality.is_empty() {
        return proxy.locality.clone();
    }
    if let Some(written) = labels.get("istio-locality") {
        return Locality::parse(&written.replace('.', "/"));
    }
    let Some(pod) = pod(proxy, read) else { return Locality::default() };
    crate::endpoints::node_locality(&proxy.cluster, &pod.spec.spec.node_name, read)
}

/// The service ports that a proxy's workload serves: those of the endpoints that hold its address, and, where there are none, of the
/// services that select its labels (`istio: pilot/pkg/serviceregistry/kube/controller GetProxyServiceTargets`).
fn served(proxy: &Proxy, labels: &Labels, read: &mut Reader<'_>) -> Vec<Served> {
    let mut found = Vec::new();
    for address in &proxy.addresses {
        by_slices(proxy, &Name::from(address.to_string()), read, &mut found);
    }
    if found.is_empty() {
        by_labels(proxy, labels, read, &mut found);
    }
    by_entries(proxy, labels, read, &mut found);
    found.sort();
    found.dedup();
    found
}

fn by_slices(proxy: &Proxy, address: &Name, read: &mut Reader<'_>, found: &mut Vec<Served>) {
    for (id, slice) in &read.bucket::<SlicesByAddress>(address) {
        let Some(name) = slice.meta.labels.get("kubernetes.io/service-name") else { continue };
        // An address is only unique inside a namespace's pods of one cluster; a proxy serves nothing in other namespaces.
        if id.namespace != proxy.namespace {
            continue;
        }
        let host = Hostname::of_service(name, &id.namespace, &slice.domain);
        let service = ServiceId { namespace: id.namespace.clone(), host };
        let Some(row) = read.row::<Services>(&service) else { continue };
        for port in &row.ports {
            let target =
                slice.spec.ports.iter().find(|candidate| candidate.name == port.name).and_then(|port| port.port);
            if let Some(target) = target {
                found.push(Served { target, service: service.clone(), port: port.number, protocol: port.protocol });
            }
        }
    }
}

fn by_labels(proxy: &Proxy, labels: &Labels, read: &mut Reader<'_>, found: &mut Vec<Served>) {
    let Some(settings) = settings(read) else { return };
    for (id, selector) in &read.bucket::<SelectingServices>(&proxy.namespace) {
        if !selector.matches(labels) {
            continue;
        }
        let host = Hostname::of_service(&id.name, &id.namespace, &settings.base.domain);
        let service = ServiceId { namespace: id.namespace.clone(), host };
        let Some(row) = read.row::<Services>(&service) else { continue };
        let pod = pod(proxy, read);
        for port in &row.ports {
            let target = match &port.target {
                Target::Number(number) => Some(*number),
                Target::Named(name) => pod.as_ref().and_then(|pod| pod.spec.container_port(name)),
            };
            if let Some(target) = target {
                found.push(Served { target, service: service.clone(), port: port.number, protocol: port.protocol });
            }
        }
    }
}

/// ServiceEntries of the namespace that select the workload, or list its address.
fn by_entries(proxy: &Proxy, labels: &Labels, read: &mut Reader<'_>, found: &mut Vec<Served>) {
    for (id, entry) in &read.bucket::<SelectingEntries>(&proxy.namespace) {
        let selected = entry.spec.workload_selector.as_ref().is_some_and(|selector| labels.contain(&selector.labels));
        let mine = |address: &str| address.parse().is_ok_and(|address: IpAddr| proxy.addresses.contains(&address));
        let listed = entry.spec.endpoints.iter().find(|endpoint| mine(&endpoint.address));
        if !selected && listed.is_none() {
            continue;
        }
        for host in &entry.spec.hosts {
            let service = ServiceId { namespace: id.namespace.clone(), host: Hostname::new(host) };
            let Some(row) = read.row::<Services>(&service) else { continue };
            for port in &row.ports {
                let named = listed.and_then(|endpoint| endpoint.ports.get(&port.name).copied());
                let target = match &port.target {
                    Target::Number(number) => named.unwrap_or(*number),
                    Target::Named(_) => continue,
                };
                found.push(Served { target, service: service.clone(), port: port.number, protocol: port.protocol });
            }
        }
    }
}
