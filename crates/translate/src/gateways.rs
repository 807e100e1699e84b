//! What a router serves: its Gateways merged port by port, and the virtual hosts that VirtualServices put on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use graph::Reader;
use model::Row;
use model::gateways::{self, Bound, GatewayId, RuleId, gateway};
use model::networking::{Gateway, L4MatchAttributes, RouteDestination, Server, ServerTlsMode};
use model::rules::{Rule, gateway_name};
use model::scopes::Catalogs;
use names::{ClusterName, Hostname, Name, Protocol};

use crate::keys::{For, GatewayListener, HostKey, OpaqueChain, Router, Routing, Serving, TableKey, TlsServer};
use crate::scoped::clusters_of;
use crate::targets::{self, targets};

/// A port with all that its Gateways say of it.
pub(crate) struct Plan {
    bind: Name,
    /// The port of the router.
    port: u16,
    servers: Vec<Placed>,
}

#[derive(Clone)]
struct Placed {
    gateway: GatewayId,
    number: usize,
    row: Arc<Row<Gateway>>,
}

impl Placed {
    /// The object's name; of an Ingress, that of the Gateway which it becomes.
    fn name(&self) -> (&Name, &Name) {
        (&self.row.meta.namespace, &self.row.meta.name)
    }

    fn server(&self) -> &Server {
        &self.row.spec.servers[self.number]
    }

    /// Its name in notes.
    fn told(&self) -> String {
        format!("{} spec.servers[{}]", self.gateway.told(), self.number)
    }

    fn protocol(&self) -> Protocol {
        self.server().port.as_ref().and_then(|port| Protocol::parse(&port.protocol)).unwrap_or(Protocol::Tcp)
    }

    fn kind(&self) -> Kind {
        let protocol = self.protocol();
        if protocol.is_http() {
            Kind::Http
        } else if protocol.is_tls() {
            Kind::Tls
        } else {
            Kind::Opaque
        }
    }

    fn declared_port(&self) -> u16 {
        self.server().port.as_ref().and_then(|port| u16::try_from(port.number).ok()).unwrap_or(0)
    }

    /// TLS is opened and HTTP inside it routed.
    fn opens_http(&self) -> bool {
        let mode = self.server().tls.as_ref().and_then(|tls| tls.mode).unwrap_or_default();
        self.protocol() == Protocol::Https
            && !matches!(mode, ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough)
    }

    /// The mesh's mutual TLS is passed on to the service that its server name tells.
    fn passes_mesh(&self) -> bool {
        passes_mesh(self.server())
    }

    /// The table of a server that opens TLS.
    fn https_table(&self) -> Name {
        let port_name = self.server().port.as_ref().map(|port| port.name.clone()).unwrap_or_default();
        let bind = self.server().bind.clone();
        let suffix = if bind.is_empty() { String::new() } else { format!(".{bind}") };
        let (namespace, gateway) = self.name();
        Name::from(format!("https.{}.{port_name}.{gateway}.{namespace}{suffix}", self.declared_port()))
    }

    /// The hosts, each with the namespaces whose VirtualServices may use it (`None` for any).
    fn hosts(&self) -> impl Iterator<Item = (Option<Name>, Hostname)> {
        self.server().hosts.iter().map(|written| match written.split_once('/') {
            None => (None, Hostname::new(written)),
            Some(("*", host)) => (None, Hostname::new(host)),
            Some((".", host)) => (Some(self.name().0.clone()), Hostname::new(host)),
            Some((namespace, host)) => (Some(Name::from(namespace)), Hostname::new(host)),
        })
    }
}

/// Whether a server is AUTO_PASSTHROUGH.
pub(crate) fn passes_mesh(server: &Server) -> bool {
    server.tls.as_ref().is_some_and(|tls| tls.mode == Some(ServerTlsMode::AutoPassthrough))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    Tls,
    Opaque,
}

/// The ports of a router, merged: the oldest Gateway of a port decides what it is, others of another kind are left out.
pub(crate) fn plans(router: &Router, read: &mut Reader<'_>) -> Vec<Plan> {
    let mut plans = BTreeMap::<(Name, u16), Plan>::new();
    for id in router.gateways.iter() {
        let Some(row) = gateway(id, read) else { continue };
        for number in 0..row.spec.servers.len() {
            let placed = Placed { gateway: id.clone(), number, row: row.clone() };
            let declared = placed.declared_port();
            let port = router.port_map.get(&declared).copied().unwrap_or(declared);
            if router.unprivileged && port < 1024 {
                read.note(placed.told(), format!("left out where proxies may not bind ports below 1024: it is {port}"));
                continue;
            }
            let written = placed.server().bind.clone();
            let bind = if written.is_empty() { Name::from("0.0.0.0") } else { written };
            let plan = plans.entry((bind.clone(), port)).or_insert_with(|| Plan { bind, port, servers: Vec::new() });
            match plan.servers.first().filter(|first| first.kind() != placed.kind()) {
                None => plan.servers.push(placed),
                Some(first) => {
                    read.note(
                        placed.told(),
                        format!("left out: {} has port {port} for another protocol", first.told()),
                    );
                }
            }
        }
    }
    plans.into_values().collect()
}

