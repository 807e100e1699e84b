//! The types of resources that a client asks for.

/// A type of resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Kind {
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
}

impl Kind {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();
    /// All, in the order in which they stand in tables.
    pub(crate) const ALL: [Self; 6] = [Self::Cds, Self::Eds, Self::Sds, Self::Lds, Self::Rds, Self::Vhds];
    /// The order in which a client asks for them on a new stream.
    pub(crate) const ASKED: [Self; 6] = [Self::Cds, Self::Lds, Self::Eds, Self::Rds, Self::Sds, Self::Vhds];

    /// The type URL.
    #[must_use]
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::Cds => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Eds => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Sds => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Lds => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Rds => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Self::Vhds => "type.googleapis.com/envoy.config.route.v3.VirtualHost",
        }
    }

    /// The type with this URL.
    #[must_use]
    pub(crate) fn of(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.url() == url)
    }

    /// The short name, as reports use it.
    #[must_use]
    pub(crate) fn short(self) -> &'static str {
        match self {
            Self::Cds => "cds",
            Self::Eds => "eds",
            Self::Sds => "sds",
            Self::Lds => "lds",
            Self::Rds => "rds",
            Self::Vhds => "vhds",
        }
    }

    /// It is asked for by names that others lead to.
    #[must_use]
    pub(crate) fn named(self) -> bool {
        matches!(self, Self::Eds | Self::Rds | Self::Sds)
    }

    /// A state-of-the-world response has all there is: what it lacks is gone.
    #[must_use]
    pub(crate) fn whole(self) -> bool {
        matches!(self, Self::Cds | Self::Lds)
    }

    /// Its place in tables.
    #[must_use]
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}
