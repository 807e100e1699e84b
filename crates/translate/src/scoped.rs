//! The clusters of a scope.

use std::sync::Arc;

use graph::Reader;
use model::scopes::{Catalogs, Entry, Scope};
use model::services::Services;
use names::{ClusterName, Name, Protocol};

use crate::keys::For;

/// Every cluster of a scope: service, name, port and subset. Mutual TLS is passed on to services of the mesh only.
pub(crate) fn clusters_of(
    scope: &Arc<Scope>,
    client: For,
    read: &mut Reader<'_>,
) -> Vec<(Entry, ClusterName, u16, Option<Name>)> {
    let Some(catalog) = read.row::<Catalogs>(scope) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in &catalog.services {
        let mut outside = || read.row::<Services>(&entry.resolved.service).is_none_or(|service| service.external);
        if client == For::Passing && outside() {
            continue;
        }
        for port in entry.resolved.ports.iter().filter(|port| port.protocol != Protocol::Udp) {
            let subsets = std::iter::once(None).chain(entry.resolved.subsets.iter().map(Some));
            for subset in subsets {
                let cluster = client.cluster(port.number, subset, &entry.host);
                all.push((entry.clone(), cluster, port.number, subset.cloned()));
            }
        }
    }
    all
}
