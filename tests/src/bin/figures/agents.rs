//! The other process where clients speak TLS: many agents, told by lines on standard input what to do.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use proto::istio::v1::auth::IstioCertificateRequest;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tests::client::{Client, sidecar};
use tests::secured::{Secured, config, handshake};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

/// The namespace that the agents are of.
pub(crate) const NAMESPACE: &str = "shop";
/// What agents without a certificate show.
pub(crate) const TOKEN: &str = "token-of-the-figures-0123";

/// Who the agents are.
#[derive(Clone)]
struct Agents {
    count: usize,
    /// With a certificate, and without.
    known: Arc<ClientConfig>,
    unknown: Arc<ClientConfig>,
    /// Made beforehand: on a real machine each makes its own.
    csr: String,
}

/// Serves commands: `hold ADDRESS` (streams with everything, which stay), `answers ADDRESS` (up to the first answer), `shake ADDRESS` and
/// `shake-unknown ADDRESS` (handshakes alone), `storm ADDRESS` (certificates). Each is answered by how many seconds it took.
pub(crate) fn run(arguments: &[String]) {
    let agents = Agents::read(arguments).expect("a number and a folder with roots.pem, chain.pem and key.pem");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut held = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap_or_default();
        let answer = match runtime.block_on(agents.obey(&line, &mut held)) {
            Ok(took) => json!({ "seconds": took.as_secs_f64() }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        println!("{answer}");
        std::io::stdout().flush().expect("the other side listens");
    }
}

/// How long a command took, as the other process says.
pub(crate) fn seconds(answer: &Value) -> anyhow::Result<f64> {
    answer["seconds"].as_f64().context("a time")
}

impl Agents {
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let [count, folder] = arguments else { anyhow::bail!("not two arguments") };
        let [roots, chain, key] =
            ["roots.pem", "chain.pem", "key.pem"].map(|name| std::fs::read_to_string(Path::new(folder).join(name)));
        let roots = roots?;
        let csr = rcgen::CertificateParams::new(vec![])?.serialize_request(&rcgen::KeyPair::generate()?)?.pem()?;
        let (known, unknown) = (config(&roots, Some(&(chain?, key?)))?, config(&roots, None)?);
        Ok(Self { count: count.parse()?, known, unknown, csr })
    }

    async fn obey(&self, line: &str, held: &mut Vec<Client>) -> anyhow::Result<Duration> {
        let (command, address) = line.split_once(' ').context("a command and an address")?;
        let address: SocketAddr = address.parse()?;
        let started = Instant::now();
        let (agents, all) = (self.clone(), self.count);
        match command {
            "hold" => *held = each(all, 64, move |number| agents.clone().settled(address, number)).await?,
            "answers" => drop(each(all, 64, move |number| agents.clone().answered(address, number)).await?),
            "shake" => drop(each(all, 64, move |_| shaken(address, agents.known.clone())).await?),
            "shake-unknown" => drop(each(all, all, move |_| shaken(address, agents.unknown.clone())).await?),
            "storm" => drop(each(all, all, move |_| agents.clone().certified(address)).await?),
            other => anyhow::bail!("no command {other:?}"),
        }
        Ok(started.elapsed())
    }

    async fn stream(self, address: SocketAddr, number: usize) -> anyhow::Result<Client> {
        let io = handshake(address, self.known).await?;
        let mut client = Client::over(io, sidecar(number, NAMESPACE), Default::default()).await?;
        client.begin().await?;
        Ok(client)
    }

    async fn answered(self, address: SocketAddr, number: usize) -> anyhow::Result<()> {
        self.stream(address, number).await?.next().await?;
        Ok(())
    }

    async fn settled(self, address: SocketAddr, number: usize) -> anyhow::Result<Client> {
        let mut client = self.stream(address, number).await?;
        client.settle_all().await?;
        Ok(client)
    }

    async fn certified(self, address: SocketAddr) -> anyhow::Result<()> {
        let mut client = Secured::over(handshake(address, self.unknown).await?).await?.with_token(TOKEN);
        let request = IstioCertificateRequest { csr: self.csr, ..IstioCertificateRequest::default() };
        client.certificate(&request).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        Ok(())
    }
}

/// A handshake that both sides have finished: the other one says so by a byte.
async fn shaken(address: SocketAddr, config: Arc<ClientConfig>) -> anyhow::Result<()> {
    handshake(address, config).await?.read_u8().await?;
    Ok(())
}

/// Everyone, so many at a time.
async fn each<T: Send + 'static, R>(all: usize, at_a_time: usize, make: impl Fn(usize) -> R) -> anyhow::Result<Vec<T>>
where
    R: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    let (mut running, mut done) = (JoinSet::new(), Vec::new());
    for number in 0..all {
        if running.len() >= at_a_time {
            done.push(running.join_next().await.context("an agent")???);
        }
        let making = make(number);
        running.spawn(async move { tokio::time::timeout(Duration::from_secs(60), making).await? });
    }
    while let Some(ended) = running.join_next().await {
        done.push(ended??);
    }
    Ok(done)
}

/// The handle on the other process.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: std::io::BufReader<ChildStdout>,
}

impl Process {
    /// Starts this program once more, as agents.
    pub(crate) fn start(arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("agents").args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().context("no input")?;
        let output = std::io::BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, input, output })
    }

    /// The other process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says a command and waits for its answer.
    pub(crate) fn ask(&mut self, command: &str) -> anyhow::Result<Value> {
        writeln!(self.input, "{command}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("{command}: {line:?}"))?;
        match answer.get("error") {
            Some(error) => anyhow::bail!("{command}: {error}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
