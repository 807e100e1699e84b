//! `meltemid`: settings, logging, signals.

use std::io::IsTerminal;

use anyhow::Context;
use clap::Parser;
use meltemid::{App, Settings};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (settings, unused) = meltemid::arguments(std::env::args());
    let settings = Settings::parse_from(settings);
    let filter =
        tracing_subscriber::EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    tracing::info!(?settings, "meltemid {}", env!("CARGO_PKG_VERSION"));
    for flag in unused {
        tracing::warn!("{flag} has no effect here");
    }
    let app = App::bind(settings).await?;
    let secure = app.secure_address()?.map(tracing::field::display);
    let webhooks = app.webhook_address()?.map(tracing::field::display);
    tracing::info!(xds = %app.xds_address()?, http = %app.http_address()?, secure, webhooks, "listening");
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let told = stop.clone();
    let signals = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("shutting down");
        told.cancel();
    };
    let running = app.run(stop);
    tokio::pin!(running);
    tokio::select! {
        () = running.as_mut() => anyhow::bail!("a task ended without which nothing works"),
        () = signals => {}
    }
    running.await;
    Ok(())
}
