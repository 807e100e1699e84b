//! A control plane as a process on a cluster: it can be killed, held and measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::process::{Keeper, Running, eventually};
use nix::sys::signal::Signal;
use tests::edge::free_port;
use tests::plane::folder;

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the control plane's program is, or what is missing.
pub(super) fn program() -> Result<PathBuf, String> {
    let meltemid = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug/meltemid");
    if meltemid.is_file() { Ok(meltemid) } else { Err("target/debug/meltemid is missing".to_owned()) }
}

/// The process; it ends with this value.
pub(super) struct Replica {
    program: PathBuf,
    name: &'static str,
    config: PathBuf,
    flags: Vec<String>,
    xds: SocketAddr,
    http: SocketAddr,
    folder: PathBuf,
    running: Option<Running>,
}

impl Replica {
    /// One that is to run as `config` says.
    pub(super) fn new(program: &Path, name: &'static str, config: &Path) -> Self {
        let free = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let (program, config) = (program.to_owned(), config.to_owned());
        Self { program, name, config, flags: Vec::new(), xds: free(), http: free(), folder: folder(), running: None }
    }

    /// With further flags.
    pub(super) fn with(mut self, flags: &[&str]) -> Self {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    /// Starts it and waits until it is ready.
    pub(super) fn start(&mut self, keeper: &Keeper) -> anyhow::Result<()> {
        let mut command = Keeper::command(&self.program);
        command.arg("--kubeconfig").arg(&self.config).arg("--ca-dir").arg(self.folder.join("ca"));
        command.args(["--xds-address", &self.xds.to_string(), "--http-address", &self.http.to_string()]);
        command.args(["--secure-address", "127.0.0.1:0", "--webhook-address", "127.0.0.1:0", "--pod-name", self.name]);
        command.args(&self.flags);
        self.running = Some(keeper.start(self.name, command, &self.folder.join("log"))?);
        eventually("a replica", PATIENCE, || {
            let answer = self.page("/ready")?;
            ensure!(answer.status == 200, "{}", answer.body);
            Ok(())
        })
        .with_context(|| format!("its log is in {}", self.folder.display()))
    }

    /// Where its xDS is.
    pub(super) fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// One of its pages.
    pub(super) fn page(&self, path: &str) -> anyhow::Result<bed::http::Answer> {
        bed::http::get(self.http, "meltemid", path, &[])
    }

    pub(super) fn kill(&mut self) {
        self.running = None;
    }

    /// Asks it to end, and waits.
    pub(super) fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.stop(Duration::from_secs(10));
        }
    }

    pub(super) fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        self.running.as_mut().context("it runs")?.signal(signal)
    }

    /// The most memory that it had at a time, in MB.
    pub(super) fn most_memory(&self) -> anyhow::Result<u64> {
        let id = self.running.as_ref().context("it runs")?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
    }
}
