//! What was asked, by Istio's names with the prefix of its agent (`istio: pkg/dns/client/monitoring.go`).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the times, in microseconds.
const BOUNDS: [u64; 6] = [1_000, 5_000, 10_000, 100_000, 1_000_000, 5_000_000];

/// Counts since the start.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    upstream: AtomicU64,
    failures: AtomicU64,
    /// By bound, each without those below it; the last has no bound.
    times: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Counters {
    /// Somebody else was asked, and answered or not.
    pub(super) fn asked(&self, took: Duration, answered: bool) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        self.upstream.fetch_add(1, Ordering::Relaxed);
        self.times[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        if !answered {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (name, value) in [
            ("dns_requests_total", &self.requests),
            ("dns_upstream_requests_total", &self.upstream),
            ("dns_upstream_failures_total", &self.failures),
        ] {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(out, "# TYPE istio_agent_{name} counter\nistio_agent_{name} {value}");
        }
        let name = "istio_agent_dns_upstream_request_duration_seconds";
        let _ = writeln!(out, "# TYPE {name} histogram");
        let mut count = 0;
        for (at, bucket) in self.times.iter().enumerate() {
            count += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS.get(at).map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound).to_string());
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(out, "{name}_sum {}\n{name}_count {count}", seconds(self.micros.load(Ordering::Relaxed)));
        out
    }
}

#[expect(clippy::cast_precision_loss, reason = "sums of times are far below 2^52 microseconds")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
