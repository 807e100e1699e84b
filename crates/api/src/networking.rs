//! Group `networking.istio.io`: types, one file each, and the rules that they must keep.

mod destination_rule;
mod envoy_filter;
mod gateway;
mod proxy_config;
mod service_entry;
mod sidecar;
mod virtual_service;
mod workload_entry;
mod workload_group;

mod check;

pub use destination_rule::*;
pub use envoy_filter::*;
pub use gateway::*;
pub use proxy_config::*;
pub use service_entry::*;
pub use sidecar::*;
pub use virtual_service::*;
pub use workload_entry::*;
pub use workload_group::*;

use crate::kinds::spec_kind;

/// Most of them are served at these versions, with one schema.
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const GROUP: &str = "networking.istio.io";

spec_kind!(VirtualService, GROUP, VERSIONS, "virtualservices", check::virtual_service::check);
spec_kind!(DestinationRule, GROUP, VERSIONS, "destinationrules", check::destination_rule::check);
spec_kind!(Gateway, GROUP, VERSIONS, "gateways", check::gateway::check);
spec_kind!(ServiceEntry, GROUP, VERSIONS, "serviceentries", check::service_entry::check);
spec_kind!(WorkloadEntry, GROUP, VERSIONS, "workloadentries", check::service_entry::check_workload);
spec_kind!(WorkloadGroup, GROUP, VERSIONS, "workloadgroups", check::workload_group::check);
spec_kind!(Sidecar, GROUP, VERSIONS, "sidecars", check::sidecar::check);
spec_kind!(EnvoyFilter, GROUP, &["v1alpha3"], "envoyfilters", check::envoy_filter::check);
spec_kind!(ProxyConfig, GROUP, &["v1beta1"], "proxyconfigs", check::proxy_config);
