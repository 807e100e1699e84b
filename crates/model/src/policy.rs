//! DestinationRules: which of them hold for a client and a host, merged into one policy.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use api::mesh::MeshConfig;
use api::networking::{ClientTlsSettings, DestinationRule, LoadBalancerSettings, Subset, TrafficPolicy};
use graph::{Derived, Index, Reader};
use names::{Hostname, Labels, Name, Namespace, Selector};

use crate::called::{Named, called};
use crate::export::Export;
use crate::inputs::Age;
use crate::services::{Resolution, ServiceId, ServicePort, Services};
use crate::settings::settings;
use crate::{Id, Objects, Row};

/// DestinationRules by namespace and host; all wildcard hosts of a namespace share a bucket.
pub struct RulesByHost;

/// Where a rule is filed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RuleBucket {
    /// Rules of a namespace for exactly this host.
    Exact(Namespace, Hostname),
    /// Rules of a namespace for wildcard hosts.
    Wildcard(Namespace),
    /// All rules of a namespace: a client's own come first.
    Namespace(Namespace),
    /// Rules that some namespaces see and others do not: for these it matters who asks.
    Restricted,
}

/// What has to be known of a rule to choose it.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleRef {
    /// The host, resolved.
    pub host: Hostname,
    /// Who sees it.
    pub export: Export,
    /// The clients it is for.
    pub selector: Option<Selector>,
    age: Age,
}

impl Index for RulesByHost {
    type Of = Objects<DestinationRule>;
    type Bucket = RuleBucket;
    type Item = RuleRef;
    const NAME: &'static str = "destination rules by host";

    fn entries(id: &Id, row: &Arc<Row<DestinationRule>>) -> Vec<(RuleBucket, RuleRef)> {
        let host = row.host(&row.spec.host);
        let selector = row.spec.workload_selector.as_ref().map(|selector| Selector(selector.match_labels.clone()));
        let export = if selector.is_some() {
            Export::new(["."], &id.namespace)
        } else {
            Export::new(row.spec.export_to.iter().map(Name::as_str), &id.namespace)
        };
        let namespace = id.namespace.clone();
        let mut buckets = vec![RuleBucket::Namespace(namespace.clone())];
        buckets.push(match host.is_wildcard() {
            true => RuleBucket::Wildcard(namespace),
            false => RuleBucket::Exact(namespace, host.clone()),
        });
        if matches!(export, Export::To(_)) {
            buckets.push(RuleBucket::Restricted);
        }
        let rule = RuleRef { host, export, selector, age: row.age() };
        buckets.into_iter().map(|bucket| (bucket, rule.clone())).collect()
    }
}

/// A client's point of view, as far as DestinationRules depend on it. `None` is everybody for whom the rules of the service's
/// namespace and of the root namespace decide: such clients share clusters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Client {
    /// The client's namespace, where it matters.
    pub namespace: Option<Namespace>,
    /// The rules with a workload selector that select the client.
    pub selected: Option<Arc<Vec<Id>>>,
}

/// Tells for which hosts it matters who asks.
pub struct Perspective {
    namespace: Namespace,
    own: Vec<Hostname>,
    restricted: Vec<Hostname>,
    selected: Arc<Vec<(Id, Hostname)>>,
}

impl Perspective {
    /// The perspective of clients in `namespace` whose labels answer selectors with `selected`.
    #[must_use]
    pub fn new(namespace: &Namespace, selected: &Arc<Vec<(Id, Hostname)>>, read: &mut Reader<'_>) -> Self {
        let own = read.bucket::<RulesByHost>(&RuleBucket::Namespace(namespace.clone()));
        let restricted = read.bucket::<RulesByHost>(&RuleBucket::Restricted);
        let foreign = restricted.iter().filter(|(id, _)| id.namespace != *namespace);
        Self {
            namespace: namespace.clone(),
            own: own.values().filter(|rule| rule.selector.is_none()).map(|rule| rule.host.clone()).collect(),
            restricted: foreign.map(|(_, rule)| rule.host.clone()).collect(),
            selected: selected.clone(),
        }
    }

