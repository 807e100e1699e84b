//! The definitions of Istio's kinds, as they are in `crds/`.

use serde_json::Value;

const CRDS: [&str; 15] = [
    include_str!("../../../crds/authorizationpolicies.security.istio.io.yaml"),
    include_str!("../../../crds/destinationrules.networking.istio.io.yaml"),
    include_str!("../../../crds/envoyfilters.networking.istio.io.yaml"),
    include_str!("../../../crds/gateways.networking.istio.io.yaml"),
    include_str!("../../../crds/peerauthentications.security.istio.io.yaml"),
    include_str!("../../../crds/proxyconfigs.networking.istio.io.yaml"),
    include_str!("../../../crds/requestauthentications.security.istio.io.yaml"),
    include_str!("../../../crds/serviceentries.networking.istio.io.yaml"),
    include_str!("../../../crds/sidecars.networking.istio.io.yaml"),
    include_str!("../../../crds/telemetries.telemetry.istio.io.yaml"),
    include_str!("../../../crds/trafficextensions.extensions.istio.io.yaml"),
    include_str!("../../../crds/virtualservices.networking.istio.io.yaml"),
    include_str!("../../../crds/wasmplugins.extensions.istio.io.yaml"),
    include_str!("../../../crds/workloadentries.networking.istio.io.yaml"),
    include_str!("../../../crds/workloadgroups.networking.istio.io.yaml"),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = Value> {
    CRDS.into_iter().map(|text| serde_saphyr::from_str(text).expect("crds/ is made by cargo xtask crds"))
}