/// Takes a server name, if no older server has it.
fn free(placed: &Placed, name: &Name, taken: &mut BTreeSet<Name>, read: &mut Reader<'_>) -> bool {
    let free = taken.insert(name.clone());
    if !free {
        read.note(placed.told(), format!("host {name} is left out: an older server of the port has it"));
    }
    free
}

impl Plan {
    fn http_table(&self) -> Name {
        let suffix = if self.bind == "0.0.0.0" { String::new() } else { format!(".{}", self.bind) };
        Name::from(format!("http.{}{suffix}", self.port))
    }

    /// The listener of this port; `None` when nothing would be served.
    pub(crate) fn listener(&self, router: &Router, read: &mut Reader<'_>) -> Option<GatewayListener> {
        let serving = match self.servers.first()?.kind() {
            Kind::Http => Serving::Http { table: self.http_table() },
            Kind::Opaque => {
                let mut chains = Vec::new();
                // Chains with equal conditions are an error to Envoy; the oldest stays.
                let mut seen = BTreeSet::new();
                for placed in &self.servers {
                    let mut own: Vec<OpaqueChain> = tcp_chains(placed, router, read);
                    let all = own.len();
                    own.retain(|chain| seen.insert((chain.networks.clone(), chain.server_names.clone())));
                    if own.len() < all {
                        read.note(placed.told(), "some routes are left out: earlier ones take the same connections");
                    }
                    chains.extend(own);
                }
                Serving::Opaque { chains }
            }
            Kind::Tls => Serving::Tls { servers: self.tls_servers(router, read) },
        };
        let empty = match &serving {
            Serving::Http { .. } => false,
            Serving::Opaque { chains } => chains.is_empty(),
            Serving::Tls { servers } => servers.is_empty(),
        };
        (!empty).then(|| GatewayListener { bind: self.bind.clone(), port: self.port, serving, caps: router.caps })
    }

    /// A server name belongs to the oldest server that has it: Envoy refuses two chains for one.
    fn tls_servers(&self, router: &Router, read: &mut Reader<'_>) -> Vec<TlsServer> {
        let mut taken = BTreeSet::<Name>::new();
        let mut servers = Vec::new();
        for placed in &self.servers {
            let (gateway, number) = (placed.gateway.clone(), placed.number);
            if placed.opens_http() {
                let names: Vec<Name> = placed.hosts().map(|(_, host)| host.name().clone()).collect();
                let names: Vec<Name> = names.into_iter().filter(|name| free(placed, name, &mut taken, read)).collect();
                if !names.is_empty() {
                    let table = Some(placed.https_table());
                    servers.push(TlsServer { gateway, number, names, table, opaque: Vec::new() });
                }
                continue;
            }
            let mut opaque = if placed.passes_mesh() {
                passed_chains(placed, router, read)
            } else {
                tls_chains(placed, router, read)
            };
            for chain in &mut opaque {
                chain.server_names.retain(|name| free(placed, name, &mut taken, read));
            }
            opaque.retain(|chain| !chain.server_names.is_empty());
            if !opaque.is_empty() {
                servers.push(TlsServer { gateway, number, names: Vec::new(), table: None, opaque });
            }
        }
        servers
    }

    /// The route tables of this port, each with all of its hosts.
    pub(crate) fn tables(&self, router: &Router, read: &mut Reader<'_>) -> Vec<(Name, Vec<Arc<HostKey>>)> {
        let Some(first) = self.servers.first() else { return Vec::new() };
        match first.kind() {
            Kind::Opaque => Vec::new(),
            Kind::Http => vec![(self.http_table(), hosts(&self.servers, router, read))],
            Kind::Tls => {
                let opening = self.servers.iter().filter(|placed| placed.opens_http());
                opening
                    .map(|placed| (placed.https_table(), hosts(std::slice::from_ref(placed), router, read)))
                    .collect()
            }
        }
    }
}

