//! What is done to the mesh: all of it is read, proxies connect, and then edits of each kind, with their texts made beforehand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bench::edits::{Change, Kind};
use bench::mesh::{File, Mesh};
use files::Look;
use model::proxies::{NodeFacts, Proxy};
use names::Labels;

use crate::plane::Step;

/// What is counted together.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// All parts, in the order in which each finds what it needs.
pub(crate) fn parts(mesh: &Mesh, edits: u32) -> anyhow::Result<Vec<Part>> {
    let files = mesh.files().map(|file| look(&file)).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
    let proxies = (0..mesh.shape.proxies).map(|number| Ok((u64::from(number), proxy(mesh, number)?)));
    let proxies = proxies.collect::<anyhow::Result<Vec<_>>>()?;
    let mut parts = vec![
        Part { name: "all files".to_owned(), steps: vec![Step::Files(files)] },
        Part { name: "all proxies".to_owned(), steps: vec![Step::Proxies(proxies)] },
    ];
    for kind in Kind::ALL {
        let edits = (0..edits).filter_map(|round| mesh.edit(kind, round));
        let steps = edits.map(|edit| Ok(Step::Files(BTreeMap::from([change(&edit.change)?]))));
        parts.push(Part { name: kind.name().to_owned(), steps: steps.collect::<anyhow::Result<_>>()? });
    }
    parts.retain(|part| !part.steps.is_empty());
    Ok(parts)
}

fn change(change: &Change) -> anyhow::Result<(PathBuf, Look)> {
    match change {
        Change::Put(file) => look(file),
        Change::Remove(file) => Ok((file.path.clone().into(), Look::Gone)),
    }
}

fn look(file: &File) -> anyhow::Result<(PathBuf, Look)> {
    Ok((file.path.clone().into(), Look::Text(file.yaml()?)))
}

/// A proxy as `xdsload` connects it to the bench.
fn proxy(mesh: &Mesh, number: u32) -> anyhow::Result<Proxy> {
    let namespace = format!("ns-{}", number % mesh.shape.namespaces);
    let address = format!("10.200.{}.{}", number / 250, number % 250 + 1);
    let id = format!("sidecar~{address}~app-{number}.{namespace}~{namespace}.svc.cluster.local");
    let labels: Labels =
        [("app".to_owned(), format!("app-{number}")), ("version".to_owned(), "v1".to_owned())].into_iter().collect();
    NodeFacts { id, labels, vhds: true, ..NodeFacts::default() }.proxy().map_err(anyhow::Error::msg)
}
