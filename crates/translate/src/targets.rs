//! Destinations as a scope sees them, and how hosts are divided between a table and the resources beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::networking::RouteDestination;
use model::rules::Rule;
use model::scopes::Catalog;
use names::{ClusterName, Hostname, Name};

use crate::keys::{HostKey, TableKey, Target};

/// The destinations that a scope knows, as it sees them.
pub(crate) fn targets(catalog: &Catalog, destinations: &BTreeSet<Hostname>) -> Vec<Target> {
    let known = destinations.iter().filter_map(|host| catalog.service(host));
    known
        .map(|entry| Target {
            host: entry.host.clone(),
            service: entry.resolved.service.clone(),
            client: entry.client.clone(),
        })
        .collect()
}

/// The clusters of weighted destinations of opaque traffic. A destination without port means the only port of its service, else
/// the listener's.
pub(crate) fn weighted(
    rule: &Rule,
    route: &[RouteDestination],
    port: u16,
    catalog: Option<&Catalog>,
) -> Vec<(ClusterName, u32)> {
    let several = route.len() > 1;
    let used = route.iter().filter(|route| !several || route.weight > 0);
    let made = used.filter_map(|route| {
        let destination = route.destination.as_ref()?;
        let host = rule.host(&destination.host);
        let only = || match catalog?.service(&host)?.resolved.ports.as_slice() {
            [only] => Some(only.number),
            _ => None,
        };
        let port = destination.port.map(|port| port.number).or_else(only).unwrap_or(port);
        let subset = Some(&destination.subset).filter(|subset| !subset.is_empty());
        Some((ClusterName::outbound(port, subset, &host), u32::try_from(route.weight).unwrap_or(0)))
    });
    made.collect()
}

/// A table and the hosts that come apart from it. Hosts for everything stay in the table, where Envoy falls back to them at once.
pub(crate) fn table(name: Name, hosts: Vec<Arc<HostKey>>, vhds: bool) -> (TableKey, Vec<Arc<HostKey>>) {
    let catches_all = |host: &Arc<HostKey>| host.domains.iter().any(|domain| *domain == "*");
    let (inside, alone): (Vec<_>, Vec<_>) = hosts.into_iter().partition(|host| !vhds || catches_all(host));
    let key = TableKey { name, hosts: Arc::new(inside), vhds: !alone.is_empty(), ports_matter: false };
    (key, alone)
}
