//! The floor of this machine, in the same run and with the same clients: the program `floor` in place of a control plane.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bench::load::{Load, QUIET, Target};
use bench::programs;
use serde_json::Value;

use crate::secured::Authority;
use crate::value::{Beside, share};

const ROUNDS: usize = 50;

/// The program.
struct Floor {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    target: Target,
}

impl Floor {
    /// Plain, or with certificates as the control plane.
    fn start(authority: Option<&Authority>) -> anyhow::Result<Self> {
        let mut command = Command::new(programs::path("floor")?);
        command.args(authority.map(Authority::of_floor).unwrap_or_default());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("starting floor")?;
        let (input, output) = (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
        let mut output = BufReader::new(output);
        let said = line(&mut output)?;
        let address = said["listening"].as_str().context("floor does not say where it is")?.parse()?;
        Ok(Self {
            child,
            input,
            output,
            target: Target { address, tls: authority.map(Authority::of_clients).unwrap_or_default() },
        })
    }

    fn ask(&mut self, words: &str) -> anyhow::Result<Value> {
        writeln!(self.input, "{words}")?;
        let answer = line(&mut self.output)?;
        ensure!(answer["error"].is_null(), "floor: {}", answer["error"]);
        Ok(answer)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut impl BufRead) -> anyhow::Result<Value> {
    let mut text = String::new();
    output.read_line(&mut text)?;
    serde_json::from_str(&text).with_context(|| format!("floor says {text:?}"))
}

/// Measures all that is asked for.
pub(crate) fn measure(
    wanted: &BTreeSet<Beside>,
    authority: Option<&Authority>,
    namespaces: u32,
    folder: &Path,
) -> anyhow::Result<BTreeMap<Beside, f64>> {
    let mut found = BTreeMap::new();
    let sizes: BTreeSet<u32> = wanted
        .iter()
        .filter_map(|beside| match beside {
            Beside::Push { proxies, .. } | Beside::Used { proxies, .. } => Some(*proxies),
            Beside::First { .. } => None,
        })
        .collect();
    for proxies in sizes {
        let mut floor = Floor::start(authority)?;
        let load = Load::start(&floor.target, namespaces, folder)?;
        load.connect(proxies, 0, "reader")?;
        load.complete(proxies)?;
        let bytes: BTreeSet<usize> = wanted
            .iter()
            .filter_map(|beside| match beside {
                Beside::Push { bytes, proxies: of } | Beside::Used { bytes, proxies: of } if *of == proxies => {
                    Some(*bytes)
                }
                _ => None,
            })
            .collect();
        for bytes in bytes {
            let (took, used) = pushes(&mut floor, &load, bytes, proxies)?;
            found.insert(Beside::Push { bytes, proxies }, took);
            found.insert(Beside::Used { bytes, proxies }, used);
        }
    }
    for beside in wanted {
        if let Beside::First { bytes, proxies } = *beside {
            let mut floor = Floor::start(authority)?;
            floor.ask(&format!("first {bytes}"))?;
            let load = Load::start(&floor.target, namespaces, folder)?;
            found.insert(*beside, connect(&load, proxies)?.as_secs_f64());
        }
    }
    Ok(found)
}

/// From the word to connect until all have everything, without the time that is waited for quiet.
fn connect(load: &Load, proxies: u32) -> anyhow::Result<Duration> {
    load.mark()?;
    let started = Instant::now();
    load.connect(proxies, 0, "reader")?;
    load.complete(proxies)?;
    Ok(started.elapsed().saturating_sub(QUIET))
}

/// To the last ack, p99 in ms, and the processor's time for each stream in us. The clients say when the last ack went, as they do when a
/// control plane sends.
fn pushes(floor: &mut Floor, load: &Load, bytes: usize, proxies: u32) -> anyhow::Result<(f64, f64)> {
    let mut took = Vec::new();
    let before = crate::usage::cpu(floor.child.id())?;
    for _ in 0..ROUNDS {
        load.mark()?;
        let sent = floor.ask(&format!("push {bytes} 1"))?["sent_ns"].as_u64().context("when was it sent?")?;
        let report = load.report()?;
        ensure!(report.touched == proxies, "the floor reached {} of {proxies} proxies", report.touched);
        took.push(report.last_ns.saturating_sub(sent) as f64 / 1e6);
    }
    let used = (crate::usage::cpu(floor.child.id())? - before).as_micros() as f64;
    Ok((share(&took, 99), used / (ROUNDS as f64 * f64::from(proxies))))
}
