//! All proxies lose their connections and come back with what they have.

use std::time::{Duration, Instant};

use bench::load::{QUIET, Report};

use super::Run;
use crate::usage;
use crate::value::Value;

/// The clients end them.
pub(crate) fn dropped(run: &mut Run) -> anyhow::Result<Vec<Value>> {
    let process = run.server.id();
    let before = usage::settled(process)?;
    usage::forget_peak(process)?;
    run.load.mark()?;
    let (used, started) = (usage::cpu(process)?, Instant::now());
    run.load.drop_all(false)?;
    let report = run.load.back(run.proxies())?;
    let took = started.elapsed().saturating_sub(QUIET);
    let used = usage::cpu(process)? - used;
    let mut values = values("reconnect", took, &report, usage::peak(process)? - before);
    values.push(Value::new("reconnect: server CPU, s", used.as_secs_f64()));
    Ok(values)
}

/// The server ends, and another one is started in its place: the clients come back as Envoy does, with jitter.
pub(crate) fn restarted(run: Run) -> anyhow::Result<Vec<Value>> {
    let Run { pass, place, server, load, .. } = run;
    let (before, address) = (usage::settled(server.id())?, server.target.address);
    load.mark()?;
    drop(server);
    let started = Instant::now();
    let mut server = pass.start(&place, Some(address))?;
    let report = load.back(pass.mesh.shape.proxies)?;
    let took = started.elapsed().saturating_sub(QUIET);
    let peak = usage::peak(server.id())?;
    server.check()?;
    Ok(values("restart", took, &report, peak - before))
}

fn values(name: &str, took: Duration, report: &Report, more: f64) -> Vec<Value> {
    vec![
        Value::new(format!("{name} of all, s"), took.as_secs_f64()),
        Value::new(format!("{name}: resources sent"), (report.resources + report.removed) as f64),
        Value::new(format!("{name}: peak memory above before, MB"), more),
    ]
}
