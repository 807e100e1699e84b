//! Many endpoint changes at once: how fast all are live, and how many of them share a message.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use bench::edits::{Kind, Touches};
use bench::load::PATIENCE;

use super::Run;
use crate::usage;
use crate::value::Value;

/// Odd: where one service changes all the time, it is otherwise in the end than it was, and so everybody is sent something.
const CHANGES: u32 = 201;

/// Written as fast as they can be.
pub(crate) fn burst(run: &mut Run) -> anyhow::Result<Vec<Value>> {
    let edits: Vec<_> = (0..CHANGES).filter_map(|_| run.next(Kind::Endpoint)).collect();
    let shape = &run.pass.mesh.shape;
    let scopes: BTreeSet<u32> = edits
        .iter()
        .filter_map(|edit| if let Touches::Namespace(number) = edit.touches { Some(number) } else { None })
        .collect();
    let proxies =
        if scopes.is_empty() { shape.proxies } else { scopes.iter().map(|number| shape.proxies_in(*number)).sum() };
    run.load.mark()?;
    let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as f64;
    for edit in &edits {
        run.apply(&edit.change)?;
    }
    run.load.touched(proxies, PATIENCE)?;
    // Between two pushes it may be quiet for a while: large objects take long to read.
    usage::quiet(run.server.id())?;
    let report = run.load.report()?;
    let took = (report.last_ns as f64 - started) / 1e9;
    let each = |of: u64| of as f64 / f64::from(report.touched);
    Ok(vec![
        Value::new(format!("{CHANGES} endpoint changes at once: changes per s"), f64::from(CHANGES) / took),
        Value::new(format!("{CHANGES} endpoint changes at once: messages per proxy"), each(report.messages)),
        Value::new(format!("{CHANGES} endpoint changes at once: bytes per proxy"), each(report.bytes)).detail(),
    ])
}
