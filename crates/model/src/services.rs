//! Services: Kubernetes Services and ServiceEntries as one notion, and which of them a namespace sees under which host.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use api::core::Service as KubeService;
use api::networking::{Location, Resolution as EntryResolution, ServiceEntry};
use graph::{Derived, Index, Reader};
use names::{Hostname, Labels, Name, Namespace, Protocol, Selector};

use crate::export::Export;
use crate::settings::{Base, MeshSettings, settings};
use crate::{Id, Objects, Row};

/// A service: the host in the namespace that defines it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId {
    /// Where the defining object lives.
    pub namespace: Namespace,
    /// Fully qualified, or a wildcard of a ServiceEntry.
    pub host: Hostname,
}

/// One port of a service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServicePort {
    /// The port that clients use.
    pub number: u16,
    /// Endpoints are matched to ports by it.
    pub name: Name,
    /// What it speaks.
    pub protocol: Protocol,
    /// The port of the workload.
    pub target: Target,
}

/// The port of the workload behind a service port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// A number.
    Number(u16),
    /// The name of a container port.
    Named(Name),
}

/// Where the endpoints of a service come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resolution {
    /// The control plane knows them.
    Static,
    /// The client's proxy asks DNS and uses all answers.
    Dns,
    /// The client's proxy asks DNS and uses one answer at a time.
    DnsRoundRobin,
    /// The address that the client chose.
    Passthrough,
    /// The client's proxy resolves the host of each request.
    DynamicDns,
    /// Another name of some host: no service of its own.
    Alias,
}

/// What is known of a service, apart from its endpoints.
#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    /// Namespace and host.
    pub id: ServiceId,
    /// Name of the Service, or of the oldest ServiceEntry with this host.
    pub name: Name,
    /// By number, ascending.
    pub ports: Vec<ServicePort>,
    /// Virtual addresses: IPs or CIDRs, in the order written. None for a headless service.
    pub addresses: Vec<Name>,
    /// Addresses that a control plane gave it, where it has none of its own: only names that an agent resolves lead there.
    pub allocated: Vec<IpAddr>,
    /// Where endpoints come from.
    pub resolution: Resolution,
    /// A Kubernetes Service without virtual address.
    pub headless: bool,
    /// From a Kubernetes Service.
    pub kubernetes: bool,
    /// Outside the mesh: no mTLS.
    pub external: bool,
    /// What an alias stands for.
    pub alias_of: Option<Hostname>,
    /// Pods (and WorkloadEntries) that are its endpoints, in its namespace.
    pub selector: Option<Selector>,
    /// Labels of the object.
    pub labels: Labels,
    /// Names that the servers' certificates may have.
    pub subject_alt_names: Vec<Name>,
    /// The ServiceEntries that define it, oldest first; empty for a Kubernetes Service.
    pub entries: Vec<Id>,
    /// Not-ready endpoints are as good as ready ones.
    pub publish_not_ready: bool,
    /// Names of DNS settings and traffic policies that Kubernetes knows (`trafficDistribution`, `internalTrafficPolicy`).
    pub traffic_distribution: Option<Name>,
    /// `internalTrafficPolicy: Local`: endpoints of the client's node only.
    pub node_local: bool,
}

impl Service {
    /// The port with this number.
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.number == number)
    }
}

/// ServiceEntries by each of their hosts.
pub struct EntriesByHost;

impl Index for EntriesByHost {
    type Of = Objects<ServiceEntry>;
    type Bucket = Hostname;
    type Item = Arc<Row<ServiceEntry>>;
    const NAME: &'static str = "service entries by host";

    fn entries(_: &Id, row: &Arc<Row<ServiceEntry>>) -> Vec<(Hostname, Self::Item)> {
        entry_hosts(row).into_iter().map(|host| (host, row.clone())).collect()
    }
}

/// Where an index files what objects offer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Shelf {
    /// Those of all.
    All,
    /// Those of a namespace.
    Of(Namespace),
}

/// What Kubernetes Services offer.
pub struct ServiceOffers;

impl Index for ServiceOffers {
    type Of = Objects<KubeService>;
    type Bucket = Shelf;
    type Item = Arc<Offer>;
    const NAME: &'static str = "hosts of services";

    fn entries(id: &Id, row: &Arc<Row<KubeService>>) -> Vec<(Shelf, Arc<Offer>)> {
        let hosts = vec![Hostname::of_service(&id.name, &id.namespace, &row.domain)];
        on_shelves(id, Offer { hosts, export: kube_export(row) })
    }
}

