//! How Envoy ends: it is told to drain, is left to its connections for a while, and is ended. On SIGTERM; at once when the pod asks for
//! that or has drained before. Source: istio: pkg/envoy/agent.go, pkg/envoy/admin.go.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::status::Status;

/// How often connections are counted.
const COUNT: Duration = Duration::from_secs(1);
/// Counts that may fail one after the other.
const FAILURES: u32 = 5;

/// How it ends.
pub struct Ending {
    /// Only what comes in is drained: the workload goes on calling others while it ends.
    pub inbound_only: bool,
    /// How long a draining Envoy is left to its connections.
    pub termination: Duration,
    /// In place of that: at least so long, and then for as long as there are connections.
    pub while_busy: Option<Duration>,
    /// The counts of listeners that serve the pod itself.
    pub own: Vec<String>,
}

impl Ending {
    /// Waits for Envoy's end, or brings it about; gives the exit code.
    ///
    /// # Errors
    /// When signals cannot be listened for, or Envoy's end cannot be waited for.
    pub async fn supervise(&self, envoy: Option<Child>, status: &Status) -> anyhow::Result<ExitCode> {
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let orders = &status.orders;
        let Some(mut envoy) = envoy else {
            tokio::select! {
                _ = terminate.recv() => {}
                () = orders.quit.cancelled() => {}
            }
            orders.ending.cancel();
            return Ok(ExitCode::SUCCESS);
        };
        let mut drained = false;
        let ended = loop {
            tokio::select! {
                ended = envoy.wait() => break ended?,
                () = orders.drain.cancelled(), if !drained => {
                    tracing::info!("draining, as the pod asks");
                    self.drain(status, true).await;
                    drained = true;
                }
                () = orders.quit.cancelled() => break end(&mut envoy).await?,
                _ = terminate.recv() => {
                    orders.ending.cancel();
                    if drained {
                        break end(&mut envoy).await?;
                    }
                    tracing::info!(seconds = self.termination.as_secs(), "draining");
                    self.drain(status, false).await;
                    break tokio::select! {
                        ended = envoy.wait() => ended?,
                        () = orders.quit.cancelled() => end(&mut envoy).await?,
                        () = self.left(status) => end(&mut envoy).await?,
                    };
                }
            }
        };
        tracing::info!(%ended, "Envoy ended");
        let code = ended.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }

    /// Tells Envoy to take no new connections and to bid the others farewell.
    async fn drain(&self, status: &Status, skip_exit: bool) {
        let only = if self.inbound_only { "inboundonly&" } else { "" };
        let skip = if skip_exit { "&skip_exit" } else { "" };
        if let Err(error) = status.order_envoy(&format!("/drain_listeners?{only}graceful{skip}")).await {
            tracing::warn!("Envoy does not drain: {error:#}");
        }
    }

    /// Waits for as long as Envoy is left to its connections.
    async fn left(&self, status: &Status) {
        let Some(least) = self.while_busy else { return tokio::time::sleep(self.termination).await };
        tokio::time::sleep(least).await;
        let mut failures = 0;
        while failures < FAILURES {
            match status.ask_envoy("/stats?usedonly&filter=downstream_cx_active$").await {
                Ok(text) => match self.active(&text) {
                    None | Some(0) => return,
                    Some(active) => {
                        failures = 0;
                        tracing::info!(active, "connections are left");
                    }
                },
                Err(error) => {
                    failures += 1;
                    tracing::warn!("connections cannot be counted: {error:#}");
                }
            }
            tokio::time::sleep(COUNT).await;
        }
    }

    /// Connections of clients; `None` when nothing counts them.
    fn active(&self, stats: &str) -> Option<u64> {
        let counts = stats.lines().filter_map(|line| line.split_once(": ")).filter(|(name, _)| {
            let inner = name.contains("worker_") || name.starts_with("listener.envoy_internal_");
            name.starts_with("listener.") && !inner && !self.own.iter().any(|own| own == name)
        });
        let counts: Vec<u64> = counts.filter_map(|(_, count)| count.trim().parse().ok()).collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    }
}

async fn end(envoy: &mut Child) -> anyhow::Result<std::process::ExitStatus> {
    if let Some(id) = envoy.id().and_then(|id| i32::try_from(id).ok()) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)?;
    }
    Ok(envoy.wait().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_clients_count_and_those_of_the_pod_itself_do_not() {
        let own = vec!["listener.0.0.0.0_15021.downstream_cx_active".to_owned()];
        let ending = Ending { inbound_only: true, termination: Duration::ZERO, while_busy: None, own };
        let text = "http.inbound.downstream_cx_active: 9\nlistener.0.0.0.0_15006.downstream_cx_active: 2\n\
                    listener.0.0.0.0_15006.worker_0.downstream_cx_active: 2\nlistener.0.0.0.0_15021.downstream_cx_active: 1\n\
                    listener.0.0.0.0_15001.downstream_cx_active: 3\nlistener.envoy_internal_main.downstream_cx_active: 7\n";
        assert_eq!(ending.active(text), Some(5));
        assert_eq!(ending.active("listener.0.0.0.0_15006.downstream_cx_active: 0\n"), Some(0));
        assert_eq!(ending.active("http.inbound.downstream_cx_active: 9\n"), None);
    }
}
