//! Route tables of sidecars and gRPC clients: which virtual hosts they have.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use graph::Reader;
use model::called::absolute;
use model::proxies::Caps;
use model::rules::RuleInScope;
use model::scopes::{Catalog, Catalogs, Egress, Entry, RulesOf, Scope};
use names::{ClusterName, Hostname, Name, Protocol};

use super::{Draft, entries};
use crate::keys::{For, HostKey, ListenerKey, Routing, SourceView, TableKey, Target};
use crate::resources::ResourceKey;
use crate::targets::targets;

/// The names that hosts of a table have already.
type Used = HashSet<Name, RandomState>;

/// So many names has a service of Kubernetes.
const NAMES: usize = 5;

pub(super) fn tables(scope: &Arc<Scope>, caps: Caps, draft: &mut Draft, read: &mut Reader<'_>) {
    let wanted = if caps.vhds { Wanted::Inside } else { Wanted::All };
    for (name, found) in all(scope, wanted, read) {
        let hosts = Arc::new(found.hosts);
        let key = TableKey { name: name.clone(), hosts, vhds: found.apart, ports_matter: false };
        draft.add(name, ResourceKey::Table(Arc::new(key)));
    }
}

/// The hosts that come apart from their tables.
pub(super) fn hosts(scope: &Arc<Scope>, caps: Caps, draft: &mut Draft, read: &mut Reader<'_>) {
    if caps.vhds {
        for (name, found) in all(scope, Wanted::Apart, read) {
            draft.add_hosts(&name, found.hosts);
        }
    }
}

/// Which hosts are wanted. A host for everything stays in its table, where Envoy falls back to it at once; with VHDS the others come apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Inside,
    Apart,
}

/// Hosts of a table, the catch-all last.
#[derive(Default)]
struct Found {
    /// Those that are wanted.
    hosts: Vec<Arc<HostKey>>,
    /// There are others, which come apart.
    apart: bool,
}

/// Every table of a scope.
fn all(scope: &Arc<Scope>, wanted: Wanted, read: &mut Reader<'_>) -> BTreeMap<Name, Found> {
    let mut tables = BTreeMap::new();
    let Some(catalog) = read.row::<Catalogs>(scope) else { return tables };
    for egress in &catalog.egress {
        let build = Build::new(scope, &catalog, egress, For::Sidecar);
        build.shared(wanted, &mut tables);
        if wanted != Wanted::Apart {
            build.detected(&mut tables);
        }
    }
    tables
}

struct Build<'a> {
    scope: &'a Scope,
    catalog: &'a Catalog,
    egress: &'a Egress,
    rules: RulesOf<'a>,
    client: For,
}

impl<'a> Build<'a> {
    fn new(scope: &'a Scope, catalog: &'a Catalog, egress: &'a Egress, client: For) -> Self {
        Self { scope, catalog, egress, rules: catalog.rules_of(egress), client }
    }

    /// Tables by port, for all HTTP services on it.
    fn shared(&self, wanted: Wanted, tables: &mut BTreeMap<Name, Found>) {
        for port in self.ports() {
            let name = Name::from(port.to_string());
            if tables.contains_key(&name) {
                continue;
            }
            let services: Vec<&Entry> =
                entries(self.catalog, self.egress).filter(|entry| on_port(entry, port)).collect();
            let mut used = Used::with_capacity_and_hasher(services.len() * NAMES, RandomState::default());
            let mut found = Found::default();
            let mut add = |host: &Hostname, key: &mut dyn FnMut() -> Option<Arc<HostKey>>| {
                let apart = *host.name() != "*" && wanted != Wanted::All;
                found.apart |= apart;
                // What is not wanted takes no name from what is.
                if apart == (wanted == Wanted::Apart) {
                    found.hosts.extend(key());
                }
            };
            for entry in &services {
                add(&entry.host, &mut || self.service(entry, port, &mut used));
            }
            for rule in self.egress.rules.iter().map(|at| &self.catalog.rules[*at]) {
                for host in self.hosts_alone(rule, &services) {
                    add(host, &mut || self.rule_alone(rule, host, port, &mut used));
                }
            }
            if wanted != Wanted::Apart {
                found.hosts.push(Arc::new(self.unknown(port)));
            }
            tables.insert(name, found);
        }
    }

