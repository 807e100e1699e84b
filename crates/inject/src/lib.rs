//! From a pod and settings to a decision, and to the pod with a proxy beside its containers. The webhook and `meltemi inject` call the
//! same code.
//!
//! [`webhooks::selecting`] says whose a pod is, [`decide`] whether it is injected, [`inject`] gives the pod, [`patch`] what changed;
//! [`inject_object`] does it for objects that make pods. What templates give is in `builtin.rs` (Rust) and `custom.rs` (texts of users).

mod annotations;
mod builtin;
mod cluster;
mod custom;
mod decide;
mod error;
mod images;
mod injection;
mod objects;
mod openshift;
mod order;
mod overlay;
mod overrides;
mod parts;
mod patch;
mod pod;
mod probes;
mod prometheus;
mod proxy;
mod quantity;
mod settings;
pub mod template;
pub mod webhooks;
mod workload;

pub use cluster::{NativeSidecars, native_sidecars, path_environment};
pub use decide::{Decision, Reason, decide};
pub use error::{Error, Fault};
pub use injection::{Injected, Inputs, inject, templates};
pub use objects::{Outcome, Refused, inject_object, nodes, yaml};
pub use patch::patch;
pub use proxy::ProxyConfigResource;
pub use settings::{Injector, Mesh, Policy, Settings, Values};
pub use workload::Workload;
