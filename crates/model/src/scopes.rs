//! Scopes: what the proxies of a namespace can call. A Sidecar narrows it; without one it is all that is visible.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use api::networking::{CaptureMode, OutboundTrafficPolicyMode, Sidecar};
use graph::{Derived, Index, Reader};
use names::{Hostname, Labels, Name, Namespace, Protocol, Selector, shortest_cover};

use crate::inputs::Age;
use crate::policy::{Perspective, ResolutionKey, Resolutions, Resolved, RuleBucket, RulesByHost};
use crate::rules::{self, RuleInScope, SourceLabels};
use crate::services::{self, Resolution, ServiceId, Services};
use crate::settings::{MeshSettings, settings};
use crate::{Id, Objects, Row};

/// What outbound configuration depends on: proxies with an equal scope share it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scope {
    /// The proxies' namespace: visibility, and the short names that clients may use.
    pub namespace: Namespace,
    /// The Sidecar that narrows it.
    pub sidecar: Option<Id>,
    /// How the proxies answer selectors of outbound rules.
    pub source: Arc<Source>,
}

/// The answers of a client to the selectors of outbound rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Source {
    /// Those of its labels that some VirtualService's `sourceLabels` look for.
    pub labels: Labels,
    /// The DestinationRules whose workload selector selects it, with their hosts.
    pub rules: Arc<Vec<(Id, Hostname)>>,
}

/// Sidecars by namespace.
pub struct SidecarsByNamespace;

impl Index for SidecarsByNamespace {
    type Of = Objects<Sidecar>;
    type Bucket = Namespace;
    type Item = (Option<Selector>, Age);
    const NAME: &'static str = "sidecars by namespace";

    fn entries(id: &Id, row: &Arc<Row<Sidecar>>) -> Vec<(Namespace, Self::Item)> {
        let selector = row.spec.workload_selector.as_ref().map(|selector| Selector(selector.labels.clone()));
        vec![(id.namespace.clone(), (selector.filter(|selector| !selector.is_empty()), row.age()))]
    }
}

/// The Sidecar for a workload: one that selects it, else the namespace's, else the root namespace's; the oldest of several.
pub(crate) fn sidecar_for(namespace: &Namespace, labels: &Labels, read: &mut Reader<'_>) -> Option<Id> {
    let root = settings(read)?.base.root_namespace.clone();
    let own = read.bucket::<SidecarsByNamespace>(namespace);
    let oldest = |wanted: &dyn Fn(&Option<Selector>) -> bool| {
        let fitting = own.iter().filter(|(_, (selector, _))| wanted(selector));
        fitting.min_by(|(_, (_, a)), (_, (_, b))| a.cmp(b)).map(|(id, _)| id.clone())
    };
    let selecting = |selector: &Option<Selector>| selector.as_ref().is_some_and(|selector| selector.matches(labels));
    if *namespace != root
        && let Some(id) = oldest(&selecting)
    {
        return Some(id);
    }
    if let Some(id) = oldest(&Option::is_none) {
        return Some(id);
    }
    let mesh = read.bucket::<SidecarsByNamespace>(&root);
    let general = mesh.iter().filter(|(_, (selector, _))| selector.is_none());
    general.min_by(|(_, (_, a)), (_, (_, b))| a.cmp(b)).map(|(id, _)| id.clone())
}

/// How a client answers the selectors of outbound rules.
pub(crate) fn source_answers(namespace: &Namespace, labels: &Labels, read: &mut Reader<'_>) -> Arc<Source> {
    let wanted: BTreeSet<(Name, Name)> =
        read.bucket::<SourceLabels>(&()).values().flat_map(|pairs| pairs.iter().cloned()).collect();
    let labels_wanted = wanted.into_iter().filter(|(key, value)| labels.get(key) == Some(value)).collect();
    let rules = read.bucket::<RulesByHost>(&RuleBucket::Namespace(namespace.clone()));
    let selecting = rules.iter().filter(|(_, rule)| rule.selector.as_ref().is_some_and(|s| s.matches(labels)));
    let rules = selecting.map(|(id, rule)| (id.clone(), rule.host.clone())).collect();
    Arc::new(Source { labels: labels_wanted, rules: Arc::new(rules) })
}

/// What happens to traffic for unknown destinations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unknown {
    /// It goes where the client wanted.
    PassThrough,
    /// It is refused.
    Block,
    /// It goes to this cluster.
    Proxy(names::ClusterName),
}

