//! Runs the scale figures in a release build and shows them; the crate `tests` measures them, since it may import what is measured.

use std::process::Command;

use anyhow::Context;

/// Whether every figure holds, or is listed as known.
pub(crate) fn run(which: &[String]) -> anyhow::Result<bool> {
    // Control plane and agent are measured as the programs that they are, so they are there before it begins. What `bench` and `cost` need
    // comes with them: built apart, with other features, the control plane would be built twice.
    let packages = ["meltemid", "agent", "tests", "xdsload", "floor", "bench", "cost"];
    let programs = packages.iter().flat_map(|package| ["-p", package]).chain(["--bins"]);
    let build = ["build", "--quiet", "--locked", "--release"];
    let built = Command::new("cargo").args(build).args(programs).status().context("building the figures")?;
    if !built.success() {
        return Ok(false);
    }
    let run = ["run", "--quiet", "--locked", "--release", "-p", "tests", "--bin", "figures", "--"];
    Ok(Command::new("cargo").args(run).args(which).status().context("running the figures")?.success())
}
