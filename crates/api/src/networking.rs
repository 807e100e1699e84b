//! Group `networking.istio.io`: types, one file each, and the rules that they must keep.

mod destination_rule;
mod gateway;
mod service_entry;
mod sidecar;
mod virtual_service;
mod workload_entry;

mod check;

pub use destination_rule::*;
pub use gateway::*;
pub use service_entry::*;
pub use sidecar::*;
pub use virtual_service::*;
pub use workload_entry::*;

use crate::{ApiKind, Body, Issues, Kind, ObjectMeta};

/// All of them are served at these versions, with one schema.
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];

macro_rules! kind {
    ($type:ident, $plural:literal, $check:path) => {
        impl ApiKind for $type {
            const KIND: Kind = Kind::$type;
            const GROUP: &'static str = "networking.istio.io";
            const VERSIONS: &'static [&'static str] = VERSIONS;
            const PLURAL: &'static str = $plural;
            const NAMESPACED: bool = true;
            const BODY: Body = Body::Spec;

            fn check(&self, meta: &ObjectMeta, issues: &mut Issues) {
                $check(self, meta, issues);
            }
        }
    };
}

kind!(VirtualService, "virtualservices", check::virtual_service::check);
kind!(DestinationRule, "destinationrules", check::destination_rule::check);
kind!(Gateway, "gateways", check::gateway::check);
kind!(ServiceEntry, "serviceentries", check::service_entry::check);
kind!(WorkloadEntry, "workloadentries", check::service_entry::check_workload);
kind!(Sidecar, "sidecars", check::sidecar::check);
