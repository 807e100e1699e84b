//! VirtualServices: which ones a namespace or a gateway sees, and what one says once its delegates are merged in.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::networking::{Destination, HttpRoute, VirtualService};
use graph::{Derived, Index, Reader};
use names::{Hostname, Name, Namespace};

use crate::export::{Audience, Export};
use crate::inputs::Age;
use crate::settings::settings;
use crate::{Id, Objects, Row};

/// What has to be known of a VirtualService to choose it.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleRef {
    /// Its hosts, resolved, in the order written.
    pub hosts: Arc<Vec<Hostname>>,
    /// It holds for sidecars.
    pub mesh: bool,
    /// It has HTTP routes; others have only TCP or TLS ones.
    pub http: bool,
    /// It has TCP or TLS routes.
    pub opaque: bool,
    /// Some of its matches look at the client.
    pub looks_at_source: bool,
    /// The hosts it sends to.
    pub destinations: Arc<BTreeSet<Hostname>>,
    /// Older ones come first.
    pub age: Age,
}

impl RuleRef {
    fn new(row: &Row<VirtualService>) -> Self {
        let spec = &row.spec;
        Self {
            hosts: Arc::new(spec.hosts.iter().map(|host| row.host(host)).collect()),
            mesh: is_for_mesh(spec),
            http: !spec.http.is_empty(),
            opaque: !spec.tcp.is_empty() || !spec.tls.is_empty(),
            looks_at_source: source_labels(spec).next().is_some() || uses_source_namespace(spec),
            destinations: Arc::new(destinations(spec).map(|destination| row.host(&destination.host)).collect()),
            age: row.age(),
        }
    }
}

/// No gateways listed means the mesh.
fn is_for_mesh(spec: &VirtualService) -> bool {
    spec.gateways.is_empty() || spec.gateways.iter().any(|gateway| *gateway == "mesh")
}

/// All destinations of a VirtualService, mirrors included.
pub fn destinations(spec: &VirtualService) -> impl Iterator<Item = &Destination> {
    let http = spec.http.iter().flat_map(route_destinations);
    let tcp = spec.tcp.iter().flat_map(|route| &route.route).filter_map(|route| route.destination.as_ref());
    let tls = spec.tls.iter().flat_map(|route| &route.route).filter_map(|route| route.destination.as_ref());
    http.chain(tcp).chain(tls)
}

fn route_destinations(route: &HttpRoute) -> impl Iterator<Item = &Destination> {
    let weighted = route.route.iter().filter_map(|route| route.destination.as_ref());
    let mirrors = route.mirrors.iter().filter_map(|mirror| mirror.destination.as_ref());
    weighted.chain(route.mirror.as_ref()).chain(mirrors)
}

