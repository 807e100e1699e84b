//! `meltemi install`, `meltemi uninstall`, `meltemi manifest generate`: the control plane in a cluster, from the same settings.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use install::Values;
use kubernetes::{Cluster, Place, apply};
use serde_json::Value;

/// What an installation is to be.
#[derive(Args)]
pub(crate) struct Wanted {
    /// The profile to begin with: default, minimal, empty.
    #[arg(long, default_value = "default", value_name = "NAME")]
    profile: String,
    /// A setting, as path=value; may be given several times.
    #[arg(short, long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// File of settings: a mapping with the same paths. `-` is standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The revision, so that several control planes stand side by side.
    #[arg(short, long, value_name = "NAME")]
    revision: Option<String>,
}

/// Which cluster.
#[derive(Args)]
pub(crate) struct Where {
    /// The kubeconfig; `KUBECONFIG`, or the one in the home folder, without it.
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
}

/// Puts the control plane into a cluster, and waits until it works.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  meltemi install\n  meltemi install --set global.hub=registry.example/mesh --revision canary\n  meltemi install --dry-run"
)]
pub(crate) struct Install {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    at: Where,
    /// Ask the API server what it would say, and keep nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for it.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    readiness_timeout: u64,
    /// Ask nothing. It never does.
    #[arg(short = 'y', long, hide = true)]
    skip_confirmation: bool,
}

/// Takes the control plane out of a cluster: webhooks first. Definitions of kinds, users' objects, the namespace and the authority's Secrets stay.
#[derive(Args)]
#[command(after_help = "Examples:\n  meltemi uninstall\n  meltemi uninstall --revision canary")]
pub(crate) struct Uninstall {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    at: Where,
    /// Ask nothing. It never does.
    #[arg(short = 'y', long, hide = true)]
    skip_confirmation: bool,
}

/// Objects of an installation.
#[derive(Args)]
pub(crate) struct Manifest {
    #[command(subcommand)]
    command: ManifestCommand,
}

#[derive(Subcommand)]
enum ManifestCommand {
    /// Prints them as YAML, for `kubectl apply -f -`.
    Generate(Wanted),
}

impl Wanted {
    fn values(&self) -> anyhow::Result<Values> {
        let mut values = Values::profile(&self.profile)?;
        for file in &self.files {
            let shown = file.display();
            let text = match file.to_str() {
                Some("-") => std::io::read_to_string(std::io::stdin()),
                _ => std::fs::read_to_string(file),
            };
            let text = text.with_context(|| format!("reading {shown}"))?;
            let documents = api::yaml::documents(&text, Some(&names::Name::from(shown.to_string())));
            for document in documents.map_err(|issue| anyhow::anyhow!("{issue}"))? {
                values.merge(&document.value).with_context(|| shown.to_string())?;
            }
        }
        self.set.iter().try_for_each(|set| values.set(set))?;
        if let Some(revision) = &self.revision {
            values.set(&format!("revision={revision}"))?;
        }
        Ok(values)
    }
}

impl Where {
    async fn cluster(&self) -> anyhow::Result<Cluster> {
        let home = || std::env::home_dir().map(|home| home.join(".kube/config"));
        let file = self.kubeconfig.clone().or_else(home).context("there is no kubeconfig; give --kubeconfig")?;
        Cluster::at(&Place::File(file)).await
    }
}

/// Says what went wrong; 2 when it is the way we were called.
fn ended(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("meltemi: {error:#}");
            ExitCode::from(if error.downcast_ref::<install::Error>().is_some() { 2 } else { 1 })
        }
    }
}

fn run(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    ended(runtime.context("starting").and_then(|runtime| runtime.block_on(work)))
}

impl Manifest {
    pub(crate) fn run(&self) -> ExitCode {
        let ManifestCommand::Generate(wanted) = &self.command;
        ended(wanted.values().and_then(|values| {
            let text = install::yaml(&install::objects(&values))?;
            // Whoever reads may stop reading.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
            Ok(())
        }))
    }
}

impl Install {
    pub(crate) fn run(&self) -> ExitCode {
        run(self.install())
    }

    async fn install(&self) -> anyhow::Result<()> {
        let values = self.wanted.values()?;
        let objects = install::objects(&values);
        let cluster = self.at.cluster().await?;
        let limit = Duration::from_secs(self.readiness_timeout);
        let definition = |object: &&Value| object["kind"] == "CustomResourceDefinition";
        for object in &objects {
            apply::apply(&cluster, object, self.dry_run).await.with_context(|| self.hint(object, &values))?;
            eprintln!("{} {}", if self.dry_run { "would apply" } else { "applied" }, apply::shown(object));
        }
        if self.dry_run {
            return Ok(());
        }
        for object in objects.iter().filter(definition).chain(objects.iter().filter(|object| !definition(object))) {
            apply::settled(&cluster, object, limit).await.with_context(|| pull_hint(object, &values))?;
        }
        eprintln!(
            "Meltemi is there: label a namespace with istio-injection=enabled, and its new pods are part of the mesh"
        );
        Ok(())
    }

    /// What may help when an object is refused.
    fn hint(&self, object: &Value, values: &Values) -> String {
        match (self.dry_run, object["metadata"]["namespace"].as_str()) {
            // Nothing is kept, so what is in a new namespace has no place.
            (true, Some(namespace)) => format!("a trial needs the namespace: kubectl create namespace {namespace}"),
            _ => format!("installing revision {}", values.revision()),
        }
    }
}

/// What may help when a Deployment does not come.
fn pull_hint(object: &Value, values: &Values) -> String {
    let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    match image {
        "" => "waiting".to_owned(),
        image => format!(
            "can the cluster have the image {image}? Load it (kind load image-archive FILE, minikube image load FILE, k3s ctr images import FILE), \
             or push it and say where: --set global.hub=REGISTRY. kubectl -n {} get pods",
            values.namespace()
        ),
    }
}

impl Uninstall {
    pub(crate) fn run(&self) -> ExitCode {
        run(self.uninstall())
    }

    async fn uninstall(&self) -> anyhow::Result<()> {
        let values = self.wanted.values()?;
        let cluster = self.at.cluster().await?;
        let stays =
            |object: &&Value| !matches!(object["kind"].as_str(), Some("Namespace" | "CustomResourceDefinition"));
        let objects = install::objects(&values);
        // Webhooks first: without a control plane they would refuse.
        let hooks =
            |object: &&Value| object["kind"].as_str().is_some_and(|kind| kind.ends_with("WebhookConfiguration"));
        let (first, others): (Vec<&Value>, Vec<&Value>) = objects.iter().filter(stays).partition(hooks);
        for object in first.into_iter().chain(others.into_iter().rev()) {
            if apply::remove(&cluster, object).await? {
                eprintln!("removed {}", apply::shown(object));
            }
        }
        Ok(())
    }
}
