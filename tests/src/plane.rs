//! A control plane in this process, on a directory that the test writes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::process::eventually;
use clap::Parser;
use meltemid::{App, Settings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// A running control plane; it ends when this is dropped.
pub struct Plane {
    folder: PathBuf,
    xds: SocketAddr,
    http: SocketAddr,
    secure: Option<SocketAddr>,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// A folder of this test's own.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("meltemi-test-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    folder
}

/// Proxies without an agent have no certificates.
pub const PLAIN: &str = "apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: DISABLE}}
";

impl Plane {
    /// Starts on free ports with these files.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(files: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Self> {
        Self::at("127.0.0.1:0", folder(), files, flags)
    }

    /// Starts with its xDS at an address and its files in a folder: a restart.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn at(xds: &str, folder: PathBuf, files: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Self> {
        std::fs::write(folder.join("peers.yaml"), PLAIN)?;
        for (name, text) in files {
            std::fs::write(folder.join(name), text)?;
        }
        let source = ["--config-dir", folder.to_str().context("an odd folder")?, "--xds-address", xds];
        let flags: Vec<&str> = source.iter().chain(flags).copied().collect();
        let plane = Self::with(folder.clone(), &flags)?;
        plane.ready(Duration::from_secs(10))?;
        Ok(plane)
    }

    /// Starts on free ports of loopback on a cluster, with an authority; it may not be ready yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn on(kubeconfig: &std::path::Path, flags: &[&str]) -> anyhow::Result<Self> {
        let folder = folder();
        let (config, ca) = (kubeconfig.display().to_string(), folder.join("ca").display().to_string());
        let free = "127.0.0.1:0";
        let fixed = ["--kubeconfig", &config, "--ca-dir", &ca, "--xds-address", free, "--secure-address", free];
        let flags: Vec<&str> = fixed.iter().chain(flags).copied().collect();
        Self::with(folder.clone(), &flags)
    }

    fn with(folder: PathBuf, flags: &[&str]) -> anyhow::Result<Self> {
        let fixed = ["meltemid", "--http-address", "127.0.0.1:0", "--shutdown-seconds", "1"];
        let settings = Settings::try_parse_from(fixed.iter().chain(flags))?;
        let stop = CancellationToken::new();
        let (told, (bound, addresses)) = (stop.clone(), std::sync::mpsc::channel());
        // On a thread of its own: tests that run inside a runtime must not block it.
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let app = App::bind(settings)
                    .await
                    .and_then(|app| Ok(((app.xds_address()?, app.http_address()?, app.secure_address()?), app)));
                match app {
                    Ok((addresses, app)) => {
                        let _ = bound.send(Ok(addresses));
                        app.run(told).await;
                    }
                    Err(error) => _ = bound.send(Err(error)),
                }
            });
        });
        let (xds, http, secure) = addresses.recv().context("the control plane's thread ended")??;
        Ok(Self { folder, xds, http, secure, stop, thread: Some(thread) })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it is not in time.
    pub fn ready(&self, limit: Duration) -> anyhow::Result<()> {
        eventually("the control plane", limit, || {
            let answer = self.page("/ready")?;
            ensure!(answer.status == 200, "{}", answer.body);
            Ok(())
        })
    }

    /// Where xDS is.
    #[must_use]
    pub fn xds(&self) -> SocketAddr {
        self.xds
    }

    /// Where the secured port is, if there is one.
    #[must_use]
    pub fn secure(&self) -> Option<SocketAddr> {
        self.secure
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Writes a file as an editor does: beside, then renamed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let beside = self.folder.join(format!(".{name}.new"));
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, self.folder.join(name))?)
    }

    /// Asks a page.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn page(&self, path: &str) -> anyhow::Result<bed::http::Answer> {
        bed::http::get(self.http, "meltemid", path, &[])
    }

    /// The connected proxies, as `/debug/syncz` shows them.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn proxies(&self) -> anyhow::Result<Vec<Value>> {
        Ok(serde_json::from_str(&self.page("/debug/syncz")?.body)?)
    }

    /// What is published.
    ///
    /// # Errors
    /// When no proxy is connected.
    pub fn revision(&self) -> anyhow::Result<u64> {
        self.proxies()?.iter().filter_map(|proxy| proxy["revision"].as_u64()).max().context("no proxy is connected")
    }

    /// Waits until so many proxies have all that is published after `revision`.
    ///
    /// # Errors
    /// When they have not in time.
    pub fn live(&self, count: usize, revision: u64) -> anyhow::Result<()> {
        eventually("every proxy to be current", Duration::from_secs(15), || {
            let proxies = self.proxies()?;
            ensure!(proxies.len() == count, "{} proxies are connected", proxies.len());
            let current = |proxy: &Value| {
                proxy["revision"].as_u64() > Some(revision)
                    && proxy["types"]
                        .as_object()
                        .is_some_and(|types| !types.is_empty() && types.values().all(|status| status["live"] == true))
            };
            ensure!(proxies.iter().all(current), "{}", serde_json::to_string(&proxies)?);
            Ok(())
        })
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
