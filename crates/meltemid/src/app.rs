//! The process: bind first, so that addresses are known and ports can be 0; then run until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kubernetes::Cluster;
use model::Mesh;
use names::Name;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use xds::{Limits, Ordering, Publisher, Server};

use crate::admission::Admission;
use crate::authority::{Follower, Secrets, Shared, Streams};
use crate::control::Control;
use crate::debug::{self, Entrance, Pages};
use crate::discovery::Discovery;
use crate::grants::Grants;
use crate::secure::Secure;
use crate::settings::Settings;
use crate::source::{OfCluster, Source};
use crate::start::Start;
use crate::tasks::{OnExit, Tasks};

/// Connections that may wait to be accepted: all proxies of a mesh may come back at once.
const BACKLOG: u32 = 4096;

fn bind(name: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| format!("binding the {name} address {address}; is it taken?"))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A control plane with its sockets bound.
pub struct App {
    settings: Settings,
    xds: TcpListener,
    http: TcpListener,
    ready: Option<TcpListener>,
    secure: Option<Secured>,
    server: Server,
    control: Control,
    source: Source,
    start: Option<Start>,
    heard: Option<kubernetes::Heard>,
    /// Who says which proxies may have keys, and the API server that it asks.
    grants: Option<(Grants, Cluster)>,
}

/// Whose identities see all pages.
fn seers(settings: &Settings) -> Arc<[Name]> {
    let named = settings.debug_namespaces.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    named.map(Name::from).collect()
}

/// What needs an authority.
struct Secured {
    listener: TcpListener,
    secure: Secure,
    follower: Follower,
    /// Other replicas that have the same authority.
    shared: Option<Shared>,
    /// Hears the roots as one PEM.
    roots: watch::Sender<String>,
    /// The port of webhooks, where there is an API server to call it.
    admission: Option<(TcpListener, Admission)>,
}

impl App {
    /// Binds the sockets and starts the control thread. Where the authority is in a cluster, its API server is waited for.
    ///
    /// # Errors
    /// When an address is taken, or there is nothing to serve.
    pub async fn bind(settings: Settings) -> anyhow::Result<Self> {
        let cluster = match settings.place() {
            Some(place) => Some(Cluster::watched(&place, settings.watch_seconds).await?),
            None => None,
        };
        let xds = bind("xDS", settings.xds_address)?;
        let http = bind("HTTP", settings.http_address)?;
        let ready = settings.ready_address.map(|address| bind("readiness", address)).transpose()?;
        let publisher = Publisher::new();
        let mesh = Mesh::new(translate::schema(), settings.base());
        let debounce = Duration::from_millis(settings.debounce_ms);
        let control = Control::start(mesh, publisher.clone(), debounce).context("starting the control thread")?;
        let serves_cluster = settings.config.is_empty();
        let grants = cluster.clone().filter(|_| serves_cluster).map(|api| (Grants::new(control.clone()), api));
        let told = grants.as_ref().map(|(grants, _)| grants.clone());
        let discovery = Discovery::new(control.clone(), settings.whole_route_tables, told);
        let ordering = if settings.unordered { Ordering::Off } else { Ordering::MakeBeforeBreak };
        let server = Server::new(publisher, Arc::new(discovery), ordering, Limits::default());
        let (tell, roots) = watch::channel(String::new());
        let secrets = match (&settings.ca_dir, &cluster) {
            (Some(folder), Some(cluster)) if serves_cluster => {
                let (cluster, namespace, folder) = (cluster.clone(), settings.root_namespace.clone(), folder.clone());
                let secrets = Secrets { cluster, namespace, folder };
                let theirs = secrets.bring(&settings.domain).await?;
                if theirs && let Some(memory) = settings.ca_memory() {
                    secrets.recall(&memory).await?;
                }
                theirs.then_some(secrets)
            }
            _ => None,
        };
        let mut secure = match &settings.ca_dir {
            Some(folder) => {
                let listener = bind("secured", settings.secure_address)?;
                let admission = serves_cluster.then(|| bind("webhook", settings.webhook_address)).transpose()?;
                let answers = Admission::new(control.clone(), settings.native_sidecars);
                let admission = admission.map(|listener| (listener, answers));
                let (secure, follower) = Secure::open(&settings, folder, cluster.as_ref(), control.clone())?;
                Some(Secured { listener, secure, follower, shared: None, roots: tell, admission })
            }
            None => None,
        };
        let heard = cluster.as_ref().filter(|_| serves_cluster).map(|cluster| cluster.heard().clone());
        let (source, start) = match (serves_cluster, cluster) {
            (false, _) => (Source::Files(settings.config.clone()), None),
            (true, Some(cluster)) => {
                let (of, start) = OfCluster::new(&settings, cluster, secrets, roots);
                if let Some(secured) = &mut secure {
                    secured.shared = of.shared();
                }
                (Source::Cluster(Box::new(of)), Some(start))
            }
            (true, None) => {
                anyhow::bail!("nothing to serve: give --config-dir or --kubeconfig; in a cluster neither is needed")
            }
        };
        Ok(Self { settings, xds, http, ready, secure, server, control, source, start, heard, grants })
    }

