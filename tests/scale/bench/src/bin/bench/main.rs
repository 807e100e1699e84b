//! `bench`: what a control plane needs for a mesh and for edits of it, beside what this machine needs at least to move the same bytes to the
//! same clients. One table, and JSON; ends with 1 when a goal is missed that `tests/scale/known.toml` does not list with its reason.
//!
//! `measures.rs` takes all measures of one server (`server.rs`) with the clients of `bench::load`; `floors.rs` has what stands beside them;
//! `goals.rs` says what they may be, `table.rs` shows it. Every program is started by its command line.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use anyhow::ensure;
use bench::limits::Limits;
use bench::mesh::Mesh;
use bench::programs::Ground;
use bench::shape::Size;
use clap::Parser;
use serde_json::json;

use crate::goals::Known;
use crate::measures::{Outcome, Pass};
use crate::secured::Authority;
use crate::server::Program;
use crate::settings::{Settings, Source, Tls};
use crate::table::{Row, Verdict};
use crate::value::{Beside, Value};

mod cluster;
mod equal;
mod floors;
mod goals;
mod measures;
mod secured;
mod server;
mod settings;
mod table;
mod usage;
mod value;

/// Above it the machine does something else too.
const BUSY: f64 = 0.5;
/// Why one shape cannot be measured.
const GATEWAYS: &str = "shape G needs the Gateway API, which the control plane does not read yet, and clients that are gateways, which xdsload \
                        does not play yet; `meshgen --shape G` writes its objects";
/// The part of the limits' file that is about this program.
const LIMITS: &str = "streams";
/// More edits than one server sees of a kind.
const ROUNDS: u32 = 10_000;

fn main() -> ExitCode {
    match run(&Settings::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every goal holds, or is known to be missed.
fn run(settings: &Settings) -> anyhow::Result<bool> {
    ensure!(settings.shape != Size::G, "{GATEWAYS}");
    let known = Known::read(&settings.known)?;
    let load = usage::load()?;
    if load > BUSY && !settings.counts {
        eprintln!("the load of this machine is {load}: times are worth nothing unless it is quiet");
    }
    let programs = programs(settings)?;
    let ground = Ground::new()?;
    let mesh = Mesh::new(settings.shape.shape(), settings.seed);
    let authority = match settings.tls {
        Tls::Off => None,
        Tls::Mtls => Some(Authority::new(&ground.folder("ca")?, mesh.shape.namespaces)?),
    };
    let cluster = match settings.source {
        settings::Source::Dir => None,
        settings::Source::Api => Some(cluster::Source::start(&mesh)?),
    };
    let pass = |program, number: u32| {
        let (authority, cluster, first) = (authority.as_ref(), cluster.as_ref(), number * ROUNDS);
        Pass { settings, mesh: &mesh, program, ground: &ground, authority, cluster, first }.run()
    };
    let rounds = if programs.len() > 1 { 2 } else { 1 };
    let mut outcomes: Vec<Vec<Outcome>> = programs.iter().map(|_| Vec::new()).collect();
    let mut passes = 0;
    for round in 0..rounds {
        for (at, program) in programs.iter().enumerate() {
            outcomes[at].push(pass(program, passes)?);
            passes += 1;
            if round == 0 && at > 0 {
                equal::check(&outcomes[0][0].sent, &outcomes[at][0].sent)?;
            }
        }
    }
    let floors = floors(settings, &outcomes, authority.as_ref(), &mesh, &ground)?;
    let limits = settings.counts.then(|| Limits::read(&settings.limits, LIMITS)).transpose()?;
    let rows = rows(settings, &outcomes, &floors, &known, limits.as_ref());
    let names: Vec<String> = programs.iter().map(Program::name).collect();
    table::print(&rows, &names)?;
    let shape = format!("{:?}", settings.shape);
    let about = json!({
        "shape": shape, "seed": settings.seed, "servers": names, "load at the start": load,
        "source": format!("{:?}", settings.source), "tls": format!("{:?}", settings.tls), "command": std::env::args().collect::<Vec<_>>(),
        "processors": std::thread::available_parallelism()?.get(), "seconds since 1970": std::time::UNIX_EPOCH.elapsed()?.as_secs(),
    });
    table::write(&settings.out.join(format!("{shape}.json")), &rows, about)?;
    let missed = rows.iter().filter(|row| row.verdict == Verdict::Missed).count();
    if missed > 0 {
        eprintln!("{missed} goals are missed and not listed in {}", settings.known.display());
    }
    Ok(missed == 0 && limits.is_none_or(|limits| all_measured(&limits, &outcomes)))
}

/// Whether every limit is of something that was measured.
fn all_measured(limits: &Limits, outcomes: &[Vec<Outcome>]) -> bool {
    let measured = outcomes.iter().flatten().flat_map(|outcome| &outcome.values);
    let idle = limits.idle(&measured.map(|value| value.name.as_str()).collect());
    idle.iter().for_each(|name| eprintln!("there is a limit of {name:?}, which is not measured"));
    idle.is_empty()
}

fn programs(settings: &Settings) -> anyhow::Result<Vec<Program>> {
    ensure!(settings.server.len() == settings.address.len(), "each --server needs its --address");
    let others = settings.server.iter().zip(&settings.address);
    let others: Vec<Program> = others
        .map(|(command, address)| Program::Other { command: command.clone(), address: address.clone() })
        .collect();
    Ok(if others.is_empty() { vec![Program::Ours] } else { others })
}

/// What stands beside the measures, with the same clients.
fn floors(
    settings: &Settings,
    outcomes: &[Vec<Outcome>],
    authority: Option<&Authority>,
    mesh: &Mesh,
    ground: &Ground,
) -> anyhow::Result<BTreeMap<Beside, f64>> {
    if settings.counts {
        return Ok(BTreeMap::new());
    }
    let values = outcomes.iter().filter_map(|rounds| rounds.first()).flat_map(|outcome| &outcome.values);
    let wanted: BTreeSet<Beside> = values.filter_map(|value| value.beside).collect();
    floors::measure(&wanted, authority, mesh.shape.namespaces, &ground.folder("floor")?)
}

/// A row for each measure of the first server, with those of the others beside it.
fn rows(
    settings: &Settings,
    outcomes: &[Vec<Outcome>],
    floors: &BTreeMap<Beside, f64>,
    known: &Known,
    limits: Option<&Limits>,
) -> Vec<Row> {
    let Some(first) = outcomes.first().and_then(|rounds| rounds.first()) else { return Vec::new() };
    let usual = settings.source == Source::Dir && settings.tls == Tls::Off;
    let rows = first.values.iter().filter_map(|value| {
        let goal = match limits {
            Some(limits) => goals::limit(limits, &value.name),
            None => goals::goal(settings.shape, usual, &value.name),
        };
        // On any machine: what has no limit there says nothing.
        if limits.is_some() && goal.is_none() {
            return None;
        }
        let values = outcomes.iter().map(|rounds| mean(rounds, &value.name)).collect();
        Some(Row::new(value, values, floors, goal, known.reason(settings.shape, &value.name)))
    });
    rows.collect()
}

/// The mean of what the rounds of one server have for a measure.
fn mean(rounds: &[Outcome], name: &str) -> f64 {
    let found = rounds.iter().filter_map(|outcome| outcome.values.iter().find(|value| value.name == name));
    let found: Vec<f64> = found.map(|value: &Value| value.value).collect();
    if found.is_empty() { f64::NAN } else { found.iter().sum::<f64>() / found.len() as f64 }
}