    /// The client as it counts for `host`.
    #[must_use]
    pub fn client(&self, host: &Hostname) -> Client {
        let selected: Vec<Id> =
            self.selected.iter().filter(|(_, rule)| rule.covers(host)).map(|(id, _)| id.clone()).collect();
        let matters = !selected.is_empty() || self.own.iter().chain(&self.restricted).any(|rule| rule.covers(host));
        Client {
            namespace: matters.then(|| self.namespace.clone()),
            selected: (!selected.is_empty()).then(|| Arc::new(selected)),
        }
    }
}

/// Who asks for what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResolutionKey {
    /// Who asks.
    pub client: Client,
    /// For what.
    pub service: ServiceId,
}

/// The answer: everything that says which clusters there are, but not what is in them.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// The service.
    pub service: ServiceId,
    /// Its ports.
    pub ports: Arc<Vec<ServicePort>>,
    /// Where its endpoints come from.
    pub resolution: Resolution,
    /// A Kubernetes Service without virtual address.
    pub headless: bool,
    /// From a Kubernetes Service.
    pub kubernetes: bool,
    /// Virtual addresses.
    pub addresses: Arc<Vec<Name>>,
    /// Addresses that a control plane gave it.
    pub allocated: Arc<Vec<IpAddr>>,
    /// It matters for its endpoint lists where the client is.
    pub by_locality: bool,
    /// Some rule refers to Secrets.
    pub credentials: bool,
    /// The rules that hold, in the order in which they are merged.
    pub rules: Arc<Vec<Id>>,
    /// The names of the subsets.
    pub subsets: Arc<Vec<Name>>,
    /// What clients in other namespaces may call it, unless it has aliases: one list for all of them.
    pub called: Arc<Vec<Name>>,
}

impl Resolved {
    /// What clients in the namespace `viewer` may call it by a host and its aliases.
    #[must_use]
    pub fn called(&self, host: &Hostname, aliases: &[Hostname], viewer: &Namespace) -> Arc<Vec<Name>> {
        let shared = aliases.is_empty() && *viewer != self.service.namespace && *host == self.service.host;
        if shared {
            return self.called.clone();
        }
        let (kubernetes, headless) = (self.kubernetes, self.headless);
        let (namespace, addresses) = (&self.service.namespace, &self.addresses);
        let named = Named { host, namespace, kubernetes, headless, addresses, aliases };
        Arc::new(called(&named, Some(viewer)))
    }
}

/// The table of [`Resolved`] rows.
pub struct Resolutions;

impl Derived for Resolutions {
    type Key = ResolutionKey;
    type Value = Resolved;
    const NAME: &'static str = "resolution";
    const LEVEL: u8 = 4;

    fn build(key: &ResolutionKey, read: &mut Reader<'_>) -> Option<Resolved> {
        let service = read.row::<Services>(&key.service)?;
        let rules = Arc::new(rules_for(&key.client, &key.service, read));
        let policy = match rules.is_empty() {
            true => None,
            false => read.row::<Policies>(&rules),
        };
        let settings = settings(read)?;
        let named = Named {
            host: &key.service.host,
            namespace: &key.service.namespace,
            kubernetes: service.kubernetes,
            headless: service.headless,
            addresses: &service.addresses,
            aliases: &[],
        };
        Some(Resolved {
            called: Arc::new(called(&named, None)),
            service: key.service.clone(),
            ports: Arc::new(service.ports.clone()),
            resolution: service.resolution,
            headless: service.headless,
            kubernetes: service.kubernetes,
            addresses: Arc::new(service.addresses.clone()),
            allocated: Arc::new(service.allocated.clone()),
            by_locality: policy.as_ref().is_some_and(|policy| policy.is_by_locality(&settings.mesh)),
            credentials: policy.as_ref().is_some_and(|policy| policy.tls().any(|tls| !tls.credential_name.is_empty())),
            rules,
            subsets: Arc::new(policy.map(|policy| policy.subset_names()).unwrap_or_default()),
        })
    }
}

