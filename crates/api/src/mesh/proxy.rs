//! The ProxyConfig that a proxy has where nobody says anything, as proto3 JSON (`istio: pkg/config/mesh/mesh.go`).

use serde_json::{Map, Value, json};

/// Istio's defaults (`DefaultProxyConfig`).
#[must_use]
pub fn proxy_defaults() -> Map<String, Value> {
    let defaults = [
        ("configPath", json!("./etc/istio/proxy")),
        ("serviceCluster", json!("istio-proxy")),
        ("drainDuration", json!("45s")),
        ("terminationDrainDuration", json!("5s")),
        ("proxyAdminPort", json!(15000)),
        ("controlPlaneAuthPolicy", json!("MUTUAL_TLS")),
        ("discoveryAddress", json!("istiod.istio-system.svc:15012")),
        ("statNameLength", json!(189)),
        ("statusPort", json!(15020)),
    ];
    defaults.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
