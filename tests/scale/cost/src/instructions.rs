//! Instructions of each part, by running this program once more under callgrind, which counts inside of one function only and writes a
//! file each time that it returns.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use bench::programs::Ground;

/// The function. In whole: where two flags name it by a pattern, callgrind obeys one of them only.
const WATCHED: &str = "cost::plane::watched_by_callgrind";

/// How many instructions each of so many parts took; nothing where there is no valgrind, unless everything is required.
pub(crate) fn count(parts: usize) -> anyhow::Result<Option<Vec<u64>>> {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if found.is_err() {
        let required = std::env::vars().any(|(name, value)| name == "MELTEMI_REQUIRE_ALL" && value == "1");
        ensure!(!required, "instructions: there is no valgrind");
        eprintln!("SKIP instructions: there is no valgrind");
        return Ok(None);
    }
    let ground = Ground::new()?;
    let out = ground.folder("callgrind")?.join("out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--collect-atstart=no"]);
    command.arg(format!("--toggle-collect={WATCHED}")).arg(format!("--dump-after={WATCHED}"));
    command.arg(format!("--callgrind-out-file={}", out.display()));
    // With the same settings, beside one that says how.
    command.arg(std::env::current_exe()?).arg("--bare").args(std::env::args().skip(1));
    let ran = command.stdout(Stdio::null()).status().context("running valgrind")?;
    ensure!(ran.success(), "valgrind ended with {ran}");
    (1..=parts).map(|part| of(&out.with_extension(part.to_string()))).collect::<anyhow::Result<_>>().map(Some)
}

/// What a file of callgrind's has in all.
fn of(path: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let Some(said) = text.lines().find_map(|line| line.strip_prefix("summary: ")) else {
        bail!("{} has no sum", path.display())
    };
    let sum = said.trim().parse().with_context(|| format!("{said} is no number of instructions"))?;
    ensure!(sum > 0, "{} counts nothing: callgrind does not find {WATCHED}", path.display());
    Ok(sum)
}
