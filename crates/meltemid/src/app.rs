//! The process: bind first, so that addresses are known and ports can be 0; then run until told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use model::Mesh;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use xds::{Limits, Ordering, Publisher, Server};

use crate::authority::{Follower, Streams};
use crate::control::{Command, Control};
use crate::debug::{self, Pages};
use crate::discovery::Discovery;
use crate::secure::Secure;
use crate::settings::Settings;
use crate::tasks::{OnExit, Tasks};

/// Connections that may wait to be accepted: all proxies of a mesh may come back at once.
const BACKLOG: u32 = 4096;

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
    secure: Option<(TcpListener, Secure, Follower)>,
    server: Server,
    control: Control,
}

impl App {
    /// Binds the sockets and starts the control thread.
    ///
    /// # Errors
    /// When an address is taken or no thread can be started.
    pub fn bind(settings: Settings) -> anyhow::Result<Self> {
        let bind = |name: &str, address: SocketAddr| {
            listen(address).with_context(|| format!("binding the {name} address {address}; is it taken?"))
        };
        let xds = bind("xDS", settings.xds_address)?;
        let http = bind("HTTP", settings.http_address)?;
        let publisher = Publisher::new();
        let mesh = Mesh::new(translate::schema(), settings.base());
        let debounce = Duration::from_millis(settings.debounce_ms);
        let control = Control::start(mesh, publisher.clone(), debounce).context("starting the control thread")?;
        let source = Discovery::new(control.clone(), settings.whole_route_tables);
        let ordering = if settings.unordered { Ordering::Off } else { Ordering::MakeBeforeBreak };
        let server = Server::new(publisher, std::sync::Arc::new(source), ordering, Limits::default());
        let secure = match &settings.ca_dir {
            Some(folder) => {
                let listener = bind("secured", settings.secure_address)?;
                let (secure, follower) = Secure::open(&settings, folder, control.clone())?;
                Some((listener, secure, follower))
            }
            None => None,
        };
        Ok(Self { settings, xds, http, secure, server, control })
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
        self.secure.as_ref().map(|(listener, ..)| listener.local_addr()).transpose()
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
        let (control, paths) = (self.control.clone(), self.settings.config.clone());
        let watched = stop.clone();
        tasks.spawn("files", OnExit::StopProcess, async move {
            let sink = move |changes| control.send(Command::Config(changes));
            files::watch(paths, sink, watched).await.context("watching the configuration")
        });
        let counts = self.secure.as_ref().map(|(_, secure, _)| secure.clone());
        if let Some((listener, secure, follower)) = self.secure {
            let audience = Streams { control: self.control.clone(), server: self.server.clone() };
            tasks.spawn("authority", OnExit::LogOnly, follower.run(audience, stop.clone()));
            let (server, stop, grace) = (self.server.clone(), stop.clone(), self.settings.grace());
            tasks.spawn("secured", OnExit::StopProcess, async move {
                server.serve_at(secure, listener, stop, grace).await;
                Ok(())
            });
        }
        let pages = Pages { secure: counts, control: self.control, server: self.server.clone() };
        let (http, pages_stop) = (self.http, stop.clone());
        tasks.spawn("pages", OnExit::LogOnly, async move {
            let serving = axum::serve(http, debug::router(pages));
            Ok(serving.with_graceful_shutdown(async move { pages_stop.cancelled().await }).await?)
        });
        let (server, xds, grace) = (self.server, self.xds, self.settings.grace());
        let xds_stop = stop.clone();
        tasks.spawn("xds", OnExit::StopProcess, async move {
            server.serve(xds, xds_stop, grace).await;
            Ok(())
        });
        tasks.join().await;
    }
}
