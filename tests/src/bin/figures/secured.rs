//! Figures of the secured port, with agents in another process that speak TLS: memory of streams, and what connecting and a storm of
//! requests cost against what their cryptography alone costs in the same run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bed::process::{Running, eventually};
use ca::{Authority, Lifetimes, Plugged};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tests::plane::folder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::agents::{NAMESPACE, Process, TOKEN, seconds};
use crate::memory::{reset_peak, status};
use crate::{Figure, PROXIES, certificates};

/// Each time is the least of so many.
const ROUNDS: usize = 5;

/// The control plane's program, with an authority, a service account that has a token, and no configuration.
pub(crate) struct Control {
    running: Running,
    pub(crate) address: SocketAddr,
    http: SocketAddr,
    pub(crate) ca: PathBuf,
}

impl Control {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = folder();
        let [config, ca, tokens] = ["config", "ca", "tokens"].map(|name| folder.join(name));
        std::fs::create_dir(&config)?;
        std::fs::write(&tokens, format!("{TOKEN} {NAMESPACE}/web\n"))?;
        let mut command = Command::new(program("meltemid")?);
        command.arg("--config-dir").arg(&config).arg("--ca-dir").arg(&ca).arg("--token-file").arg(&tokens);
        for address in ["--secure-address", "--xds-address", "--http-address"] {
            command.args([address, "127.0.0.1:0"]);
        }
        let log = folder.join("meltemid.log");
        let mut running = Running::start("meltemid", command.env("NO_COLOR", "1"), &log)?;
        let (address, http) = eventually("the control plane", Duration::from_secs(10), || {
            running.check()?;
            let text = std::fs::read_to_string(&log)?;
            let at = |name: &str| {
                let rest = text.split_once(&format!(" {name}=")).context("not listening yet")?.1;
                Ok::<SocketAddr, anyhow::Error>(rest.split_whitespace().next().context("half a line")?.parse()?)
            };
            let (address, http) = (at("secure")?, at("http")?);
            anyhow::ensure!(bed::http::get(http, "meltemid", "/ready", &[])?.status == 200, "not ready yet");
            Ok((address, http))
        })?;
        Ok(Self { running, address, http, ca })
    }

    fn memory(&self, key: &str) -> f64 {
        status(self.running.id(), key)
    }

    /// How many proxies are connected.
    fn connected(&self) -> anyhow::Result<usize> {
        let page = bed::http::get(self.http, "meltemid", "/debug/syncz", &[])?;
        Ok(serde_json::from_str::<Vec<serde_json::Value>>(&page.body)?.len())
    }
}

/// A program of this workspace, which stands beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.exists(), "there is no {}; `cargo xtask figures` builds it", path.display());
    Ok(path)
}

pub(crate) fn all() -> anyhow::Result<Vec<Figure>> {
    let control = Control::start()?;
    let (authority, roots) = authority(&control.ca)?;
    let arguments = [PROXIES.to_string(), identity(&authority, &roots)?];
    // First, while nothing is free that streams could use.
    let idle = control.memory("VmRSS");
    let mut holding = Process::start(&arguments)?;
    holding.ask(&format!("hold {}", control.address))?;
    anyhow::ensure!(control.connected()? == PROXIES, "not all streams are there");
    let per_stream = (control.memory("VmRSS") - idle) / PROXIES as f64;
    drop(holding);
    let mut figures = vec![Figure::at_most("idle stream by mutual TLS: KB", per_stream, 90.0)];
    figures.extend(ratios(&control, &Bare::start(&authority, &roots)?, &arguments)?);
    Ok(figures)
}

/// What is done against what its cryptography takes alone, in time of the processors, which does not depend on who else has them.
fn ratios(control: &Control, bare: &Bare, arguments: &[String]) -> anyhow::Result<[Figure; 3]> {
    let mut agents = Process::start(arguments)?;
    let (server, own) = (control.running.id(), std::process::id());
    let shaken = best(&mut agents, "shake", (bare.address, own))?;
    let answered = best(&mut agents, "answers", (control.address, server))?;
    let at_once = best(&mut agents, "shake-unknown", (bare.address, own))?;
    let before = control.memory("VmRSS");
    reset_peak(server)?;
    let storm = best(&mut agents, "storm", (control.address, server))?;
    let peak = (control.memory("VmHWM") - before) / 1024.0;
    let cryptography = PROXIES as f64 / certificates::floor()?;
    eprintln!(
        "{PROXIES} handshakes: {shaken}; with an answer: {answered}; handshakes all at once: {at_once}; with a certificate: {storm}, of \
         which verifying and signing {cryptography:.2} s"
    );
    let (connecting, storming) =
        (answered.processors / shaken.processors, storm.processors / (at_once.processors + cryptography));
    Ok([
        Figure::at_most("TLS connect with its first answer / bare handshake", connecting, 2.0),
        Figure::at_most("certificates for 1,000 agents at once / floor", storming, 2.0),
        Figure::at_most("certificates for 1,000 agents at once: MB more", peak, 96.0),
    ])
}