    /// The address of xDS.
    ///
    /// # Errors
    /// When the system does not tell it.
    pub fn xds_address(&self) -> std::io::Result<SocketAddr> {
        self.xds.local_addr()
    }

    /// The address of the secured port, if there is one.
    ///
    /// # Errors
    /// When the system does not tell it.
    pub fn secure_address(&self) -> std::io::Result<Option<SocketAddr>> {
        self.secure.as_ref().map(|secured| secured.listener.local_addr()).transpose()
    }

    /// The address of webhooks, if there is one.
    ///
    /// # Errors
    /// When the system does not tell it.
    pub fn webhook_address(&self) -> std::io::Result<Option<SocketAddr>> {
        let listener = self.secure.as_ref().and_then(|secured| secured.admission.as_ref());
        listener.map(|(listener, _)| listener.local_addr()).transpose()
    }

    /// The address of the pages.
    ///
    /// # Errors
    /// When the system does not tell it.
    pub fn http_address(&self) -> std::io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Runs until `stop`, or until a task ends without which the process is of no use.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = Tasks::new(stop.clone());
        self.source.start(&mut tasks, self.control.clone(), &stop);
        if let Some((grants, cluster)) = self.grants {
            let stop = stop.clone();
            tasks.spawn("grants", OnExit::StopProcess, async move {
                stop.run_until_cancelled(grants.run(cluster)).await;
                Ok(())
            });
        }
        let grace = self.settings.grace();
        let mut pages = Pages {
            secure: None,
            admission: None,
            control: self.control.clone(),
            server: self.server.clone(),
            start: self.start,
            heard: self.heard,
            replica: self.settings.replica().into(),
            seers: seers(&self.settings),
            unsafe_pages: self.settings.unsafe_pages,
            desks: Arc::new(Semaphore::new(debug::DESKS)),
        };
        if let Some(secured) = self.secure {
            pages.secure = Some(secured.secure.clone());
            pages.admission = secured.admission.as_ref().map(|(_, answers)| answers.clone());
            secured.start(&mut tasks, &pages, (&stop, grace));
        }
        if let Some(listener) = self.ready {
            let (pages, stop) = (pages.clone(), stop.clone());
            tasks.spawn("readiness", OnExit::LogOnly, async move {
                let pages = debug::beside(pages).into_make_service_with_connect_info::<debug::Ends>();
                let serving = axum::serve(listener, pages);
                Ok(serving.with_graceful_shutdown(async move { stop.cancelled().await }).await?)
            });
        }
        let (http, pages_stop) = (self.http, stop.clone());
        tasks.spawn("pages", OnExit::LogOnly, async move {
            let pages = debug::router(pages).into_make_service_with_connect_info::<debug::Ends>();
            let serving = axum::serve(http, pages);
            Ok(serving.with_graceful_shutdown(async move { pages_stop.cancelled().await }).await?)
        });
        let (server, xds) = (self.server, self.xds);
        let xds_stop = stop.clone();
        tasks.spawn("xds", OnExit::StopProcess, async move {
            server.serve(xds, xds_stop, grace).await;
            Ok(())
        });
        tasks.join().await;
    }
}

impl Secured {
    /// Starts what needs the authority.
    fn start(self, tasks: &mut Tasks, pages: &Pages, (stop, grace): (&CancellationToken, Duration)) {
        let audience = Streams { control: pages.control.clone(), server: pages.server.clone(), roots: self.roots };
        tasks.spawn("authority", OnExit::LogOnly, self.follower.run(audience, self.shared, stop.clone()));
        if let Some((listener, answers)) = self.admission {
            let (keeper, stop) = (self.secure.keeper.clone(), stop.clone());
            tasks.spawn("webhooks' port", OnExit::StopProcess, async move {
                answers.serve(keeper, listener, stop, grace).await;
                Ok(())
            });
        }
        let (server, listener, stop) = (pages.server.clone(), self.listener, stop.clone());
        let entrance = Entrance::new(self.secure, pages.clone());
        tasks.spawn("secured", OnExit::StopProcess, async move {
            server.serve_at(entrance, listener, stop, grace).await;
            Ok(())
        });
    }
}
