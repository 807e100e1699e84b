//! Settings: parsed once, printed at start, passed as values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use model::settings::Base;
use names::Name;

/// Meltemi's control plane: tells the proxies of a mesh what its configuration means.
#[derive(Parser, Clone, Debug)]
#[command(name = "meltemid", version)]
pub struct Settings {
    /// Directory (or file) of YAML to serve; may be given several times. Changes are followed.
    #[arg(long = "config-dir", required = true, value_name = "PATH")]
    pub config: Vec<PathBuf>,
    /// Address of plaintext xDS.
    #[arg(long, default_value = "127.0.0.1:15010", value_name = "ADDRESS", env = "MELTEMI_XDS_ADDRESS")]
    pub xds_address: SocketAddr,
    /// Address of readiness, metrics and debug pages. They are not authenticated: keep it on loopback.
    #[arg(long, default_value = "127.0.0.1:15014", value_name = "ADDRESS", env = "MELTEMI_HTTP_ADDRESS")]
    pub http_address: SocketAddr,
    /// DNS domain of Services.
    #[arg(long, default_value = "cluster.local", value_name = "DOMAIN")]
    pub domain: String,
    /// Name of the cluster.
    #[arg(long = "clusterID", default_value = "Kubernetes", value_name = "NAME", env = "CLUSTER_ID")]
    pub cluster_id: String,
    /// Namespace of mesh-wide objects.
    #[arg(long, default_value = "istio-system", value_name = "NAMESPACE", env = "POD_NAMESPACE")]
    pub root_namespace: String,
    /// The revision of this control plane: objects labelled `istio.io/rev` with another are not used, and settings are read from
    /// ConfigMap `istio`, or `istio-<revision>` where this is not `default`.
    #[arg(long, default_value = "default", value_name = "REVISION", env = "REVISION")]
    pub revision: String,
    /// Send route tables whole to every proxy, instead of host by host to those that can take them so.
    #[arg(long)]
    pub whole_route_tables: bool,
    /// Send changes in no particular order. Requests will fail during changes: this is for measuring what the order is good for.
    #[arg(long, hide = true)]
    pub unordered: bool,
    /// Edits wait so long for further ones, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS", env = "MELTEMI_DEBOUNCE_MS")]
    pub debounce_ms: u64,
    /// How long streams may take to end at shutdown, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    pub shutdown_seconds: u64,
}

impl Settings {
    /// What the model is told.
    #[must_use]
    pub fn base(&self) -> Base {
        Base {
            root_namespace: Name::from(&self.root_namespace),
            cluster: Name::from(&self.cluster_id),
            domain: Name::from(&self.domain),
            config_map: match self.revision.as_str() {
                "default" => Name::from("istio"),
                other => Name::from(format!("istio-{other}")),
            },
            revision: Name::from(&self.revision),
        }
    }

    /// How long streams may take to end at shutdown.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }
}
