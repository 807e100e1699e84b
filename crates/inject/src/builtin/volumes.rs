//! Volumes of the proxy: sockets, certificates, its token, what it knows of its pod.

use serde_json::{Value, json};

use super::Context;
use crate::annotations::{BOOTSTRAP, USER_MOUNT, USER_VOLUME};
use crate::parts::{Mount, Named, Volume};

/// Where a bootstrap of the user's is mounted.
const CUSTOM_BOOTSTRAP: &str = "/etc/istio/custom-bootstrap";
/// The file in it.
pub(super) const CUSTOM_BOOTSTRAP_FILE: &str = "/etc/istio/custom-bootstrap/custom_bootstrap.json";
const LIGHTSTEP: &str = "lightstep-certs";

fn on_gke(context: &Context<'_>) -> bool {
    context.values().global.ca_name == "GkeWorkloadCertificate"
}

/// Whether the control plane itself signs certificates.
fn by_istiod(context: &Context<'_>) -> bool {
    context.values().global.pilot_cert_provider == "istiod"
}

fn empty(name: &str) -> Volume {
    Volume::new(name, "emptyDir", json!({}))
}

/// Where workload certificates are found that others provide.
pub(super) fn certificates_mount(context: &Context<'_>) -> Mount {
    let path = "/var/run/secrets/workload-spiffe-credentials";
    if on_gke(context) { Mount::read_only("gke-workload-certificate", path) } else { Mount::at("workload-certs", path) }
}

/// The volume of it.
pub(super) fn certificates(context: &Context<'_>) -> Volume {
    let driver = json!({"driver": "workloadcertificates.security.cloud.google.com"});
    if on_gke(context) { Volume::new("gke-workload-certificate", "csi", driver) } else { empty("workload-certs") }
}

/// Mounts of a proxy; `channel` is the volume in which agent and proxy meet, `lists` says whether revocation lists are mounted.
pub(super) fn mounts(context: &Context<'_>, channel: &str, lists: bool) -> Vec<Mount> {
    let mut mounts = vec![Mount::at("workload-socket", "/var/run/secrets/workload-spiffe-uds")];
    if channel == "istio-envoy" {
        mounts.push(Mount::at("credential-socket", "/var/run/secrets/credential-uds"));
    }
    mounts.push(certificates_mount(context));
    if by_istiod(context) {
        mounts.push(Mount::at("istiod-ca-cert", "/var/run/secrets/istio"));
        if lists {
            mounts.push(Mount::at("istio-ca-crl", "/var/run/secrets/istio/crl"));
        }
    }
    mounts.push(Mount::at("istio-data", "/var/lib/istio/data"));
    if channel == "istio-envoy" && context.annotations.contains_key(BOOTSTRAP) {
        mounts.push(Mount::at("custom-bootstrap-volume", CUSTOM_BOOTSTRAP));
    }
    mounts.push(Mount::at(channel, "/etc/istio/proxy"));
    mounts.push(Mount::at("istio-token", "/var/run/secrets/tokens"));
    if context.values().global.mount_mtls_certs {
        mounts.push(Mount::read_only("istio-certs", "/etc/certs/"));
    }
    mounts.push(Mount::at("istio-podinfo", "/etc/istio/pod"));
    mounts
}

/// Volumes of a proxy.
pub(super) fn volumes(context: &Context<'_>, channel: &str, lists: bool) -> Vec<Volume> {
    let global = &context.values().global;
    let mut volumes = vec![empty("workload-socket")];
    if channel == "istio-envoy" {
        volumes.push(empty("credential-socket"));
    }
    volumes.push(certificates(context));
    if let Some(map) = context.annotations.get(BOOTSTRAP) {
        volumes.push(Volume::new("custom-bootstrap-volume", "configMap", json!({ "name": map })));
    }
    volumes.push(Volume::new(channel, "emptyDir", json!({"medium": "Memory"})));
    volumes.push(empty("istio-data"));
    let item = |path, field| json!({"path": path, "fieldRef": {"fieldPath": field}});
    let items = json!([item("labels", "metadata.labels"), item("annotations", "metadata.annotations")]);
    volumes.push(Volume::new("istio-podinfo", "downwardAPI", json!({ "items": items })));
    let token = json!({"path": "istio-token", "expirationSeconds": 43200, "audience": global.sds.token.aud});
    volumes.push(Volume::new("istio-token", "projected", json!({"sources": [{ "serviceAccountToken": token }]})));
    if by_istiod(context) {
        volumes.push(roots(context));
    }
    if lists {
        let name = &context.values().pilot.crl_config_map_name;
        let name = if name.is_empty() { "istio-ca-crl" } else { name };
        volumes.push(Volume::new("istio-ca-crl", "configMap", json!({"name": name, "optional": true})));
    }
    if global.mount_mtls_certs {
        let account = context.pod["spec"]["serviceAccountName"].as_str().filter(|name| !name.is_empty());
        let secret = json!({"optional": true, "secretName": format!("istio.{}", account.unwrap_or("default"))});
        volumes.push(Volume::new("istio-certs", "secret", secret));
    }
    volumes
}

/// The roots that the control plane gives out.
fn roots(context: &Context<'_>) -> Volume {
    let name = context.values().global.trust_bundle_name.as_str();
    let named = |default| if name.is_empty() { default } else { name };
    if context.values().pilot.env["ENABLE_CLUSTER_TRUST_BUNDLE_API"] == true {
        let bundle = json!({"name": format!("istio.io:istiod-ca:{}", named("root-cert")), "path": "root-cert.pem"});
        return Volume::new("istiod-ca-cert", "projected", json!({"sources": [{ "clusterTrustBundle": bundle }]}));
    }
    Volume::new("istiod-ca-cert", "configMap", json!({ "name": named("istio-ca-root-cert") }))
}

/// Mounts and volumes that the pod's annotations ask for.
pub(super) fn of_user(context: &Context<'_>) -> (Vec<Mount>, Vec<Volume>) {
    let asked = |name: &str| {
        let map = context.annotations.get(name).and_then(|text| serde_json::from_str::<Value>(text).ok());
        map.as_ref().and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let fields = |of: Value| of.as_object().cloned().unwrap_or_default();
    let mounts = asked(USER_MOUNT).into_iter().map(|(name, of)| Mount { more: fields(of), ..Mount::at(&name, "") });
    let volumes = asked(USER_VOLUME).into_iter().map(|(name, of)| Volume { name, source: fields(of) });
    (mounts.collect(), volumes.collect())
}

/// The certificates of a tracer, if it has any.
pub(super) fn lightstep(context: &Context<'_>) -> Option<(Mount, Volume)> {
    let tls = &context.proxy.get("tracing")?["tlsSettings"];
    if context.values().global.proxy.tracer != "lightstep" || !tls.is_object() {
        return None;
    }
    let file = tls["caCertificates"].as_str().unwrap_or_default();
    let folder = file.rfind('/').map_or("", |end| &file[..=end]);
    let secret = json!({"optional": true, "secretName": "lightstep.cacert"});
    Some((Mount::read_only(LIGHTSTEP, folder), Volume::new(LIGHTSTEP, "secret", secret)))
}

/// Secrets to pull images with.
pub(super) fn pull_secrets(context: &Context<'_>) -> Vec<Named> {
    context.values().global.image_pull_secrets.iter().map(|name| Named { name: name.clone() }).collect()
}
