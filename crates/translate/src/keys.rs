//! What identifies a resource: everything its bytes depend on that is not looked up in the model. Who asked is not in here, so
//! everyone for whom things resolve alike shares the bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use model::Id;
use model::endpoints::Locality;
use model::gateways::{GatewayId, RuleId};
use model::policy::Client;
use model::proxies::{Caps, Families, Inbound, Interception, SecretGrant};
use model::scopes::{Scope, Source, Unknown};
use model::services::ServiceId;
use names::{ClusterName, Hostname, Name};

/// For what kind of client a resource is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum For {
    /// Envoy beside a workload.
    Sidecar,
    /// Envoy as a gateway.
    Router,
    /// Envoy as a gateway, for what it passes on in the mesh's mutual TLS without opening it (AUTO_PASSTHROUGH).
    Passing,
    /// gRPC without proxy.
    Grpc,
}

impl For {
    /// The name of a cluster.
    pub(crate) fn cluster(self, port: u16, subset: Option<&Name>, host: &Hostname) -> ClusterName {
        match self {
            Self::Passing => ClusterName::passed(port, subset, host),
            Self::Sidecar | Self::Router | Self::Grpc => ClusterName::outbound(port, subset, host),
        }
    }
}

/// A cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClusterKey {
    /// Of a service port, or of one subset of it.
    Outbound {
        /// The service.
        service: ServiceId,
        /// Its port.
        port: u16,
        /// The subset.
        subset: Option<Name>,
        /// The DestinationRules that hold.
        rules: Arc<Vec<Id>>,
        /// For whom.
        client: For,
        /// What the proxy can do.
        caps: Caps,
    },
    /// To the proxy's own workload.
    Inbound {
        /// The port of the workload.
        port: u16,
        /// Where it listens, when a Sidecar says so; else where the connection was meant for.
        endpoint: Option<Name>,
        /// The proxy is told its ports: there is no original destination.
        bound: bool,
        /// What the workload serves on it: shown in metadata.
        services: Arc<Vec<ServiceId>>,
        /// It speaks HTTP/2 without being asked.
        http2: bool,
    },
    /// Refuses.
    BlackHole,
    /// To where the client wanted.
    Passthrough(Caps),
    /// To where the connection was meant for, from outside.
    InboundPassthrough,
}

/// The endpoints of a cluster.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AssignmentKey {
    /// The service.
    pub service: ServiceId,
    /// Its port.
    pub port: u16,
    /// The subset.
    pub subset: Option<Name>,
    /// The DestinationRules that hold.
    pub rules: Arc<Vec<Id>>,
    /// Where the client is, if that matters.
    pub locality: Option<Locality>,
    /// For a gateway that passes mutual TLS on: only those that take it, under the name of that cluster.
    pub passed: bool,
}

/// A destination of routes, as the client sees it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Target {
    /// The host that the rule names.
    pub host: Hostname,
    /// The service behind it.
    pub service: ServiceId,
    /// Who asks, as far as it matters for this host.
    pub client: Client,
}

/// A virtual host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostKey {
    /// `<host>:<port>`.
    pub name: Name,
    /// What clients may call it.
    pub domains: Arc<Vec<Name>>,
    /// The listener's port: matches may ask for it, and it is the port of destinations that say none.
    pub port: u16,
    /// What is routed.
    pub routing: Routing,
    /// For whom.
    pub client: For,
    /// Destinations of the rules.
    pub targets: Arc<Vec<Target>>,
    /// What the rules may want to know of the client; `None` when they do not look.
    pub source: Option<Arc<SourceView>>,
    /// Plain requests are answered with a redirect to https.
    pub tls_redirect: bool,
}

/// What rules may want to know of a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceView {
    /// Its namespace.
    pub namespace: Name,
    /// How it answers selectors.
    pub source: Arc<Source>,
}

/// What a virtual host does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Routing {
    /// Everything goes to the one target.
    Service,
    /// A VirtualService decides, for sidecars.
    Rule(Id),
    /// Rules decide, merged in this order, for a gateway (or one of several).
    Gateway {
        /// The rules, oldest first.
        rules: Arc<Vec<RuleId>>,
        /// Namespaces and names of the Gateways over which the host is served.
        gateways: Arc<Vec<(Name, Name)>>,
    },
    /// Unknown hosts.
    Unknown(Unknown),
}

/// A route table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TableKey {
    /// Its name.
    pub name: Name,
    /// Hosts in the table itself.
    pub hosts: Arc<Vec<Arc<HostKey>>>,
    /// Further hosts come one by one.
    pub vhds: bool,
    /// Hosts are matched with their port: gRPC.
    pub ports_matter: bool,
}

/// A listener.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ListenerKey {
    /// Takes all outbound traffic and hands it to the listener it is meant for.
    VirtualOutbound {
        /// How traffic comes.
        interception: Interception,
        /// What happens to unknown traffic.
        unknown: Unknown,
        /// What the proxy can do.
        caps: Caps,
    },
    /// An outbound port or virtual address.
    Outbound(Arc<OutboundListener>),
    /// All inbound traffic.
    Inbound {
        /// What is served.
        inbound: Arc<Inbound>,
        /// What the proxy can do.
        caps: Caps,
    },
    /// One inbound port that the proxy binds itself.
    InboundPort {
        /// What is served.
        inbound: Arc<Inbound>,
        /// The port.
        port: u16,
        /// What the proxy can do.
        caps: Caps,
    },
    /// A port of a gateway.
    Gateway(Arc<GatewayListener>),
    /// What a gRPC client listens to: the name it was told to call.
    Grpc {
        /// `host:port`.
        name: Name,
        /// The route table.
        table: Name,
    },
    /// What a gRPC server serves by.
    GrpcServer {
        /// Where it listens.
        at: SocketAddr,
        /// It takes the mesh's mutual TLS, else plain text.
        mutual: bool,
    },
}

