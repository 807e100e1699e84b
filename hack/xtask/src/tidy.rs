//! The shape of the house. What is read comes from git, cargo and the sources; what is wrong goes to stderr as `file:line: what`.
//!
//! Each part gets text and gives complaints, so that it can be shown to complain. A part that cannot see what it judges is an error: silence
//! never means "not looked".

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

mod imports;
mod modules;
mod sources;
mod tokens;

/// Checks everything; prints what is wrong.
pub(crate) fn run() -> anyhow::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(&root).with_context(|| format!("going to {}", root.display()))?;
    let mut wrong = imports::check()?;
    let sources = sources()?;
    for (path, text) in &sources {
        wrong.extend(sources::check(path, text));
    }
    let crates = modules::crates(&sources);
    if sources.is_empty() || crates.is_empty() {
        bail!("there is nothing to check in {}", root.display());
    }
    for (source, files) in &crates {
        wrong.extend(modules::check(source, files, modules::TIES));
    }
    wrong.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("tidy: {} files, {} complaints", sources.len(), wrong.len());
    Ok(wrong.is_empty())
}

/// All sources that git knows, or would take, with their text.
fn sources() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let listed = output_of("git", &["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])?;
    let paths = listed.lines().map(PathBuf::from).filter(|path| path.exists());
    let read = paths.map(|path| {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok((path, text))
    });
    read.collect()
}

/// What a command prints, or why it failed.
fn output_of(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let ran = Command::new(program).args(arguments).output().with_context(|| format!("running {program}"))?;
    if !ran.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&ran.stderr).trim());
    }
    String::from_utf8(ran.stdout).with_context(|| format!("reading what {program} says"))
}