/// One service in scope.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The host that clients call.
    pub host: Hostname,
    /// The service and the rules that hold for this client.
    pub resolved: Arc<Resolved>,
    /// Who asks, as far as it matters for this host.
    pub client: crate::policy::Client,
    /// Other names that stand for it.
    pub aliases: Arc<Vec<Hostname>>,
}

/// An egress listener: which services and rules it has.
#[derive(Clone, PartialEq, Debug)]
pub struct Egress {
    /// The port, when it is for one only.
    pub port: Option<EgressPort>,
    /// The address it binds, when said.
    pub bind: Option<Name>,
    /// Whether it binds a real port, when said.
    pub capture: CaptureMode,
    /// Indexes into [`Catalog::services`].
    pub services: Vec<usize>,
    /// Indexes into [`Catalog::rules`].
    pub rules: Vec<usize>,
}

/// The port of an egress listener.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EgressPort {
    /// 0 with a unix bind.
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// All that a scope can call.
#[derive(Clone, PartialEq, Debug)]
pub struct Catalog {
    /// By host.
    pub services: Vec<Entry>,
    /// VirtualServices for the mesh, oldest first.
    pub rules: Vec<RuleInScope>,
    /// The port-less listener comes last.
    pub egress: Vec<Egress>,
    /// What happens to the rest.
    pub unknown: Unknown,
}

impl Catalog {
    /// The entry of a host.
    #[must_use]
    pub fn service(&self, host: &Hostname) -> Option<&Entry> {
        self.services.binary_search_by(|entry| entry.host.cmp(host)).ok().map(|at| &self.services[at])
    }

    /// The VirtualServices of a listener, to be asked for many hosts.
    #[must_use]
    pub fn rules_of(&self, egress: &Egress) -> RulesOf<'_> {
        let mut found = RulesOf::default();
        for rule in egress.rules.iter().map(|at| &self.rules[*at]) {
            for host in rule.rule.hosts.iter() {
                if host.is_wildcard() {
                    found.wild.push((host, rule));
                } else {
                    found.exact.entry(host).or_insert(rule);
                }
            }
        }
        found
    }
}

/// The VirtualServices of a listener by their hosts.
#[derive(Default)]
pub struct RulesOf<'a> {
    /// The oldest of each.
    exact: HashMap<&'a Hostname, &'a RuleInScope>,
    /// Oldest first.
    wild: Vec<(&'a Hostname, &'a RuleInScope)>,
}

impl<'a> RulesOf<'a> {
    /// The one that holds for a host: the one with the closest host, the oldest of several. There is no merging for the mesh.
    #[must_use]
    pub fn holds_for(&self, host: &Hostname) -> Option<&'a RuleInScope> {
        let exact = self.exact.get(host).copied();
        exact.or_else(|| shortest_cover(host, self.wild.iter().copied()).map(|(_, rule)| rule))
    }
}

/// The table of [`Catalog`] rows.
pub struct Catalogs;

impl Derived for Catalogs {
    type Key = Arc<Scope>;
    type Value = Catalog;
    const NAME: &'static str = "catalog";
    const LEVEL: u8 = 5;

    fn build(scope: &Arc<Scope>, read: &mut Reader<'_>) -> Option<Catalog> {
        let settings = settings(read)?;
        let rules = rules::visible(&scope.namespace, read);
        let sidecar = scope.sidecar.as_ref().and_then(|id| read.input::<Objects<Sidecar>>(id));
        let imports = imports(sidecar.as_deref(), scope);
        let visible = services::visible(owners(&imports).as_ref(), &scope.namespace, read);
        let mut wanted = Wanted { viewer: &scope.namespace, visible: &visible, rules: &rules, hosts: BTreeMap::new() };
        let chosen: Vec<_> = imports.iter().map(|import| wanted.choose(import, read)).collect();
        let services = resolve(scope, &wanted.hosts, read);
        let at = |host: &Hostname| services.binary_search_by(|entry| entry.host.cmp(host)).ok();
        let egress = imports
            .into_iter()
            .zip(chosen)
            .map(|(import, (hosts, rules))| Egress {
                port: import.port,
                bind: import.bind,
                capture: import.capture,
                services: hosts.into_iter().filter_map(at).collect(),
                rules,
            })
            .collect();
        contested(&rules, read);
        let unknown = unknown(sidecar.as_deref(), &settings);
        let (rules, egress) = without_others(rules, egress);
        Some(Catalog { services, rules, egress, unknown })
    }
}

