//! `meltemi demo`: a control plane on a directory of YAML, real Envoys around a small application, and a canary.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bed::app::App;
use bed::net::ToldBy;
use clap::{Args, ValueEnum};

use crate::demo;

/// Shows a mesh at work: an ingress gateway and four sidecars around a small application, and a canary that is moved by edits.
#[derive(Args)]
#[command(after_help = "Examples:\n  meltemi demo --once\n  meltemi demo --mode loopback")]
pub(crate) struct Demo {
    /// Where workloads run: each in a network namespace of its own with capture rules, or all on loopback without sidecars.
    #[arg(long, default_value = "auto")]
    mode: Mode,
    /// Go through all steps once and end with exit code 0 or 1.
    #[arg(long)]
    once: bool,
    /// The control plane's program; the one beside this program without.
    #[arg(long, value_name = "FILE")]
    meltemid: Option<PathBuf>,
    /// The agent's program; the one beside this program without.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// Envoy's program; the one that `make setup` fetched without.
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// This is the demo inside the user namespace that it made.
    #[arg(long, hide = true)]
    inside: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Namespaces where they can be made (as root, else in a user namespace), else loopback.
    Auto,
    /// Namespaces, as root or in a user namespace.
    Netns,
    /// Loopback.
    Loopback,
}

impl Demo {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let beside = |name: &str| Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name(name));
        let programs = demo::Programs {
            meltemi: std::env::current_exe()?,
            meltemid: self.meltemid.clone().map_or_else(|| beside("meltemid"), Ok)?,
            agent: self.agent.clone().map_or_else(|| beside("meltemi-agent"), Ok)?,
            envoy: bed::envoy::binary(self.envoy.as_deref())?,
        };
        let namespaces = match self.place()? {
            Where::Loopback => None,
            Where::Namespaces(told_by) => Some(told_by),
            Where::Another => return self.enter(&programs),
        };
        match demo::run(&programs, namespaces, self.once) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) => {
                eprintln!("the demo failed: {error:#}");
                Ok(ExitCode::from(1))
            }
        }
    }
}

/// Where the demo goes on.
enum Where {
    Loopback,
    Namespaces(ToldBy),
    /// In a user namespace, as another process.
    Another,
}

impl Demo {
    /// Root's namespaces, else those of a user namespace, else loopback.
    fn place(&self) -> anyhow::Result<Where> {
        if self.inside {
            return Ok(Where::Namespaces(ToldBy::Mark));
        }
        if matches!(self.mode, Mode::Loopback) {
            return Ok(Where::Loopback);
        }
        let Some(as_root) = bed::net::obstacle() else { return Ok(Where::Namespaces(ToldBy::User)) };
        let Some(as_user) = bed::net::user_obstacle() else { return Ok(Where::Another) };
        if matches!(self.mode, Mode::Netns) {
            anyhow::bail!("--mode netns: {as_root}, and {as_user}");
        }
        let leaves_out = "That leaves out the sidecars: there is nothing to capture traffic with.";
        eprintln!("{as_root}, and {as_user}; everything runs on loopback. {leaves_out}");
        Ok(Where::Loopback)
    }

    /// The same demo in a user namespace.
    fn enter(&self, programs: &demo::Programs) -> anyhow::Result<ExitCode> {
        eprintln!(
            "not root: the pods' network namespaces are in a user namespace, where the proxies are told by a mark"
        );
        let mut command = bed::net::enter(&programs.meltemi);
        command.args(["demo", "--inside", "--mode", "netns"]);
        command.arg("--meltemid").arg(&programs.meltemid).arg("--agent").arg(&programs.agent);
        command.arg("--envoy").arg(&programs.envoy);
        if self.once {
            command.arg("--once");
        }
        // In the place of this process, so that a terminal's Ctrl-C has one to go to.
        Err(std::os::unix::process::CommandExt::exec(&mut command)).context("running unshare")
    }
}

/// The application of the demo.
#[derive(Args)]
pub(crate) struct DemoApp {
    /// Its name.
    #[arg(long)]
    name: String,
    /// Its version.
    #[arg(long)]
    version: String,
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// `host=address` of each upstream that it calls for each request.
    #[arg(long)]
    call: Vec<String>,
}

impl DemoApp {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let calls = self.call.iter().map(|written| {
            let (host, address) =
                written.split_once('=').ok_or_else(|| anyhow::anyhow!("--call {written:?} is not host=address"))?;
            Ok((host.to_owned(), address.parse()?))
        });
        let app = App {
            name: self.name.clone(),
            version: self.version.clone(),
            calls: calls.collect::<anyhow::Result<_>>()?,
        };
        tokio::runtime::Runtime::new()?.block_on(app.serve(self.listen))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Load on the application.
#[derive(Args)]
pub(crate) struct DemoLoad {
    /// Where to.
    #[arg(long)]
    address: SocketAddr,
    /// As which host.
    #[arg(long)]
    host: String,
    /// Requests per second and kind.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// For how many seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

impl DemoLoad {
    #[expect(clippy::print_stdout, reason = "results go to standard output")]
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let time = std::time::Duration::from_secs(self.seconds);
        let plan = bed::load::Plan { address: self.address, host: self.host.clone(), rate: self.rate, time };
        let outcome = bed::load::run(&plan)?;
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(ExitCode::from(u8::from(outcome.failures() > 0)))
    }
}
