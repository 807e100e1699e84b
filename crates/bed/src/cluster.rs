//! A Kubernetes cluster without containers, for tests and for a person: the real etcd, API server and controllers as child processes.
//! Each part can be held, killed and started again by itself; everything ends with the value, or with this process however it ends.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;

use crate::process::{Keeper, Running, eventually};

mod credentials;
mod parts;
mod tools;

pub use parts::Part;
pub use tools::Tools;

use credentials::Credentials;
use parts::Setup;

/// How long a part may take to come, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The programs.
    pub tools: Tools,
    /// Where its files go; a folder that goes with the cluster when there is none.
    pub folder: Option<PathBuf>,
    /// What the audit log holds of each request (`None`, `Metadata`, `Request`, `RequestResponse`).
    pub audit: &'static str,
    /// Further flags of the API server.
    pub api_server: Vec<String>,
    /// Further flags of the controllers.
    pub controller_manager: Vec<String>,
}

impl Options {
    /// The usual cluster with these programs: RBAC, default admission plugins, an audit log with metadata.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self { tools, folder: None, audit: "Metadata", api_server: Vec::new(), controller_manager: Vec::new() }
    }
}

/// A running cluster.
pub struct Cluster {
    // Ended in this order: what asks before what answers.
    controller_manager: Option<Running>,
    api_server: Option<Running>,
    etcd: Option<Running>,
    keeper: Keeper,
    setup: Setup,
    kubeconfig: PathBuf,
    starts: u32,
    temporary: bool,
}

impl Cluster {
    /// Starts one on free ports of loopback and waits until it has its first service account.
    ///
    /// # Errors
    /// When a part does not come; the text names its log.
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let temporary = options.folder.is_none();
        let folder = options.folder.clone().unwrap_or_else(fresh);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let [etcd, peers, api_server] = free_ports()?;
        let credentials = Credentials::new(&folder.join("credentials"))?;
        credentials.server("api-server", &[address, parts::SERVICE_ADDRESS])?;
        let url = format!("https://{address}:{api_server}");
        let kubeconfig = credentials.client("admin", ("admin", Some("system:masters")), &url)?;
        credentials.client("controllers", ("system:kube-controller-manager", None), &url)?;
        let setup = Setup { options, folder, credentials, etcd, peers, api_server };
        setup.write_audit_policy()?;
        let keeper = Keeper::new();
        let (controller_manager, api_server, etcd) = (None, None, None);
        let mut cluster =
            Self { controller_manager, api_server, etcd, keeper, setup, kubeconfig, starts: 0, temporary };
        for part in [Part::Etcd, Part::ApiServer, Part::ControllerManager] {
            cluster.begin(part)?;
        }
        Ok(cluster)
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.setup.folder
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Where the API server writes who asked for what, a line of JSON each (`audit.k8s.io/v1`).
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.setup.audit_log()
    }

    /// The certificates by which the API server is known, as PEM.
    #[must_use]
    pub fn root(&self) -> String {
        self.setup.credentials.root()
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&self.setup.options.tools.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(self.folder().join("kubectl"));
        command.stdin(Stdio::null());
        command
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// When it fails; what it says is the text.
    pub fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.kubectl_command();
        let ran = command.args(arguments).output().context("running kubectl")?;
        if !ran.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&ran.stderr).trim());
        }
        String::from_utf8(ran.stdout).context("reading what kubectl says")
    }

    /// Applies objects, as YAML or JSON.
    ///
    /// # Errors
    /// When one of them is refused.
    pub fn apply(&self, objects: &str) -> anyhow::Result<String> {
        use std::io::Write;
        let mut command = self.kubectl_command();
        command.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("running kubectl")?;
        child.stdin.take().context("kubectl has an input")?.write_all(objects.as_bytes())?;
        let ran = child.wait_with_output()?;
        if !ran.status.success() {
            bail!("kubectl apply: {}", String::from_utf8_lossy(&ran.stderr).trim());
        }
        String::from_utf8(ran.stdout).context("reading what kubectl says")
    }

    /// Holds a part (SIGSTOP): its connections stay open and nobody answers.
    ///
    /// # Errors
    /// When it is not running.
    pub fn hold(&mut self, part: Part) -> anyhow::Result<()> {
        self.signal(part, Signal::SIGSTOP)
    }

    /// Lets a held part go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn release(&mut self, part: Part) -> anyhow::Result<()> {
        self.signal(part, Signal::SIGCONT)
    }

    /// Kills a part.
    pub fn kill(&mut self, part: Part) {
        *self.slot(part) = None;
    }

    /// Starts a part again, at the same place, after killing it if it runs, and waits until it works.
    ///
    /// # Errors
    /// When it does not come.
    pub fn restart(&mut self, part: Part) -> anyhow::Result<()> {
        self.kill(part);
        self.begin(part)
    }

    fn signal(&mut self, part: Part, signal: Signal) -> anyhow::Result<()> {
        self.slot(part).as_mut().with_context(|| format!("{part} does not run"))?.signal(signal)
    }

    fn slot(&mut self, part: Part) -> &mut Option<Running> {
        match part {
            Part::Etcd => &mut self.etcd,
            Part::ApiServer => &mut self.api_server,
            Part::ControllerManager => &mut self.controller_manager,
        }
    }

    fn begin(&mut self, part: Part) -> anyhow::Result<()> {
        self.starts += 1;
        let log = self.folder().join(format!("{part}.{}.log", self.starts));
        let running = self.keeper.start(&part.to_string(), self.setup.command(part), &log)?;
        *self.slot(part) = Some(running);
        let ready: &[&str] = match part {
            // The API server waits for it.
            Part::Etcd => return Ok(()),
            Part::ApiServer => &["get", "--raw", "/readyz"],
            // Its own work: without it no pod can be made.
            Part::ControllerManager => &["get", "serviceaccount/default", "configmap/kube-root-ca.crt"],
        };
        eventually(&part.to_string(), PATIENCE, || {
            // One that has ended does not come any more: no need to wait for it.
            let ended = self.slot(part).as_mut().and_then(|running| running.check().err());
            Ok(match ended {
                Some(error) => Err(error),
                None => Ok(drop(self.kubectl(ready)?)),
            })
        })
        .and_then(|ended| ended)
        .with_context(|| format!("its log is {}", log.display()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for part in [Part::ControllerManager, Part::ApiServer, Part::Etcd] {
            self.kill(part);
        }
        // After a failure the logs are wanted.
        if self.temporary && std::thread::panicking() {
            eprintln!("the cluster's logs are in {}", self.folder().display());
        } else if self.temporary {
            let _ = std::fs::remove_dir_all(self.folder());
        }
    }
}

/// A folder of a cluster's own.
fn fresh() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("meltemi-cluster-{}-{number}", std::process::id()))
}

/// Ports that are free now.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    // Held together, so that they differ.
    let held = (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