/// The rules for a host, looked up in the client's namespace, then the service's, then the root namespace; the first namespace with
/// a rule for the host decides, by its most specific host (`istio: pilot/pkg/model/push_context.go destinationRule`).
fn rules_for(client: &Client, service: &ServiceId, read: &mut Reader<'_>) -> Vec<Id> {
    let Some(settings) = settings(read) else { return Vec::new() };
    let default = &settings.mesh.default_destination_rule_export_to;
    let selected = |id: &Id| client.selected.as_ref().is_some_and(|selected| selected.contains(id));
    let root = &settings.base.root_namespace;
    let mut namespaces: Vec<&Namespace> = client.namespace.iter().filter(|namespace| *namespace != root).collect();
    namespaces.extend([&service.namespace, root]);
    for namespace in namespaces {
        let own = client.namespace.as_ref() == Some(namespace);
        let sees = |id: &Id, rule: &RuleRef| match &rule.selector {
            Some(_) => selected(id),
            None if own => true,
            None => match &client.namespace {
                Some(viewer) => rule.export.allows(viewer, namespace, default),
                // Nobody in particular: rules that are not for everybody would have made the client particular.
                None => rule.export.allows(&Name::default(), namespace, default),
            },
        };
        let found = most_specific(namespace, &service.host, read, sees);
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// The visible rules of a namespace for the host that covers `host` most closely, those with a selector first, then by age.
fn most_specific(
    namespace: &Namespace,
    host: &Hostname,
    read: &mut Reader<'_>,
    sees: impl Fn(&Id, &RuleRef) -> bool,
) -> Vec<Id> {
    let exact = read.bucket::<RulesByHost>(&RuleBucket::Exact(namespace.clone(), host.clone()));
    let wild = read.bucket::<RulesByHost>(&RuleBucket::Wildcard(namespace.clone()));
    let mut rules: Vec<_> =
        exact.iter().chain(wild.iter()).filter(|(id, rule)| rule.host.covers(host) && sees(id, rule)).collect();
    rules.sort_by(|(_, a), (_, b)| {
        (a.host.specificity(), a.selector.is_none(), &a.age).cmp(&(b.host.specificity(), b.selector.is_none(), &b.age))
    });
    let Some(best) = rules.first().map(|(_, rule)| rule.host.clone()) else { return Vec::new() };
    rules.into_iter().take_while(|(_, rule)| rule.host == best).map(|(id, _)| id.clone()).collect()
}

/// Several DestinationRules for one host as one: the first traffic policy wins, subsets are concatenated and the first of a name wins
/// (`istio: pilot/pkg/model/destination_rule.go mergeDestinationRule`).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Policy {
    /// The policy of the rule, if any says one.
    pub traffic: Option<TrafficPolicy>,
    /// In the order written.
    pub subsets: Vec<Subset>,
    /// The rule that names the policy in metadata: the first.
    pub source: Option<Id>,
    /// A rule with workload selector may use `credentialName` at sidecars.
    pub selects_workloads: bool,
}

impl Policy {
    /// The names of the subsets, in the order written.
    #[must_use]
    pub fn subset_names(&self) -> Vec<Name> {
        self.subsets.iter().map(|subset| subset.name.clone()).collect()
    }

    /// All that is said of encryption: for the host, its ports and its subsets.
    pub fn tls(&self) -> impl Iterator<Item = &ClientTlsSettings> {
        let subsets = self.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        self.traffic.iter().chain(subsets).flat_map(|policy| {
            let levels = policy.port_level_settings.iter().filter_map(|level| level.tls.as_ref());
            policy.tls.iter().chain(levels)
        })
    }

    /// Whether some port or subset spreads its endpoints by locality: with outlier detection (failover), or by shares.
    #[must_use]
    pub fn is_by_locality(&self, mesh: &MeshConfig) -> bool {
        let matters = |balancer: Option<&LoadBalancerSettings>, outlier: bool| {
            let locality = balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref());
            outlier || locality.is_some_and(|locality| !locality.distribute.is_empty())
        };
        let of = |policy: &TrafficPolicy| {
            let levels = policy.port_level_settings.iter();
            matters(policy.load_balancer.as_ref(), policy.outlier_detection.is_some())
                || levels
                    .into_iter()
                    .any(|level| matters(level.load_balancer.as_ref(), level.outlier_detection.is_some()))
        };
        let subsets = self.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        self.traffic.iter().chain(subsets).chain(&mesh.default_traffic_policy).any(of)
            || mesh.locality_lb_setting.as_ref().is_some_and(|locality| !locality.distribute.is_empty())
    }

    /// The labels that select a subset's endpoints.
    #[must_use]
    pub fn subset_labels(&self, name: &Name) -> Option<&Labels> {
        self.subsets.iter().find(|subset| subset.name == *name).map(|subset| &subset.labels)
    }

    /// What holds for a port of the host, or of one subset. Settings for the port replace those of the host as a whole; a subset
    /// overrides block by block (`istio: pilot/pkg/networking/util MergeTrafficPolicy, MergeSubsetTrafficPolicy`).
    #[must_use]
    pub fn effective(&self, mesh: &MeshConfig, subset: Option<&Name>, port: u16) -> TrafficPolicy {
        let base = mesh.default_traffic_policy.clone().unwrap_or_default();
        let mut merged = match &self.traffic {
            Some(traffic) => merge(base, traffic, port),
            None => base,
        };
        let subset = subset.and_then(|name| self.subsets.iter().find(|subset| subset.name == *name));
        if let Some(traffic) = subset.and_then(|subset| subset.traffic_policy.as_ref()) {
            merged = merge(merged, traffic, port);
        }
        merged.port_level_settings = Vec::new();
        merged
    }
}

