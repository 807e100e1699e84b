//! `meltemi validate`: refuses what the API server and the webhook would refuse.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use api::mesh::MeshConfig;
use api::{AnyObject, Issue, Mode, Severity, decode, yaml};
use clap::{Args, ValueEnum};
use names::Name;
use serde_json::{Value, json};

/// Checks configuration as the API server and the webhook would: unknown fields, wrong types and values, and Istio's rules.
///
/// Exit code 0 when valid (with or without warnings), 1 when not, 2 when the files cannot be read.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  meltemi validate -f mesh/\n  kubectl get virtualservices -A -o yaml | meltemi validate -f -"
)]
pub(crate) struct Validate {
    /// File or directory; `-` is standard input. May be given several times.
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE|DIR|-")]
    files: Vec<PathBuf>,
    /// How results are printed.
    #[arg(short, long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Validate {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut issues = Vec::new();
        let mut objects = 0;
        for (file, text) in self.texts()? {
            objects += check(&file, &text, &mut issues);
        }
        match self.output {
            Output::Json => println(&serde_json::to_string_pretty(&issues.iter().map(shown).collect::<Vec<_>>())?),
            Output::Text => {
                // Of what is merely worth knowing, fields without effect are shown: nothing is dropped silently.
                let shown = |issue: &&Issue| issue.severity > Severity::Info || issue.code.starts_with("MLT");
                issues.iter().filter(shown).for_each(|issue| eprintln!("{issue}"));
                let errors = issues.iter().filter(|issue| issue.severity == Severity::Error).count();
                let warnings = issues.iter().filter(|issue| issue.severity == Severity::Warning).count();
                println(&format!("{objects} objects valid, {errors} errors, {warnings} warnings"));
            }
        }
        let invalid = issues.iter().any(|issue| issue.severity == Severity::Error);
        Ok(ExitCode::from(u8::from(invalid)))
    }

    /// All files and their texts.
    fn texts(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut texts = Vec::new();
        for path in &self.files {
            if path.as_os_str() == "-" {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
                texts.push(("-".to_owned(), text));
            } else if path.is_dir() {
                folder(path, &mut texts)?;
            } else {
                texts.push((path.display().to_string(), read(path)?));
            }
        }
        Ok(texts)
    }
}

#[expect(clippy::print_stdout, reason = "results go to standard output")]
fn println(text: &str) {
    println!("{text}");
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn folder(path: &Path, texts: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        let yaml = path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        if path.is_dir() {
            folder(&path, texts)?;
        } else if yaml {
            texts.push((path.display().to_string(), read(&path)?));
        }
    }
    Ok(())
}

/// Checks one text; gives the number of valid objects.
fn check(file: &str, text: &str, issues: &mut Vec<Issue>) -> usize {
    let (documents, broken) = yaml::each_document(text, Some(&Name::from(file)));
    issues.extend(broken);
    let mut valid = 0;
    for document in &documents {
        let (objects, found) = decode(document, Mode::Strict);
        issues.extend(found);
        issues.extend(objects.iter().flat_map(|object| mesh_settings(document, object)));
        valid += objects.len();
    }
    valid
}

/// What is to be said of the mesh's settings, which are a text in ConfigMap `istio` (or `istio-REVISION`).
fn mesh_settings(document: &yaml::Document, object: &AnyObject) -> Vec<Issue> {
    let AnyObject::ConfigMap(map) = object else { return Vec::new() };
    let name = map.meta().name.as_str();
    let text = map.spec().data.get("mesh").filter(|_| name == "istio" || name.starts_with("istio-"));
    let found = text.map(|text| MeshConfig::from_yaml(text).1).unwrap_or_default();
    let told = |issue: Issue| {
        let line = issue.place.as_ref().map_or(1, |place| place.line);
        Issue {
            object: Some(object.id()),
            path: if issue.path.is_empty() { "data.mesh".to_owned() } else { format!("data.mesh.{}", issue.path) },
            message: format!("{} (line {line} of the text)", issue.message),
            place: document.place("data.mesh"),
            ..issue
        }
    };
    found.into_iter().map(told).collect()
}

fn shown(issue: &Issue) -> Value {
    let place = issue.place.as_ref();
    let object = issue.object.as_ref();
    json!({
        "file": place.and_then(|place| place.file.as_deref()),
        "kind": object.map(|object| object.kind.name()),
        "namespace": object.map(|object| object.namespace.as_str()),
        "name": object.map(|object| object.name.as_str()),
        "level": issue.severity.to_string(),
        "code": issue.code,
        "path": issue.path,
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "message": issue.message,
    })
}
