//! `meltemi-agent proxy`: Envoy with everything that it needs beside it.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent::aside::Aside;
use agent::ending::Ending;
use agent::status::{Pages, Status};
use agent::trust::Trust;
use agent::upstream::Upstream;
use agent::{grpc, health, local, renewal};
use anyhow::Context;
use api::networking::ReadinessProbe;
use clap::{ArgAction, Args};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::bootstrap::Bootstrap;
use super::names::Names;

/// Runs Envoy beside a workload: gets it a certificate and renews it, serves it its secrets, and carries its stream to the control plane.
///
/// Takes what `bootstrap` takes. On SIGTERM Envoy drains before it ends; its exit code is passed on.
#[derive(Args)]
pub(crate) struct Proxy {
    #[command(flatten)]
    bootstrap: Bootstrap,
    /// The Envoy to run.
    #[arg(long, default_value = "envoy", value_name = "FILE")]
    envoy: PathBuf,
    /// The name in the control plane's certificate; without it, the host of the discovery address.
    #[arg(long, value_name = "NAME", env = "ISTIOD_SAN")]
    istiod_san: Option<String>,
    /// Roots that vouch for the control plane.
    #[arg(long, default_value = "./var/run/secrets/istio/root-cert.pem", value_name = "FILE", env = "XDS_ROOT_CA")]
    root_ca: PathBuf,
    /// The workload's token.
    #[arg(long, default_value = "./var/run/secrets/tokens/istio-token", value_name = "FILE")]
    token: PathBuf,
    /// How long certificates are asked for.
    #[arg(long, default_value = "24h", value_name = "DURATION", env = "SECRET_TTL", value_parser = api::scalars::Duration::parse_seconds)]
    secret_ttl: i64,
    /// Worker threads of Envoy; without it what the ProxyConfig says, else the limit of processors; 0 takes one for each processor.
    #[arg(long, value_name = "NUMBER")]
    concurrency: Option<u32>,
    /// Processors that the proxy may take.
    #[arg(long, hide = true, env = "ISTIO_CPU_LIMIT")]
    cpu_limit: Option<String>,
    /// What Envoy writes down: a level, and levels of components as in `info,upstream:debug`.
    #[arg(long = "proxyLogLevel", default_value = "warning,misc:error", value_name = "LEVELS")]
    proxy_level: String,
    /// Levels of Envoy's components.
    #[arg(long = "proxyComponentLogLevel", default_value = "", hide_default_value = true, value_name = "LEVELS")]
    component_level: String,
    /// What the agent writes down: `default:info`.
    #[arg(long = "log_output_level", default_value = "default:info", value_name = "LEVELS")]
    level: String,
    /// Writes the bootstrap of gRPC clients without a proxy here.
    #[arg(long, value_name = "FILE", env = "GRPC_XDS_BOOTSTRAP")]
    grpc_bootstrap: Option<PathBuf>,
    /// Keeps the workload's key, certificate and roots in files of this folder.
    #[arg(long, value_name = "FOLDER", env = "OUTPUT_CERTS")]
    output_certs: Option<PathBuf>,
    /// Runs no Envoy: for gRPC without a proxy.
    #[arg(long, env = "DISABLE_ENVOY", value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = false, default_missing_value = "true")]
    disable_envoy: bool,
    #[command(flatten)]
    names: Names,
    /// Probes of the workload that injection led here, as JSON.
    #[arg(long, value_name = "JSON", env = "ISTIO_KUBE_APP_PROBERS", hide_env_values = true)]
    app_probers: Option<String>,
    /// Where the workload's own metrics are, as JSON: scrape, path, port.
    #[arg(long, value_name = "JSON", env = "ISTIO_PROMETHEUS_ANNOTATIONS", hide_env_values = true)]
    prometheus: Option<String>,
    /// Laid over Envoy's bootstrap: a file of YAML or JSON, in which $(HOST_IP) is the variable of this name.
    #[arg(long, value_name = "FILE", env = "ISTIO_BOOTSTRAP_OVERRIDE")]
    bootstrap_override: Option<PathBuf>,
    /// How long Envoy drains at least where EXIT_ON_ZERO_ACTIVE_CONNECTIONS is set.
    #[arg(long, default_value = "5s", value_name = "DURATION", env = "MINIMUM_DRAIN_DURATION", value_parser = lasting)]
    minimum_drain: Duration,
    /// Further arguments for Envoy.
    #[arg(last = true, value_name = "ENVOY ARGUMENTS")]
    further: Vec<String>,
}

fn lasting(text: &str) -> Result<Duration, String> {
    api::scalars::Duration::parse(text).map(|duration| duration.std())
}

