//! The table of kinds: one line here makes file loading, input table, dumps and metrics follow.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::{Checked, Definition, Issues, ObjectId, ObjectMeta};

/// Where in its document a kind is read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// From `spec`: Istio's kinds. Unknown fields are reported.
    Spec,
    /// From the whole document: core kinds, of which only some fields are looked at.
    Document,
}

/// A kind of object.
pub trait ApiKind: Sized + Clone + PartialEq + fmt::Debug + Send + Sync + DeserializeOwned + 'static {
    /// Its entry in the table.
    const KIND: Kind;
    /// API group; empty for core.
    const GROUP: &'static str;
    /// Served versions; they are one kind.
    const VERSIONS: &'static [&'static str];
    /// Plural name, as in URLs.
    const PLURAL: &'static str;
    /// Whether objects live in namespaces.
    const NAMESPACED: bool;
    /// Where in the document it is read from.
    const BODY: Body;
    /// What the API server is told of it; nothing for kinds that it knows itself.
    const DEFINITION: Option<Definition> = None;
    /// Takes in what its status says, where that means something.
    fn observe(&mut self, _status: &serde_json::Value) {}
    /// Applies the kind's rules; paths start at the document.
    fn check(&self, meta: &ObjectMeta, issues: &mut Issues);
}

/// A kind of a namespaced object that is read from `spec`, with its rules.
macro_rules! spec_kind {
    ($type:ident, $group:expr, $versions:expr, $plural:literal, $check:expr, $shown:expr $(, $observe:expr)? $(,)?) => {
        impl $crate::ApiKind for $type {
            const KIND: $crate::Kind = $crate::Kind::$type;
            const GROUP: &'static str = $group;
            const VERSIONS: &'static [&'static str] = $versions;
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = true;
            const BODY: $crate::Body = $crate::Body::Spec;
            const DEFINITION: Option<$crate::Definition> =
                Some($crate::Definition { shown: $shown, spec: <$type as schemars::JsonSchema>::json_schema });

            $(fn observe(&mut self, status: &serde_json::Value) {
                let observe: fn(&mut Self, &serde_json::Value) = $observe;
                observe(self, status);
            })?

            fn check(&self, meta: &$crate::ObjectMeta, issues: &mut $crate::Issues) {
                let rules: fn(&Self, &$crate::ObjectMeta, &mut $crate::Issues) = $check;
                rules(self, meta, issues);
            }
        }
    };
}
pub(crate) use spec_kind;

/// Calls a macro with the table: `field: Type` for each kind.
#[macro_export]
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            virtual_services: VirtualService,
            destination_rules: DestinationRule,
            gateways: Gateway,
            service_entries: ServiceEntry,
            workload_entries: WorkloadEntry,
            workload_groups: WorkloadGroup,
            sidecars: Sidecar,
            envoy_filters: EnvoyFilter,
            proxy_configs: ProxyConfig,
            peer_authentications: PeerAuthentication,
            request_authentications: RequestAuthentication,
            authorization_policies: AuthorizationPolicy,
            telemetries: Telemetry,
            wasm_plugins: WasmPlugin,
            traffic_extensions: TrafficExtension,
            services: Service,
            endpoint_slices: EndpointSlice,
            pods: Pod,
            namespaces: KubeNamespace,
            nodes: Node,
            secrets: Secret,
            config_maps: ConfigMap,
            ingresses: Ingress,
            ingress_classes: IngressClass,
        }
    };
}

macro_rules! kinds {
    ($($field:ident: $kind:ident),* $(,)?) => {
        /// The kinds.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Kind {
            $(
                #[doc = concat!("`", stringify!($kind), "`")]
                $kind
            ),*
        }

        /// An object of any kind.
        #[derive(Clone, PartialEq, Debug)]
        pub enum AnyObject {
            $(
                #[doc = concat!("`", stringify!($kind), "`")]
                $kind(Checked<crate::$kind>)
            ),*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name of its type here.
            fn type_name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind)),* }
            }

            /// API group; empty for core.
            #[must_use]
            pub fn group(self) -> &'static str {
                match self { $(Self::$kind => <crate::$kind as ApiKind>::GROUP),* }
            }

            /// Served versions.
            #[must_use]
            pub fn versions(self) -> &'static [&'static str] {
                match self { $(Self::$kind => <crate::$kind as ApiKind>::VERSIONS),* }
            }

            /// Plural name, as in URLs.
            #[must_use]
            pub fn plural(self) -> &'static str {
                match self { $(Self::$kind => <crate::$kind as ApiKind>::PLURAL),* }
            }

            /// What the API server is told of it; nothing for kinds that it knows itself.
            #[must_use]
            pub fn definition(self) -> Option<Definition> {
                match self { $(Self::$kind => <crate::$kind as ApiKind>::DEFINITION),* }
            }

            /// Whether objects live in namespaces.
            #[must_use]
            pub fn namespaced(self) -> bool {
                match self { $(Self::$kind => <crate::$kind as ApiKind>::NAMESPACED),* }
            }
        }

        impl AnyObject {
            /// What identifies it.
            #[must_use]
            pub fn id(&self) -> ObjectId {
                match self { $(Self::$kind(checked) => checked.id()),* }
            }

            /// Where it came from.
            #[must_use]
            pub fn origin(&self) -> &crate::Origin {
                match self { $(Self::$kind(checked) => checked.origin()),* }
            }

            /// Whether both say the same, wherever they stand.
            #[must_use]
            pub fn same_content(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$kind(a), Self::$kind(b)) => a.meta() == b.meta() && a.spec() == b.spec(),)*
                    _ => false,
                }
            }
        }
    };
}

for_each_kind!(kinds);

impl Kind {
    /// The name in `kind:`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KubeNamespace => "Namespace",
            other => other.type_name(),
        }
    }

    /// The kind of a document, by group and name.
    #[must_use]
    pub fn find(group: &str, name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.group() == group && kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
