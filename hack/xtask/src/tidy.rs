//! The shape of the house: which crate may import which, how long files and functions are, what each file begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// Which crates of the workspace a crate may import. A new edge is a decision: it gets a line here and a reason in the commit.
const IMPORTS: &[(&str, &[&str])] = &[
    ("names", &[]),
    ("proto", &[]),
    ("api", &["names"]),
    ("graph", &[]),
    ("model", &["names", "api", "graph"]),
    ("translate", &["names", "model", "graph", "proto"]),
    ("xds", &["names", "proto"]),
    ("files", &["names", "api"]),
    ("bed", &[]),
    ("meltemid", &["names", "api", "graph", "model", "translate", "xds", "files", "proto"]),
    ("cli", &["names", "api", "graph", "model", "translate", "files", "proto", "bed"]),
    ("tests", &["names", "api", "graph", "model", "translate", "xds", "files", "proto", "bed", "meltemid"]),
    ("xtask", &[]),
];

/// Crates without I/O, clock or runtime.
const PURE: &[&str] = &["names", "proto", "api", "graph", "model", "translate"];
/// What pure crates must not bring along.
const IMPURE: &[&str] = &["tokio", "hyper", "tonic", "mio", "notify"];

const FILE_LIMIT: usize = 500;
const FUNCTION_LIMIT: usize = 60;
const PARAMETER_LIMIT: usize = 5;

/// Files over the limit, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Checks everything; prints what is wrong.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut wrong = Vec::new();
    imports(&mut wrong)?;
    let listed =
        Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]).output()?;
    let mut files = 0;
    for path in String::from_utf8(listed.stdout)?.lines().map(PathBuf::from).filter(|path| path.exists()) {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        file(&path, &text, &mut wrong);
        files += 1;
    }
    cycles(&mut wrong)?;
    wrong.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("tidy: {files} files, {} complaints", wrong.len());
    Ok(wrong.is_empty())
}

fn imports(wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let output =
        Command::new("cargo").args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = IMPORTS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("Cargo.toml: crate {name} is not in the table IMPORTS of hack/xtask/src/tidy.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"].is_null() && ours.contains(on) && !allowed.contains(&on) {
                wrong.push(format!(
                    "{name}: imports {on}; if that is right, add it to IMPORTS in hack/xtask/src/tidy.rs"
                ));
            }
        }
    }
    for name in PURE {
        let output = Command::new("cargo")
            .args(["tree", "--offline", "-e", "normal", "--prefix", "none", "-p", name])
            .output()?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let dependency = line.split(' ').next().unwrap_or_default();
            if IMPURE.contains(&dependency) {
                wrong.push(format!("{name}: is pure and brings {dependency}"));
            }
        }
    }
    Ok(())
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.starts_with("tests")
}

fn file(path: &Path, text: &str, wrong: &mut Vec<String>) {
    let shown = path.display();
    let lines: Vec<&str> = text.lines().collect();
    if path.ends_with("mod.rs") {
        wrong.push(format!("{shown}: foo.rs beside foo/, never mod.rs"));
    }
    if !is_test(path) {
        if !text.starts_with("//!") {
            wrong.push(format!("{shown}:1: begins without saying what it is for (//!)"));
        }
        let allowed = LONG_FILES.iter().any(|(known, _)| path.ends_with(known));
        if lines.len() > FILE_LIMIT && !allowed {
            wrong.push(format!("{shown}: {} lines, at most {FILE_LIMIT}", lines.len()));
        }
        functions(path, &lines, wrong);
    }
    for (at, line) in lines.iter().enumerate() {
        let marks =
            [concat!("#[", "ignore"), concat!("to", "do!("), concat!("unimple", "mented!("), concat!("TO", "DO")];
        if marks.iter().any(|mark| line.contains(mark)) {
            wrong.push(format!("{shown}:{}: unfinished or ignored", at + 1));
        }
    }
}

/// Length and parameters of functions, by the indentation that rustfmt gives.
fn functions(path: &Path, lines: &[&str], wrong: &mut Vec<String>) {
    for (at, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let words: Vec<&str> = body.split(' ').take(5).collect();
        let heads = ["fn", "pub", "pub(crate)", "pub(super)", "const", "async", "pub(in"];
        let starts = words.first().is_some_and(|word| heads.contains(word)) && words.contains(&"fn");
        if !starts {
            continue;
        }
        let indent = &line[..line.len() - body.len()];
        let ends = [format!("{indent}}}"), format!("{indent};")];
        let length = match line.ends_with('}') || line.ends_with(';') {
            true => 1,
            false => lines[at..].iter().position(|line| ends.iter().any(|end| line == end)).map_or(1, |end| end + 1),
        };
        let shown = path.display();
        if length > FUNCTION_LIMIT {
            wrong.push(format!("{shown}:{}: a function of {length} lines, at most {FUNCTION_LIMIT}", at + 1));
        }
        let parameters = parameters(&lines[at..(at + length).min(lines.len())].join("\n"));
        if parameters > PARAMETER_LIMIT + 1 {
            wrong.push(format!("{shown}:{}: {parameters} parameters, at most {PARAMETER_LIMIT} and self", at + 1));
        }
    }
}

/// Commas between the outer parentheses of the first parameter list.
fn parameters(text: &str) -> usize {
    let Some(open) = text.find('(') else { return 0 };
    let (mut depth, mut count, mut seen) = (0i32, 0, false);
    for character in text[open..].chars() {
        match character {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth -= 1,
            ',' if depth == 1 => {
                count += usize::from(seen);
                seen = false;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        seen |= !character.is_whitespace() && character != '(';
    }
    count + usize::from(seen)
}

/// Top-level modules of a crate form no cycle.
fn cycles(wrong: &mut Vec<String>) -> anyhow::Result<()> {
    for (name, _) in IMPORTS {
        let source = PathBuf::from(format!("crates/{name}/src"));
        if !source.exists() {
            continue;
        }
        let edges = edges(&source)?;
        for start in edges.keys() {
            let mut path = vec![start.clone()];
            if let Some(cycle) = cycle_from(start, &edges, &mut path) {
                wrong.push(format!("{name}: modules form a cycle: {cycle}"));
                break;
            }
        }
    }
    Ok(())
}

fn cycle_from(start: &str, edges: &BTreeMap<String, BTreeSet<String>>, path: &mut Vec<String>) -> Option<String> {
    let last = path.last().cloned()?;
    for next in edges.get(&last).into_iter().flatten() {
        if next == start {
            return Some(format!("{} -> {start}", path.join(" -> ")));
        }
        if !path.contains(next) && path.len() < 12 {
            path.push(next.clone());
            if let Some(found) = cycle_from(start, edges, path) {
                return Some(found);
            }
            path.pop();
        }
    }
    None
}

/// Which top-level modules name which others as `crate::other`.
fn edges(source: &Path) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut texts = BTreeMap::<String, String>::new();
    for entry in std::fs::read_dir(source)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if name == "lib" || name == "main" {
            continue;
        }
        let text = texts.entry(name).or_default();
        collect(&path, text)?;
    }
    let names: Vec<String> = texts.keys().cloned().collect();
    let edges = texts.into_iter().map(|(name, text)| {
        let used = names.iter().filter(|other| **other != name && text.contains(&format!("crate::{other}::")));
        (name.clone(), used.cloned().collect())
    });
    Ok(edges.collect())
}

fn collect(path: &Path, text: &mut String) -> anyhow::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), text)?;
        }
    } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
        text.push_str(&std::fs::read_to_string(path)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
