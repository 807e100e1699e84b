//! What is counted since the last mark, of all clients together, and percentiles.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::kinds::Kind;

/// Errors of which the text is kept; of others only that they were.
const TEXTS: usize = 16;

/// Nanoseconds since the process began to count, and what they are on the clock.
pub(crate) struct Clock {
    start: Instant,
    unix: u64,
}

impl Clock {
    /// Begins now.
    #[must_use]
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), unix: u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Now; never 0.
    #[must_use]
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// A time on the clock; 0 where there is none.
    #[must_use]
    pub(crate) fn unix(&self, at: u64) -> u64 {
        if at == 0 { 0 } else { self.unix + at }
    }
}

/// Counts of one type.
#[derive(Default)]
struct ByKind {
    messages: AtomicU64,
    bytes: AtomicU64,
    resources: AtomicU64,
    removed: AtomicU64,
}

/// The same, to be shown.
#[derive(Serialize, Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Responses that said something.
    pub(crate) messages: u64,
    /// Their bytes, as gRPC messages.
    pub(crate) bytes: u64,
    /// Resources in them.
    pub(crate) resources: u64,
    /// Names in them that are gone.
    pub(crate) removed: u64,
}

/// Counts of all clients.
#[derive(Default)]
pub(crate) struct Counts {
    by: [ByKind; Kind::COUNT],
    /// Responses that said nothing.
    empty: ByKind,
    /// Answers that took a response.
    pub(crate) acks: AtomicU64,
    /// Answers that refused one.
    pub(crate) nacks: AtomicU64,
    /// Streams that did not come to be, or broke.
    pub(crate) errors: AtomicU64,
    /// Streams that a client had after its first.
    pub(crate) reconnects: AtomicU64,
    /// When the first response since the mark came.
    pub(crate) first: AtomicU64,
    /// When the last ack since the mark went.
    pub(crate) last: AtomicU64,
    /// When anything came last, or an ack went.
    pub(crate) active: AtomicU64,
    /// When the mark was.
    pub(crate) marked: AtomicU64,
    why: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    /// A response of a type, or of none that clients ask for.
    pub(crate) fn response(&self, kind: Option<Kind>, counted: Counted, now: u64) {
        let says = counted.resources + counted.removed > 0;
        let by = kind.filter(|_| says).map_or(&self.empty, |kind| &self.by[kind.index()]);
        by.messages.fetch_add(1, Relaxed);
        by.bytes.fetch_add(counted.bytes, Relaxed);
        by.resources.fetch_add(counted.resources, Relaxed);
        by.removed.fetch_add(counted.removed, Relaxed);
        if says {
            // A mark in between may lose a time or keep one too many, as it may a count: marks are for quiet moments.
            let _ = self.first.compare_exchange(0, now, Relaxed, Relaxed);
        }
    }

    /// Something went wrong with a stream.
    pub(crate) fn error(&self, why: String) {
        self.errors.fetch_add(1, Relaxed);
        let mut all = self.why.lock().expect("no holder panics");
        if all.len() < TEXTS || all.contains_key(&why) {
            *all.entry(why).or_default() += 1;
        }
    }

    /// Forgets all counts.
    pub(crate) fn mark(&self, now: u64) {
        let of = |by: &ByKind| {
            [&by.messages, &by.bytes, &by.resources, &by.removed].into_iter().for_each(|count| count.store(0, Relaxed));
        };
        self.by.iter().chain([&self.empty]).for_each(of);
        let others = [&self.acks, &self.nacks, &self.errors, &self.reconnects, &self.first, &self.last];
        others.into_iter().for_each(|count| count.store(0, Relaxed));
        self.why.lock().expect("no holder panics").clear();
        self.marked.store(now, Relaxed);
    }

    /// Counts of a type.
    #[must_use]
    pub(crate) fn of(&self, kind: Kind) -> Counted {
        self.by[kind.index()].counted()
    }

    /// Counts of responses that said nothing.
    #[must_use]
    pub(crate) fn empty(&self) -> Counted {
        self.empty.counted()
    }

    /// Why streams ended, and how many for each reason.
    #[must_use]
    pub(crate) fn why(&self) -> BTreeMap<String, u64> {
        self.why.lock().expect("no holder panics").clone()
    }
}

impl ByKind {
    fn counted(&self) -> Counted {
        Counted {
            messages: self.messages.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            resources: self.resources.load(Relaxed),
            removed: self.removed.load(Relaxed),
        }
    }
}

/// Percentiles, of the nearest rank.
#[derive(Serialize, Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Percentiles {
    /// Half of all are at most this.
    pub p50: u64,
    /// 99 of 100 are at most this.
    pub p99: u64,
    /// The largest.
    pub(crate) max: u64,
}

impl Percentiles {
    /// Of values in any order; all 0 where there are none.
    #[must_use]
    pub(crate) fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Self {
            p50: rank(50).unwrap_or_default(),
            p99: rank(99).unwrap_or_default(),
            max: values.last().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