fn merge(mut base: TrafficPolicy, over: &TrafficPolicy, port: u16) -> TrafficPolicy {
    fn take<T: Clone>(base: &mut Option<T>, over: Option<&T>) {
        if let Some(over) = over {
            *base = Some(over.clone());
        }
    }
    take(&mut base.connection_pool, over.connection_pool.as_ref());
    take(&mut base.outlier_detection, over.outlier_detection.as_ref());
    take(&mut base.load_balancer, over.load_balancer.as_ref());
    take(&mut base.tls, over.tls.as_ref());
    take(&mut base.tunnel, over.tunnel.as_ref());
    take(&mut base.proxy_protocol, over.proxy_protocol.as_ref());
    take(&mut base.retry_budget, over.retry_budget.as_ref());
    let level = over.port_level_settings.iter().find(|level| level.port.as_ref().is_some_and(|at| at.number == port));
    if let Some(level) = level {
        base.connection_pool.clone_from(&level.connection_pool);
        base.outlier_detection.clone_from(&level.outlier_detection);
        base.load_balancer.clone_from(&level.load_balancer);
        base.tls.clone_from(&level.tls);
    }
    base
}

/// The table of merged rules.
pub struct Policies;

impl Derived for Policies {
    type Key = Arc<Vec<Id>>;
    type Value = Policy;
    const NAME: &'static str = "policy";
    const LEVEL: u8 = 2;

    fn build(key: &Arc<Vec<Id>>, read: &mut Reader<'_>) -> Option<Policy> {
        let mut policy = Policy::default();
        let mut named = BTreeMap::<Name, ()>::new();
        for id in key.iter() {
            let Some(row) = read.input::<Objects<DestinationRule>>(id) else { continue };
            policy.source.get_or_insert_with(|| id.clone());
            policy.selects_workloads |= row.spec.workload_selector.is_some();
            if policy.traffic.is_none() {
                policy.traffic.clone_from(&row.spec.traffic_policy);
            }
            for subset in &row.spec.subsets {
                if named.insert(subset.name.clone(), ()).is_none() {
                    policy.subsets.push(subset.clone());
                }
            }
        }
        Some(policy)
    }
}