/// Only the rules that a listener imports stay: a scope sees few of very many.
fn without_others(rules: Vec<RuleInScope>, mut egress: Vec<Egress>) -> (Vec<RuleInScope>, Vec<Egress>) {
    let used: BTreeSet<usize> = egress.iter().flat_map(|egress| egress.rules.iter().copied()).collect();
    let place: BTreeMap<usize, usize> = used.iter().enumerate().map(|(place, at)| (*at, place)).collect();
    for at in egress.iter_mut().flat_map(|egress| &mut egress.rules) {
        *at = place[at];
    }
    let mut kept = Vec::with_capacity(used.len());
    kept.extend(rules.into_iter().enumerate().filter(|(at, _)| used.contains(at)).map(|(_, rule)| rule));
    (kept, egress)
}

/// Hosts that several VirtualServices route: for sidecars the oldest decides alone.
fn contested(rules: &[RuleInScope], read: &mut Reader<'_>) {
    let mut first = BTreeMap::<(&Hostname, bool), &Id>::new();
    for rule in rules {
        for host in rule.rule.hosts.iter() {
            for (_, http) in [(rule.rule.http, true), (rule.rule.opaque, false)].into_iter().filter(|(there, _)| *there)
            {
                let older = first.entry((host, http)).or_insert(&rule.id);
                if **older != rule.id {
                    let about = format!("VirtualService {}/{}", rule.id.namespace, rule.id.name);
                    let message =
                        format!("not used by sidecars for {host}: {}/{} is older", older.namespace, older.name);
                    read.note(about, message);
                }
            }
        }
    }
}

/// One egress listener as written: which hosts it imports.
struct Import {
    port: Option<EgressPort>,
    bind: Option<Name>,
    capture: CaptureMode,
    hosts: Vec<(NamespacePattern, Hostname)>,
    excluded: Vec<(NamespacePattern, Hostname)>,
    everything: bool,
}

#[derive(Clone, PartialEq)]
enum NamespacePattern {
    Any,
    One(Namespace),
}

impl NamespacePattern {
    fn matches(&self, namespace: &Namespace) -> bool {
        match self {
            Self::Any => true,
            Self::One(one) => one == namespace,
        }
    }
}

/// The egress listeners of a Sidecar; one for everything without.
fn imports(sidecar: Option<&Row<Sidecar>>, scope: &Scope) -> Vec<Import> {
    let listeners = sidecar.map(|row| row.spec.egress.as_slice()).unwrap_or_default();
    if listeners.is_empty() {
        let capture = CaptureMode::default();
        let (hosts, excluded) = (Vec::new(), Vec::new());
        return vec![Import { port: None, bind: None, capture, hosts, excluded, everything: true }];
    }
    listeners
        .iter()
        .map(|listener| {
            let (mut hosts, mut excluded) = (Vec::new(), Vec::new());
            for written in &listener.hosts {
                let (namespace, dns) = written.split_once('/').unwrap_or(("*", written));
                let host = Hostname::new(dns);
                match namespace {
                    "*" => hosts.push((NamespacePattern::Any, host)),
                    "." => hosts.push((NamespacePattern::One(scope.namespace.clone()), host)),
                    "~" => {}
                    other => match other.strip_prefix('~') {
                        Some("*") => excluded.push((NamespacePattern::Any, host)),
                        Some(".") => excluded.push((NamespacePattern::One(scope.namespace.clone()), host)),
                        Some(named) => excluded.push((NamespacePattern::One(Name::from(named)), host)),
                        None => hosts.push((NamespacePattern::One(Name::from(other)), host)),
                    },
                }
            }
            let port = listener.port.as_ref().map(|port| EgressPort {
                number: port.number,
                protocol: Protocol::parse(&port.protocol).unwrap_or(Protocol::Auto),
            });
            let bind = Some(listener.bind.clone()).filter(|bind| !bind.is_empty());
            let capture = listener.capture_mode.unwrap_or_default();
            Import { port, bind, capture, hosts, excluded, everything: false }
        })
        .collect()
}

impl Import {
    fn takes(&self, namespace: &Namespace, host: &Hostname) -> bool {
        let covers =
            |(pattern, import): &(NamespacePattern, Hostname)| pattern.matches(namespace) && import.covers(host);
        (self.everything || self.hosts.iter().any(covers)) && !self.excluded.iter().any(covers)
    }

    fn takes_rule(&self, rule: &RuleInScope) -> bool {
        let namespace = &rule.id.namespace;
        let fits = |(pattern, import): &(NamespacePattern, Hostname)| {
            pattern.matches(namespace) && rule.rule.hosts.iter().any(|host| import.overlaps(host))
        };
        self.everything || self.hosts.iter().any(fits)
    }
}

