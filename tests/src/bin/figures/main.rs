//! The scale figures: 1,000 services with 10 endpoints each in 50 namespaces, 1,000 proxies. Counts rather than seconds. Prints a table and
//! JSON; ends with 1 when a figure is missed that `tests/scale/known.toml` does not list.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bench::load::{Load, Target};

mod agents;
mod certificates;
mod cluster;
mod counts;
mod edge;
mod memory;
mod reviews;
mod secured;
mod start;
mod streams;

const SERVICES: usize = 1000;
const ENDPOINTS: usize = 10;
const NAMESPACES: usize = 50;
const PROXIES: usize = 1000;

/// A part of the figures.
type Part = fn() -> anyhow::Result<Vec<Figure>>;

/// One figure and what it may be.
struct Figure {
    name: &'static str,
    value: f64,
    /// At most, or — for ratios — at least.
    bound: f64,
    at_least: bool,
}

impl Figure {
    fn at_most(name: &'static str, value: f64, bound: f64) -> Self {
        Self { name, value, bound, at_least: false }
    }

    fn at_least(name: &'static str, value: f64, bound: f64) -> Self {
        Self { name, value, bound, at_least: true }
    }

    fn holds(&self) -> bool {
        if self.at_least { self.value >= self.bound } else { self.value <= self.bound }
    }
}

/// So many of a hundred of these took no longer, in ms. They are sorted.
fn percentile(took: &[Duration], share: usize) -> f64 {
    took[(took.len() - 1) * share / 100].as_secs_f64() * 1000.0
}

/// Clients that behave like Envoy, in another process; none connects yet.
fn load(address: SocketAddr) -> anyhow::Result<Load> {
    let target = Target { address, tls: Vec::new() };
    Load::start(&target, u32::try_from(NAMESPACES)?, &tests::plane::folder())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|part| part == "agents") {
        agents::run(&arguments[2..]);
        return ExitCode::SUCCESS;
    }
    let (mut figures, mut failed) = (Vec::new(), false);
    // Memory first: what earlier parts have freed would be used again.
    let usual: [(&str, Part); 6] = [
        ("memory", memory::all),
        ("counts", || Ok(counts::all())),
        ("certificates", certificates::all),
        ("secured", secured::all),
        ("start", start::all),
        ("streams", streams::all),
    ];
    // Apart from the others: it takes a cluster, and minutes to fill it.
    let on_cluster: [(&str, Part); 1] = [("cluster", cluster::all)];
    let parts = if arguments.get(1).is_some_and(|part| part == "cluster") { &on_cluster[..] } else { &usual[..] };
    for (part, measured) in parts {
        match measured() {
            Ok(more) => figures.extend(more),
            Err(error) => {
                eprintln!("{part}: {error:#}");
                failed = true;
            }
        }
    }
    if report(&figures) && !failed { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Whether every figure holds, or is listed as known.
fn report(figures: &[Figure]) -> bool {
    let known = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scale/known.toml")).unwrap_or_default();
    let listed = |name: &str| {
        known.lines().any(|line| line.split('=').next().is_some_and(|key| key.trim().trim_matches('"') == name))
    };
    let mut missed = 0;
    println!("{:<52} {:>14} {:>14}", "figure", "value", "bound");
    for figure in figures {
        let verdict = match (figure.holds(), listed(figure.name)) {
            (true, _) => "",
            (false, true) => "  known",
            (false, false) => {
                missed += 1;
                "  MISSED"
            }
        };
        let sign = if figure.at_least { ">=" } else { "<=" };
        println!("{:<52} {:>14.1} {sign} {:>11.1}{verdict}", figure.name, figure.value, figure.bound);
    }
    let json: Vec<_> = figures
        .iter()
        .map(|figure| serde_json::json!({ "name": figure.name, "value": figure.value, "bound": figure.bound, "holds": figure.holds() }))
        .collect();
    println!("{}", serde_json::Value::from(json));
    missed == 0
}
