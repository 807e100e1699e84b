//! The demo: builds the bed, moves the canary, and checks every step.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bed::agent::Agent;
use bed::app::Answer;
use bed::envoy::{Envoy, Spec};
use bed::net::{Network, Place, ToldBy};
use bed::process::{Running, eventually};

mod mesh;
mod steps;

use mesh::Layout;

/// The programs that take part.
pub(crate) struct Programs {
    pub(crate) meltemi: PathBuf,
    pub(crate) meltemid: PathBuf,
    pub(crate) agent: PathBuf,
    pub(crate) envoy: PathBuf,
}

impl Programs {
    /// Envoy and the agent where the proxies' user can reach them: a checkout below a private home is out of its reach.
    fn for_pods(&self, namespaces: bool, folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
        if !namespaces {
            return Ok((self.envoy.clone(), self.agent.clone()));
        }
        let copy = |from: &Path, name: &str| {
            let to = folder.join(name);
            std::fs::copy(from, &to).with_context(|| format!("copying {}", from.display())).map(|_| to)
        };
        Ok((copy(&self.envoy, "envoy")?, copy(&self.agent, "meltemi-agent")?))
    }
}

/// A running demo. What it holds ends with it.
pub(crate) struct Demo {
    layout: Layout,
    config: PathBuf,
    client: Place,
    pages: SocketAddr,
    envoys: Vec<Envoy>,
    _running: Vec<Running>,
    _places: Vec<Place>,
    _network: Option<Network>,
}

pub(crate) fn run(programs: &Programs, namespaces: Option<ToldBy>, once: bool) -> anyhow::Result<()> {
    let started = Instant::now();
    let folder = std::env::temp_dir().join(format!("meltemi-demo-{}", std::process::id()));
    let demo = Demo::start(programs, namespaces, &folder)?;
    let proxies = demo.envoys.len();
    println(&format!("control plane and {proxies} Envoys are up after {:.1} s", started.elapsed().as_secs_f64()));
    if let Err(error) = steps::all(&demo) {
        demo.record(&folder);
        return Err(error.context(format!("logs and what each proxy had are in {}", folder.display())));
    }
    if !once && std::io::stdout().is_terminal() {
        steps::follow(&demo)?;
    }
    drop(demo);
    std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}

#[expect(clippy::print_stdout, reason = "the demo talks on standard output")]
fn println(text: &str) {
    println!("{text}");
}

impl Demo {
    fn start(programs: &Programs, namespaces: Option<ToldBy>, folder: &Path) -> anyhow::Result<Self> {
        let config = folder.join("mesh");
        std::fs::create_dir_all(&config).with_context(|| format!("creating {}", config.display()))?;
        // Envoy runs as another user in namespaces.
        set_readable(folder)?;
        let layout = if namespaces.is_some() { Layout::namespaces() } else { Layout::loopback() };
        std::fs::write(config.join("mesh.yaml"), layout.services())?;
        std::fs::write(config.join("canary.yaml"), layout.canary(90, 10))?;
        let network = namespaces.map(|told_by| Network::new(layout.control, told_by)).transpose()?;
        let client = network.as_ref().map_or_else(Place::here, |network| network.node().clone());
        let (envoy, agent) = programs.for_pods(namespaces.is_some(), folder)?;
        let mut demo = Self {
            config,
            client,
            pages: SocketAddr::new(IpAddr::V4(layout.control), layout.pages_port),
            envoys: Vec::new(),
            _running: Vec::new(),
            _places: Vec::new(),
            _network: network,
            layout,
        };
        demo.control_plane(programs, folder)?;
        let agent = Agent {
            program: agent,
            envoy,
            control: SocketAddr::new(IpAddr::V4(demo.layout.control), demo.layout.secure_port),
            roots: folder.join("ca/root-cert.pem"),
            lifetime: LIFETIME,
            arguments: Vec::new(),
            variables: Vec::new(),
        };
        demo.workloads(programs, &agent, folder)?;
        for envoy in &mut demo.envoys {
            envoy.wait_live(Duration::from_secs(20))?;
        }
        Ok(demo)
    }

