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
use crate::{Column, Shown};

/// Most of them are served at these versions, with one schema.
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const GROUP: &str = "networking.istio.io";

spec_kind!(
    VirtualService,
    GROUP,
    VERSIONS,
    "virtualservices",
    check::virtual_service::check,
    Shown {
        short_name: Some("vs"),
        columns: &[
            Column::text("Gateways", ".spec.gateways", "The gateways it is bound to; mesh stands for sidecars."),
            Column::text("Hosts", ".spec.hosts", "The hosts that are routed."),
            Column::AGE,
        ],
        ..Shown::PLAIN
    }
);
spec_kind!(
    DestinationRule,
    GROUP,
    VERSIONS,
    "destinationrules",
    check::destination_rule::check,
    Shown {
        short_name: Some("dr"),
        columns: &[Column::text("Host", ".spec.host", "The host it is for."), Column::AGE],
        ..Shown::PLAIN
    }
);
spec_kind!(
    Gateway,
    GROUP,
    VERSIONS,
    "gateways",
    check::gateway::check,
    Shown { short_name: Some("gw"), ..Shown::PLAIN }
);
spec_kind!(
    ServiceEntry,
    GROUP,
    VERSIONS,
    "serviceentries",
    check::service_entry::check,
    Shown {
        short_name: Some("se"),
        needs_spec: true,
        columns: &[
            Column::text("Hosts", ".spec.hosts", "Its hosts."),
            Column::text("Location", ".spec.location", "In the mesh (MESH_INTERNAL) or outside (MESH_EXTERNAL)."),
            Column::text("Resolution", ".spec.resolution", "Where its endpoints come from."),
            Column::AGE,
        ],
        ..Shown::PLAIN
    },
    ServiceEntry::observe
);
spec_kind!(
    WorkloadEntry,
    GROUP,
    VERSIONS,
    "workloadentries",
    check::service_entry::check_workload,
    Shown {
        short_name: Some("we"),
        needs_spec: true,
        columns: &[Column::AGE, Column::text("Address", ".spec.address", "Its address.")],
        ..Shown::PLAIN
    }
);
spec_kind!(
    WorkloadGroup,
    GROUP,
    VERSIONS,
    "workloadgroups",
    check::workload_group::check,
    Shown { short_name: Some("wg"), needs_spec: true, columns: &[Column::AGE], ..Shown::PLAIN }
);
spec_kind!(Sidecar, GROUP, VERSIONS, "sidecars", check::sidecar::check, Shown::PLAIN);
spec_kind!(EnvoyFilter, GROUP, &["v1alpha3"], "envoyfilters", check::envoy_filter::check, Shown::PLAIN);
spec_kind!(ProxyConfig, GROUP, &["v1beta1"], "proxyconfigs", check::proxy_config, Shown::PLAIN);
