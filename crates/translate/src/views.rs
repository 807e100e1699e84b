//! Views: which resources there are for a part of a proxy's configuration. A view holds its resources without reading them.

use std::sync::Arc;

use graph::{Derived, Reader};
use model::scopes::{Catalog, Egress, Scope};
use model::services::Resolution;
use names::Name;

use crate::clusters::{self, by_eds};
use crate::gateways;
use crate::keys::{AssignmentKey, ClusterKey, For, HostKey, ListenerKey, Router, ViewKey};
use crate::resources::{ResourceKey, Resources};
use crate::scoped::clusters_of;
use crate::{hosts, listeners};

mod inbound;
mod outbound;
mod routes;
mod secrets;

/// Resources by name, in the order of their names.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct View {
    /// Each name once.
    pub entries: Vec<(Name, ResourceKey)>,
}

/// The table of views.
pub struct Views;

impl Derived for Views {
    type Key = ViewKey;
    type Value = View;
    const NAME: &'static str = "view";
    const LEVEL: u8 = 8;

    fn build(key: &ViewKey, read: &mut Reader<'_>) -> Option<View> {
        let mut draft = Draft::default();
        match key {
            ViewKey::Clusters(scope, client, caps) => all_clusters(scope, *client, *caps, &mut draft, read),
            ViewKey::Assignments(scope, client, locality) => {
                for (entry, cluster, port, subset) in clusters_of(scope, *client, read) {
                    let resolved = &entry.resolved;
                    if !by_eds(resolved.resolution, resolved.headless, *client) {
                        continue;
                    }
                    let key = AssignmentKey {
                        service: resolved.service.clone(),
                        port,
                        subset,
                        rules: resolved.rules.clone(),
                        locality: resolved.by_locality.then(|| locality.clone()),
                        passed: *client == For::Passing,
                    };
                    draft.add(cluster.name(), ResourceKey::Assignment(Arc::new(key)));
                }
            }
            ViewKey::Listeners(scope, interception, caps) => {
                outbound::listeners(scope, *interception, *caps, &mut draft, read)
            }
            ViewKey::Tables(scope, caps) => routes::tables(scope, *caps, &mut draft, read),
            ViewKey::Hosts(scope, caps) => routes::hosts(scope, *caps, &mut draft, read),
            ViewKey::InboundClusters(inbound) => inbound::clusters(inbound, &mut draft, read),
            ViewKey::InboundListeners(inbound, caps) => inbound::listeners(inbound, *caps, &mut draft, read),
            ViewKey::GatewayListeners(router) => gateway_listeners(router, &mut draft, read),
            ViewKey::GatewayTables(router) => {
                for (table, _) in gateways::tables(router, read) {
                    draft.add(table.name.clone(), ResourceKey::Table(Arc::new(table)));
                }
            }
            ViewKey::GatewayHosts(router) => {
                for (table, alone) in gateways::tables(router, read) {
                    draft.add_hosts(&table.name, alone);
                }
            }
            ViewKey::Secrets(key, grant) => secrets::all(key, grant, &mut draft, read),
            ViewKey::Names(names) => draft.add(Name::default(), ResourceKey::Names(names.clone())),
            ViewKey::GrpcListeners(scope) => routes::grpc_listeners(scope, &mut draft, read),
            ViewKey::GrpcTables(scope) => routes::grpc_tables(scope, &mut draft, read),
            ViewKey::Trust => draft.add(crate::secrets::TRUST.into(), ResourceKey::Trust),
            ViewKey::GrpcServers(inbound) => inbound::grpc_servers(inbound, &mut draft, read),
        }
        Some(draft.finish(read))
    }
}

/// A view in the making. The first of a name stays.
#[derive(Default)]
struct Draft(Vec<(Name, ResourceKey)>);

impl Draft {
    fn add(&mut self, name: Name, key: ResourceKey) {
        self.0.push((name, key));
    }

    fn add_listener(&mut self, key: ListenerKey) {
        self.add(Name::from(listeners::name(&key)), ResourceKey::Listener(Arc::new(key)));
    }

    fn add_hosts(&mut self, table: &Name, alone: Vec<Arc<HostKey>>) {
        for host in alone {
            let name = Name::from(hosts::resource_name(table, &host.name));
            self.add(name, ResourceKey::Host(table.clone(), host));
        }
    }

    fn finish(mut self, read: &mut Reader<'_>) -> View {
        self.0.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.0.dedup_by(|(after, _), (first, _)| after == first);
        // Collecting would keep the room of those that were left out.
        let mut entries = Vec::with_capacity(self.0.len());
        entries.extend(self.0.into_iter().map(|(name, key)| (name, read.hold::<Resources>(&key))));
        View { entries }
    }
}

fn all_clusters(scope: &Arc<Scope>, client: For, caps: model::proxies::Caps, draft: &mut Draft, read: &mut Reader<'_>) {
    for (entry, cluster, port, subset) in clusters_of(scope, client, read) {
        let resolved = &entry.resolved;
        if client == For::Grpc && !by_eds(resolved.resolution, resolved.headless, client) {
            continue;
        }
        let (service, rules) = (resolved.service.clone(), resolved.rules.clone());
        let key = ClusterKey::Outbound {
            service,
            port,
            subset,
            rules,
            client,
            caps: model::proxies::Caps { vhds: false, ..caps },
        };
        draft.add(cluster.name(), ResourceKey::Cluster(Arc::new(key)));
    }
    // A gateway that passes mutual TLS on has them as a router already.
    if !matches!(client, For::Grpc | For::Passing) {
        let passthrough = ClusterKey::Passthrough(model::proxies::Caps { vhds: false, ..caps });
        for key in [ClusterKey::BlackHole, passthrough] {
            draft.add(Name::from(clusters::name(&key)), ResourceKey::Cluster(Arc::new(key)));
        }
    }
}

fn gateway_listeners(router: &Router, draft: &mut Draft, read: &mut Reader<'_>) {
    for plan in gateways::plans(router, read) {
        if let Some(listener) = plan.listener(router, read) {
            draft.add_listener(ListenerKey::Gateway(Arc::new(listener)));
        }
    }
}

/// The services of an egress listener.
fn entries<'a>(catalog: &'a Catalog, egress: &'a Egress) -> impl Iterator<Item = &'a model::scopes::Entry> {
    egress
        .services
        .iter()
        .map(|at| &catalog.services[*at])
        .filter(|entry| entry.resolved.resolution != Resolution::Alias)
}