/// An outbound listener.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OutboundListener {
    /// Address and port, as in the name.
    pub address: Name,
    /// The port.
    pub port: u16,
    /// Whether the proxy binds it.
    pub bind: bool,
    /// The route table of its HTTP chain.
    pub table: Option<Name>,
    /// HTTP is told from other traffic by its first bytes.
    pub sniff: bool,
    /// Chains for opaque traffic, in order.
    pub opaque: Vec<OpaqueChain>,
    /// Where what fits no chain goes; `None` when a chain takes all.
    pub rest: Option<Unknown>,
    /// What the proxy can do.
    pub caps: Caps,
}

/// A filter chain for traffic that is not opened.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpaqueChain {
    /// Destination networks.
    pub networks: Vec<Name>,
    /// Server names; for TLS only.
    pub server_names: Vec<Name>,
    /// Only the mesh's mutual TLS, told by what it offers.
    pub mutual: bool,
    /// Where to, with weights.
    pub clusters: Vec<(ClusterName, u32)>,
}

/// A router, as far as what it serves depends on it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Router {
    /// What it can call.
    pub scope: Arc<Scope>,
    /// Its Gateways, oldest first.
    pub gateways: Arc<Vec<GatewayId>>,
    /// Ports of the services in front of it, and the ports of the router behind them.
    pub port_map: Arc<BTreeMap<u16, u16>>,
    /// It may not bind ports below 1024.
    pub unprivileged: bool,
    /// What it can do.
    pub caps: Caps,
}

/// A listener of a router.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GatewayListener {
    /// The address.
    pub bind: Name,
    /// The port of the router.
    pub port: u16,
    /// What is served on it.
    pub serving: Serving,
    /// What the proxy can do.
    pub caps: Caps,
}

/// What is served on a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Serving {
    /// Plain HTTP, from one table.
    Http {
        /// The table.
        table: Name,
    },
    /// Opaque traffic.
    Opaque {
        /// Where it goes.
        chains: Vec<OpaqueChain>,
    },
    /// TLS, by server name.
    Tls {
        /// In order of age.
        servers: Vec<TlsServer>,
    },
}

/// One server of a TLS port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TlsServer {
    /// The Gateway that has its settings.
    pub gateway: GatewayId,
    /// Which of its servers it is.
    pub number: usize,
    /// Server names that it answers to.
    pub names: Vec<Name>,
    /// The table, when HTTP inside is served.
    pub table: Option<Name>,
    /// Where opaque traffic goes.
    pub opaque: Vec<OpaqueChain>,
}

/// A Secret as a resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SecretKey {
    /// The name of the resource.
    pub name: Name,
    /// The Secret.
    pub secret: Id,
    /// What of it.
    pub content: Content,
}

/// What a resource has of a Secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Content {
    /// Certificate and key.
    Certificate,
    /// Only the roots in it, or in the one whose name ends in `-cacert`.
    Roots,
    /// The roots in a ConfigMap instead.
    PublicRoots,
}

/// Who refers to Secrets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SecretsKey {
    /// By the rules for what it calls.
    pub scope: Arc<Scope>,
    /// By what it serves.
    pub gateways: Arc<Vec<GatewayId>>,
    /// Any rule counts, not only those that select workloads.
    pub router: bool,
}

/// The names that an agent resolves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamesKey {
    /// What its proxy can call.
    pub scope: Arc<Scope>,
    /// From where it looks at the addresses.
    pub place: Place,
}

/// What the addresses of a name depend on beside the name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Families that can be called.
    pub families: Families,
    /// The network, empty for the default: pods in others are not called by their addresses.
    pub network: Name,
}

/// Which part of a proxy's configuration a view is: proxies for which it is equal share the view.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ViewKey {
    /// Clusters of all services in scope, and those for unknown traffic.
    Clusters(Arc<Scope>, For, Caps),
    /// Their endpoints.
    Assignments(Arc<Scope>, For, Locality),
    /// Outbound listeners.
    Listeners(Arc<Scope>, Interception, Caps),
    /// Route tables of outbound listeners.
    Tables(Arc<Scope>, Caps),
    /// Virtual hosts that come one by one.
    Hosts(Arc<Scope>, Caps),
    /// Clusters to the workload.
    InboundClusters(Arc<Inbound>),
    /// Listeners for the workload.
    InboundListeners(Arc<Inbound>, Caps),
    /// Listeners of a gateway.
    GatewayListeners(Arc<Router>),
    /// Route tables of a gateway.
    GatewayTables(Arc<Router>),
    /// Virtual hosts of a gateway that come one by one.
    GatewayHosts(Arc<Router>),
    /// Secrets that a proxy's configuration names, as far as it may have them.
    Secrets(Arc<SecretsKey>, Arc<SecretGrant>),
    /// The names that an agent resolves.
    Names(Arc<NamesKey>),
    /// What gRPC clients listen to.
    GrpcListeners(Arc<Scope>),
    /// Route tables of gRPC clients.
    GrpcTables(Arc<Scope>),
    /// What agents are told of the mesh.
    Trust,
    /// What gRPC servers serve by.
    GrpcServers(Arc<Inbound>),
}
