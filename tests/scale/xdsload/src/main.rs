//! The program: says where it is told what to do, and ends when it is told, or asked by a signal.

use std::io::Write;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use xdsload::{Load, Settings};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::parse();
    let stop = CancellationToken::new();
    let load = Load::bind(settings, stop.clone()).await?;
    writeln!(std::io::stdout(), "{}", serde_json::json!({ "control": load.control()?.to_string() }))?;
    let mut asked = signal(SignalKind::terminate())?;
    let running = load.run();
    tokio::pin!(running);
    tokio::select! {
        ended = running.as_mut() => return ended,
        _ = asked.recv() => stop.cancel(),
    }
    running.await
}
