//! Golden cases: folders with a mesh, a proxy, and what it is sent.

use std::path::{Path, PathBuf};

use anyhow::Context;
use api::{Mode, Severity};
use graph::Inline;
use model::Mesh;
use model::mesh::Edit;
use model::proxies::{NodeFacts, SecretAccess};
use model::settings::Base;
use serde_json::{Map, Value};
use translate::proxies::{Configs, Type};
use translate::resources::Resources;
use translate::views::Views;

/// The folders of all cases.
#[must_use]
pub fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/cases");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// What the proxy of a case is sent, by type and name.
///
/// # Errors
/// When the case cannot be read.
pub fn resources(case: &Path) -> anyhow::Result<Value> {
    let changes = files::load(&[case.join("in.yaml")], Mode::Strict)?;
    if let Some(issue) = changes.issues.iter().find(|issue| issue.severity != Severity::Info) {
        anyhow::bail!("{}: {issue}", case.display());
    }
    let node: Value = serde_json::from_str(&std::fs::read_to_string(case.join("node.json"))?)?;
    let text = |key: &str| node[key].as_str().map(str::to_owned);
    let strings = |key: &str| {
        node[key]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
    };
    let facts = NodeFacts {
        id: text("id").context("an id")?,
        texts: strings("metadata").collect(),
        labels: strings("labels").collect(),
        vhds: false,
        secrets: if text("secrets").is_some() { SecretAccess::All } else { SecretAccess::Denied },
        ..NodeFacts::default()
    };
    let mut mesh = Mesh::new(translate::schema(), Base::new());
    let mut edit = Edit::default();
    changes.upserts.into_iter().for_each(|object| mesh.upsert(object, &mut edit));
    edit.connect(1, facts.proxy().map_err(anyhow::Error::msg)?);
    if node["names"] == true {
        edit.ask_for_names(1);
    }
    edit.txn().demand::<Configs>(1);
    mesh.commit(edit, &Inline);
    anyhow::ensure!(mesh.db().faults().next().is_none(), "{:?}", mesh.db().faults().next());
    let db = mesh.db();
    let mut all = Map::new();
    for (of, keys) in db.row::<Configs>(&1).context("a configuration")?.views.clone() {
        let views = keys.iter().filter_map(|key| db.row::<Views>(key));
        let named = views.flat_map(|view| view.entries.clone()).filter_map(|(name, key)| {
            let encoded = db.row::<Resources>(&key)?;
            Some((name.to_string(), proto::to_json(&encoded.any())))
        });
        let named: Map<String, Value> = named.collect();
        // Without an authority there are no roots to tell of.
        if of == Type::Pcds {
            anyhow::ensure!(named.is_empty(), "roots out of nothing");
            continue;
        }
        all.insert(format!("{of:?}").to_lowercase(), Value::Object(named));
    }
    Ok(Value::Object(all))
}
