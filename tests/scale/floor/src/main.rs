//! `floor`: sends bytes that were made beforehand to the streams of xDS clients, and waits for their acks. What this takes, no control plane
//! on this machine can undercut: it has HTTP/2, with TLS below it where
//! it is given certificates, and nothing above it.
//!
//! `streams.rs` has the connections, `tls.rs` what secures them, `wire.rs` the few bytes of gRPC and xDS that they need. It is told what to do by lines on its input, and
//! answers each with a line of JSON:
//!
//! - `push BYTES ROUNDS`: one response of that size to every stream; the next round when all have acked.
//! - `first BYTES`: so much is in the first answer of each stream from now on.
//! - `streams`: how many there are.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::streams::Hub;

mod streams;
mod tls;
mod wire;

/// Who has not acked by then, will not.
const PATIENCE: Duration = Duration::from_secs(60);

/// The least that sending takes: bare HTTP/2, bytes made beforehand.
#[derive(Parser)]
#[command(name = "floor")]
struct Settings {
    /// Where clients connect.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    tls: tls::Files,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let tls = tls::acceptor(&settings.tls)?;
    let listener = tokio::net::TcpListener::bind(settings.listen).await.context("listening")?;
    let (hub, address) = (Hub::new(), listener.local_addr()?);
    let told = told(hub.clone(), address);
    tokio::select! {
        ended = streams::serve(listener, tls, hub) => ended,
        ended = told => ended,
    }
}

/// Does what the lines say, until there are no more.
async fn told(hub: Hub, address: SocketAddr) -> anyhow::Result<()> {
    let mut out = tokio::io::stdout();
    let mut say = async |answer: Value| {
        out.write_all(format!("{answer}\n").as_bytes()).await?;
        out.flush().await
    };
    say(json!({ "listening": address })).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = obey(&hub, &line).await.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        say(answer).await?;
    }
    Ok(())
}

async fn obey(hub: &Hub, line: &str) -> anyhow::Result<Value> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["push", bytes, rounds] => push(hub, bytes.parse()?, rounds.parse()?).await,
        ["first", bytes] => {
            hub.first(bytes.parse()?);
            Ok(json!({}))
        }
        ["streams"] => Ok(json!({ "streams": hub.streams() })),
        _ => anyhow::bail!("{line:?} says nothing; there are push BYTES ROUNDS, first BYTES and streams"),
    }
}

/// Sends to all streams and waits for their acks, so many times.
async fn push(hub: &Hub, bytes: usize, rounds: usize) -> anyhow::Result<Value> {
    ensure!(hub.streams() > 0 && rounds > 0, "there is nobody to send to, or nothing to do");
    let (mut took, before, mut sent) = (Vec::new(), cpu()?, Duration::ZERO);
    for _ in 0..rounds {
        let started = Instant::now();
        sent = SystemTime::now().duration_since(UNIX_EPOCH)?;
        tokio::time::timeout(PATIENCE, hub.push(bytes)).await.context("waiting for acks")?;
        took.push(started.elapsed().as_micros());
    }
    let each = (cpu()? - before).as_micros() as f64 / (rounds * hub.streams()) as f64;
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    Ok(json!({
        "streams": hub.streams(), "bytes": bytes, "rounds": rounds, "sent_ns": u64::try_from(sent.as_nanos())?,
        "last_ack_us": { "p50": at(50), "p99": at(99), "max": at(100) }, "cpu_us_per_stream": each,
    }))
}

/// What this process has used of the processors.
fn cpu() -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").context("reading what was used")?;
    // Behind the name, which may hold anything, utime and stime are the 12th and 13th; Linux counts them in 1/100 s.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
