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

/// Who has not answered by then, will not.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// It is quiet when nothing came for so long.
pub const QUIET: Duration = Duration::from_millis(100);

/// Where clients connect, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// The flags by which xdsload is told of certificates; plain text without any.
    pub tls: Vec<String>,
}

/// Many clients in one process.
pub struct Load {
    _running: Running,
    control: SocketAddr,
}

/// What clients saw since they were told to forget.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// How many there are.
    pub clients: Clients,
    /// Those that were sent something.
    pub touched: u32,
    /// Responses.
    pub messages: u64,
    /// Of all responses.
    pub bytes: u64,
    /// That were sent.
    pub resources: u64,
    /// That were taken away.
    pub removed: u64,
    /// Responses that were taken, also those with nothing in them.
    pub acks: u64,
    /// Responses that were refused.
    pub nacks: u64,
    /// Streams that ended, and responses that cannot be read.
    pub errors: u64,
    /// When the last ack went, in ns since 1970.
    pub last_ns: u64,
}

/// How many clients there are.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Clients {
    /// With a stream.
    pub connected: u32,
}

impl Load {
    /// Starts it; no client connects yet.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(target: &Target, namespaces: u32, folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(programs::path("xdsload")?);
        command.args(["--target", &target.address.to_string(), "--namespaces", &namespaces.to_string()]);
        command.args(&target.tls);
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
    ///
    /// # Errors
    /// When it does not answer.
    pub fn connect(&self, count: u32, from: u32, kind: &str) -> anyhow::Result<()> {
        self.post("/connect", &json!({ "count": count, "from": from, "kind": kind })).map(|_| ())
    }

    /// Waits until so many clients have everything, and it is quiet.
    ///
    /// # Errors
    /// When they have not within [`PATIENCE`].
    pub fn complete(&self, clients: u32) -> anyhow::Result<Report> {
        self.wait("complete", clients, PATIENCE)
    }

    /// Waits until so many clients were touched, and it is quiet.
    ///
    /// # Errors
    /// When they were not by then.
    pub fn touched(&self, clients: u32, patience: Duration) -> anyhow::Result<Report> {
        self.wait("touched", clients, patience)
    }

    fn wait(&self, what: &str, clients: u32, patience: Duration) -> anyhow::Result<Report> {
        let limits = json!({ "for": what, "clients": clients, "quiet_ms": u64::try_from(QUIET.as_millis())?, "timeout_s": patience.as_secs() });
        let report =
            self.post("/wait", &limits).with_context(|| format!("waiting for {clients} clients to be {what}"))?;
        Ok(serde_json::from_value(report)?)
    }

    /// Forgets all counts.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn mark(&self) -> anyhow::Result<()> {
        self.post("/mark", &json!({})).map(|_| ())
    }

    /// What was counted since then.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn report(&self) -> anyhow::Result<Report> {
        let answer = bed::http::get(self.control, "xdsload", "/report", &[])?;
        serde_json::from_str(&answer.body).with_context(|| format!("reading {}", answer.body))
    }

    /// Waits until all of so many clients have a stream again, and have everything.
    ///
    /// # Errors
    /// When they have not within [`PATIENCE`].
    pub fn back(&self, clients: u32) -> anyhow::Result<Report> {
        eventually("all to be back", PATIENCE, || {
            let report = self.complete(clients)?;
            ensure!(report.clients.connected >= clients, "{} are back", report.clients.connected);
            Ok(report)
        })
    }

    /// Ends all connections, from the clients' side. They come back at once, or as Envoy waits, and offer what they have.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn drop_all(&self, backoff: bool) -> anyhow::Result<()> {
        self.post("/drop", &json!({ "keep": true, "backoff": backoff })).map(|_| ())
    }

    /// What a client has: for each type, names and a hash of each body.
    ///
    /// # Errors
    /// When there is no such client.
    pub fn config(&self, client: u32) -> anyhow::Result<Value> {
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
