//! How long Envoy waits before it opens a stream again: any time below a bound, which doubles each time (`JitteredExponentialBackOffStrategy`,
//! 500 ms to 30 s) until a response comes.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

const FIRST: u64 = 500;
const MOST: u64 = 30_000;

/// The state of one client.
pub(crate) struct Backoff {
    seed: u64,
    drawn: u64,
    bound: u64,
}

impl Backoff {
    /// For a client; the same one draws the same times.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0, bound: FIRST }
    }

    /// A response came.
    pub(crate) fn reset(&mut self) {
        self.bound = FIRST;
    }

    /// How long to wait now.
    pub(crate) fn next(&mut self) -> Duration {
        self.drawn += 1;
        let wait = xxh3_64_with_seed(&self.drawn.to_le_bytes(), self.seed) % self.bound;
        self.bound = MOST.min(self.bound * 2);
        Duration::from_millis(wait)
    }
}

#[cfg(test)]
mod tests;
