//! `meltemi-agent bootstrap`: prints Envoy's bootstrap, from what pilot-agent takes it from.

use std::path::{Path, PathBuf};

use agent::bootstrap::{Input, Kind, bootstrap};
use anyhow::Context;
use clap::{Args, ValueEnum};

use super::host;

/// Prints the Envoy bootstrap as JSON, from the environment (PROXY_CONFIG, POD_NAME, ISTIO_META_…), the mesh file and the pod's
/// labels and annotations.
///
/// Exit code 0 done, 1 refused (then nothing is printed), 2 wrong usage.
#[derive(Args)]
#[command(
    args_override_self = true,
    after_help = "Examples:\n  POD_NAME=web-1 POD_NAMESPACE=shop meltemi-agent bootstrap sidecar --ip 10.0.0.5\n  \
                  meltemi-agent bootstrap router --meshConfig mesh.yaml --podinfo podinfo"
)]
pub(crate) struct Bootstrap {
    /// What the proxy is.
    #[arg(default_value = "sidecar")]
    kind: ProxyKind,
    /// The mesh's settings; may be absent.
    #[arg(long = "meshConfig", default_value = "./etc/istio/config/mesh", value_name = "FILE")]
    mesh_config: PathBuf,
    /// Folder of the downward API, with files `labels` and `annotations`; each may be absent.
    #[arg(long, default_value = "./etc/istio/pod", value_name = "FOLDER")]
    podinfo: PathBuf,
    /// An address of the node, first one first; without it INSTANCE_IP and those of the interfaces.
    #[arg(long = "ip", value_name = "ADDRESS")]
    addresses: Vec<std::net::IpAddr>,
    /// DNS domain; without it <namespace>.svc.cluster.local.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Where Envoy writes what outlier detection does.
    #[arg(long = "outlierLogPath", value_name = "FILE")]
    outlier_log: Option<String>,
    /// Logs are JSON.
    #[arg(long = "log_as_json")]
    pub(super) log_json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProxyKind {
    Sidecar,
    Router,
    Waypoint,
}

impl Bootstrap {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&self.made()?)?));
        Ok(())
    }

    /// The bootstrap; warnings are told.
    pub(crate) fn made(&self) -> anyhow::Result<serde_json::Value> {
        let environment: std::collections::BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let mut addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        if addresses.is_empty() {
            let given = environment.get("INSTANCE_IP").and_then(|text| text.parse::<std::net::IpAddr>().ok());
            addresses.extend(given.map(|address| address.to_string()));
            let mut found = host::addresses();
            if found.is_empty() {
                found = vec![std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
            }
            addresses.extend(found.iter().map(ToString::to_string));
        }
        let input = Input {
            kind: match self.kind {
                ProxyKind::Sidecar => Kind::Sidecar,
                ProxyKind::Router => Kind::Router,
                ProxyKind::Waypoint => Kind::Waypoint,
            },
            mesh_config: optional(&self.mesh_config)?,
            labels: optional(&self.podinfo.join("labels"))?,
            annotations: optional(&self.podinfo.join("annotations"))?,
            environment,
            addresses,
            domain: self.domain.clone(),
            outlier_log: self.outlier_log.clone(),
            log_json: self.log_json,
        };
        let (bootstrap, warnings) = bootstrap(&input)?;
        warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        Ok(bootstrap)
    }
}

/// What is laid over Envoy's bootstrap, as JSON. `$(HOST_IP)` is a variable, since tracers are often at the node
/// (`istio: pkg/envoy/proxy.go`).
pub(super) fn laid_over(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let host = std::env::var_os("HOST_IP").and_then(|host| host.into_string().ok()).unwrap_or_default();
    let text = if host.contains(':') {
        text.replace("[$(HOST_IP)]", &format!("[{host}]")).replace("$(HOST_IP)", &format!("[{host}]"))
    } else {
        text.replace("$(HOST_IP)", &host)
    };
    let documents = api::yaml::documents(&text, None).map_err(|issue| anyhow::anyhow!("{}", issue.message))?;
    let value = documents.first().map_or(serde_json::Value::Null, |document| document.value.clone());
    anyhow::ensure!(value.is_object(), "{} holds no bootstrap", path.display());
    Ok(value.to_string())
}

/// The text of a file that may be absent.
fn optional(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}
