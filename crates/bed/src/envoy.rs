//! Real Envoys: bootstrap, process, questions to the admin page.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::http;
use crate::net::{PROXY_MARK, Place, ToldBy};
use crate::process::{Running, eventually};

/// What an Envoy is to be.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name of its pod.
    pub pod: String,
    /// Namespace of its pod.
    pub namespace: String,
    /// `sidecar` or `router`.
    pub kind: &'static str,
    /// Its address.
    pub address: IpAddr,
    /// Labels of its pod.
    pub labels: Vec<(String, String)>,
    /// How traffic comes: `REDIRECT` or `NONE`.
    pub interception: &'static str,
    /// Where the control plane is.
    pub xds: SocketAddr,
    /// Speak the delta variant.
    pub delta: bool,
    /// Where the admin page is to be.
    pub admin: SocketAddr,
}

impl Spec {
    /// The bootstrap.
    #[must_use]
    pub fn bootstrap(&self) -> Value {
        let source = json!({ "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" });
        let labels: serde_json::Map<String, Value> =
            self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let namespace = &self.namespace;
        json!({
            "node": {
                "id": format!("{}~{}~{}.{namespace}~{namespace}.svc.cluster.local", self.kind, self.address, self.pod),
                "cluster": self.pod,
                "metadata": {
                    "NAMESPACE": namespace, "LABELS": labels, "INSTANCE_IPS": self.address.to_string(),
                    "INTERCEPTION_MODE": self.interception, "CLUSTER_ID": "Kubernetes",
                },
            },
            "admin": { "address": socket(self.admin) },
            "dynamic_resources": {
                "ads_config": {
                    "api_type": if self.delta { "DELTA_GRPC" } else { "GRPC" }, "transport_api_version": "V3",
                    "set_node_on_first_message_only": true,
                    "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
                },
                "cds_config": source, "lds_config": source,
            },
            "static_resources": { "clusters": [xds_cluster(self.xds)] },
        })
    }
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}

/// Connections carry the proxy's mark, so that capture rules let them through.
pub(crate) fn marked() -> Value {
    const SOL_SOCKET: u32 = 1;
    const SO_MARK: u32 = 36;
    json!({
        "source_address": { "address": "0.0.0.0", "port_value": 0 },
        "socket_options": [{ "level": SOL_SOCKET, "name": SO_MARK, "int_value": PROXY_MARK, "state": "STATE_PREBIND" }],
    })
}

fn xds_cluster(address: SocketAddr) -> Value {
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let http2 = json!({ "connection_keepalive": { "interval": "30s", "timeout": "10s" } });
    json!({
        "name": "xds-grpc", "type": "STATIC", "connect_timeout": "1s",
        "typed_extension_protocol_options": { options: {
            "@type": format!("type.googleapis.com/{options}"),
            "explicit_http_config": { "http2_protocol_options": http2 },
        } },
        "load_assignment": {
            "cluster_name": "xds-grpc",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(address) } }] }],
        },
    })
}

/// The binary: `given`, or the one that `make setup` has put into the cache.
///
/// # Errors
/// When there is none; the text says how to get it.
pub fn binary(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let cached = || std::env::current_dir().map(|root| root.join(".cache/envoy/envoy"));
    let path = given.map_or_else(cached, |path| Ok(path.to_owned()))?;
    if !path.is_file() {
        bail!("there is no Envoy at {}; `make setup` puts one there", path.display());
    }
    Ok(path)
}

/// A running Envoy.
pub struct Envoy {
    running: Running,
    place: Place,
    admin: SocketAddr,
    /// Name of its pod.
    pub name: String,
    /// Where its log is.
    pub log: PathBuf,
}

impl Envoy {
    /// Starts an Envoy in a place; its files go to `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(binary: &Path, spec: &Spec, place: &Place, folder: &Path) -> anyhow::Result<Self> {
        let config = folder.join(format!("{}.json", spec.pod));
        let mut bootstrap = spec.bootstrap();
        if place.told_by() == Some(ToldBy::Mark) {
            bootstrap["cluster_manager"] = json!({ "upstream_bind_config": marked() });
        }
        std::fs::write(&config, serde_json::to_vec_pretty(&bootstrap)?)
            .with_context(|| format!("writing {}", config.display()))?;
        let log = folder.join(format!("{}.envoy.log", spec.pod));
        let mut command = place.proxy_command(binary);
        // Hot restart shares memory between users and fails when one of them was root.
        command.arg("-c").arg(&config).args(["--disable-hot-restart", "--concurrency", "1", "-l", "warning"]);
        let running = Running::start(&spec.pod, &mut command, &log)?;
        Ok(Self { running, place: place.clone(), admin: spec.admin, name: spec.pod.clone(), log })
    }

    /// One that was started by somebody else.
    pub(crate) fn running(running: Running, place: Place, spec: &Spec, log: PathBuf) -> Self {
        Self { running, place, admin: spec.admin, name: spec.pod.clone(), log }
    }

    /// Asks it, or the agent that runs it, to end.
    pub fn stop(&mut self, grace: Duration) {
        self.running.stop(grace);
    }

    /// Waits until it serves: it has its listeners and clusters.
    ///
    /// # Errors
    /// When it does not in time, or has ended.
    pub fn wait_live(&mut self, limit: Duration) -> anyhow::Result<()> {
        let log = self.log.clone();
        eventually("Envoy to be live", limit, || {
            self.running.check()?;
            match self.admin("/ready")? {
                answer if answer.status == 200 => Ok(()),
                answer => bail!("{}", answer.body.trim()),
            }
        })
        .with_context(|| format!("its log is {}", log.display()))
    }

    /// Asks its admin page.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn admin(&self, path: &str) -> anyhow::Result<http::Answer> {
        let (admin, path) = (self.admin, path.to_owned());
        self.place.inside(move || http::get(admin, "admin", &path, &[]))
    }

    /// A counter or gauge.
    ///
    /// # Errors
    /// When there is no answer or no such statistic.
    pub fn stat(&self, name: &str) -> anyhow::Result<u64> {
        let answer = self.admin(&format!("/stats?filter=^{}$", name.replace('.', "\\.")))?;
        let line = answer.body.lines().next().with_context(|| format!("no statistic {name}"))?;
        let value = line.rsplit(": ").next().unwrap_or_default();
        value.parse().with_context(|| format!("statistic {name} is {value:?}"))
    }
}

/// Whether Envoy takes a configuration: `Ok(None)`, or what it says against it.
///
/// # Errors
/// When Envoy cannot be run.
pub fn validate(binary: &Path, config: &Value, folder: &Path) -> anyhow::Result<Option<String>> {
    let path = folder.join("validate.json");
    std::fs::write(&path, serde_json::to_vec(config)?)?;
    let ran = Command::new(binary).args(["--mode", "validate", "-l", "error", "-c"]).arg(&path).output()?;
    Ok((!ran.status.success()).then(|| String::from_utf8_lossy(&ran.stderr).into_owned()))
}
