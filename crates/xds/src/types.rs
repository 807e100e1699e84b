//! The table of resource types.

/// A type of resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResourceType {
    /// Clusters.
    Cds,
    /// Endpoint assignments.
    Eds,
    /// Secrets.
    Sds,
    /// Listeners.
    Lds,
    /// Route tables.
    Rds,
    /// Virtual hosts.
    Vhds,
    /// Extension configurations.
    Ecds,
    /// Names and their addresses, for the agent beside a proxy; one resource without a name.
    Nds,
    /// What agents are told of the mesh: the roots that vouch for it.
    Pcds,
}

/// What a proxy is told of a name that does not exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Absent {
    /// It is removed (delta) or left out (state of the world).
    Removed,
    /// An empty message under the name: the proxy waits for it and must not wait for ever.
    Empty,
    /// Never removed: Envoy does not survive it.
    Kept,
}

impl ResourceType {
    /// All, in push order: what is referred to comes before what refers to it.
    pub const ALL: [Self; 9] =
        [Self::Cds, Self::Eds, Self::Sds, Self::Lds, Self::Rds, Self::Vhds, Self::Ecds, Self::Nds, Self::Pcds];

    /// The type URL.
    #[must_use]
    pub fn url(self) -> &'static str {
        match self {
            Self::Cds => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Eds => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Sds => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Lds => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Rds => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Vhds => "type.googleapis.com/envoy.config.route.v3.VirtualHost",
            Self::Ecds => "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            Self::Nds => "type.googleapis.com/istio.networking.nds.v1.NameTable",
            Self::Pcds => "type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig",
        }
    }

    /// The type with this URL.
    #[must_use]
    pub fn of(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// The short name, as metrics and istioctl use it.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Cds => "cds",
            Self::Eds => "eds",
            Self::Sds => "sds",
            Self::Lds => "lds",
            Self::Rds => "rds",
            Self::Vhds => "vhds",
            Self::Ecds => "ecds",
            Self::Nds => "nds",
            Self::Pcds => "pcds",
        }
    }

    /// A first request without names asks for everything.
    pub(crate) fn wildcard(self) -> bool {
        matches!(self, Self::Cds | Self::Lds | Self::Nds | Self::Pcds)
    }

    /// What is told of a name that does not exist.
    pub(crate) fn absent(self) -> Absent {
        match self {
            Self::Eds | Self::Rds => Absent::Empty,
            Self::Ecds => Absent::Kept,
            Self::Cds | Self::Lds | Self::Sds | Self::Vhds | Self::Nds | Self::Pcds => Absent::Removed,
        }
    }

    /// Others refer to it: it is added before and removed after them.
    pub(crate) fn is_target(self) -> bool {
        matches!(self, Self::Cds | Self::Eds | Self::Sds)
    }

    /// It is put together, or decided, only for those who ask: until it is, nothing is answered.
    pub(crate) fn on_demand(self) -> bool {
        matches!(self, Self::Nds | Self::Sds)
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