/// The label pairs that the matches of a VirtualService look for at the client.
fn source_labels(spec: &VirtualService) -> impl Iterator<Item = (&Name, &Name)> {
    let http = spec.http.iter().flat_map(|route| &route.r#match).flat_map(|each| each.source_labels.iter());
    let tcp = spec.tcp.iter().flat_map(|route| &route.r#match).flat_map(|each| each.source_labels.iter());
    let tls = spec.tls.iter().flat_map(|route| &route.r#match).flat_map(|each| each.source_labels.iter());
    http.chain(tcp).chain(tls)
}

fn uses_source_namespace(spec: &VirtualService) -> bool {
    let http = spec.http.iter().flat_map(|route| &route.r#match).any(|each| !each.source_namespace.is_empty());
    let tcp = spec.tcp.iter().flat_map(|route| &route.r#match).any(|each| !each.source_namespace.is_empty());
    let tls = spec.tls.iter().flat_map(|route| &route.r#match).any(|each| !each.source_namespace.is_empty());
    http || tcp || tls
}

/// VirtualServices for the mesh, by who may see them.
pub struct RuleAudience;

impl Index for RuleAudience {
    type Of = Objects<VirtualService>;
    type Bucket = Audience;
    type Item = RuleRef;
    const NAME: &'static str = "virtual services by audience";

    fn entries(id: &Id, row: &Arc<Row<VirtualService>>) -> Vec<(Audience, RuleRef)> {
        let rule = RuleRef::new(row);
        if !rule.mesh || rule.hosts.is_empty() {
            return Vec::new();
        }
        let export = Export::new(row.spec.export_to.iter().map(Name::as_str), &id.namespace);
        export.audiences().into_iter().map(|audience| (audience, rule.clone())).collect()
    }
}

/// VirtualServices by the gateways they are bound to.
pub struct RulesByGateway;

impl Index for RulesByGateway {
    type Of = Objects<VirtualService>;
    type Bucket = (Namespace, Name);
    type Item = (RuleRef, Export);
    const NAME: &'static str = "virtual services by gateway";

    fn entries(id: &Id, row: &Arc<Row<VirtualService>>) -> Vec<((Namespace, Name), Self::Item)> {
        let rule = RuleRef::new(row);
        let export = Export::new(row.spec.export_to.iter().map(Name::as_str), &id.namespace);
        let bound: BTreeSet<_> =
            row.spec.gateways.iter().filter_map(|name| gateway_name(name, &id.namespace)).collect();
        bound.into_iter().map(|gateway| (gateway, (rule.clone(), export.clone()))).collect()
    }
}

/// `name`, `namespace/name`, or the FQDN form that old objects hold (`istio: pilot/pkg/model/gateway.go resolveGatewayName`); `None` for `mesh`.
#[must_use]
pub fn gateway_name(written: &str, namespace: &Namespace) -> Option<(Namespace, Name)> {
    if written == "mesh" {
        return None;
    }
    Some(match written.split_once('/') {
        Some((".", name)) => (namespace.clone(), Name::from(name)),
        Some((of, name)) => (Name::from(of), Name::from(name)),
        None => match written.split_once('.') {
            Some((name, rest)) => (Name::from(rest.split('.').next().unwrap_or_default()), Name::from(name)),
            None => (namespace.clone(), Name::from(written)),
        },
    })
}

/// The label pairs that matches of VirtualServices look for at clients.
pub struct SourceLabels;

impl Index for SourceLabels {
    type Of = Objects<VirtualService>;
    type Bucket = ();
    type Item = Arc<BTreeSet<(Name, Name)>>;
    const NAME: &'static str = "source labels of virtual services";

    fn entries(_: &Id, row: &Arc<Row<VirtualService>>) -> Vec<((), Self::Item)> {
        let pairs: BTreeSet<_> = source_labels(&row.spec).map(|(key, value)| (key.clone(), value.clone())).collect();
        if pairs.is_empty() { Vec::new() } else { vec![((), Arc::new(pairs))] }
    }
}

/// A VirtualService in scope.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleInScope {
    /// Its object.
    pub id: Id,
    /// What has to be known to choose it.
    pub rule: RuleRef,
}

/// The VirtualServices that sidecars of a namespace see, oldest first.
pub fn visible(viewer: &Namespace, read: &mut Reader<'_>) -> Vec<RuleInScope> {
    let Some(settings) = settings(read) else { return Vec::new() };
    let default = &settings.mesh.default_virtual_service_export_to;
    let mut rules = Vec::new();
    for audience in Audience::of(viewer) {
        for (id, rule) in &read.bucket::<RuleAudience>(&audience) {
            if audience != Audience::Default || Export::Default.allows(viewer, &id.namespace, default) {
                rules.push(RuleInScope { id: id.clone(), rule: rule.clone() });
            }
        }
    }
    rules.sort_by(|a, b| a.rule.age.cmp(&b.rule.age));
    rules
}

/// A VirtualService with its delegates merged in.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Its object.
    pub id: Id,
    /// Its hosts, resolved.
    pub hosts: Vec<Hostname>,
    /// Short names in it resolve in this namespace of this domain.
    pub domain: Name,
    /// What it says.
    pub spec: Arc<VirtualService>,
    /// It is what Ingresses say: its prefixes are whole parts of paths between slashes.
    pub ingress: bool,
}

impl Rule {
    /// A host as written in it.
    #[must_use]
    pub fn host(&self, written: &str) -> Hostname {
        Hostname::resolve(written, &self.id.namespace, &self.domain)
    }

    /// Where it was written, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match (self.ingress, self.hosts.first()) {
            (true, Some(host)) => format!("Ingresses with host {host}"),
            _ => format!("VirtualService {}/{}", self.id.namespace, self.id.name),
        }
    }
}

/// The table of [`Rule`] rows.
pub struct Rules;

impl Derived for Rules {
    type Key = Id;
    type Value = Rule;
    const NAME: &'static str = "rule";
    const LEVEL: u8 = 2;

    fn build(id: &Id, read: &mut Reader<'_>) -> Option<Rule> {
        let row = read.input::<Objects<VirtualService>>(id)?;
        let hosts = row.spec.hosts.iter().map(|host| row.host(host)).collect();
        let spec = match row.spec.http.iter().any(|route| route.delegate.is_some()) {
            true => Arc::new(delegates::merged(&row, read)),
            false => row.spec.clone(),
        };
        Some(Rule { id: id.clone(), hosts, domain: row.domain.clone(), spec, ingress: false })
    }
}

mod delegates;
