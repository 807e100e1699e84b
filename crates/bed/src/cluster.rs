//! A Kubernetes cluster without containers, for tests and for a person: the real etcd, API server and controllers as child processes, nodes
//! and pods played by this process. Each part can be held, killed and started again by itself; everything ends with the value, or with this
//! process however it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;

use crate::net::Place;
use crate::process::{Keeper, Running, eventually};

mod container;
mod credentials;
mod dns;
mod environment;
mod ground;
mod images;
mod inside;
mod nodes;
mod paper;
mod parts;
mod pod;
mod probes;
mod services;
mod shipped;
mod status;
mod task;
mod tools;
mod volumes;

pub use ground::NODE;
pub use images::{Image, Images, Program};
pub use inside::stage;
pub use nodes::NodeSpec;
pub use parts::Part;
pub use tools::Tools;

use credentials::Credentials;
use ground::Ground;
use nodes::Start;
use parts::Setup;
use task::Task;

/// How long a part may take to come, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// What becomes of pods.
#[derive(Clone, Debug)]
pub enum Pods {
    /// There are no nodes: they stay pending.
    Pending,
    /// They are played on nodes, by what stands for their images. A network for them needs root; where nothing but paper is to be had,
    /// there is none.
    Played(Images),
}

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The programs.
    pub tools: Tools,
    /// Where its files go; a folder that goes with the cluster when there is none.
    pub folder: Option<PathBuf>,
    /// What the audit log holds of each request (`None`, `Metadata`, `Request`, `RequestResponse`).
    pub audit: &'static str,
    /// What becomes of pods.
    pub pods: Pods,
    /// Where they are.
    pub nodes: Vec<NodeSpec>,
    /// Further flags of the API server.
    pub api_server: Vec<String>,
    /// Further flags of the controllers.
    pub controller_manager: Vec<String>,
}

impl Options {
    /// The usual cluster with these programs: RBAC, default admission plugins, an audit log with metadata, two nodes for when pods are played.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        let nodes = ["a", "b"].map(|zone| NodeSpec {
            name: format!("node-{zone}"),
            locality: ("region".to_owned(), format!("zone-{zone}")),
        });
        Self {
            tools,
            folder: None,
            audit: "Metadata",
            pods: Pods::Pending,
            nodes: nodes.to_vec(),
            api_server: Vec::new(),
            controller_manager: Vec::new(),
        }
    }
}

/// A running cluster.
pub struct Cluster {
    // Ended in this order: what asks before what answers.
    nodes: Option<Task>,
    kubelet: Option<Running>,
    controller_manager: Option<Running>,
    api_server: Option<Running>,
    etcd: Option<Running>,
    keeper: Arc<Keeper>,
    setup: Setup,
    kubeconfig: PathBuf,
    starts: u32,
    temporary: bool,
}

impl Cluster {
    /// Starts one on free ports of loopback and waits until it has its first service account and its nodes.
    ///
    /// # Errors
    /// When a part does not come; the text names its log.
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let temporary = options.folder.is_none();
        let (number, fresh) = fresh();
        let folder = options.folder.clone().unwrap_or(fresh);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let ground = match &options.pods {
            Pods::Played(images) if images.run() => {
                Some(Arc::new(Ground::new(&format!("meltemi-{}-c{number}", std::process::id()))?))
            }
            Pods::Played(_) | Pods::Pending => None,
        };
        let mut setup = Setup::new(options, folder, ground)?;
        let kubeconfig = setup.admit()?;
        let (keeper, starts) = (Arc::new(Keeper::new()), 0);
        let (nodes, kubelet, controller_manager, api_server, etcd) = (None, None, None, None, None);
        let mut cluster =
            Self { nodes, kubelet, controller_manager, api_server, etcd, keeper, setup, kubeconfig, starts, temporary };
        for part in [Part::Etcd, Part::ApiServer, Part::ControllerManager] {
            cluster.begin(part)?;
        }
        if cluster.setup.ground.is_some() {
            cluster.begin(Part::Kubelet)?;
        }
        cluster.play()?;
        Ok(cluster)
    }

    /// Starts the nodes.
    fn play(&mut self) -> anyhow::Result<()> {
        let Pods::Played(images) = self.setup.options.pods.clone() else { return Ok(()) };
        let start = Start {
            kubeconfig: self.setup.credentials.path("nodes.kubeconfig"),
            nodes: self.setup.options.nodes.clone(),
            ground: self.setup.ground.clone(),
            images,
            keeper: Arc::clone(&self.keeper),
            program: self.setup.options.tools.stages.clone(),
            folder: self.setup.folder.clone(),
        };
        self.nodes = Some(nodes::start(start)?);
        Ok(())
    }

    /// Where the API server and, by addresses, the nodes are: from here pods and Services can be reached. Without a network that is here.
    #[must_use]
    pub fn node(&self) -> Place {
        self.setup.ground.as_ref().map_or_else(Place::here, |ground| ground.place().clone())
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

    /// Makes the store forget all but what is now, so that no watch can go on from before (`etcd: api/etcdserverpb/rpc.proto`, Compact).
    ///
    /// # Errors
    /// When it does not, or pods are played: it is out of reach then.
    pub fn compact(&self) -> anyhow::Result<()> {
        let store = self.setup.store().context("the store is in a network of its own")?;
        let now = crate::http::post(store, "/v3/kv/range", r#"{"key":"AA=="}"#)?;
        let read: serde_json::Value = serde_json::from_str(&now.body).with_context(|| now.body.clone())?;
        let revision = read["header"]["revision"].as_str().with_context(|| now.body.clone())?;
        let asked = format!(r#"{{"revision":"{revision}","physical":true}}"#);
        let done = crate::http::post(store, "/v3/kv/compaction", &asked)?;
        anyhow::ensure!(done.status == 200, "the store does not compact: {}", done.body);
        Ok(())
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
            Part::Kubelet => &mut self.kubelet,
        }
    }

    fn begin(&mut self, part: Part) -> anyhow::Result<()> {
        self.starts += 1;
        let log = self.folder().join(format!("{part}.{}.log", self.starts));
        let running = self.keeper.start(&part.to_string(), self.setup.command(part), &log)?;
        *self.slot(part) = Some(running);
        let ready: &[&str] = match part {
            // The API server waits for the one, and nobody for the other.
            Part::Etcd | Part::Kubelet => return Ok(()),
            Part::ApiServer => &["get", "--raw", "/readyz"],
            // Its own work: without it no pod can be made.
            Part::ControllerManager => &["get", "serviceaccount/default", "configmap/kube-root-ca.crt"],
        };
        eventually(&part.to_string(), PATIENCE, || {
            // One that has ended does not come any more: no need to wait for it.
            let ended = self.slot(part).as_mut().and_then(|running| running.check().err());
            Ok(match ended {
                Some(error) => Err(error),
                None => {
                    self.kubectl(ready)?;
                    Ok(())
                }
            })
        })
        .and_then(|ended| ended)
        .with_context(|| format!("its log is {}", log.display()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes = None;
        for part in [Part::Kubelet, Part::ControllerManager, Part::ApiServer, Part::Etcd] {
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

/// The number of a cluster in this process, and a folder of its own.
fn fresh() -> (u32, PathBuf) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    (number, std::env::temp_dir().join(format!("meltemi-cluster-{}-{number}", std::process::id())))
}
