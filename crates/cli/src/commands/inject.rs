//! `meltemi inject`: objects with a proxy beside the containers of their pods, by the code of the webhook.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use api::yaml;
use clap::Args;
use inject::{
    Injector, Inputs, Mesh, NativeSidecars, Outcome, Refused, Settings, Values, inject_object, native_sidecars,
};
use names::Name;

/// Puts a proxy beside the containers of pods, and of what makes pods; other objects stay as they are, byte for byte.
///
/// Settings that no file gives are those of a fresh installation; a file may be the ConfigMap or the text of its key. Nodes among the objects say whether the cluster keeps proxies as init
/// containers. Exit code 0 when done, 1 when something is refused (nothing is printed then), 2 when a file cannot be read.
#[derive(Args)]
#[command(
    visible_alias = "kube-inject",
    after_help = "Examples:\n  meltemi inject -f shop.yaml | kubectl apply -f -\n  kubectl get deployment web -o yaml | meltemi inject -f - \
                  --valuesFile values.json --meshConfigFile mesh.yaml"
)]
pub(crate) struct Inject {
    /// File of objects; `-` is standard input. May be given several times.
    #[arg(short = 'f', long = "filename", required = true, value_name = "FILE|-")]
    files: Vec<PathBuf>,
    /// Where to write instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Mesh settings: ConfigMap `istio`, key `mesh`.
    #[arg(long = "meshConfigFile", value_name = "FILE")]
    mesh: Option<PathBuf>,
    /// Settings of the injector: ConfigMap `istio-sidecar-injector`, key `config`; or a template.
    #[arg(long = "injectConfigFile", value_name = "FILE")]
    injector: Option<PathBuf>,
    /// Values of the chart: ConfigMap `istio-sidecar-injector`, key `values`.
    #[arg(long = "valuesFile", value_name = "FILE")]
    values: Option<PathBuf>,
    /// Revision of the control plane.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    revision: String,
    /// Namespace of objects that name none.
    #[arg(short, long, default_value = "", hide_default_value = true)]
    namespace: String,
    /// Whether proxies are init containers that stay: auto, true or false.
    #[arg(long, env = "ENABLE_NATIVE_SIDECARS", default_value = "auto", value_parser = NativeSidecars::parse)]
    native_sidecars: NativeSidecars,
    /// Version of the cluster's nodes, for `auto` without nodes among the objects; 1.33 and later keep proxies as init containers.
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// Of proxies.
    #[arg(long, env = "COMPLIANCE_POLICY", default_value = "", hide_default_value = true)]
    compliance_policy: String,
}

/// A part of a file with its document, if it has one.
struct Piece<'a> {
    part: yaml::Part<'a>,
    document: Option<yaml::Document>,
}

