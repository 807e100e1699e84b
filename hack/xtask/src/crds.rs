//! `crds/`: what the API server is told of Istio's kinds, one file each, made of the table of kinds and its types. With `--check` nothing
//! is written, and what differs is told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use api::Kind;
use serde_json::Value;

mod definition;
mod structural;

/// Where the files are.
const FOLDER: &str = "crds";
const HEADER: &str = "# Made of the types in crates/api by `cargo xtask crds`.\n";

/// Writes the files, or says which differ.
pub(crate) fn run(options: &[String]) -> anyhow::Result<bool> {
    let check = match options {
        [] => false,
        [option] if option == "--check" => true,
        other => bail!("crds knows no option but --check, and not {other:?}"),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FOLDER);
    let (wanted, found) = (wanted()?, found(&folder)?);
    if check {
        let stale = differences(&wanted, &found);
        stale.iter().for_each(|name| eprintln!("{FOLDER}/{name}:1: differs from the types; run cargo xtask crds"));
        return Ok(stale.is_empty());
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        std::fs::remove_file(folder.join(name)).with_context(|| format!("removing {name}"))?;
    }
    for (name, text) in &wanted {
        std::fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
    }
    eprintln!("crds: {} files", wanted.len());
    Ok(true)
}

/// The definitions of all kinds that the API server does not know by itself.
fn definitions() -> anyhow::Result<Vec<Value>> {
    let ours = Kind::ALL.iter().filter_map(|kind| Some((*kind, kind.definition()?)));
    ours.map(|(kind, defined)| definition::of(kind, &defined).with_context(|| format!("kind {kind}"))).collect()
}

/// The files as they are to be, by name.
fn wanted() -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for definition in definitions()? {
        let name = definition["metadata"]["name"].as_str().context("a definition has a name")?;
        let text = serde_saphyr::to_string(&definition).with_context(|| format!("writing {name} as YAML"))?;
        files.insert(format!("{name}.yaml"), format!("{HEADER}{text}"));
    }
    Ok(files)
}

/// The files that are there, by name.
fn found(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if !folder.exists() {
        return Ok(files);
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?);
    }
    Ok(files)
}

/// The names of files that are missing, too many, or other than wanted.
fn differences<'f>(wanted: &'f BTreeMap<String, String>, found: &'f BTreeMap<String, String>) -> Vec<&'f str> {
    let stale = wanted.iter().filter(|(name, text)| found.get(*name) != Some(text)).map(|(name, _)| name.as_str());
    let extra = found.keys().filter(|name| !wanted.contains_key(*name)).map(String::as_str);
    stale.chain(extra).collect()
}

#[cfg(test)]
mod tests;