/// The namespaces whose services some listener may take; none when they may be any.
fn owners(imports: &[Import]) -> Option<BTreeSet<Namespace>> {
    let named = |import: &Import| {
        let each = import.hosts.iter().map(|(pattern, _)| match pattern {
            NamespacePattern::Any => None,
            NamespacePattern::One(namespace) => Some(namespace.clone()),
        });
        if import.everything { None } else { each.collect::<Option<Vec<_>>>() }
    };
    Some(imports.iter().map(named).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Collects what the listeners of a scope want.
struct Wanted<'a> {
    viewer: &'a Namespace,
    /// What there is to be taken.
    visible: &'a BTreeMap<Hostname, Namespace>,
    rules: &'a [RuleInScope],
    /// What is wanted, and who defines it.
    hosts: BTreeMap<&'a Hostname, Namespace>,
}

impl<'a> Wanted<'a> {
    /// The hosts and rules of one listener. Services that an imported rule sends to come along even when they are not
    /// imported themselves, or its routes would lead nowhere.
    fn choose(&mut self, import: &Import, read: &mut Reader<'_>) -> (Vec<&'a Hostname>, Vec<usize>) {
        let taken: Vec<(&Hostname, &Namespace)> =
            self.visible.iter().filter(|(host, namespace)| import.takes(namespace, host)).collect();
        let rules: Vec<usize> =
            self.rules.iter().enumerate().filter(|(_, rule)| import.takes_rule(rule)).map(|(at, _)| at).collect();
        // All at once where there are none yet, which is most often.
        self.hosts.append(&mut taken.iter().map(|(host, namespace)| (*host, (*namespace).clone())).collect());
        if !import.everything {
            for host in rules.iter().flat_map(|at| self.rules[*at].rule.destinations.iter()) {
                // They get clusters, not listeners or virtual hosts of their own.
                if !self.hosts.contains_key(host)
                    && let Some(owner) = services::owner_of(host, self.viewer, read)
                {
                    self.hosts.insert(host, owner);
                }
            }
        }
        (taken.into_iter().map(|(host, _)| host).collect(), rules)
    }
}

/// The entries of the wanted hosts, in their order.
fn resolve(scope: &Scope, wanted: &BTreeMap<&Hostname, Namespace>, read: &mut Reader<'_>) -> Vec<Entry> {
    let perspective = Perspective::new(&scope.namespace, &scope.source.rules, read);
    let mut entries = Vec::<Entry>::with_capacity(wanted.len());
    let mut aliases = BTreeMap::<Hostname, Vec<Hostname>>::new();
    for (host, namespace) in wanted {
        let host = *host;
        let service = ServiceId { namespace: namespace.clone(), host: host.clone() };
        let client = perspective.client(host);
        let key = ResolutionKey { client: client.clone(), service };
        let Some(resolved) = read.row::<Resolutions>(&key) else { continue };
        if resolved.resolution == Resolution::Alias {
            let target = read.row::<Services>(&resolved.service).and_then(|service| service.alias_of.clone());
            if let Some(target) = target {
                aliases.entry(target).or_default().push(host.clone());
            }
            continue;
        }
        entries.push(Entry { host: host.clone(), resolved, client, aliases: Arc::default() });
    }
    for (target, names) in aliases {
        if let Ok(at) = entries.binary_search_by(|entry| entry.host.cmp(&target)) {
            entries[at].aliases = Arc::new(names);
        }
    }
    entries
}

/// A Sidecar's `outboundTrafficPolicy` decides, even an empty one (which means REGISTRY_ONLY); else the mesh's.
fn unknown(sidecar: Option<&Row<Sidecar>>, settings: &MeshSettings) -> Unknown {
    if let Some(row) = sidecar
        && let Some(policy) = &row.spec.outbound_traffic_policy
    {
        if let Some(proxy) = &policy.egress_proxy {
            let host = row.host(&proxy.host);
            let port = proxy.port.as_ref().map_or(0, |port| port.number);
            let subset = Some(&proxy.subset).filter(|subset| !subset.is_empty());
            return Unknown::Proxy(names::ClusterName::outbound(port, subset, &host));
        }
        return of_mode(policy.mode.unwrap_or_default());
    }
    of_mode(settings.mesh.outbound_mode())
}

fn of_mode(mode: OutboundTrafficPolicyMode) -> Unknown {
    match mode {
        OutboundTrafficPolicyMode::RegistryOnly => Unknown::Block,
        OutboundTrafficPolicyMode::AllowAny => Unknown::PassThrough,
    }
}
