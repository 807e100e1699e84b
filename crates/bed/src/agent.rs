//! Envoys as in pods: the agent beside each gets it its certificate and carries its stream.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use crate::envoy::{Envoy, Spec, marked};
use crate::net::{Place, ToldBy};
use crate::process::Running;

/// What an agent needs.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its program.
    pub program: PathBuf,
    /// Envoy's program.
    pub envoy: PathBuf,
    /// The control plane's secured port.
    pub control: SocketAddr,
    /// Roots that vouch for it.
    pub roots: PathBuf,
    /// How long certificates are asked for.
    pub lifetime: &'static str,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further variables.
    pub variables: Vec<(&'static str, String)>,
}

impl Agent {
    /// Starts an Envoy in a place by its agent, for the service account that `token` stands for; its files go to `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        &self,
        spec: &Spec,
        (account, token): (&str, &str),
        place: &Place,
        folder: &Path,
    ) -> anyhow::Result<Envoy> {
        let home = folder.join(&spec.pod);
        open_to_all(&home)?;
        std::fs::copy(&self.roots, home.join("root.pem")).context("copying the roots")?;
        std::fs::write(home.join("token"), token)?;
        let mut command = place.proxy_command(&self.program);
        command.current_dir(&home).args(["proxy", spec.kind, "--ip", &spec.address.to_string()]);
        command.args(["--root-ca", "root.pem", "--token", "token", "--istiod-san", "istiod.istio-system.svc"]);
        command.args(["--secret-ttl", self.lifetime, "--concurrency", "1", "--envoy"]).arg(&self.envoy);
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        if place.told_by() == Some(ToldBy::Mark) {
            let bound = json!({ "cluster_manager": { "upstream_bind_config": marked() } });
            command.args(["--", "--config-yaml", &bound.to_string()]);
        }
        let config = json!({
            "discoveryAddress": self.control.to_string(),
            "proxyAdminPort": spec.admin.port(),
            "terminationDrainDuration": "1s",
        });
        let labels: serde_json::Map<String, serde_json::Value> =
            spec.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        command.env("PROXY_CONFIG", config.to_string());
        command.env("POD_NAME", &spec.pod).env("POD_NAMESPACE", &spec.namespace).env("SERVICE_ACCOUNT", account);
        command.env("ISTIO_META_INTERCEPTION_MODE", spec.interception).env("ISTIO_META_CLUSTER_ID", "Kubernetes");
        command.env("ISTIO_METAJSON_LABELS", serde_json::Value::Object(labels).to_string());
        let log = folder.join(format!("{}.envoy.log", spec.pod));
        let running = Running::start(&spec.pod, &mut command, &log)?;
        Ok(Envoy::running(running, place.clone(), spec, log))
    }
}

/// Makes a folder where the proxies' user can write.
fn open_to_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777))?)
}