impl Proxy {
    pub(crate) fn run(&self) -> ExitCode {
        let colours = std::io::stderr().is_terminal();
        let log = tracing_subscriber::fmt().with_env_filter(super::level::filter(&self.level));
        let log = log.with_writer(std::io::stderr).with_ansi(colours);
        if self.bootstrap.log_json {
            log.json().init()
        } else {
            log.init()
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let ended = runtime.context("starting the runtime").and_then(|runtime| runtime.block_on(self.serve()));
        ended.unwrap_or_else(|error| {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        })
    }

    async fn serve(&self) -> anyhow::Result<ExitCode> {
        let bootstrap = self.bootstrap.made()?;
        let settings = Settings::of(&bootstrap)?;
        let upstream = self.upstream(&settings.discovery);
        let stop = CancellationToken::new();
        let lag = if self.output_certs.is_some() { grpc::REFRESH } else { Duration::ZERO };
        let (trust, current) = Trust::new(lag);
        let secrets = local::listen(&settings.secrets)?;
        let stream = local::listen(&settings.folder.join("XDS"))?;
        let port = self.grpc_port(&bootstrap["node"]).await?;
        let config = settings.folder.join("envoy-rev.json");
        std::fs::write(&config, serde_json::to_vec_pretty(&bootstrap)?)
            .with_context(|| format!("writing {}", config.display()))?;
        let names = self.names.open(&bootstrap["node"]).await?;
        let known = names.as_ref().map(|(known, _)| known.clone());
        let status = Arc::new(Status::new(self.pages(&settings), current.clone(), known.clone())?);
        let aside = Aside::new(known, Some(trust.clone()));
        let pages = tokio::net::TcpListener::bind((settings.wildcard.as_str(), settings.status)).await;
        let pages = pages.with_context(|| format!("binding the status port {}; is it taken?", settings.status))?;
        let serving = status.clone().serve(pages);
        let beside = async {
            tokio::join!(
                renewal::keep(upstream.clone(), self.secret_ttl, trust.clone(), stop.clone()),
                local::serve_secrets(secrets, current.clone(), trust.clone(), stop.clone()),
                local::forward(stream, upstream.clone(), current.clone(), aside.clone(), stop.clone()),
                grpc::keep_files(self.output_certs.clone(), current.clone(), stop.clone()),
                async {
                    if let Some(port) = port {
                        local::forward(port, upstream.clone(), current, aside.clone(), stop.clone()).await;
                    }
                },
                health::watch(settings.readiness.clone(), status.clone(), aside.clone(), stop.clone()),
                async {
                    if let Some((_, server)) = names {
                        server.serve(stop.clone()).await;
                    }
                },
            )
        };
        let envoy = (!self.disable_envoy).then(|| self.start(&config, &settings)).transpose()?;
        let supervised = async {
            let ended = self.ending(&settings).supervise(envoy, &status).await;
            stop.cancel();
            ended
        };
        tokio::select! {
            (ended, _) = async { tokio::join!(supervised, beside) } => ended,
            ended = serving => {
                ended.context("serving the status port")?;
                anyhow::bail!("the status port ended")
            }
        }
    }

    /// What the status pages are about.
    fn pages(&self, settings: &Settings) -> Pages<'_> {
        Pages {
            port: settings.status,
            admin: (!self.disable_envoy).then(|| settings.admin.clone()),
            workload: settings.workload,
            probers: self.app_probers.as_deref(),
            // Others reach a gateway's pages: what is behind them is not for everybody.
            scrape: self.prometheus.as_deref().filter(|_| settings.sidecar),
        }
    }

    /// How Envoy ends.
    fn ending(&self, settings: &Settings) -> Ending {
        let host = if settings.wildcard == "::" { "[__]" } else { "0.0.0.0" };
        let ports = settings.own_ports.iter().map(|port| format!("listener.{host}_{port}.downstream_cx_active"));
        let admin = ["listener.admin.downstream_cx_active", "listener.admin.main_thread.downstream_cx_active"];
        Ending {
            inbound_only: settings.sidecar,
            termination: settings.termination,
            while_busy: settings.while_busy.then_some(self.minimum_drain),
            own: ports.chain(admin.map(str::to_owned)).collect(),
        }
    }

    /// The way to the control plane at an address.
    fn upstream(&self, address: &str) -> Upstream {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        Upstream {
            address: address.to_owned(),
            name: self.istiod_san.clone().unwrap_or_else(|| host.to_owned()),
            roots: self.root_ca.clone(),
            token: self.token.clone(),
        }
    }

    /// The port for gRPC without a proxy, named in its bootstrap; none when that is not asked for.
    async fn grpc_port(&self, node: &Value) -> anyhow::Result<Option<local::Listener>> {
        let Some(path) = &self.grpc_bootstrap else { return Ok(None) };
        let port = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let text = grpc::bootstrap(node, port.local_addr()?, self.output_certs.as_deref());
        grpc::replace(path, &serde_json::to_string_pretty(&text)?, 0o644)?;
        Ok(Some(local::Listener::Loopback(port)))
    }

