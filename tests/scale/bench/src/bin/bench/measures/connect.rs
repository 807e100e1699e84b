//! Cold start, and all proxies connect for the first time.

use std::time::Instant;

use bench::load::QUIET;

use super::Run;
use crate::usage;
use crate::value::{Beside, Value};

/// All proxies connect at once, and then have everything.
pub(crate) fn first(run: &mut Run) -> anyhow::Result<Vec<Value>> {
    let (process, proxies) = (run.server.id(), run.proxies());
    let before = usage::settled(process)?;
    usage::forget_peak(process)?;
    let (used, started) = (usage::cpu(process)?, Instant::now());
    run.load.mark()?;
    run.load.connect(proxies, 0, "reader")?;
    let report = run.load.complete(proxies)?;
    let took = started.elapsed().saturating_sub(QUIET);
    let (used, peak) = (usage::cpu(process)? - used, usage::peak(process)?);
    let with = usage::settled(process)?;
    let each = |of: u64| of as f64 / f64::from(proxies);
    let bytes = each(report.bytes);
    eprintln!(
        "{proxies} proxies have everything after {:.2} s: {:.0} resources and {bytes:.0} bytes each",
        took.as_secs_f64(),
        each(report.resources)
    );
    Ok(vec![
        Value::new("start to ready, s", run.server.ready.as_secs_f64()),
        Value::new("memory when ready, MB", before),
        Value::new("first connect of all, s", took.as_secs_f64())
            .beside(Beside::First { bytes: bytes as usize, proxies }),
        Value::new("first connect: server CPU, s", used.as_secs_f64()),
        Value::new("first connect: bytes per proxy", bytes),
        Value::new("first connect: resources per proxy", each(report.resources)),
        Value::new("first connect: messages per proxy", each(report.messages)),
        Value::new("first connect: nacks and errors", (report.nacks + report.errors) as f64),
        Value::new("first connect: peak memory, MB", peak),
        Value::new("memory with all proxies, MB", with),
        Value::new("memory per connected proxy, KB", (with - before) * 1024.0 / f64::from(proxies)),
    ])
}
