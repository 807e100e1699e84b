//! The ProxyConfig that holds: defaults, the mesh's, the environment's, the annotation's, in that order; messages and maps are merged,
//! lists replaced. Source: istio: pilot/cmd/pilot-agent/config/config.go, pkg/config/mesh/mesh.go.

use std::collections::BTreeMap;

use api::mesh::{proxy_defaults, strictly};
use serde_json::{Value, json};

use super::{Input, Refused};

/// The effective ProxyConfig, as proto3 JSON.
pub(super) fn effective(
    input: &Input,
    annotations: &BTreeMap<String, String>,
    warnings: &mut Vec<String>,
) -> Result<Value, Refused> {
    let mut config = Value::Object(proxy_defaults());
    if let Some(text) = &input.mesh_config {
        let mesh = strictly("MeshConfig", text).map_err(|error| Refused(format!("mesh config: {error}")))?;
        merge(&mut config, &mesh["defaultConfig"]);
    }
    let over = [
        ("PROXY_CONFIG", input.environment.get("PROXY_CONFIG")),
        ("annotation proxy.istio.io/config", annotations.get("proxy.istio.io/config")),
    ];
    for (from, text) in over.into_iter().filter_map(|(from, text)| Some((from, text?))) {
        let value = strictly("ProxyConfig", text).map_err(|error| Refused(format!("{from}: {error}")))?;
        merge(&mut config, &value);
    }
    if let Some(address) = annotations.get("sidecar.istio.io/discoveryAddress") {
        config["discoveryAddress"] = json!(address);
    }
    if let Some(port) = annotations.get("status.sidecar.istio.io/port") {
        match port.parse::<u16>() {
            Ok(port) => config["statusPort"] = json!(port),
            Err(_) => warnings.push(format!("annotation status.sidecar.istio.io/port: {port:?} is no port")),
        }
    }
    Ok(config)
}

/// Lays one over another.
fn merge(under: &mut Value, over: &Value) {
    let (Value::Object(under), Value::Object(over)) = (under, over) else { return };
    // Of these pairs and groups one excludes the others.
    for group in [
        &["serviceCluster", "tracingServiceName"][..],
        &["zipkin", "lightstep", "datadog", "stackdriver", "openCensusAgent"],
        &["cryptomb", "qat"],
    ] {
        if group.iter().any(|key| over.contains_key(*key)) {
            group.iter().filter(|key| !over.contains_key(**key)).for_each(|key| drop(under.remove(*key)));
        }
    }
    for (key, value) in over {
        match under.get_mut(key) {
            Some(known) if known.is_object() && value.is_object() => merge(known, value),
            _ => drop(under.insert(key.clone(), value.clone())),
        }
    }
}
