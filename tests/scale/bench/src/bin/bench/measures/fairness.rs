//! Whether proxies that do not read slow the others down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use bed::process::eventually;
use bench::edits::Kind;
use bench::load::{Load, PATIENCE};

use super::Run;
use crate::usage;
use crate::value::{Value, share};

/// Frozen ones beside those that read, for each 1,000 of these.
const FROZEN: [u32; 2] = [25, 500];

/// Edits without and with frozen proxies beside those that read.
pub(crate) fn all(run: &mut Run) -> anyhow::Result<Vec<Value>> {
    let without = edits(run)?;
    let mut values = Vec::new();
    for frozen in FROZEN {
        let count = (frozen * run.proxies()).div_ceil(1000);
        let beside =
            Load::start(&run.server.target, run.pass.mesh.shape.namespaces, &run.pass.ground.folder("frozen")?)?;
        beside.connect(count, run.proxies(), "frozen")?;
        eventually("frozen proxies", Duration::from_secs(60), || {
            let connected = beside.report()?.clients.connected;
            ensure!(connected >= count, "{connected} of {count} are connected");
            Ok(())
        })?;
        // What they are sent at first is not what is measured.
        usage::quiet(run.server.id())?;
        let with = edits(run)?;
        let name = format!("edit beside {frozen} frozen of 1000");
        values.push(Value::new(format!("{name}: p99, % of without"), 100.0 * with / without));
        values.push(Value::new(format!("{name}: p99 ms"), with).detail());
    }
    Ok(values)
}

/// To the last ack of those that read, p99 in ms.
fn edits(run: &mut Run) -> anyhow::Result<f64> {
    let mut took = Vec::new();
    for _ in 0..run.pass.settings.edits() {
        let edit = run.next(Kind::Route).or_else(|| run.next(Kind::Endpoint)).context("nothing to edit")?;
        run.load.mark()?;
        run.apply(&edit.change)?;
        let written = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as f64;
        let report = run.load.touched(edit.touches.proxies(&run.pass.mesh.shape), PATIENCE)?;
        took.push((report.last_ns as f64 - written) / 1e6);
    }
    Ok(share(&took, 99))
}
