//! The commands, one file each. They alone look at the machine.

use std::process::ExitCode;

use anyhow::Context;

pub(crate) mod bootstrap;
mod host;
mod level;
mod names;
pub(crate) mod pilot;
pub(crate) mod proxy;
pub(crate) mod redirect;
pub(crate) mod request;
mod validation;
pub(crate) mod wait;

/// The exit code of a command; what went wrong is told.
pub(crate) fn ended(ended: anyhow::Result<()>) -> ExitCode {
    ended.map_or_else(
        |error| {
            eprintln!("meltemi-agent: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Does something that waits.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(work)
}

#[expect(clippy::print_stdout, reason = "results go to standard output")]
pub(crate) fn print(text: &str) {
    print!("{text}");
}
