//! Edits of each kind, one after the other: how fast they are live, what they cost the server, whom they reach.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench::edits::{Edit, Kind, Touches};
use bench::load::Report;

use super::Run;
use crate::usage;
use crate::value::{Beside, Value, share};

/// What must not come has not come by then.
const NOTHING: Duration = Duration::from_millis(300);
/// Who was not reached by then, was missed.
const PATIENCE: Duration = Duration::from_secs(30);
/// More misses than that in one kind show nothing more.
const MISSES: u32 = 3;

/// What one edit did.
struct Round {
    report: Report,
    /// To the last ack, in ms.
    took: f64,
    /// Proxies that it concerns.
    concerned: u32,
}

/// All kinds.
pub(crate) fn all(run: &mut Run) -> anyhow::Result<Vec<Value>> {
    let first = run.rounds;
    let (mut values, mut last) = (Vec::new(), first);
    for kind in Kind::ALL {
        // Each kind counts its rounds from the same one: what is new is then deleted.
        run.rounds = first;
        values.extend(kind_of(run, kind)?);
        last = last.max(run.rounds);
    }
    run.rounds = last;
    Ok(values)
}

/// How many edits of a kind are made: what goes to nobody is waited for each time, what goes to all with everything takes long.
fn rounds(run: &Run, kind: Kind) -> u32 {
    match kind {
        Kind::MeshWide => run.pass.settings.edits().min(10),
        Kind::NoOp => run.pass.settings.edits().min(20),
        Kind::Endpoint | Kind::Route | Kind::Rule | Kind::NewService | Kind::DeletedService | Kind::Policy => {
            run.pass.settings.edits()
        }
    }
}

fn kind_of(run: &mut Run, kind: Kind) -> anyhow::Result<Vec<Value>> {
    let count = rounds(run, kind);
    let mut done = Vec::new();
    // The first one warms up.
    let Some(edit) = run.next(kind) else { return Ok(Vec::new()) };
    round(run, &edit)?;
    let before = usage::cpu(run.server.id())?;
    for _ in 0..count {
        let Some(edit) = run.next(kind) else { break };
        done.push(round(run, &edit)?);
        if done.iter().filter(|round| round.report.touched < round.concerned).count() as u32 >= MISSES {
            break;
        }
    }
    let used = (usage::cpu(run.server.id())? - before).as_micros() as f64;
    Ok(values(kind, &done, used))
}

/// One edit, until all whom it must reach have acked it and nothing more comes.
fn round(run: &Run, edit: &Edit) -> anyhow::Result<Round> {
    let shape = &run.pass.mesh.shape;
    let concerned = edit.touches.proxies(shape);
    run.load.mark()?;
    run.apply(&edit.change)?;
    let written = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as f64;
    let report = match edit.touches {
        Touches::All | Touches::Namespace(_) => run.load.touched(concerned, PATIENCE).or_else(|_| run.load.report())?,
        Touches::None => {
            std::thread::sleep(NOTHING);
            run.load.report()?
        }
    };
    let took = if report.touched > 0 { (report.last_ns as f64 - written).max(0.0) / 1e6 } else { f64::NAN };
    Ok(Round { report, took, concerned })
}

fn values(kind: Kind, done: &[Round], used: f64) -> Vec<Value> {
    let name = kind.name();
    let named = |what: &str, value: f64| Value::new(format!("{name}: {what}"), value);
    let sum = |of: fn(&Round) -> f64| done.iter().map(of).sum::<f64>();
    let touched = sum(|round| f64::from(round.report.touched));
    let took: Vec<f64> = done.iter().map(|round| round.took).filter(|took| took.is_finite()).collect();
    let worst = |of: fn(&Round) -> u32| f64::from(done.iter().map(of).max().unwrap_or_default());
    let missed = worst(|round| round.concerned.saturating_sub(round.report.touched));
    let mut values = vec![
        named("other proxies touched", worst(|round| round.report.touched.saturating_sub(round.concerned))),
        named("proxies touched", touched / done.len() as f64),
        named("server CPU, ms", used / 1000.0 / done.len() as f64),
        named("nacks and errors", sum(|round| (round.report.nacks + round.report.errors) as f64)).detail(),
    ];
    let missed = named("proxies that missed it", missed);
    values.push(if missed.value > 0.0 { missed } else { missed.detail() });
    if took.is_empty() {
        return values;
    }
    let (sent, usual) = (sum(|round| round.report.bytes as f64) / touched, if kind == Kind::Endpoint { 1 } else { 4 });
    // What goals are held against; where much more is sent, that.
    let size = if sent > 65_536.0 { (sent / 1024.0).round() as usize } else { usual };
    let (bytes, proxies) = (size * 1024, worst(|round| round.concerned.max(round.report.touched)) as u32);
    values.extend([
        named("to last ack, p50 ms", share(&took, 50)).detail(),
        named("to last ack, p99 ms", share(&took, 99)).beside(Beside::Push { bytes, proxies }),
        named("to last ack, max ms", share(&took, 100)).detail(),
        named("server CPU per touched proxy, us", used / touched).beside(Beside::Used { bytes, proxies }),
        named("bytes per touched proxy", sent),
        named("messages per touched proxy", sum(|round| round.report.messages as f64) / touched),
        named(
            "resources per touched proxy",
            sum(|round| (round.report.resources + round.report.removed) as f64) / touched,
        ),
    ]);
    values
}
