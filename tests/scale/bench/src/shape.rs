//! How many of what a mesh has.

use clap::ValueEnum;

/// The names of the shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "verbatim")]
pub enum Size {
    /// Small: what CI runs.
    S,
    /// A cluster of 1,000 services whose proxies all see all of it.
    M,
    /// The same, and each namespace sees itself and the root namespace only.
    Ms,
    /// 5,000 services, scoped.
    L,
    /// Gateways, each with a rule of three hosts, and routes of the Gateway API.
    G,
    /// One service with very many endpoints.
    P,
}

/// How many of what there is. Service `n` is `svc-n` in namespace `ns-(n mod namespaces)`; so are proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Services.
    pub services: u32,
    /// Endpoints of each service, each a pod.
    pub endpoints: u32,
    /// Endpoints of service 0, where it is not as the others.
    pub hot: Option<u32>,
    /// Namespaces, besides the root namespace.
    pub namespaces: u32,
    /// VirtualServices, each for a service of its own.
    pub routes: u32,
    /// DestinationRules, each for a service of its own.
    pub rules: u32,
    /// AuthorizationPolicies, each for a service of its own, which has a PeerAuthentication too.
    pub policies: u32,
    /// Gateways, each with a VirtualService.
    pub gateways: u32,
    /// HTTPRoutes of the Gateway API, each with a host of one Gateway that is theirs.
    pub http_routes: u32,
    /// Whether each namespace has a Sidecar that shows it itself and the root namespace.
    pub scoped: bool,
    /// Proxies that the bench connects. Proxy `n` is at the address of the pod that [`crate::mesh::Mesh::address`] says.
    pub proxies: u32,
}

impl Size {
    /// Edits of each kind that say enough: few where each sends all proxies much, as a change of 5,000 endpoints does (870 KB).
    #[must_use]
    pub const fn edits(self) -> u32 {
        match self {
            Self::S | Self::M | Self::Ms | Self::L | Self::G => 50,
            Self::P => 5,
        }
    }

    /// What it stands for.
    #[must_use]
    pub const fn shape(self) -> Shape {
        let m = Shape {
            services: 1000,
            endpoints: 10,
            hot: None,
            namespaces: 50,
            routes: 1000,
            rules: 500,
            policies: 100,
            gateways: 0,
            http_routes: 0,
            scoped: false,
            proxies: 1000,
        };
        let bare = Shape { services: 50, endpoints: 5, namespaces: 5, routes: 0, rules: 0, policies: 0, ..m };
        match self {
            Self::S => Shape {
                services: 100,
                endpoints: 5,
                namespaces: 5,
                routes: 50,
                rules: 20,
                policies: 10,
                proxies: 50,
                ..m
            },
            Self::M => m,
            Self::Ms => Shape { scoped: true, ..m },
            Self::L => m.times(5).scoped(2000),
            Self::G => Shape { gateways: 1000, http_routes: 5000, namespaces: 50, proxies: 4, ..bare },
            Self::P => Shape { hot: Some(5000), ..bare },
        }
    }
}

impl Shape {
    /// So many times the services, with what belongs to them.
    #[must_use]
    pub const fn times(self, factor: u32) -> Self {
        Self {
            services: self.services * factor,
            namespaces: self.namespaces * factor,
            routes: self.routes * factor,
            rules: self.rules * factor,
            policies: self.policies * factor,
            ..self
        }
    }

    /// With a Sidecar in each namespace, and so many proxies.
    #[must_use]
    pub const fn scoped(self, proxies: u32) -> Self {
        Self { scoped: true, proxies, ..self }
    }

    /// Endpoints of a service.
    #[must_use]
    pub fn endpoints_of(&self, service: u32) -> u32 {
        self.hot.filter(|_| service == 0).unwrap_or(self.endpoints)
    }

    /// How many proxies are in a namespace.
    #[must_use]
    pub fn proxies_in(&self, namespace: u32) -> u32 {
        (self.proxies + self.namespaces - 1 - namespace) / self.namespaces
    }
}
