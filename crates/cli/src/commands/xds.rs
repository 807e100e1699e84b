//! `meltemi xds`: what a proxy would be sent, computed by the same code as in the control plane.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use api::Mode;
use clap::{Args, ValueEnum};
use graph::Inline;
use model::Mesh;
use model::endpoints::Locality;
use model::mesh::Edit;
use model::proxies::{NodeFacts, SecretAccess};
use model::settings::Base;
use names::Name;
use serde_json::{Map, Value, json};
use translate::proxies::{Configs, Type};
use translate::resources::Resources;
use translate::views::Views;

/// Prints what the control plane would send to a proxy.
#[derive(Args)]
#[command(after_help = "Example:\n  meltemi xds --config mesh/ --node node.json --type lds,rds")]
pub(crate) struct Xds {
    /// Directory or file of configuration; may be given several times.
    #[arg(long, required = true, value_name = "DIR|FILE")]
    config: Vec<PathBuf>,
    /// Envoy's node message as JSON: id `type~ip~pod.namespace~domain`, metadata.
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
    /// Which types, of lds, cds, rds, eds, sds, ecds; all without.
    #[arg(long = "type", value_delimiter = ',', value_name = "TYPES")]
    types: Vec<String>,
    /// How resources are printed.
    #[arg(short, long, default_value = "json")]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Json,
    Yaml,
}

/// Connections are numbered; this is the only one.
const PROXY: u64 = 1;

impl Xds {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let changes = files::load(&self.config, Mode::Lenient)?;
        changes
            .issues
            .iter()
            .filter(|issue| issue.severity > api::Severity::Info)
            .for_each(|issue| eprintln!("{issue}"));
        let mut mesh = Mesh::new(translate::schema(), Base::new());
        let mut edit = Edit::default();
        changes.upserts.into_iter().for_each(|object| mesh.upsert(object, &mut edit));
        edit.connect(PROXY, self.proxy()?);
        edit.txn().demand::<Configs>(PROXY);
        mesh.commit(edit, &Inline);
        mesh.left_out().for_each(|(object, why)| eprintln!("{object}: {why}"));
        if let Some(fault) = mesh.db().faults().next() {
            anyhow::bail!("computing {} {}: {}", fault.table, fault.key, fault.message);
        }
        mesh.db().notes().iter().for_each(|note| eprintln!("{}: {}", note.about, note.message));
        self.print(&self.resources(&mesh))?;
        Ok(ExitCode::SUCCESS)
    }

    fn proxy(&self) -> anyhow::Result<model::proxies::Proxy> {
        let path = self.node.display();
        let text = std::fs::read_to_string(&self.node).with_context(|| format!("reading {path}"))?;
        let value: Value = serde_json::from_str(&text).with_context(|| format!("{path} is not JSON"))?;
        facts(&value).proxy().map_err(|why| anyhow::anyhow!("{path}: {why}"))
    }

    fn resources(&self, mesh: &Mesh) -> Map<String, Value> {
        let mut all: Map<String, Value> = ["listeners", "clusters", "routes", "endpoints", "secrets", "extensions"]
            .map(|key| (key.to_owned(), json!([])))
            .into_iter()
            .collect();
        let db = mesh.db();
        for (of, keys) in db.row::<Configs>(&PROXY).iter().flat_map(|config| config.views.clone()) {
            let (key, short) = match of {
                Type::Lds => ("listeners", "lds"),
                Type::Cds => ("clusters", "cds"),
                Type::Rds => ("routes", "rds"),
                Type::Eds => ("endpoints", "eds"),
                Type::Sds => ("secrets", "sds"),
                Type::Vhds | Type::Nds | Type::Pcds => continue,
            };
            if !self.types.is_empty() && !self.types.iter().any(|wanted| wanted == short) {
                continue;
            }
            let views = keys.iter().filter_map(|key| db.row::<Views>(key));
            let resources =
                views.flat_map(|view| view.entries.clone()).filter_map(|(_, key)| db.row::<Resources>(&key));
            let shown: Vec<Value> = resources.map(|encoded| proto::to_json(&encoded.any())).collect();
            all.insert(key.to_owned(), Value::Array(shown));
        }
        all
    }

    #[expect(clippy::print_stdout, reason = "results go to standard output")]
    fn print(&self, resources: &Map<String, Value>) -> anyhow::Result<()> {
        match self.output {
            Output::Json => println!("{}", serde_json::to_string_pretty(resources)?),
            // JSON is YAML; block style only where it helps to read.
            Output::Yaml => {
                for (key, list) in resources {
                    println!("{key}:");
                    for resource in list.as_array().into_iter().flatten() {
                        println!("- {}", serde_json::to_string(resource)?);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What the mesh wants to know of a node in JSON. Route tables are asked for whole, however they travel.
fn facts(node: &Value) -> NodeFacts {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let empty = Map::new();
    let metadata = node.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let labels = |key: &str| metadata.get(key).and_then(Value::as_object).into_iter().flatten();
    let labels = labels("LABELS").chain(labels("STATIC_LABELS"));
    let place =
        |key: &str| Name::from(node.pointer(&format!("/locality/{key}")).and_then(Value::as_str).unwrap_or_default());
    NodeFacts {
        id: node.get("id").and_then(text).unwrap_or_default(),
        texts: metadata.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect(),
        labels: labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect(),
        locality: Locality { region: place("region"), zone: place("zone"), subzone: place("subZone") },
        istio_filters: None,
        vhds: false,
        // Whoever reads the files may know which Secrets would be sent; keys are not printed.
        secrets: SecretAccess::All,
    }
}