/// What ServiceEntries offer.
pub struct EntryOffers;

impl Index for EntryOffers {
    type Of = Objects<ServiceEntry>;
    type Bucket = Shelf;
    type Item = Arc<Offer>;
    const NAME: &'static str = "hosts of service entries";

    fn entries(id: &Id, row: &Arc<Row<ServiceEntry>>) -> Vec<(Shelf, Arc<Offer>)> {
        on_shelves(id, Offer { hosts: entry_hosts(row), export: entry_export(row) })
    }
}

/// Hosts that an object defines, and for whom.
#[derive(Clone, PartialEq, Debug)]
pub struct Offer {
    hosts: Vec<Hostname>,
    export: Export,
}

fn on_shelves(id: &Id, offer: Offer) -> Vec<(Shelf, Arc<Offer>)> {
    let offer = Arc::new(offer);
    vec![(Shelf::All, offer.clone()), (Shelf::Of(id.namespace.clone()), offer)]
}

fn entry_hosts(row: &Row<ServiceEntry>) -> Vec<Hostname> {
    row.spec.hosts.iter().map(|host| Hostname::new(host)).collect()
}

fn kube_export(row: &Row<KubeService>) -> Export {
    let written = row.meta.annotations.get("networking.istio.io/exportTo").map_or("", Name::as_str);
    Export::new(written.split(','), &row.meta.namespace)
}

fn entry_export(row: &Row<ServiceEntry>) -> Export {
    Export::new(row.spec.export_to.iter().map(Name::as_str), &row.meta.namespace)
}

/// The table of [`Service`] rows. A Kubernetes Service wins over ServiceEntries of the same namespace and host; several
/// ServiceEntries are one service with the ports and addresses of all, the oldest first.
pub struct Services;

impl Derived for Services {
    type Key = ServiceId;
    type Value = Service;
    const NAME: &'static str = "service";
    const LEVEL: u8 = 2;

    fn build(key: &ServiceId, read: &mut Reader<'_>) -> Option<Service> {
        let settings = settings(read)?;
        if let Some(id) = kubernetes_service(&key.host, &settings.base).filter(|id| id.namespace == key.namespace)
            && let Some(row) = read.input::<Objects<KubeService>>(&id)
        {
            return Some(of_kube(key, &row));
        }
        let rows = read.bucket::<EntriesByHost>(&key.host);
        let mut entries: Vec<_> = rows.iter().filter(|(id, _)| id.namespace == key.namespace).collect();
        entries.sort_by_key(|(_, row)| row.age());
        of_entries(key, &entries)
    }
}

/// The Kubernetes Service that a host can be, by its form `name.namespace.svc.domain`.
#[must_use]
pub fn kubernetes_service(host: &Hostname, base: &Base) -> Option<Id> {
    let rest = host.as_str().strip_suffix(base.domain.as_str())?.strip_suffix(".svc.")?;
    let (name, namespace) = rest.split_once('.')?;
    Some(Id { cluster: base.cluster.clone(), namespace: namespace.into(), name: Name::from(name) })
}

fn of_kube(id: &ServiceId, row: &Row<KubeService>) -> Service {
    let spec = &row.spec.spec;
    let mut ports: Vec<ServicePort> = spec.ports.iter().map(kube_port).collect();
    ports.sort();
    let alias_of =
        row.spec.is_external_name().then(|| Hostname::new(spec.external_name.as_deref().unwrap_or_default()));
    let addresses = row.spec.virtual_ips();
    let headless = alias_of.is_none() && addresses.is_empty();
    let resolution = match (&alias_of, headless) {
        (Some(_), _) => Resolution::Alias,
        (None, true) => Resolution::Passthrough,
        (None, false) => Resolution::Static,
    };
    let selector = spec.selector.clone().filter(|labels| !labels.is_empty()).map(Selector);
    Service {
        id: id.clone(),
        name: row.meta.name.clone(),
        ports,
        addresses,
        allocated: Vec::new(),
        resolution,
        headless,
        kubernetes: true,
        external: false,
        alias_of,
        selector,
        labels: row.meta.labels.clone(),
        subject_alt_names: Vec::new(),
        entries: Vec::new(),
        publish_not_ready: spec.publish_not_ready_addresses,
        traffic_distribution: spec.traffic_distribution.clone(),
        node_local: spec.internal_traffic_policy.as_deref() == Some("Local"),
    }
}

