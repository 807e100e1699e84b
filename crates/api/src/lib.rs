//! What users write: one file for each kind with all of its fields, read from YAML or JSON and checked. A mistake is a value, not
//! an error: what is usable is kept, the rest becomes [`Issue`]s with code, path and place.
//!
//! Way of a text: [`yaml::documents`] → [`decode`] → [`Checked`] objects, which cannot be made in another way.

mod changes;
mod checked;
pub mod core;
mod decode;
mod definition;
mod expressions;
pub mod extensions;
pub mod ingress;
mod issue;
mod kinds;
mod ledger;
pub mod mesh;
pub mod networking;
mod object;
mod presence;
pub mod rules;
pub mod scalars;
pub mod schema;
pub mod security;
mod selectors;
pub mod telemetry;
mod typed;
pub mod yaml;

pub use changes::Changes;
pub use checked::Checked;
pub use decode::{Mode, decode, origin};
pub use definition::{Column, Definition, Shown};
pub use issue::{Issue, Issues, Place, Severity};
pub use kinds::{AnyObject, ApiKind, Body, Kind};
pub use ledger::of_mesh_settings;
pub use object::{Message, ObjectId, ObjectMeta, Origin, Said};

pub use crate::core::{ConfigMap, EndpointSlice, KubeNamespace, Node, Pod, Secret, Service};
pub use extensions::{TrafficExtension, WasmPlugin};
pub use ingress::{Ingress, IngressClass};
pub use networking::{
    DestinationRule, EnvoyFilter, Gateway, ProxyConfig, ServiceEntry, Sidecar, VirtualService, WorkloadEntry,
    WorkloadGroup,
};
pub use security::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
pub use selectors::{MatchSelector, PolicyTargetReference};
pub use telemetry::Telemetry;