    fn xds(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.layout.control), self.layout.xds_port)
    }

    fn control_plane(&mut self, programs: &Programs, folder: &Path) -> anyhow::Result<()> {
        let mut command = self.client.command(&programs.meltemid);
        command.arg("--config-dir").arg(&self.config);
        command.arg("--xds-address").arg(self.xds().to_string()).arg("--http-address").arg(self.pages.to_string());
        let tokens = folder.join("tokens");
        let token = |app: &str| format!("{} {}/{app}\n", Layout::token(app), mesh::NAMESPACE);
        std::fs::write(
            &tokens,
            self.layout.workloads().iter().map(|workload| token(&workload.app)).collect::<String>(),
        )?;
        command.arg("--ca-dir").arg(folder.join("ca")).arg("--token-file").arg(&tokens);
        command.arg("--secure-address").arg(format!("{}:{}", self.layout.control, self.layout.secure_port));
        let log = folder.join("meltemid.log");
        let mut running = Running::start("meltemid", &mut command, &log)?;
        eventually("the control plane", Duration::from_secs(10), || {
            running.check()?;
            let answer = self.page("/ready")?;
            ensure!(answer.status == 200, "{}", answer.body);
            Ok(())
        })
        .with_context(|| format!("its log is {}", log.display()))?;
        self._running.push(running);
        Ok(())
    }

    /// Writes what the proxies and the control plane say of themselves beside their logs, as far as they still answer.
    fn record(&self, folder: &Path) {
        let write = |name: String, answer: anyhow::Result<bed::http::Answer>| {
            let text = answer.map_or_else(|error| format!("{error:#}"), |answer| answer.body);
            // The failure that led here is what is reported.
            let _ = std::fs::write(folder.join(name), text);
        };
        for envoy in &self.envoys {
            for page in ["stats", "clusters", "config_dump"] {
                write(format!("{}.{page}", envoy.name), envoy.admin(&format!("/{page}")));
            }
        }
        write("syncz.json".to_owned(), self.page("/debug/syncz"));
    }

    fn page(&self, path: &str) -> anyhow::Result<bed::http::Answer> {
        let (pages, path) = (self.pages, path.to_owned());
        self.client.inside(move || bed::http::get(pages, "meltemid", &path, &[]))
    }

    fn workloads(&mut self, programs: &Programs, agent: &Agent, folder: &Path) -> anyhow::Result<()> {
        for workload in self.layout.workloads() {
            let sidecar = self._network.is_some() || workload.is_gateway();
            let place = match &self._network {
                Some(network) => network.pod(&workload.pod, workload.address, !workload.is_gateway())?,
                None => Place::here(),
            };
            if let Some(port) = workload.port {
                let mut command = place.command(&programs.meltemi);
                command.args(["demo-app", "--name", &workload.app, "--version", &workload.version]);
                command.arg("--listen").arg(format!("{}:{port}", workload.address));
                workload.calls.iter().for_each(|call| _ = command.args(["--call", call]));
                let log = folder.join(format!("{}.log", workload.pod));
                self._running.push(Running::start(&workload.pod, &mut command, &log)?);
            }
            if sidecar {
                let admin = if self._network.is_some() {
                    SocketAddr::from(([127, 0, 0, 1], 15000))
                } else {
                    self.layout.admin()
                };
                let spec = Spec {
                    pod: workload.pod.clone(),
                    namespace: mesh::NAMESPACE.to_owned(),
                    kind: if workload.is_gateway() { "router" } else { "sidecar" },
                    address: IpAddr::V4(workload.address),
                    labels: vec![("app".into(), workload.app.clone()), ("version".into(), workload.version.clone())],
                    interception: "REDIRECT",
                    xds: self.xds(),
                    delta: true,
                    admin,
                };
                let identity = (workload.app.as_str(), Layout::token(&workload.app));
                self.envoys.push(match self._network {
                    Some(_) => agent.start(&spec, (identity.0, &identity.1), &place, folder)?,
                    None => Envoy::start(&agent.envoy, &spec, &place, folder)?,
                });
            }
            self._places.push(place);
        }
        Ok(())
    }

    /// Calls the application through the gateway as somebody outside would.
    fn call(&self) -> anyhow::Result<Answer> {
        let gateway = self.layout.gateway();
        let answer = self.client.inside(move || bed::http::get(gateway, mesh::HOST, "/", &[]))?;
        ensure!(answer.status == 200, "the gateway answered {}: {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| format!("not the application's answer: {}", answer.body))
    }

    /// The version of `reviews` that took part in an answer.
    fn version(&self, answer: &Answer) -> anyhow::Result<String> {
        if answer.name == "reviews" {
            return Ok(answer.version.clone());
        }
        let Some(called) = answer.calls.iter().find(|called| called.host.starts_with("reviews")) else {
            bail!("reviews was not called");
        };
        let Some(inner) = &called.answer else {
            bail!("reviews answered {}: {}", called.status, called.error.as_deref().unwrap_or_default());
        };
        Ok(inner.version.clone())
    }
}

/// Lets the proxies' user look into the folder.
fn set_readable(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}

/// How long certificates last here: short, so that one sees them renewed.
const LIFETIME: &str = "10s";

/// Loopback for the one, the bridge for the other.
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