    /// Starts Envoy.
    fn start(&self, config: &std::path::Path, settings: &Settings) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.envoy);
        command.arg("-c").arg(config).arg("--disable-hot-restart").kill_on_drop(true);
        let (level, components) = levels(&self.proxy_level, &self.component_level);
        command.args(["-l", &level]);
        if !components.is_empty() {
            command.args(["--component-log-level", &components]);
        }
        command.args(["--drain-time-s", &settings.drain.as_secs().to_string()]);
        command.args(&self.further);
        // One that cannot be read is no reason not to start (istio: pkg/envoy/proxy.go).
        let path = self.bootstrap_override.as_ref().filter(|path| !path.as_os_str().is_empty());
        match path.map(|path| super::bootstrap::laid_over(path)).transpose() {
            Ok(text) => _ = command.args(text.into_iter().flat_map(|text| ["--config-yaml".to_owned(), text])),
            Err(error) => tracing::warn!("the bootstrap is not overridden: {error:#}"),
        }
        let limit = self.cpu_limit.as_deref().and_then(|limit| limit.parse().ok());
        match self.concurrency.or(settings.concurrency).or(limit) {
            None | Some(0) => {}
            Some(workers) => _ = command.args(["--concurrency", &workers.to_string()]),
        }
        command.spawn().with_context(|| format!("starting {}", self.envoy.display()))
    }
}

/// Envoy's level and those of its components, where the level may name some too (`istio: pkg/envoy/proxy.go`).
fn levels(level: &str, components: &str) -> (String, String) {
    let all = level.split(',').chain(components.split(',')).map(str::trim).filter(|each| !each.is_empty());
    let (components, general): (Vec<&str>, Vec<&str>) = all.partition(|each| each.contains(':'));
    (general.first().unwrap_or(&"warning").to_string(), components.join(","))
}

/// What the bootstrap says that the agent needs too.
struct Settings {
    discovery: String,
    folder: PathBuf,
    secrets: PathBuf,
    /// Port of the agent's own pages, and the address that takes calls from everywhere.
    status: u16,
    wildcard: String,
    /// The node's first address.
    workload: IpAddr,
    /// Beside a workload.
    sidecar: bool,
    /// How the workload's health is found out for the control plane.
    readiness: Option<ReadinessProbe>,
    admin: String,
    /// Worker threads of Envoy; 0 is one for each processor.
    concurrency: Option<u32>,
    drain: Duration,
    /// How long a draining Envoy is left to its connections.
    termination: Duration,
    /// In place of that, for as long as there are any.
    while_busy: bool,
    /// Ports of Envoy's that serve the pod itself.
    own_ports: Vec<String>,
}

impl Settings {
    fn of(bootstrap: &Value) -> anyhow::Result<Self> {
        let metadata = &bootstrap["node"]["metadata"];
        let config = &metadata["PROXY_CONFIG"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lasting = |key: &str| {
            let parsed = api::scalars::Duration::parse(config[key].as_str().unwrap_or("0s"));
            parsed.map(|duration| duration.std()).map_err(|error| anyhow::anyhow!("{key}: {error}"))
        };
        let address = &bootstrap["admin"]["address"]["socket_address"];
        let first = metadata["INSTANCE_IPS"].as_str().and_then(|all| all.split(',').next());
        let probe = Some(&config["readinessProbe"]).filter(|probe| probe.is_object());
        let readiness = probe.map(|probe| serde_json::from_value(probe.clone())).transpose();
        let admin_host = text(&address["address"]);
        Ok(Self {
            discovery: text(&config["discoveryAddress"]),
            folder: text(&config["configPath"]).into(),
            secrets: PathBuf::from("./var/run/secrets/workload-spiffe-uds")
                .join(text(&metadata["WORKLOAD_IDENTITY_SOCKET_FILE"])),
            status: config["statusPort"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(15020),
            wildcard: if admin_host.contains(':') { "::" } else { "0.0.0.0" }.to_owned(),
            workload: first.and_then(|first| first.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST.into()),
            sidecar: bootstrap["node"]["id"].as_str().is_some_and(|id| id.starts_with("sidecar~")),
            readiness: readiness.context("readinessProbe")?,
            admin: format!("{}:{}", bracketed(&admin_host), address["port_value"]),
            concurrency: config["concurrency"].as_u64().and_then(|workers| u32::try_from(workers).ok()),
            drain: lasting("drainDuration")?,
            termination: lasting("terminationDrainDuration")?,
            while_busy: metadata["EXIT_ON_ZERO_ACTIVE_CONNECTIONS"] == "true",
            own_ports: ["ENVOY_STATUS_PORT", "ENVOY_PROMETHEUS_PORT"].map(|key| metadata[key].to_string()).into(),
        })
    }
}

/// An address as it stands before a port.
fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_components_may_stand_in_both_places() {
        let of = |level, components| levels(level, components);
        assert_eq!(of("warning,misc:error", ""), ("warning".to_owned(), "misc:error".to_owned()));
        assert_eq!(of("info", "misc:error,http:debug"), ("info".to_owned(), "misc:error,http:debug".to_owned()));
        assert_eq!(of("upstream:trace", "misc:error").0, "warning");
    }
}
