//! What a measure may be, and which misses are known.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use bench::limits::Limits;
use bench::shape::Size;

/// The most that a measure may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// So much.
    AtMost(f64),
    /// So many times the floor that stands beside it.
    TimesFloor(f64),
}

use Goal::{AtMost, TimesFloor};
use Size::{G, L, M, Ms, P, S};

const ALL: &[Size] = &[S, M, Ms, L, G, P];

/// With a directory as the source, in plain text, on two processors that the server shares with its clients.
const GOALS: &[(&[Size], &str, Goal)] = &[
    (&[M], "endpoint change: to last ack, p99 ms", TimesFloor(4.0)),
    (&[Ms], "route edit: to last ack, p99 ms", AtMost(15.0)),
    (&[M], "route edit: to last ack, p99 ms", TimesFloor(4.0)),
    (&[M], "new service: to last ack, p99 ms", TimesFloor(4.0)),
    (&[M], "deleted service: to last ack, p99 ms", TimesFloor(4.0)),
    (&[M], "endpoint change: server CPU per touched proxy, us", AtMost(35.0)),
    (&[Ms], "route edit: server CPU, ms", AtMost(4.0)),
    (&[M], "route edit: server CPU, ms", AtMost(90.0)),
    (&[Ms], "memory per connected proxy, KB", AtMost(60.0)),
    (&[M], "memory per connected proxy, KB", AtMost(80.0)),
    (&[M, Ms], "memory of services and endpoints, MB", AtMost(25.0)),
    (&[Ms], "memory with all proxies, MB", AtMost(90.0)),
    (&[Ms], "first connect of all, s", AtMost(3.0)),
    (&[M], "first connect of all, s", TimesFloor(2.0)),
    (&[Ms], "first connect: peak memory, MB", AtMost(150.0)),
    (&[M], "first connect: peak memory, MB", AtMost(400.0)),
    (&[M, Ms], "reconnect of all, s", AtMost(3.0)),
    (&[M, Ms], "restart of all, s", AtMost(3.0)),
    (ALL, "reconnect: resources sent", AtMost(0.0)),
    (ALL, "restart: resources sent", AtMost(0.0)),
    (ALL, "reconnect: peak memory above before, MB", AtMost(64.0)),
    (ALL, "restart: peak memory above before, MB", AtMost(64.0)),
    (&[M, Ms], "edit beside 25 frozen of 1000: p99, % of without", AtMost(110.0)),
    (&[M, Ms], "edit beside 500 frozen of 1000: p99, % of without", AtMost(110.0)),
    (ALL, "ten times the services: cost, times", AtMost(12.0)),
    (ALL, "ten times the proxies: cost, times", AtMost(12.0)),
    (ALL, "ten times the edits: cost, times", AtMost(12.0)),
    (ALL, "churn: memory more in 30 minutes, MB", AtMost(2.0)),
];

/// What holds for every shape, source and transport: an edit reaches those whom it concerns, all of them and nobody else.
const ALWAYS: [&str; 3] = ["other proxies touched", "proxies that missed it", "nacks and errors"];

/// What a measure may be in a shape. Times and memory have goals where they are measured as the goals were set.
pub(crate) fn goal(size: Size, usual: bool, name: &str) -> Option<Goal> {
    let always = ALWAYS.iter().any(|always| name.ends_with(always)).then_some(AtMost(0.0));
    let listed = || GOALS.iter().find(|(sizes, known, _)| *known == name && sizes.contains(&size));
    always.or_else(|| usual.then(listed)?.map(|(_, _, goal)| *goal))
}

/// What a count may be.
pub(crate) fn limit(limits: &Limits, name: &str) -> Option<Goal> {
    let always = ALWAYS.iter().any(|always| name.ends_with(always)).then_some(AtMost(0.0));
    always.or_else(|| limits.most(name).map(AtMost))
}

/// Misses that are known: `"SHAPE: measure" = "reason"`, a line each.
pub(crate) struct Known(BTreeMap<String, String>);

impl Known {
    /// Of a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self::of(&text))
    }

    fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let pairs = lines.filter_map(|line| {
            let (name, reason) = line.split_once(" = ")?;
            let bare = |text: &str| text.trim().trim_matches('"').to_owned();
            Some((bare(name), bare(reason)))
        });
        Self(pairs.filter(|(_, reason)| !reason.is_empty()).collect())
    }

    /// Why a measure of a shape misses its goal.
    pub(crate) fn reason(&self, size: Size, name: &str) -> Option<&str> {
        self.0.get(&format!("{size:?}: {name}")).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_miss_has_a_reason() {
        let known = Known::of("# about\n\"Ms: route edit: server CPU, ms\" = \"5: why\"\n\"M: x\" = \"\"\n");
        assert_eq!(known.reason(Ms, "route edit: server CPU, ms"), Some("5: why"));
        assert_eq!(known.reason(M, "route edit: server CPU, ms"), None);
        assert_eq!(known.reason(M, "x"), None, "a miss without a reason is not known");
    }

    #[test]
    fn who_is_not_concerned_is_never_touched() {
        for size in [S, M, Ms, L, G, P] {
            assert_eq!(goal(size, false, "no-op: other proxies touched"), Some(AtMost(0.0)));
        }
        assert_eq!(limit(&Limits::default(), "route edit: other proxies touched"), Some(AtMost(0.0)));
        assert_eq!(goal(Ms, false, "route edit: to last ack, p99 ms"), None, "goals are for the usual way");
    }
}