/// What something took.
struct Took {
    /// Of processors, by both sides, in seconds.
    processors: f64,
    /// On the clock, in seconds.
    clock: f64,
}

impl std::fmt::Display for Took {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{:.2} s of processors in {:.2} s", self.processors, self.clock)
    }
}

/// The least of what a command to the agents took them and the process that they speak to.
fn best(agents: &mut Process, command: &str, (address, server): (SocketAddr, u32)) -> anyhow::Result<Took> {
    let mut least = Took { processors: f64::INFINITY, clock: f64::INFINITY };
    for _ in 0..ROUNDS {
        let before = processors(server)? + processors(agents.id())?;
        let clock = seconds(&agents.ask(&format!("{command} {address}"))?)?;
        let used = processors(server)? + processors(agents.id())? - before;
        least = Took { processors: least.processors.min(used), clock: least.clock.min(clock) };
    }
    Ok(least)
}

/// The processors' time that a process has had, in seconds.
fn processors(process: u32) -> anyhow::Result<f64> {
    /// What the kernel counts in, whatever it runs at.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before the last parenthesis may hold anything; user and system time are the 12th and 13th value behind it.
    let behind = text.rsplit(')').next().context("no name")?;
    let ticks = behind.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}

/// The control plane's own authority once more, and its roots.
fn authority(folder: &Path) -> anyhow::Result<(Authority, String)> {
    let read = |name: &str| std::fs::read(folder.join(name));
    let (cert, key, root) = (read("ca-cert.pem")?, read("ca-key.pem")?, read("root-cert.pem")?);
    let files = Plugged { cert: &cert, key: &key, root: &root, chain: &[], crl: &[] };
    Ok((Authority::load(&files, certificates::now()?)?, String::from_utf8(root)?))
}

/// The agents' certificate, which they share, in a folder.
fn identity(authority: &Authority, roots: &str) -> anyhow::Result<String> {
    let key = rcgen::KeyPair::generate()?;
    let csr = rcgen::CertificateParams::new(vec![])?.serialize_request(&key)?.pem()?;
    let name = format!("spiffe://cluster.local/ns/{NAMESPACE}/sa/web");
    let issued = authority.issue(&csr, &name, 0, Lifetimes::default(), certificates::now()?)?;
    let chain = issued.chain[..issued.chain.len() - 1].concat();
    let folder = folder();
    for (file, text) in [("roots.pem", roots), ("chain.pem", &chain), ("key.pem", &key.serialize_pem())] {
        std::fs::write(folder.join(file), text)?;
    }
    Ok(folder.display().to_string())
}

/// A server that shakes hands as the control plane does, and nothing more.
struct Bare {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

impl Bare {
    fn start(authority: &Authority, roots: &str) -> anyhow::Result<Self> {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config(authority, roots)?));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(([127, 0, 0, 1], 0).into())?;
            socket.listen(4096)
        })?;
        let address = listener.local_addr()?;
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                #[expect(clippy::disallowed_methods, reason = "it ends with the runtime")]
                tokio::spawn(async move {
                    let _ = socket.set_nodelay(true);
                    if let Ok(mut stream) = acceptor.accept(socket).await {
                        let _ = stream.write_u8(0).await;
                        let _ = stream.flush().await;
                    }
                });
            }
        });
        Ok(Self { address, _runtime: runtime })
    }
}

/// A certificate of the same kind, for the same name, to clients that may have one too.
fn config(authority: &Authority, roots: &str) -> anyhow::Result<ServerConfig> {
    let names = ["istiod.istio-system.svc".to_owned()];
    let (issued, key) = authority.serve(&names, certificates::now()?)?;
    let chain = issued.chain[..issued.chain.len() - 1].concat();
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider.clone());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = config.with_client_cert_verifier(clients.allow_unauthenticated().build()?);
    let mut config = config.with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
