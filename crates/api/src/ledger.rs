//! Fields that are accepted and have no effect yet. Each leaves an entry where somebody uses it: nothing is dropped silently.

use serde_json::Value;

use crate::mesh::MeshConfig;
use crate::{Issue, Issues, Kind, Severity};

/// The code of an entry.
const CODE: &str = crate::mesh::WITHOUT_EFFECT;

/// Paths from the object's body: `[]` is any item of a list, `=VALUE` asks for this value.
const VIRTUAL_SERVICE: &[&str] = &["tcp[].match[].sourceSubnet"];

/// Under each traffic policy of a DestinationRule.
const TRAFFIC_POLICY: &[&str] = &[
    "tunnel",
    "proxyProtocol",
    "loadBalancer.zoneAwareLbSetting",
    "loadBalancer.backendUtilization",
    "loadBalancer.localityLbSetting.failoverPriority",
    "outlierDetection.outlierDetectionHttpErrorCodes",
    "outlierDetection.consecutiveErrors",
];

/// Under each traffic policy of a DestinationRule for selected workloads: Secrets are for gateways so far.
const SELECTED: &[&str] = &["tls.credentialName"];

const GATEWAY: &[&str] = &["servers[].defaultEndpoint"];

const SERVICE_ENTRY: &[&str] = &["resolution=DYNAMIC_DNS"];

const SIDECAR: &[&str] = &["ingress[].connectionPool", "inboundConnectionPool"];

/// Notes the fields of a body that have no effect. `inner` is where the body stands in the document.
pub(crate) fn note(kind: Kind, body: &Value, inner: &str, issues: &mut Issues) {
    let mut found = Vec::new();
    let listed = match kind {
        Kind::VirtualService => VIRTUAL_SERVICE,
        Kind::Gateway => GATEWAY,
        Kind::ServiceEntry => SERVICE_ENTRY,
        Kind::Sidecar => SIDECAR,
        Kind::DestinationRule => {
            for prefix in [
                "trafficPolicy",
                "subsets[].trafficPolicy",
                "trafficPolicy.portLevelSettings[]",
                "subsets[].trafficPolicy.portLevelSettings[]",
            ] {
                let selected = if body.get("workloadSelector").is_some() { SELECTED } else { &[] };
                TRAFFIC_POLICY
                    .iter()
                    .chain(selected)
                    .for_each(|path| search(body, inner, &format!("{prefix}.{path}"), &mut found));
            }
            &[]
        }
        Kind::AuthorizationPolicy
        | Kind::EnvoyFilter
        | Kind::ProxyConfig
        | Kind::RequestAuthentication
        | Kind::Telemetry
        | Kind::TrafficExtension
        | Kind::WasmPlugin
        | Kind::WorkloadGroup => {
            issues.note(Severity::Info, CODE, inner, "objects of this kind have no effect so far");
            &[]
        }
        Kind::ConfigMap
        | Kind::EndpointSlice
        | Kind::Ingress
        | Kind::IngressClass
        | Kind::KubeNamespace
        | Kind::Node
        | Kind::PeerAuthentication
        | Kind::Pod
        | Kind::Secret
        | Kind::Service
        | Kind::WorkloadEntry => &[],
    };
    listed.iter().for_each(|path| search(body, inner, path, &mut found));
    if kind == Kind::VirtualService {
        claims(body, inner, &mut found);
    }
    for path in found {
        issues.note(Severity::Info, CODE, path, "accepted, and without effect so far");
    }
}

/// The settings in the mesh's ConfigMap that have no effect.
#[must_use]
pub fn of_mesh_settings(text: &str) -> Vec<Issue> {
    MeshConfig::from_yaml(text).1
}

/// Where a path leads to something.
fn search(value: &Value, at: &str, path: &str, found: &mut Vec<String>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (key, wanted) = first.split_once('=').map_or((first, None), |(key, wanted)| (key, Some(wanted)));
    let (key, each) = key.strip_suffix("[]").map_or((key, false), |key| (key, true));
    let Some(inside) = value.get(key) else { return };
    let here = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    if each {
        for (number, item) in inside.as_array().into_iter().flatten().enumerate() {
            let here = format!("{here}[{number}]");
            if rest.is_empty() { found.push(here) } else { search(item, &here, rest, found) }
        }
    } else if !rest.is_empty() {
        search(inside, &here, rest, found);
    } else if wanted.is_none_or(|wanted| inside == wanted) {
        found.push(here);
    }
}

/// Matches on claims of tokens: they come with authentication.
fn claims(body: &Value, inner: &str, found: &mut Vec<String>) {
    for (route, http) in body["http"].as_array().into_iter().flatten().enumerate() {
        for (number, each) in http["match"].as_array().into_iter().flatten().enumerate() {
            for name in each["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
                if name.starts_with("@request.auth.claims") {
                    found.push(format!("{inner}.http[{route}].match[{number}].headers.{name}"));
                }
            }
        }
    }
}
