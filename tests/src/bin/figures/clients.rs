//! The other process: many clients, told by lines on standard input what to do.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tests::client::{Client, sidecar};
use tokio::task::JoinSet;

use crate::NAMESPACES;

/// What one client did.
type Done = anyhow::Result<Client>;

/// Serves commands: `connect`, `reconnect`, `hold` (connect without reading) and `step`; each is answered by a line of JSON.
pub(crate) fn run(arguments: &[String]) {
    let address: SocketAddr = arguments[0].parse().expect("an address");
    let count: usize = arguments[1].parse().expect("a number");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let mut clients = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap_or_default();
        let ended = runtime.block_on(async {
            match line.as_str() {
                "connect" => clients = together(count, move |number| fresh(address, number, Vec::new())).await?,
                "reconnect" => clients = reconnect(address, std::mem::take(&mut clients)).await?,
                "hold" => clients = together(count, move |number| held(address, number)).await?,
                "step" => clients = stepped(std::mem::take(&mut clients)).await?,
                other => anyhow::bail!("no command {other:?}"),
            }
            Ok::<_, anyhow::Error>(())
        });
        let answer = match ended {
            Ok(()) => json!({
                "received": clients.iter().map(|client: &Client| client.received).sum::<u64>(),
                "bytes": clients.iter().map(|client| client.bytes).sum::<u64>(),
                "most": clients.iter().map(|client| client.bytes).max(),
            }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        println!("{answer}");
        std::io::stdout().flush().expect("the other side listens");
        clients.iter_mut().for_each(|client| (client.received, client.bytes) = (0, 0));
    }
}

async fn together<F, R>(count: usize, make: F) -> anyhow::Result<Vec<Client>>
where
    F: Fn(usize) -> R,
    R: Future<Output = Done> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut clients = Vec::new();
    for number in 0..count {
        if running.len() >= 64 {
            clients.extend(running.join_next().await.context("a client")??);
        }
        running.spawn(make(number));
    }
    while let Some(ended) = running.join_next().await {
        clients.push(ended??);
    }
    Ok(clients)
}

async fn fresh(address: SocketAddr, number: usize, _: Vec<u8>) -> Done {
    let mut client =
        Client::connect(address, sidecar(number, &format!("ns-{}", number % NAMESPACES)), Default::default()).await?;
    tokio::time::timeout(Duration::from_secs(120), client.settle_all()).await.context("waiting for everything")??;
    Ok(client)
}

/// Connects, and reads nothing but the answer's head.
async fn held(address: SocketAddr, number: usize) -> Done {
    Client::connect(address, sidecar(number, &format!("ns-{}", number % NAMESPACES)), Default::default()).await
}

/// All leave, and come back with what they have.
async fn reconnect(address: SocketAddr, clients: Vec<Client>) -> anyhow::Result<Vec<Client>> {
    let has: Vec<_> = clients.into_iter().map(|client| (client.me, client.has)).collect();
    let mut running = JoinSet::new();
    for (node, has) in has {
        running.spawn(async move {
            let types = has.values().filter(|names| !names.is_empty()).count();
            let mut client = Client::connect(address, node, has).await?;
            for _ in 0..types {
                tokio::time::timeout(Duration::from_secs(60), client.step())
                    .await
                    .context("waiting for an answer")??;
            }
            Ok(client)
        });
    }
    let ended: Vec<Done> = running.join_all().await;
    ended.into_iter().collect()
}

/// Each takes one response.
async fn stepped(clients: Vec<Client>) -> anyhow::Result<Vec<Client>> {
    let mut running = JoinSet::new();
    for mut client in clients {
        running.spawn(async move {
            tokio::time::timeout(Duration::from_secs(60), client.step()).await.context("waiting for a response")??;
            Ok(client)
        });
    }
    let ended: Vec<Done> = running.join_all().await;
    ended.into_iter().collect()
}

/// The handle on the other process.
pub(crate) struct Clients {
    child: Child,
    input: ChildStdin,
    output: std::io::BufReader<ChildStdout>,
}

impl Clients {
    /// Starts this program once more, as another one of its parts.
    pub(crate) fn start(part: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(part).args(arguments);
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

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
