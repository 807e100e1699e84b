//! The workload's health for the control plane, where the ProxyConfig has a `readinessProbe`: for workloads that no kubelet looks after.
//! What changes is said on the proxy's stream. Source: istio: pkg/istio-agent/health/health_check.go, health_probers.go.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use api::networking::{HttpHealthCheck, ReadinessProbe};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio_util::sync::CancellationToken;

use crate::aside::Aside;
use crate::probe::Get;
use crate::status::Status;

/// The type of what is said; it has no answer.
const TYPE: &str = "type.googleapis.com/istio.v1.HealthInformation";
const USER_AGENT: &str = "istio-probe/1.0";

/// Looks after the workload until `stop`: Envoy has to be ready, and the workload well.
pub async fn watch(probe: Option<ReadinessProbe>, status: Arc<Status>, aside: Arc<Aside>, stop: CancellationToken) {
    let Some(probe) = probe else { return };
    let seconds = |given: i32, usual: u64| u64::try_from(given).ok().filter(|given| *given > 0).unwrap_or(usual);
    let limit = Duration::from_secs(seconds(probe.timeout_seconds, 1));
    let mut period = tokio::time::interval(Duration::from_secs(seconds(probe.period_seconds, 10)));
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut opinion = Opinion::new(seconds(probe.success_threshold, 1), seconds(probe.failure_threshold, 1));
    let looking = async {
        tokio::time::sleep(Duration::from_secs(seconds(probe.initial_delay_seconds, 0))).await;
        loop {
            period.tick().await;
            let found = look(&probe, &status, limit).await;
            if opinion.hear(found.is_ok()) {
                let error = found.err().map(|error| format!("{error:#}"));
                tracing::info!(healthy = error.is_none(), why = error.as_deref(), "the workload's health changed");
                aside.say(TYPE, error);
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = looking => {}
    }
}

/// What is thought of a workload: it changes after so many equal findings one after the other.
struct Opinion {
    thresholds: [u64; 2],
    well: Option<bool>,
    run: (bool, u64),
}

impl Opinion {
    fn new(success: u64, failure: u64) -> Self {
        Self { thresholds: [failure, success], well: None, run: (false, 0) }
    }

    /// Takes a finding; says whether the opinion changed.
    fn hear(&mut self, well: bool) -> bool {
        self.run = if self.run.0 == well { (well, self.run.1 + 1) } else { (well, 1) };
        let changed = self.run.1 >= self.thresholds[usize::from(well)] && self.well != Some(well);
        if changed {
            self.well = Some(well);
        }
        changed
    }
}

async fn look(probe: &ReadinessProbe, status: &Status, limit: Duration) -> anyhow::Result<()> {
    status.ready().await.context("Envoy is not ready")?;
    tokio::time::timeout(limit, ask(probe, status)).await.context("the workload does not answer in time")?
}

async fn ask(probe: &ReadinessProbe, status: &Status) -> anyhow::Result<()> {
    let asker = status.asker();
    if let Some(get) = &probe.http_get {
        let (code, _) = asker.get(&request(get)?).await?;
        ensure!(code.is_success() || code.is_redirection(), "the workload answers with {code}");
        return Ok(());
    }
    if let Some(socket) = &probe.tcp_socket {
        asker.connect(host(&socket.host), port(socket.port)?).await?;
        return Ok(());
    }
    if let Some(grpc) = &probe.grpc {
        return asker.health(port(grpc.port)?, &grpc.service, USER_AGENT).await;
    }
    let Some(exec) = &probe.exec else { bail!("the readinessProbe asks nothing") };
    let (program, arguments) = exec.command.split_first().context("the readinessProbe's command is empty")?;
    let mut command = tokio::process::Command::new(program.as_str());
    command
        .args(arguments.iter().map(|argument| argument.as_str()))
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let ended = command.status().await.with_context(|| format!("running {program}"))?;
    ensure!(ended.success(), "{program} ended: {ended}");
    Ok(())
}

fn host(written: &str) -> Option<&str> {
    Some(written).filter(|host| !host.is_empty())
}

fn port(written: u32) -> anyhow::Result<u16> {
    u16::try_from(written).with_context(|| format!("{written} is no port"))
}

fn request(get: &HttpHealthCheck) -> anyhow::Result<Get> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    for each in &get.http_headers {
        headers.insert(each.name.parse::<HeaderName>()?, HeaderValue::from_str(&each.value)?);
    }
    let path = format!("/{}", get.path.trim_start_matches('/'));
    let host = host(&get.host).map(str::to_owned);
    Ok(Get { tls: get.scheme.eq_ignore_ascii_case("https"), host, port: port(get.port)?, path, headers })
}

#[cfg(test)]
mod tests;
