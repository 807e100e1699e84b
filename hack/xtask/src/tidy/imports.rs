//! Which crate of the workspace may import which, and what pure crates keep away. Asks cargo; knows nothing of sources.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// Which crates of the workspace a crate may import. A new edge is a decision: it gets a line here and a reason in the commit.
const IMPORTS: &[(&str, &[&str])] = &[
    ("names", &[]),
    ("proto", &[]),
    ("api", &["names"]),
    ("graph", &[]),
    ("model", &["names", "api", "graph"]),
    ("translate", &["names", "model", "graph", "proto", "ca"]),
    ("xds", &["names", "proto"]),
    ("files", &["names", "api"]),
    ("kubernetes", &["names", "api", "ca"]),
    ("inject", &["names", "api"]),
    ("install", &[]),
    ("analyze", &["names", "api", "model"]),
    ("ca", &[]),
    ("agent", &["api", "ca", "proto", "xds"]),
    ("bed", &[]),
    (
        "meltemid",
        &[
            "names",
            "api",
            "graph",
            "model",
            "translate",
            "xds",
            "files",
            "kubernetes",
            "inject",
            "analyze",
            "ca",
            "proto",
        ],
    ),
    (
        "cli",
        &[
            "names",
            "api",
            "graph",
            "model",
            "translate",
            "files",
            "kubernetes",
            "inject",
            "install",
            "ca",
            "proto",
            "bed",
        ],
    ),
    (
        "tests",
        &[
            "names",
            "api",
            "graph",
            "model",
            "translate",
            "xds",
            "files",
            "install",
            "ca",
            "proto",
            "bed",
            "meltemid",
            "bench",
        ],
    ),
    ("xdsload", &[]),
    ("bench", &["bed"]),
    ("cost", &["names", "api", "graph", "model", "translate", "xds", "files", "meltemid", "bench"]),
    ("floor", &[]),
    ("xtask", &["api", "install"]),
];
const THIS_FILE: &str = "hack/xtask/src/tidy/imports.rs";

/// Crates without I/O, clock or runtime.
const PURE: &[&str] = &["names", "proto", "api", "graph", "model", "translate", "inject", "install", "analyze"];
/// What pure crates must not bring along.
const IMPURE: &[&str] = &["tokio", "hyper", "tonic", "mio", "socket2", "notify", "kube"];

/// What is wrong with the imports of the workspace.
pub(super) fn check() -> anyhow::Result<Vec<String>> {
    let metadata = super::output_of("cargo", &["metadata", "--format-version", "1", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut wrong = edges(packages, IMPORTS);
    for name in PURE {
        // Each alone: what the workspace switches on together hides what one crate brings.
        let tree = ["tree", "--locked", "-e", "normal", "--prefix", "none", "-p", name];
        wrong.extend(brought(name, &super::output_of("cargo", &tree)?));
    }
    wrong.extend(lints(|path| std::fs::read_to_string(path).with_context(|| format!("reading {path}")))?);
    Ok(wrong)
}

/// Imports that the table does not have, and crates that it does not know.
fn edges(packages: &[Value], table: &[(&str, &[&str])]) -> Vec<String> {
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let gone = table.iter().filter(|(name, _)| !ours.contains(name));
    let mut wrong: Vec<String> =
        gone.map(|(name, _)| format!("{THIS_FILE}:{}: there is no crate {name}", line_of(name))).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let shown = std::env::current_dir()
            .ok()
            .and_then(|root| Some(Path::new(manifest).strip_prefix(root).ok()?.display().to_string()));
        let shown = shown.unwrap_or_else(|| manifest.to_owned());
        let Some((_, allowed)) = table.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{shown}:1: crate {name} is not in the table of {THIS_FILE}"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"] != "dev" && ours.contains(on) && !allowed.contains(&on) {
                let place = format!("{THIS_FILE}:{}", line_of(name));
                wrong.push(format!("{shown}:1: {name} imports {on}; if that is meant, {place} is the line to change"));
            }
        }
    }
    wrong
}

/// Where a crate stands in the table.
fn line_of(name: &str) -> usize {
    let row = format!("    (\"{name}\", ");
    include_str!("imports.rs").lines().position(|line| line.starts_with(&row)).map_or(1, |at| at + 1)
}

/// What a pure crate must not have in its tree.
fn brought(name: &str, tree: &str) -> Vec<String> {
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let found = IMPURE.iter().filter(|impure| found.contains(**impure));
    found.map(|impure| format!("crates/{name}/Cargo.toml:1: {name} is pure and brings {impure}")).collect()
}

/// Pure crates share one text of lints (a crate's own clippy.toml replaces the root's); one may add to it.
fn lints(read: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<Vec<String>> {
    let shared = read("crates/names/clippy.toml")?;
    let mut wrong = Vec::new();
    for name in PURE {
        let path = format!("crates/{name}/clippy.toml");
        let own = read(&path)?;
        let has = |line: &&str| own.lines().any(|own| own == *line);
        let missing = shared.lines().filter(|line| !has(line));
        wrong.extend(missing.map(|line| format!("{path}:1: lacks `{}`", line.trim())));
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests;
