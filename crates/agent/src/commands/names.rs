//! The flags of the DNS server beside the workload, and what it takes from the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::dns::{Home, Known, Resolv, Server, Servers, Way, addresses};
use anyhow::Context;
use clap::{ArgAction, Args};
use serde_json::Value;

/// Where it listens without a word, as far as it may.
const USUAL: &str = "localhost:15053";
/// What a machine's own servers are where this one has taken the place of them all (`istio: pkg/dns/client/dns.go`).
const MOVED_ASIDE: &str = "/var/lib/istio/resolv.conf";

/// Names for the workload. The server runs beside a workload whose DNS is captured (ISTIO_META_DNS_CAPTURE=true), and beside a gateway that
/// wants it (ISTIO_META_ENABLE_DNS_SERVER=true).
#[derive(Args)]
pub(crate) struct Names {
    /// Where the workload's names are resolved.
    #[arg(long, default_value = USUAL, value_name = "ADDRESS", env = "DNS_PROXY_ADDR")]
    dns_address: String,
    /// Asks all of the pod's own name servers at once, not one after the other.
    #[arg(long, env = "DNS_FORWARD_PARALLEL", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    dns_forward_parallel: bool,
    /// How long one of the pod's own name servers is waited for.
    #[arg(long, default_value = "5s", value_name = "DURATION", env = "DNS_FORWARD_TIMEOUT", value_parser = patience)]
    dns_forward_timeout: std::time::Duration,
    /// The pod's own name servers and search domains.
    #[arg(long, default_value = "/etc/resolv.conf", value_name = "FILE")]
    resolv_conf: PathBuf,
}

fn patience(text: &str) -> Result<std::time::Duration, String> {
    api::scalars::Duration::parse(text).map(|duration| duration.std())
}

impl Names {
    /// Opens the server of a proxy with this node, when it is to have one.
    pub(crate) async fn open(&self, node: &Value) -> anyhow::Result<Option<(Arc<Known>, Server)>> {
        let (id, metadata) = (node["id"].as_str().unwrap_or_default(), &node["metadata"]);
        let asked = |key: &str| metadata[key] == "true";
        if !(asked("DNS_CAPTURE") && id.starts_with("sidecar~") || asked("ENABLE_DNS_SERVER")) {
            return Ok(None);
        }
        let first = self.dns_address.ends_with(":53");
        let may = first && nix::unistd::geteuid().is_root();
        let written = if first && !may {
            tracing::error!("names are served on {USUAL}: port 53 is for root");
            USUAL
        } else {
            &self.dns_address
        };
        let moved = Path::new(MOVED_ASIDE);
        let file = if may && moved.exists() { moved } else { &self.resolv_conf };
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let resolv = Resolv::parse(&text);
        tracing::info!(servers = ?resolv.servers, search = ?resolv.search, "names are resolved");
        let domain = id.rsplit('~').next().unwrap_or_default();
        let known = Known::new(Home::new(metadata["NAMESPACE"].as_str().unwrap_or_default(), domain, &resolv.search));
        let way = if self.dns_forward_parallel { Way::AtOnce } else { Way::InTurn };
        let all = resolv.servers.iter().map(|server| (*server, 53).into()).collect();
        let servers = Servers::new(all, way, self.dns_forward_timeout);
        let server = Server::bind(&addresses(written, &resolv)?, known.clone(), servers, may).await?;
        Ok(Some((known, server)))
    }
}
