//! What services and their endpoints take in memory, before there are proxies, rules and pods.

use bench::edits::Change;
use bench::folder::Folder;

use super::{Pass, Place};
use crate::usage;
use crate::value::Value;

/// Memory with nothing, and what services with endpoints take beyond that.
pub(crate) fn services(pass: &Pass) -> anyhow::Result<Vec<Value>> {
    let (empty, some) = (Folder::new(&pass.ground.folder("empty")?)?, Folder::new(&pass.ground.folder("services")?)?);
    for file in pass.mesh.files() {
        let only = |kind: &serde_json::Value| kind == "Service" || kind == "EndpointSlice";
        if file.objects.iter().all(|object| only(&object["kind"])) {
            some.apply(&Change::Put(file))?;
        }
    }
    let memory = |folder| usage::settled(pass.start(&Place::Folder(folder), None)?.id());
    let (before, after) = (memory(empty)?, memory(some)?);
    Ok(vec![
        Value::new("memory with nothing, MB", before),
        Value::new("memory of services and endpoints, MB", after - before),
    ])
}
