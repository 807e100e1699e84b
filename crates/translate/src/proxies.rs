//! The configuration of a proxy: for each type of resource the views that it is the concatenation of.

use std::sync::Arc;

use graph::{Derived, Reader};
use model::gateways::gateway;
use model::proxies::{Facet, Facets, Kind, ProxyId, SecretAccess};

use crate::gateways;
use crate::keys::{For, NamesKey, Place, Router, SecretsKey, ViewKey};
use crate::views::Views;

/// A type of resource, in the order in which they are pushed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Type {
    /// Clusters.
    Cds,
    /// Endpoints.
    Eds,
    /// Secrets.
    Sds,
    /// Listeners.
    Lds,
    /// Route tables.
    Rds,
    /// Virtual hosts.
    Vhds,
    /// Names for the agent.
    Nds,
    /// What agents are told of the mesh.
    Pcds,
}

/// The views of a proxy.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Type and views; a type that is not here has no resources.
    pub views: Vec<(Type, Vec<ViewKey>)>,
}

/// The table of configurations: the root that a connection demands.
pub struct Configs;

impl Derived for Configs {
    type Key = ProxyId;
    type Value = Config;
    const NAME: &'static str = "config";
    const LEVEL: u8 = 9;

    fn build(key: &ProxyId, read: &mut Reader<'_>) -> Option<Config> {
        let facet = read.row::<Facets>(key)?;
        let mut views = match facet.kind {
            Kind::Sidecar => sidecar(&facet),
            Kind::Router => {
                let passes = passes_mesh(&facet, read);
                router(&facet, passes)
            }
            Kind::Grpc => grpc(&facet),
            // Their types come with ambient.
            Kind::Waypoint | Kind::Ztunnel => Vec::new(),
        };
        views.extend(names(&facet));
        if !views.is_empty() {
            views.push((Type::Pcds, vec![ViewKey::Trust]));
        }
        match facet.secrets.access {
            SecretAccess::Undecided => views.retain(|(of, _)| *of != Type::Sds),
            // Whoever asks is answered, even when there is nothing.
            _ if views.iter().all(|(of, _)| *of != Type::Sds) => views.push((Type::Sds, Vec::new())),
            _ => {}
        }
        let held = views.into_iter().map(|(of, keys)| {
            let keys: Vec<ViewKey> = keys.iter().map(|key| read.hold::<Views>(key)).collect();
            (of, keys)
        });
        Some(Config { views: held.collect() })
    }
}

/// What the agent resolves, when it asked.
fn names(facet: &Facet) -> Option<(Type, Vec<ViewKey>)> {
    let place = Place { families: facet.names?, network: facet.network.clone() };
    let key = NamesKey { scope: facet.scope.clone(), place };
    Some((Type::Nds, vec![ViewKey::Names(Arc::new(key))]))
}

fn sidecar(facet: &Facet) -> Vec<(Type, Vec<ViewKey>)> {
    let (scope, inbound, caps) = (&facet.scope, &facet.inbound, facet.caps);
    vec![
        (
            Type::Cds,
            vec![ViewKey::Clusters(scope.clone(), For::Sidecar, caps), ViewKey::InboundClusters(inbound.clone())],
        ),
        (Type::Eds, vec![ViewKey::Assignments(scope.clone(), For::Sidecar, facet.locality.clone())]),
        (
            Type::Lds,
            vec![
                ViewKey::Listeners(scope.clone(), inbound.interception, caps),
                ViewKey::InboundListeners(inbound.clone(), caps),
            ],
        ),
        (Type::Rds, vec![ViewKey::Tables(scope.clone(), caps)]),
        (Type::Vhds, vec![ViewKey::Hosts(scope.clone(), caps)]),
        (Type::Sds, vec![secrets(facet)]),
    ]
}

/// The Secrets that its configuration names.
fn secrets(facet: &Facet) -> ViewKey {
    let (scope, gateways, router) = (facet.scope.clone(), facet.gateways.clone(), facet.kind == Kind::Router);
    ViewKey::Secrets(Arc::new(SecretsKey { scope, gateways, router }), facet.secrets.clone())
}

/// Whether a router passes the mesh's mutual TLS on.
fn passes_mesh(facet: &Facet, read: &mut Reader<'_>) -> bool {
    let mut rows = facet.gateways.iter().filter_map(|id| gateway(id, read));
    rows.any(|row| row.spec.servers.iter().any(gateways::passes_mesh))
}

fn router(facet: &Facet, passes: bool) -> Vec<(Type, Vec<ViewKey>)> {
    let (scope, caps) = (&facet.scope, facet.caps);
    let router = Arc::new(Router {
        scope: scope.clone(),
        gateways: facet.gateways.clone(),
        port_map: facet.port_map.clone(),
        unprivileged: facet.unprivileged,
        caps,
    });
    let clients = if passes { &[For::Router, For::Passing][..] } else { &[For::Router] };
    let clusters = clients.iter().map(|client| ViewKey::Clusters(scope.clone(), *client, caps));
    let assignments = clients.iter().map(|client| ViewKey::Assignments(scope.clone(), *client, facet.locality.clone()));
    vec![
        (Type::Cds, clusters.collect()),
        (Type::Eds, assignments.collect()),
        (Type::Sds, vec![secrets(facet)]),
        (Type::Lds, vec![ViewKey::GatewayListeners(router.clone())]),
        (Type::Rds, vec![ViewKey::GatewayTables(router.clone())]),
        (Type::Vhds, vec![ViewKey::GatewayHosts(router)]),
    ]
}

fn grpc(facet: &Facet) -> Vec<(Type, Vec<ViewKey>)> {
    let scope = &facet.scope;
    vec![
        (Type::Cds, vec![ViewKey::Clusters(scope.clone(), For::Grpc, facet.caps)]),
        (Type::Eds, vec![ViewKey::Assignments(scope.clone(), For::Grpc, facet.locality.clone())]),
        (Type::Lds, vec![ViewKey::GrpcListeners(scope.clone()), ViewKey::GrpcServers(facet.inbound.clone())]),
        (Type::Rds, vec![ViewKey::GrpcTables(scope.clone())]),
    ]
}
