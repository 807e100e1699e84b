//! Thousands of clients that behave like Envoy, in one process, to see what a control plane does when they come, change and go. Speaks the
//! protocol with any server; knows of Envoy's messages what a client must know to ask for the next thing.
//!
//! Way of a response: `cut` takes fields out of the bytes → `response` puts them together, with resources from the `library` → `session`
//! says what is answered (no I/O) → `client/stream` sends it and counts. `control` is where the process is told what to do, with its `fleet`.

mod backoff;
mod client;
mod control;
mod counts;
mod cut;
mod envoy;
mod fleet;
mod held;
mod kinds;
mod library;
mod names;
mod node;
mod request;
mod resource;
mod response;
mod session;
mod settings;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use settings::{Metadata, Mode, Security, Settings};

use crate::fleet::Fleet;

/// A process's clients and where they are told what to do, ready to run.
pub struct Load {
    listener: TcpListener,
    fleet: Arc<Fleet>,
    stop: CancellationToken,
}

impl Load {
    /// Makes ready. It ends when `stop` is cancelled.
    ///
    /// # Errors
    /// When the server has no address, or there is no place to be told.
    pub async fn bind(settings: Settings, stop: CancellationToken) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(&settings.control).await.with_context(|| settings.control.clone())?;
        let fleet = Arc::new(Fleet::new(settings, stop.clone()).await?);
        Ok(Self { listener, fleet, stop })
    }

    /// Where it is told what to do.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn control(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Does what it is told.
    ///
    /// # Errors
    /// When it cannot be told any more.
    pub async fn run(self) -> anyhow::Result<()> {
        control::serve(self.listener, self.fleet, self.stop).await
    }
}
