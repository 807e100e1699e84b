//! The clients: xdsload as a program, told over HTTP what to do.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::process::{Running, eventually};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::programs;
use crate::secured::Certificates;

/// Who has not answered by then, will not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);
/// It is quiet when nothing came for so long.
pub(crate) const QUIET: Duration = Duration::from_millis(100);

/// Where clients connect, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Certificates>,
}

/// Many clients in one process.
pub(crate) struct Load {
    _running: Running,
    control: SocketAddr,
}

/// What clients saw since they were told to forget.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) clients: Clients,
    pub(crate) touched: u32,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) resources: u64,
    pub(crate) removed: u64,
    pub(crate) nacks: u64,
    pub(crate) errors: u64,
    /// When the last ack went, in ns since 1970.
    pub(crate) last_ns: u64,
}

/// How many clients there are.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Clients {
    pub(crate) connected: u32,
}

impl Load {
    /// Starts it; no client connects yet.
    pub(crate) fn start(target: &Target, namespaces: u32, folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(programs::path("xdsload")?);
        command.args(["--target", &target.address.to_string(), "--namespaces", &namespaces.to_string()]);
        if let Some(certificates) = &target.tls {
            command.args(certificates.flags());
        }
        let log = folder.join(format!("xdsload-{}.log", programs::number()));
        let mut running = Running::start("xdsload", &mut command, &log)?;
        let control = eventually("xdsload", Duration::from_secs(10), || {
            running.check()?;
            let text = std::fs::read_to_string(&log)?;
            let line = text.lines().find(|line| line.starts_with('{')).context("it has said nothing")?;
            let said: Value = serde_json::from_str(line)?;
            Ok(said["control"].as_str().context("it does not say where it is told")?.parse()?)
        })?;
        Ok(Self { _running: running, control })
    }

    /// So many clients of a kind connect, the first of which has this number.
    pub(crate) fn connect(&self, count: u32, from: u32, kind: &str) -> anyhow::Result<()> {
        self.post("/connect", &json!({ "count": count, "from": from, "kind": kind })).map(|_| ())
    }

    /// Waits until so many clients have everything, and it is quiet.
    pub(crate) fn complete(&self, clients: u32) -> anyhow::Result<Report> {
        self.wait("complete", clients, PATIENCE)
    }

    /// Waits until so many clients were touched, and it is quiet.
    pub(crate) fn touched(&self, clients: u32, patience: Duration) -> anyhow::Result<Report> {
        self.wait("touched", clients, patience)
    }

    fn wait(&self, what: &str, clients: u32, patience: Duration) -> anyhow::Result<Report> {
        let limits = json!({ "for": what, "clients": clients, "quiet_ms": u64::try_from(QUIET.as_millis())?, "timeout_s": patience.as_secs() });
        let report =
            self.post("/wait", &limits).with_context(|| format!("waiting for {clients} clients to be {what}"))?;
        Ok(serde_json::from_value(report)?)
    }

    /// Forgets all counts.
    pub(crate) fn mark(&self) -> anyhow::Result<()> {
        self.post("/mark", &json!({})).map(|_| ())
    }

    pub(crate) fn report(&self) -> anyhow::Result<Report> {
        let answer = bed::http::get(self.control, "xdsload", "/report", &[])?;
        serde_json::from_str(&answer.body).with_context(|| format!("reading {}", answer.body))
    }

    /// Ends all connections, from the clients' side. They come back at once, or as Envoy waits, and offer what they have.
    pub(crate) fn drop_all(&self, backoff: bool) -> anyhow::Result<()> {
        self.post("/drop", &json!({ "keep": true, "backoff": backoff })).map(|_| ())
    }

    /// What a client has: for each type, names and a hash of each body.
    pub(crate) fn config(&self, client: u32) -> anyhow::Result<Value> {
        let answer = bed::http::get(self.control, "xdsload", &format!("/config?client={client}"), &[])?;
        ensure!(answer.status == 200, "xdsload says {} {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }

    fn post(&self, path: &str, what: &Value) -> anyhow::Result<Value> {
        let answer = bed::http::post_within(self.control, path, &what.to_string(), PATIENCE + Duration::from_secs(5))?;
        ensure!(answer.status == 200, "xdsload answers {path} {what} with {} {}", answer.status, answer.body);
        Ok(if answer.body.trim().is_empty() { Value::Null } else { serde_json::from_str(&answer.body)? })
    }
}
