//! The server under test: Meltemi, or any command line with an address.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::process::{Running, eventually};
use bench::load::Target;
use bench::programs;

use crate::secured::Authority;

const PATIENCE: Duration = Duration::from_secs(120);

/// What is started.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// Meltemi, on free ports.
    Ours,
    /// A command line, and where it speaks xDS.
    Other { command: String, address: String },
}

/// Where it has its configuration from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A directory.
    Folder(PathBuf),
    /// The API server of a kubeconfig.
    Cluster(PathBuf),
}

impl Origin {
    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Cluster(path) => path,
        }
    }
}

/// It runs.
pub(crate) struct Server {
    running: Running,
    /// Where clients connect.
    pub(crate) target: Target,
    /// From its start until it said that it is ready, or took connections.
    pub(crate) ready: Duration,
}

impl Program {
    /// What it is called in the table.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Ours => "meltemid".to_owned(),
            Self::Other { command, .. } => command.split_whitespace().next().unwrap_or_default().to_owned(),
        }
    }

    /// Starts it and waits until it is ready; on the same address as before, if that is given.
    pub(crate) fn start(
        &self,
        from: &Origin,
        authority: Option<&Authority>,
        at: Option<SocketAddr>,
        folder: &Path,
    ) -> anyhow::Result<Server> {
        let log = folder.join("server.log");
        let mut command = match self {
            Self::Ours => ours(from, authority, at, folder)?,
            Self::Other { command, .. } => {
                let path = from.path().display().to_string();
                let filled = command.replace("{dir}", &path).replace("{kubeconfig}", &path);
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("exec {filled}")]);
                shell
            }
        };
        let started = Instant::now();
        let mut running = Running::start(&self.name(), &mut command, &log)?;
        let address = eventually(&self.name(), PATIENCE, || {
            running.check().with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
            match self {
                Self::Ours => listening(&std::fs::read_to_string(&log)?, authority.is_some()),
                Self::Other { address, .. } => taken(address),
            }
        })?;
        let target = Target { address, tls: authority.map(Authority::of_clients).unwrap_or_default() };
        Ok(Server { running, target, ready: started.elapsed() })
    }
}

fn ours(
    from: &Origin,
    authority: Option<&Authority>,
    at: Option<SocketAddr>,
    folder: &Path,
) -> anyhow::Result<Command> {
    let mut command = Command::new(programs::path("meltemid")?);
    // What is written for every edit would be measured too.
    command.env("RUST_LOG", "warn,meltemid=info").env("NO_COLOR", "1").args(["--shutdown-seconds", "1"]);
    match from {
        Origin::Folder(path) => command.arg("--config-dir").arg(path),
        Origin::Cluster(path) => command.arg("--kubeconfig").arg(path),
    };
    let at = at.map_or_else(|| "127.0.0.1:0".to_owned(), |at| at.to_string());
    let free = "127.0.0.1:0";
    let (plain, secure) = if authority.is_some() { (free, at.as_str()) } else { (at.as_str(), free) };
    let addresses =
        ["--xds-address", plain, "--secure-address", secure, "--http-address", free, "--webhook-address", free];
    command.args(addresses);
    match (authority, from) {
        (Some(authority), _) => _ = command.arg("--ca-dir").arg(authority.folder()),
        (None, Origin::Cluster(_)) => _ = command.arg("--ca-dir").arg(folder.join("ca")),
        (None, Origin::Folder(_)) => {}
    }
    Ok(command)
}

/// Where some other server takes connections.
fn taken(address: &str) -> anyhow::Result<SocketAddr> {
    let address = address.to_socket_addrs()?.next().with_context(|| format!("{address} is nowhere"))?;
    TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    Ok(address)
}

/// Where Meltemi is, when it is ready.
fn listening(log: &str, secure: bool) -> anyhow::Result<SocketAddr> {
    let at = |name: &str| {
        let rest = log.split_once(&format!(" {name}=")).context("not listening yet")?.1;
        Ok::<SocketAddr, anyhow::Error>(rest.split_whitespace().next().context("half a line")?.parse()?)
    };
    let (xds, http) = (at(if secure { "secure" } else { "xds" })?, at("http")?);
    ensure!(bed::http::get(http, "meltemid", "/ready", &[])?.status == 200, "not ready yet");
    Ok(xds)
}

impl Server {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Fails when it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.running.check()
    }
}