impl Inject {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let texts = self.files.iter().map(|path| Ok((name(path), read(path)?))).collect::<anyhow::Result<Vec<_>>>()?;
        let mut told = Told::default();
        let settings = self.settings(&mut told)?;
        let pieces: Vec<Vec<Piece<'_>>> =
            texts.iter().map(|(file, text)| pieces(text, &Name::from(file), &mut told)).collect();
        let mut out = String::new();
        if let Some(settings) = &settings {
            let inputs = Inputs {
                settings,
                namespace: &self.namespace,
                workload: None,
                native_sidecars: self.native(&pieces),
                proxy_configs: &[],
                environment: &BTreeMap::new(),
                openshift: None,
            };
            pieces.iter().flatten().for_each(|piece| written(piece, &inputs, &mut told, &mut out));
        }
        if told.refused {
            return Ok(ExitCode::from(1));
        }
        match &self.output {
            Some(path) => std::fs::write(path, out).with_context(|| format!("writing {}", path.display()))?,
            None => std::io::stdout().write_all(out.as_bytes()).context("writing standard output")?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What the files say, or nothing when one of them is wrong.
    fn settings(&self, told: &mut Told) -> anyhow::Result<Option<Settings>> {
        let revision = if self.revision == "default" { "" } else { &self.revision };
        let values = file(&self.values, "values", Values::from_yaml, told)?;
        let values = values.map(|values| values.of_revision(revision));
        let istiod = if revision.is_empty() { "istiod".to_owned() } else { format!("istiod-{revision}") };
        let mesh = match &self.mesh {
            Some(_) => file(&self.mesh, "mesh", Mesh::from_yaml, told)?,
            None => Some(Mesh::default().with_discovery(&format!("{istiod}.istio-system.svc:15012"))),
        };
        let injector = match (&self.injector, &values) {
            (Some(_), _) => file(&self.injector, "config", Injector::from_yaml, told)?,
            (None, Some(values)) => told.settings(self.values.as_deref(), "", Injector::from_values(values)),
            (None, None) => None,
        };
        let compliance_policy = self.compliance_policy.clone();
        // As istioctl: templates see the caller's environment.
        let variable =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let environment: BTreeMap<String, String> = std::env::vars_os().filter_map(variable).collect();
        let settings = |((mesh, values), injector)| Settings {
            mesh,
            values,
            injector,
            revision: revision.to_owned(),
            environment,
            compliance_policy,
        };
        Ok(mesh.zip(values).zip(injector).map(settings))
    }

    fn native(&self, pieces: &[Vec<Piece<'_>>]) -> bool {
        let documents: Vec<yaml::Document> =
            pieces.iter().flatten().filter_map(|piece| piece.document.clone()).collect();
        let mut nodes = inject::nodes(&documents);
        if let Some(version) = self.kubernetes_version.as_ref().filter(|_| nodes.is_empty()) {
            nodes.push((String::new(), version.clone()));
        }
        let nodes = nodes.iter().map(|(name, version)| (name.as_str(), version.as_str()));
        native_sidecars(self.native_sidecars, None, nodes)
    }
}

/// Settings of a file, or the defaults where there is none. A whole ConfigMap is taken too: its `key` holds them.
fn file<T: Default>(
    path: &Option<PathBuf>,
    key: &str,
    parse: fn(&str) -> Result<T, inject::Error>,
    told: &mut Told,
) -> anyhow::Result<Option<T>> {
    let Some(path) = path else { return Ok(Some(T::default())) };
    let text = read(path)?;
    let documents = yaml::documents(&text, None).unwrap_or_default();
    let map = documents.first().filter(|document| document.value["kind"] == "ConfigMap");
    let text = map.and_then(|map| map.value["data"][key].as_str()).unwrap_or(&text);
    Ok(told.settings(Some(path), text, parse(text)))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The parts of a text.
fn pieces<'a>(text: &'a str, file: &Name, told: &mut Told) -> Vec<Piece<'a>> {
    let parts = yaml::parts(text).into_iter();
    let read = parts.map(|part| {
        let documents = part.documents(Some(file));
        let document = documents.map_err(|issue| told.refuse(&issue.to_string())).ok();
        Piece { part, document: document.and_then(|documents| documents.into_iter().next()) }
    });
    read.collect()
}

/// Adds a part to what is written: as it was, unless a pod in it is injected.
fn written(piece: &Piece<'_>, inputs: &Inputs<'_>, told: &mut Told, out: &mut String) {
    let begins = piece.part.text.starts_with("---");
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    let Some(document) = &piece.document else {
        out.push_str(piece.part.text);
        return;
    };
    if !out.is_empty() && !begins {
        out.push_str("---\n");
    }
    let mut object = document.value.clone();
    let (outcomes, refused) = inject_object(&mut object, inputs);
    told.outcomes(document, &outcomes, &refused);
    if !outcomes.iter().any(|outcome| outcome.decision.inject) {
        out.push_str(piece.part.text);
        return;
    }
    out.push_str(if begins { "---\n" } else { "" });
    match inject::yaml(&object) {
        Some(text) => out.push_str(&text),
        None => told.refuse(&format!("{}: there are characters that YAML cannot have", shown(document, ""))),
    }
}

/// File, line and column of a field.
fn shown(document: &yaml::Document, path: &str) -> String {
    document.place(path).map(|place| place.to_string()).unwrap_or_default()
}

/// What was said on standard error, and whether something was refused.
#[derive(Default)]
struct Told {
    refused: bool,
}

impl Told {
    fn refuse(&mut self, text: &str) {
        self.refused = true;
        eprintln!("{text}");
    }

    /// Settings, or where they are wrong.
    fn settings<T>(&mut self, path: Option<&Path>, text: &str, read: Result<T, inject::Error>) -> Option<T> {
        let file = path.map(|path| Name::from(name(path)));
        match read {
            Ok(settings) => return Some(settings),
            Err(inject::Error::Settings { path, message, .. }) if !path.is_empty() => {
                let document = yaml::documents(text, file.as_ref()).ok().and_then(|all| all.into_iter().next());
                let place = document.map(|document| shown(&document, &path)).unwrap_or_default();
                self.refuse(&format!("{place}: {path}: {message}"));
            }
            Err(error) => {
                let file = file.map(|file| format!("{file}: ")).unwrap_or_default();
                self.refuse(&format!("{file}{error}"));
            }
        }
        None
    }

    fn outcomes(&mut self, document: &yaml::Document, outcomes: &[Outcome], refused: &[Refused]) {
        for outcome in outcomes {
            let place = shown(document, &outcome.path);
            if !outcome.decision.inject {
                eprintln!("{place}: {}: not injected: {}", outcome.whose, outcome.decision.reason);
            }
            outcome.warnings.iter().for_each(|warning| eprintln!("{place}: warning: {}: {warning}", outcome.whose));
        }
        for Refused { path, whose, error } in refused {
            for fault in error.faults() {
                let path = if path.is_empty() { fault.path.clone() } else { format!("{path}.{}", fault.path) };
                let snippet = document.place(&path).map(|place| place.snippet).unwrap_or_default();
                self.refuse(&format!("{}: {whose}: {path}: {}\n{snippet}", shown(document, &path), fault.message));
            }
            if error.faults().is_empty() {
                self.refuse(&format!("{}: {whose}: {error}", shown(document, path)));
            }
        }
    }
}
