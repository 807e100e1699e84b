//! `meltemi-agent wait`: waits until the proxy is ready, so that what starts after it can call through it.
//! Source: istio: pilot/cmd/pilot-agent/app/wait.go.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::time::{Instant, sleep, timeout};

/// Waits until the proxy is ready.
///
/// Exit code 0 when it is, 1 when it is not in time.
#[derive(Args)]
pub(crate) struct Wait {
    /// How long one question may take, in milliseconds.
    #[arg(long = "requestTimeoutMillis", default_value_t = 500, value_name = "NUMBER")]
    patience: u64,
    /// How long it waits in all, in seconds.
    #[arg(long = "timeoutSeconds", default_value_t = 60, value_name = "NUMBER")]
    seconds: u64,
    /// The pause between two questions, in milliseconds.
    #[arg(long = "periodMillis", default_value_t = 500, value_name = "NUMBER")]
    pause: u64,
    /// What is asked.
    #[arg(long, default_value = "http://localhost:15021/healthz/ready", value_name = "URL")]
    url: http::Uri,
}

impl Wait {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        super::block_on(async {
            let (began, limit) = (Instant::now(), Duration::from_secs(self.seconds));
            loop {
                let asked = super::request::ask(http::Method::GET, self.url.clone(), String::new());
                let why = match timeout(Duration::from_millis(self.patience), asked).await {
                    Ok(Ok(answer)) if answer.status().is_success() => return Ok(()),
                    Ok(Ok(answer)) => format!("status {}", answer.status()),
                    Ok(Err(error)) => format!("{error:#}"),
                    Err(_) => "no answer".to_owned(),
                };
                if began.elapsed() >= limit {
                    bail!("the proxy is not ready after {} s: {why}", self.seconds);
                }
                sleep(Duration::from_millis(self.pause)).await;
            }
        })
    }
}