/// What a host of a table is made of.
#[derive(Default)]
struct HostDraft {
    rules: Vec<(model::inputs::Age, RuleId)>,
    destinations: BTreeSet<Hostname>,
    gateways: BTreeSet<(Name, Name)>,
    redirect: bool,
}

/// The virtual hosts of servers that share a table: each host on which a server and a VirtualService bound to its Gateway agree. A server
/// that redirects to https has virtual hosts of its own.
fn hosts(servers: &[Placed], router: &Router, read: &mut Reader<'_>) -> Vec<Arc<HostKey>> {
    let mut drafts = BTreeMap::<Hostname, HostDraft>::new();
    let port = servers.first().map_or(0, Placed::declared_port);
    for placed in servers {
        let redirect = placed.server().tls.as_ref().is_some_and(|tls| tls.https_redirect);
        if redirect {
            for (_, host) in placed.hosts() {
                drafts.entry(host).or_default().redirect = true;
            }
        }
        bind(placed, redirect, &mut drafts, read);
    }
    let catalog = read.row::<Catalogs>(&router.scope);
    let made = drafts.into_iter().map(|(host, mut draft)| {
        closest(&mut draft.rules);
        draft.rules.sort();
        let rules = draft.rules.into_iter().map(|(_, id)| id).collect();
        let targets = catalog.as_ref().map(|catalog| targets(catalog, &draft.destinations)).unwrap_or_default();
        Arc::new(HostKey {
            name: Name::from(format!("{host}:{port}")),
            domains: Arc::new(vec![host.name().clone()]),
            port,
            routing: Routing::Gateway {
                rules: Arc::new(rules),
                gateways: Arc::new(draft.gateways.into_iter().collect()),
            },
            client: For::Router,
            targets: Arc::new(targets),
            source: None,
            tls_redirect: draft.redirect,
        })
    });
    let mut hosts: Vec<_> = made.collect();
    if hosts.is_empty() {
        hosts.push(Arc::new(black_hole(port)));
    }
    hosts
}

/// Of Ingresses only what they say of the closest host counts, as where all of them share a table.
fn closest(rules: &mut Vec<(model::inputs::Age, RuleId)>) {
    let host = |id: &RuleId| match id {
        RuleId::Ingress(host) => Some(host.clone()),
        RuleId::Written(_) => None,
    };
    let hosts = rules.iter().filter_map(|(_, id)| host(id));
    let closest = hosts.min_by(|one, other| one.specificity().cmp(&other.specificity()));
    rules.retain(|(_, id)| host(id).is_none_or(|host| Some(&host) == closest.as_ref()));
}

/// A table for which there are no hosts: everything is 404.
fn black_hole(port: u16) -> HostKey {
    HostKey {
        name: Name::from(format!("blackhole:{port}")),
        domains: Arc::new(vec![Name::from("*")]),
        port,
        routing: Routing::Gateway { rules: Arc::default(), gateways: Arc::default() },
        client: For::Router,
        targets: Arc::default(),
        source: None,
        tls_redirect: false,
    }
}

fn bind(placed: &Placed, redirect: bool, drafts: &mut BTreeMap<Hostname, HostDraft>, read: &mut Reader<'_>) {
    let (namespace, name) = placed.name();
    for Bound { id, namespace: of, rule } in gateways::bound(&placed.gateway, &placed.row, read) {
        if !rule.http {
            continue;
        }
        for (only, served) in placed.hosts() {
            if only.is_some_and(|only| only != of) {
                continue;
            }
            for host in rule.hosts.iter().filter_map(|host| narrower(host, &served)) {
                let draft = drafts.entry(host.clone()).or_default();
                draft.redirect |= redirect;
                draft.gateways.insert((namespace.clone(), name.clone()));
                draft.destinations.extend(rule.destinations.iter().cloned());
                let entry = (rule.age.clone(), id.clone());
                if !draft.rules.contains(&entry) {
                    draft.rules.push(entry);
                }
            }
        }
    }
}

/// The more specific of two hosts of which one covers the other.
fn narrower<'a>(a: &'a Hostname, b: &'a Hostname) -> Option<&'a Hostname> {
    if b.covers(a) {
        Some(a)
    } else if a.covers(b) {
        Some(b)
    } else {
        None
    }
}

/// The rules bound to a server's Gateway, oldest first.
fn bound_rules(placed: &Placed, read: &mut Reader<'_>) -> Vec<Arc<Rule>> {
    let bound = gateways::bound(&placed.gateway, &placed.row, read).into_iter();
    let mut ids: Vec<_> = bound.filter(|bound| bound.rule.opaque).map(|bound| (bound.rule.age, bound.id)).collect();
    ids.sort();
    ids.into_iter().filter_map(|(_, id)| gateways::rule(&id, read)).collect()
}