fn kube_port(port: &api::core::ServicePort) -> ServicePort {
    let app_protocol = port.app_protocol.as_deref();
    ServicePort {
        number: port.port,
        name: port.name.clone(),
        protocol: Protocol::of_service_port(port.port, &port.name, &port.protocol, app_protocol),
        target: match &port.target_port {
            Some(api::core::IntOrString::Int(number)) => Target::Number(*number),
            Some(api::core::IntOrString::String(name)) => Target::Named(name.clone()),
            None => Target::Number(port.port),
        },
    }
}

fn of_entries(id: &ServiceId, entries: &[(&Id, &Arc<Row<ServiceEntry>>)]) -> Option<Service> {
    let (_, first) = entries.first()?;
    let resolution = entry_resolution(first);
    let mut ports = BTreeMap::<u16, ServicePort>::new();
    let mut addresses = Vec::<Name>::new();
    let mut names = Vec::<Name>::new();
    let agreeing = entries.iter().filter(|(_, row)| entry_resolution(row) == resolution);
    for (_, row) in agreeing.clone() {
        for port in &row.spec.ports {
            ports.entry(port.number).or_insert_with(|| entry_port(port));
        }
        let new = row.spec.addresses.iter().filter(|address| !addresses.contains(address)).cloned().collect::<Vec<_>>();
        addresses.extend(new);
        let new = row.spec.subject_alt_names.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>();
        names.extend(new);
    }
    let selector = first.spec.workload_selector.as_ref().map(|selector| Selector(selector.labels.clone()));
    Some(Service {
        id: id.clone(),
        name: first.meta.name.clone(),
        ports: ports.into_values().collect(),
        allocated: if addresses.is_empty() { allocated(id, agreeing.clone()) } else { Vec::new() },
        addresses,
        resolution,
        headless: false,
        kubernetes: false,
        external: first.spec.location.unwrap_or_default() == Location::MeshExternal,
        alias_of: None,
        selector,
        labels: first.meta.labels.clone(),
        subject_alt_names: names,
        entries: agreeing.map(|(id, _)| (*id).clone()).collect(),
        publish_not_ready: false,
        traffic_distribution: None,
        node_local: false,
    })
}

/// The addresses that a host was given, of the oldest entry that has some.
fn allocated<'e>(
    id: &ServiceId,
    entries: impl Iterator<Item = &'e (&'e Id, &'e Arc<Row<ServiceEntry>>)>,
) -> Vec<IpAddr> {
    let given = |row: &Row<ServiceEntry>| -> Vec<IpAddr> {
        let host = row.spec.allocates(&row.meta.labels).find(|host| Hostname::new(host) == id.host);
        let all = row.spec.allocated.iter().filter(|each| Some(&each.host) == host);
        all.map(|each| each.address).collect()
    };
    entries.map(|(_, row)| given(row)).find(|addresses| !addresses.is_empty()).unwrap_or_default()
}

fn entry_resolution(row: &Row<ServiceEntry>) -> Resolution {
    match row.spec.resolution.unwrap_or_default() {
        EntryResolution::None => Resolution::Passthrough,
        EntryResolution::Static => Resolution::Static,
        EntryResolution::Dns => Resolution::Dns,
        EntryResolution::DnsRoundRobin => Resolution::DnsRoundRobin,
        EntryResolution::DynamicDns => Resolution::DynamicDns,
    }
}

fn entry_port(port: &api::networking::ServicePort) -> ServicePort {
    let protocol = match Protocol::parse(&port.protocol) {
        Some(protocol) => protocol,
        None => Protocol::of_service_port(port.number, &port.name, "TCP", None),
    };
    ServicePort {
        number: port.number,
        name: port.name.clone(),
        protocol,
        target: Target::Number(port.target_port.unwrap_or(port.number)),
    }
}

/// What has to be known of all services together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Claims {
    /// The namespaces that define some.
    pub owners: BTreeSet<Namespace>,
    /// Hosts that more than one namespace defines, whoever may see them.
    pub contested: BTreeSet<Hostname>,
}

/// The only row of [`Claims`].
pub struct AllClaims;

impl Derived for AllClaims {
    type Key = ();
    type Value = Claims;
    const NAME: &'static str = "claims";
    const LEVEL: u8 = 2;

    fn build((): &(), read: &mut Reader<'_>) -> Option<Claims> {
        let (services, entries) = (read.bucket::<ServiceOffers>(&Shelf::All), read.bucket::<EntryOffers>(&Shelf::All));
        let mut owner = HashMap::<&Hostname, &Namespace>::new();
        let mut claims = Claims::default();
        for (id, offer) in services.iter().chain(entries.iter()) {
            if !claims.owners.contains(&id.namespace) {
                claims.owners.insert(id.namespace.clone());
            }
            let others = offer.hosts.iter().filter(|host| *owner.entry(host).or_insert(&id.namespace) != &id.namespace);
            claims.contested.extend(others.cloned());
        }
        Some(claims)
    }
}

