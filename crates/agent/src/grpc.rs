//! For gRPC without a proxy: the bootstrap that names the agent's port, and the workload's certificate in files that are replaced
//! whole when it is renewed. Source: istio: pkg/istio-agent/grpcxds/grpc_bootstrap.go.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::identity::{Current, Identity};

/// Key, certificate with its chain, roots: as Istio's agent names them.
const FILES: [&str; 3] = ["key.pem", "cert-chain.pem", "root-cert.pem"];

/// How often gRPC reads the files.
pub const REFRESH: Duration = Duration::from_secs(900);

/// The bootstrap of gRPC: the node as Envoy would be, the agent's port, and the certificates' folder if there is one.
///
/// A port, where Istio has a socket: gRPC's core names a socket's path in `:authority`, which HTTP/2 here takes for malformed.
#[must_use]
pub fn bootstrap(node: &Value, agent: SocketAddr, certificates: Option<&Path>) -> Value {
    let mut out = json!({
        "xds_servers": [{
            "server_uri": agent.to_string(),
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["xds_v3"],
        }],
        "node": { "id": node["id"], "metadata": node["metadata"], "locality": node["locality"] },
        "server_listener_resource_name_template": "xds.istio.io/grpc/lds/inbound/%s",
    });
    if let Some(folder) = certificates {
        let [key, certificate, roots] = FILES.map(|name| folder.join(name).display().to_string());
        out["certificate_providers"] = json!({ "default": {
            "plugin_name": "file_watcher",
            "config": {
                "private_key_file": key,
                "certificate_file": certificate,
                "ca_certificate_file": roots,
                "refresh_interval": format!("{}s", REFRESH.as_secs()),
            },
        } });
    }
    out
}

/// Writes a file beside, then renames it: nobody reads half of it.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let _ = std::fs::remove_file(&beside);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside);
    let mut file = file.with_context(|| format!("making {}", beside.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("writing {}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("replacing {}", path.display()))
}

/// Keeps the identity in files of `folder`, until `stop`.
pub async fn keep_files(folder: Option<PathBuf>, mut current: Current, stop: CancellationToken) {
    let Some(folder) = folder else { return };
    loop {
        let identity = current.borrow_and_update().clone();
        if let Some(identity) = identity
            && let Err(error) = write(&folder, &identity)
        {
            tracing::error!("the certificate is not written: {error:#}");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = current.changed() => if changed.is_err() { return },
        }
    }
}

fn write(folder: &Path, identity: &Identity) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let texts = [(identity.key(), 0o600), (identity.chain.as_str(), 0o644), (identity.roots.as_str(), 0o644)];
    FILES.iter().zip(texts).try_for_each(|(name, (text, mode))| replace(&folder.join(name), text, mode))
}