    /// The HTTP ports of this egress listener; services whose protocol is detected share them when they have no address of their own.
    fn ports(&self) -> BTreeSet<u16> {
        if let Some(port) = &self.egress.port {
            return if port.protocol.is_http() { BTreeSet::from([port.number]) } else { BTreeSet::new() };
        }
        let all = entries(self.catalog, self.egress);
        all.flat_map(|entry| entry.resolved.ports.iter().map(move |port| (entry, port)))
            .filter(|(entry, port)| port.protocol.is_http() || detected_without_address(entry, port.protocol))
            .map(|(_, port)| port.number)
            .collect()
    }

    /// Tables of single services whose protocol is detected.
    fn detected(&self, tables: &mut BTreeMap<Name, Found>) {
        for entry in entries(self.catalog, self.egress) {
            for port in entry.resolved.ports.iter().filter(|port| port.protocol == Protocol::Auto) {
                if detected_without_address(entry, port.protocol) {
                    continue;
                }
                let mut hosts: Vec<_> = self.service(entry, port.number, &mut Used::default()).into_iter().collect();
                if let Some(host) = hosts.first_mut() {
                    // The connection was to this service's address, so whatever the client calls it, it is this service.
                    Arc::make_mut(host).domains = Arc::new(vec![Name::from("*")]);
                }
                tables.insert(Name::from(format!("{}:{}", entry.host, port.number)), Found { hosts, apart: false });
            }
        }
    }

    /// The virtual host of a service. A name that another host has already is left out: Envoy refuses a table in which two hosts share one.
    fn service(&self, entry: &Entry, port: u16, used: &mut Used) -> Option<Arc<HostKey>> {
        let rule = self.rules.holds_for(&entry.host).filter(|rule| rule.rule.http);
        let all = domains(entry, &self.scope.namespace);
        let free: Vec<&Name> = all.iter().filter(|name| used.insert((*name).clone())).collect();
        if free.is_empty() {
            return None;
        }
        // Nearly always none is taken: then the list is shared by all who see the service alike.
        let domains = if free.len() == all.len() { all.clone() } else { Arc::new(free.into_iter().cloned().collect()) };
        let own =
            Target { host: entry.host.clone(), service: entry.resolved.service.clone(), client: entry.client.clone() };
        Some(Arc::new(self.host(&entry.host, port, domains, rule, vec![own])))
    }

    fn host(
        &self,
        host: &Hostname,
        port: u16,
        domains: Arc<Vec<Name>>,
        rule: Option<&RuleInScope>,
        own: Vec<Target>,
    ) -> HostKey {
        let (routing, targets, source) = match rule {
            None => (Routing::Service, own, None),
            Some(rule) => {
                let view = SourceView { namespace: self.scope.namespace.clone(), source: self.scope.source.clone() };
                let source = rule.rule.looks_at_source.then(|| Arc::new(view));
                (Routing::Rule(rule.id.clone()), targets(self.catalog, &rule.rule.destinations), source)
            }
        };
        HostKey {
            name: Name::from([host.as_str(), ":", &port.to_string()].concat()),
            domains,
            port,
            routing,
            client: self.client,
            targets: Arc::new(targets),
            source,
            tls_redirect: false,
        }
    }

