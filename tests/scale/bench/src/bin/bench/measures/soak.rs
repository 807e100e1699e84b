//! Minutes of edits: whether memory grows.

use std::time::{Duration, Instant};

use bench::edits::Kind;
use bench::load::PATIENCE;

use super::Run;
use crate::usage;
use crate::value::Value;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Edits of three kinds in turn, each when the one before is live.
pub(crate) fn all(run: &mut Run, minutes: u32) -> anyhow::Result<Vec<Value>> {
    let (started, length) = (Instant::now(), Duration::from_secs(u64::from(minutes) * 60));
    let (mut seen, mut next, mut edits) = (Vec::new(), Duration::ZERO, 0u32);
    let first = run.rounds;
    for round in first.. {
        if started.elapsed() >= length {
            break;
        }
        for kind in [Kind::Endpoint, Kind::Route, Kind::Rule] {
            // All in the same round: one that a kind leaves out would leave something in its state until the next turn writes it as it is.
            run.rounds = round;
            let Some(edit) = run.next(kind) else { continue };
            run.load.mark()?;
            run.apply(&edit.change)?;
            run.load.touched(edit.touches.proxies(&run.pass.mesh.shape), PATIENCE)?;
            edits += 1;
        }
        if started.elapsed() >= next {
            seen.push((started.elapsed().as_secs_f64() / 60.0, usage::memory(run.server.id())?));
            next += EVERY;
        }
    }
    // The first part warms up: buffers and caches find their size.
    let settled = &seen[seen.len() / 3..];
    Ok(vec![
        Value::new("churn: edits", f64::from(edits)),
        Value::new("churn: memory more in 30 minutes, MB", slope(settled) * 30.0),
    ])
}

/// Of the straight line that is nearest to some points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
    let below = points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_found_among_noise() {
        let points: Vec<_> = (0..100).map(|at| (f64::from(at), 3.0 * f64::from(at) + f64::from(at % 2))).collect();
        assert!((slope(&points) - 3.0).abs() < 0.01);
        assert_eq!(slope(&points[..1]), 0.0);
    }
}
