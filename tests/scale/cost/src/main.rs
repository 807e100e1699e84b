//! `cost`: what an edit costs the control plane apart from its streams, in counts that are the same on any machine: rows that are built,
//! allocations, and instructions as callgrind counts them. Ends with 1 when one is above its limit in `tests/scale/counts.toml`.
//!
//! `steps.rs` says what is done to the mesh of `meshgen`, `plane.rs` does it, `instructions.rs` runs this program again under callgrind.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bench::limits::Limits;
use bench::mesh::Mesh;
use bench::shape::Size;
use clap::Parser;

use crate::plane::Plane;
use crate::steps::Part;

mod instructions;
mod plane;
mod steps;

/// The part of the limits' file that is about this program.
const LIMITS: &str = "control plane";

/// What edits cost the control plane in rows, allocations and instructions.
#[derive(Parser)]
#[command(name = "cost", max_term_width = 120)]
struct Settings {
    /// How large the mesh is; only S has limits.
    #[arg(long, value_enum, default_value = "S")]
    shape: Size,
    /// What the mesh is made of.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Edits of each kind.
    #[arg(long, default_value_t = 10, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    edits: u32,
    /// What counts may be.
    #[arg(long, default_value = "tests/scale/counts.toml", value_name = "FILE")]
    limits: PathBuf,
    /// Only does it, as callgrind is to see it.
    #[arg(long, hide = true)]
    bare: bool,
}

fn main() -> ExitCode {
    match run(&Settings::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("cost: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every count is within its limit.
fn run(settings: &Settings) -> anyhow::Result<bool> {
    let mesh = Mesh::new(settings.shape.shape(), settings.seed);
    let parts = steps::parts(&mesh, settings.edits)?;
    let names: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    if settings.bare {
        counted(parts);
        return Ok(true);
    }
    let limits = (settings.shape == Size::S).then(|| Limits::read(&settings.limits, LIMITS)).transpose()?;
    let mut counts = counted(parts);
    let seen = instructions::count(names.len())?;
    for (counts, instructions) in counts.iter_mut().zip(seen.iter().flatten()) {
        counts.insert("instructions", *instructions);
    }
    let named: Vec<(String, u64)> = names
        .iter()
        .zip(&counts)
        .flat_map(|(name, counts)| counts.iter().map(move |(what, count)| (format!("{name}: {what}"), *count)))
        .collect();
    let within = print(&named, limits.as_ref())?;
    let idle = limits.iter().flat_map(|limits| limits.idle(&named.iter().map(|(name, _)| name.as_str()).collect()));
    let idle: Vec<_> = idle.filter(|name| seen.is_some() || !name.ends_with(": instructions")).collect();
    idle.iter().for_each(|name| eprintln!("there is a limit of {name:?}, which is not measured"));
    Ok(within && idle.is_empty())
}

/// What each part costs, done in this order to one mesh.
fn counted(parts: Vec<Part>) -> Vec<BTreeMap<&'static str, u64>> {
    let mut plane = Plane::new();
    let of = |part: Part| {
        let mut rows = 0;
        let counted = allocation_counter::measure(|| rows = plane::watched_by_callgrind(&mut plane, part.steps));
        BTreeMap::from([("allocations", counted.count_total), ("bytes", counted.bytes_total), ("rows", rows as u64)])
    };
    parts.into_iter().map(of).collect()
}

/// A line each; whether none is above its limit.
fn print(counts: &[(String, u64)], limits: Option<&Limits>) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    let mut within = true;
    writeln!(out, "{:<40} {:>14} {:>14}", "measure", "count", "limit")?;
    for (name, count) in counts {
        let most = limits.map(|limits| limits.most(name));
        let (shown, verdict) = match most {
            None => (String::new(), ""),
            Some(None) => ("none".to_owned(), "  LACKS A LIMIT"),
            Some(Some(most)) if *count as f64 > most => (most.to_string(), "  ABOVE IT"),
            Some(Some(most)) => (most.to_string(), ""),
        };
        within &= verdict.is_empty();
        writeln!(out, "{name:<40} {count:>14} {shown:>14}{verdict}")?;
    }
    Ok(within)
}
