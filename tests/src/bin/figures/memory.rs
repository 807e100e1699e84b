//! Memory of streams: idle ones, and a large push while some do not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use bed::process::eventually;
use proto::Encoded;
use tokio_util::sync::CancellationToken;
use xds::{Assignment, ConnectionId, Limits, Nack, Node, Publisher, Refusal, ResourceType, Server, Source, Variant};

use crate::{Figure, PROXIES, load};

/// Of the proxies, so many never read.
const FROZEN: u32 = 10;
/// Who was not reached by then, was missed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everybody sees the same views.
struct Everybody {
    publisher: Publisher,
    next: AtomicU64,
    lock: std::sync::Mutex<()>,
}

impl Source for Everybody {
    fn connect(&self, _: Node, _: Variant, _: &xds::Caller) -> Result<ConnectionId, Refusal> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let _one_writer = self.lock.lock().expect("no holder of this lock panics");
        let mut commit = self.publisher.commit();
        commit.assign(id, Assignment(vec![(ResourceType::Cds, [1].into()), (ResourceType::Lds, [2].into())]));
        commit.publish();
        Ok(id)
    }

    fn asked(&self, _: ConnectionId, _: ResourceType) {}

    fn disconnect(&self, _: ConnectionId) {}

    fn refused(&self, _: ConnectionId, _: &Nack) {}
}

/// A line of a process's status, in KB.
pub(crate) fn status(process: u32, key: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(f64::NAN)
}

/// Forgets the peak of a process's memory (`VmHWM`) so far.
pub(crate) fn reset_peak(process: u32) -> anyhow::Result<()> {
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").context("resetting the peak")
}

/// About 1 MB of clusters.
fn publish(publisher: &Publisher, round: u8) {
    let mut commit = publisher.commit();
    for number in 0..1000 {
        let cluster = proto::envoy::config::cluster::v3::Cluster {
            name: format!("cluster-{number}"),
            alt_stat_name: format!("{round}{}", "x".repeat(950)),
            ..Default::default()
        };
        commit.set(1, Encoded::new(&cluster.name, &cluster));
    }
    commit.publish();
}

pub(crate) fn all() -> anyhow::Result<Vec<Figure>> {
    let publisher = Publisher::new();
    let source = Everybody { publisher: publisher.clone(), next: AtomicU64::new(1), lock: std::sync::Mutex::default() };
    let server = Server::new(publisher.clone(), Arc::new(source), xds::Ordering::default(), Limits::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let serving = runtime.spawn(server.clone().serve(listener, stop.clone(), Duration::from_secs(1)));

    let own = std::process::id();
    let before = status(own, "VmRSS");
    let (reading, frozen) = (u32::try_from(PROXIES)? - FROZEN, FROZEN);
    let readers = load(address)?;
    readers.connect(reading, 0, "reader")?;
    let held = load(address)?;
    held.connect(frozen, reading, "frozen")?;
    let connected = || {
        let all = server.connections();
        let settled = |connection: &&xds::ConnectionStatus| {
            connection.types.len() == 2 && connection.types.iter().all(|(_, live)| *live)
        };
        anyhow::ensure!(all.len() == PROXIES, "{} are connected", all.len());
        Ok(all.iter().filter(settled).count())
    };
    eventually("all streams", Duration::from_secs(30), || connected().map(|_| ()))?;
    let idle = status(own, "VmRSS");
    let per_stream = (idle - before) / PROXIES as f64;

    // The readers answer their two first, empty responses; the frozen ones never do.
    eventually("the first answers", PATIENCE, || {
        let acks = readers.report()?.acks;
        anyhow::ensure!(acks >= 2 * u64::from(reading), "{acks} are acked");
        Ok(())
    })?;
    let settled = status(own, "VmRSS");
    reset_peak(own)?;
    readers.mark()?;
    publish(&publisher, 1);
    readers.touched(reading, PATIENCE)?;
    let peak = status(own, "VmHWM");
    let sent = server.counted().iter().map(|counted| counted.bytes).sum::<u64>();
    eprintln!(
        "{:.0} MB were pushed; {before:.0} KB before, {idle:.0} idle, {settled:.0} settled, {peak:.0} at the peak",
        sent as f64 / 1e6
    );
    stop.cancel();
    runtime.block_on(serving)?;
    Ok(vec![
        Figure::at_most("idle plaintext stream: KB", per_stream, 60.0),
        Figure::at_most("1 MB to 1,000 streams, 10 frozen: MB more", (peak - settled) / 1024.0, 16.0),
    ])
}
