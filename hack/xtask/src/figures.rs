//! Runs the scale figures in a release build and shows them; the crate `tests` measures them, since it may import what is measured.

use std::process::Command;

use anyhow::Context;

/// Whether every figure holds, or is listed as known.
pub(crate) fn run() -> anyhow::Result<bool> {
    let built = Command::new("cargo")
        .args(["run", "--quiet", "--locked", "--release", "-p", "tests", "--bin", "figures"])
        .status();
    Ok(built.context("running the figures")?.success())
}