/// The hosts that a namespace defines for a viewer, in their order. Where several namespaces define a host, it is that of one of them: the
/// viewer's own, then that of a Kubernetes Service, then that of the oldest (`istio: pilot/pkg/model/sidecar.go`,
/// PILOT_SIDECAR_PICK_BEST_SERVICE_NAMESPACE).
pub struct Visible;

/// Who looks, and at whose services.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sight {
    /// The namespace that defines them.
    pub owner: Namespace,
    /// The namespace of the client.
    pub viewer: Namespace,
}

impl Derived for Visible {
    type Key = Sight;
    type Value = Vec<Hostname>;
    const NAME: &'static str = "visible services";
    const LEVEL: u8 = 3;

    fn build(Sight { owner, viewer }: &Sight, read: &mut Reader<'_>) -> Option<Vec<Hostname>> {
        let settings = settings(read)?;
        let default = &settings.mesh.default_service_export_to;
        let claims = read.row::<AllClaims>(&())?;
        let shelf = Shelf::Of(owner.clone());
        let (services, entries) = (read.bucket::<ServiceOffers>(&shelf), read.bucket::<EntryOffers>(&shelf));
        let offers = services.iter().chain(entries.iter()).map(|(_, offer)| offer);
        let seen = offers.filter(|offer| offer.export.allows(viewer, owner, default));
        let mut hosts: Vec<Hostname> = seen.flat_map(|offer| offer.hosts.iter().cloned()).collect();
        hosts.sort();
        hosts.dedup();
        let mut wins = |host: &Hostname| winner(host, viewer, &settings, read).as_ref() == Some(owner);
        hosts.retain(|host| !claims.contested.contains(host) || wins(host));
        Some(hosts)
    }
}

/// The namespace whose service a contested host is for a viewer.
fn winner(host: &Hostname, viewer: &Namespace, settings: &MeshSettings, read: &mut Reader<'_>) -> Option<Namespace> {
    let default = &settings.mesh.default_service_export_to;
    let entries = read.bucket::<EntriesByHost>(host);
    let offers = entries.iter().filter(|(id, row)| entry_export(row).allows(viewer, &id.namespace, default));
    let of_entries = offers.map(|(id, row)| (id.namespace != *viewer, true, row.age(), id.namespace.clone()));
    let service = kubernetes_service(host, &settings.base)
        .and_then(|id| read.input::<Objects<KubeService>>(&id))
        .filter(|row| kube_export(row).allows(viewer, &row.meta.namespace, default));
    let of_service = service.map(|row| {
        let namespace = row.meta.namespace.clone();
        (namespace != *viewer, false, row.age(), namespace)
    });
    // Not the viewer's own, not Kubernetes, younger: all count against an offer.
    of_entries.chain(of_service).min().map(|(.., namespace)| namespace)
}

/// What a namespace sees of these owners (of all without any), by host. Only what is looked at is depended on.
pub fn visible(
    owners: Option<&BTreeSet<Namespace>>,
    viewer: &Namespace,
    read: &mut Reader<'_>,
) -> BTreeMap<Hostname, Namespace> {
    let claims = if owners.is_none() { read.row::<AllClaims>(&()) } else { None }.unwrap_or_default();
    let mut found = Vec::new();
    for owner in owners.unwrap_or(&claims.owners) {
        let sight = Sight { owner: owner.clone(), viewer: viewer.clone() };
        let hosts = read.row::<Visible>(&sight).unwrap_or_default();
        found.extend(hosts.iter().map(|host| (host.clone(), owner.clone())));
    }
    found.into_iter().collect()
}

/// The namespace that defines a host for a viewer, who need not see anything else of it.
pub fn owner_of(host: &Hostname, viewer: &Namespace, read: &mut Reader<'_>) -> Option<Namespace> {
    let service = kubernetes_service(host, &settings(read)?.base).map(|id| id.namespace);
    let mut owners: BTreeSet<Namespace> =
        read.bucket::<EntriesByHost>(host).iter().map(|(id, _)| id.namespace.clone()).collect();
    owners.extend(service);
    owners.into_iter().find(|owner| {
        let sight = Sight { owner: owner.clone(), viewer: viewer.clone() };
        read.row::<Visible>(&sight).is_some_and(|hosts| hosts.binary_search(host).is_ok())
    })
}

#[cfg(test)]
mod tests;