    /// Hosts of a VirtualService that are no service: they are routed on every HTTP port.
    fn hosts_alone<'r>(&self, rule: &'r RuleInScope, services: &[&Entry]) -> impl Iterator<Item = &'r Hostname> {
        let covers = |host: &Hostname| host.is_wildcard() && services.iter().any(|entry| host.covers(&entry.host));
        let hosts = rule.rule.hosts.iter().filter(|_| rule.rule.http);
        hosts.filter(move |host| self.catalog.service(host).is_none() && !covers(host))
    }

    fn rule_alone(&self, rule: &RuleInScope, host: &Hostname, port: u16, used: &mut Used) -> Option<Arc<HostKey>> {
        if !used.insert(host.name().clone()) {
            return None;
        }
        let mut domains = vec![host.name().clone()];
        domains.extend(absolute(host).into_iter().filter(|name| used.insert(name.clone())));
        Some(Arc::new(self.host(host, port, Arc::new(domains), Some(rule), Vec::new())))
    }

    fn unknown(&self, port: u16) -> HostKey {
        let name = match &self.catalog.unknown {
            model::scopes::Unknown::Block => "block_all",
            model::scopes::Unknown::PassThrough | model::scopes::Unknown::Proxy(_) => "allow_any",
        };
        HostKey {
            name: Name::from(name),
            domains: Arc::new(vec![Name::from("*")]),
            port,
            routing: Routing::Unknown(self.catalog.unknown.clone()),
            client: self.client,
            targets: Arc::default(),
            source: None,
            tls_redirect: false,
        }
    }
}

fn detected_without_address(entry: &Entry, protocol: Protocol) -> bool {
    protocol == Protocol::Auto && entry.resolved.addresses.iter().all(|address| address.contains('/'))
}

/// Whether a service is in the shared table of a port.
fn on_port(entry: &Entry, port: u16) -> bool {
    let Some(found) = entry.resolved.ports.iter().find(|found| found.number == port) else { return false };
    found.protocol.is_http() || detected_without_address(entry, found.protocol)
}

/// What clients in `namespace` may call a service.
fn domains(entry: &Entry, namespace: &Name) -> Arc<Vec<Name>> {
    entry.resolved.called(&entry.host, &entry.aliases, namespace)
}

/// The table of a service port for gRPC clients, who know no shared tables.
fn grpc_table(entry: &Entry, port: u16) -> Name {
    Name::from(ClusterName::outbound(port, None, &entry.host).to_string())
}

/// A gRPC client asks for the name and port that it was told to call.
pub(super) fn grpc_listeners(scope: &Arc<Scope>, draft: &mut Draft, read: &mut Reader<'_>) {
    each_grpc(scope, read, |_, entry, port| {
        for name in domains(entry, &scope.namespace).iter().filter(|name| !name.starts_with('*')) {
            let name = Name::from(format!("{name}:{port}"));
            draft.add_listener(ListenerKey::Grpc { name, table: grpc_table(entry, port) });
        }
    });
}

pub(super) fn grpc_tables(scope: &Arc<Scope>, draft: &mut Draft, read: &mut Reader<'_>) {
    each_grpc(scope, read, |build, entry, port| {
        let Some(host) = build.service(entry, port, &mut Used::default()) else { return };
        let mut host = (*host).clone();
        let with_port = host.domains.iter().map(|name| Name::from(format!("{name}:{port}")));
        host.domains = Arc::new(with_port.collect());
        let name = grpc_table(entry, port);
        let key =
            TableKey { name: name.clone(), hosts: Arc::new(vec![Arc::new(host)]), vhds: false, ports_matter: true };
        draft.add(name, ResourceKey::Table(Arc::new(key)));
    });
}

fn each_grpc(scope: &Arc<Scope>, read: &mut Reader<'_>, mut each: impl FnMut(&Build<'_>, &Entry, u16)) {
    let Some(catalog) = read.row::<Catalogs>(scope) else { return };
    for egress in &catalog.egress {
        let build = Build::new(scope, &catalog, egress, For::Grpc);
        for entry in entries(&catalog, egress) {
            for port in entry.resolved.ports.iter().filter(|port| port.protocol != Protocol::Udp) {
                each(&build, entry, port.number);
            }
        }
    }
}