fn on_gateway(gateways: &[Name], rule: &Rule, placed: &Placed) -> bool {
    let is_mine = |written: &Name| {
        let named = gateway_name(written, &rule.id.namespace);
        named.is_some_and(|(namespace, name)| placed.name() == (&namespace, &name))
    };
    gateways.is_empty() || gateways.iter().any(is_mine)
}

/// Chains of a TCP server: the TCP routes of its rules.
fn tcp_chains(placed: &Placed, router: &Router, read: &mut Reader<'_>) -> Vec<OpaqueChain> {
    let port = u32::from(placed.declared_port());
    let mut chains = Vec::new();
    for rule in bound_rules(placed, read) {
        for route in &rule.spec.tcp {
            let all = [L4MatchAttributes::default()];
            let matches = if route.r#match.is_empty() { &all[..] } else { &route.r#match[..] };
            for each in matches.iter().filter(|each| each.port == 0 || each.port == port) {
                if on_gateway(&each.gateways, &rule, placed) {
                    chains.push(OpaqueChain {
                        networks: each.destination_subnets.clone(),
                        server_names: Vec::new(),
                        mutual: false,
                        clusters: weighted(&rule, &route.route, placed.declared_port(), router, read),
                    });
                }
            }
        }
    }
    chains
}

/// Chains of a server that passes TLS through (or opens it without HTTP inside).
fn tls_chains(placed: &Placed, router: &Router, read: &mut Reader<'_>) -> Vec<OpaqueChain> {
    let port = u32::from(placed.declared_port());
    let served: Vec<Hostname> = placed.hosts().map(|(_, host)| host).collect();
    let mut chains = Vec::new();
    for rule in bound_rules(placed, read) {
        for route in &rule.spec.tls {
            for each in route.r#match.iter().filter(|each| each.port == 0 || each.port == port) {
                let names = each.sni_hosts.iter().map(|name| Hostname::new(name));
                let names: Vec<Name> = names
                    .filter_map(|name| {
                        served.iter().find_map(|host| narrower(&name, host)).map(|host| host.name().clone())
                    })
                    .collect();
                if !names.is_empty() && on_gateway(&each.gateways, &rule, placed) {
                    let clusters = weighted(&rule, &route.route, placed.declared_port(), router, read);
                    let networks = each.destination_subnets.clone();
                    chains.push(OpaqueChain { networks, server_names: names, mutual: false, clusters });
                }
            }
        }
    }
    chains
}

/// Chains of a server that passes the mesh's mutual TLS on: one for each cluster of each service of the mesh that its hosts cover. Only
/// connections that offer what the mesh's clients offer, and only endpoints that take mutual TLS: nobody gets in without
/// (`istio: pilot/pkg/networking/core/gateway.go builtAutoPassthroughFilterChains`).
fn passed_chains(placed: &Placed, router: &Router, read: &mut Reader<'_>) -> Vec<OpaqueChain> {
    let served: Vec<Hostname> = placed.hosts().map(|(_, host)| host).collect();
    let clusters = clusters_of(&router.scope, For::Passing, read).into_iter();
    let covered = clusters.filter(|(entry, ..)| served.iter().any(|host| host.covers(&entry.host)));
    let chain = |cluster: ClusterName| OpaqueChain {
        networks: Vec::new(),
        server_names: vec![Name::from(cluster.sni())],
        mutual: true,
        clusters: vec![(cluster, 0)],
    };
    covered.map(|(_, cluster, ..)| chain(cluster)).collect()
}

/// The clusters of weighted destinations.
pub(crate) fn weighted(
    rule: &Rule,
    route: &[RouteDestination],
    port: u16,
    router: &Router,
    read: &mut Reader<'_>,
) -> Vec<(ClusterName, u32)> {
    let catalog = read.row::<Catalogs>(&router.scope);
    targets::weighted(rule, route, port, catalog.as_deref())
}

/// The route tables of a router.
pub(crate) fn tables(router: &Router, read: &mut Reader<'_>) -> Vec<(TableKey, Vec<Arc<HostKey>>)> {
    let mut tables = Vec::new();
    for plan in plans(router, read) {
        for (name, hosts) in plan.tables(router, read) {
            tables.push(targets::table(name, hosts, router.caps.vhds));
        }
    }
    tables
}
