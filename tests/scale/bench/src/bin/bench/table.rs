//! The table, its verdicts, and the same as JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value as Json, json};

use crate::goals::Goal;
use crate::value::{Beside, Value};

/// What became of a goal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is none.
    Free,
    Holds,
    Missed,
    /// Missed, with a reason that is written down.
    Known(String),
}

/// A line.
pub(crate) struct Row {
    name: String,
    /// One of each server.
    values: Vec<f64>,
    floor: Option<f64>,
    goal: Option<Goal>,
    pub(crate) verdict: Verdict,
    detail: bool,
}

impl Row {
    /// Of the values that servers have for one measure; the goal is the first one's.
    pub(crate) fn new(
        value: &Value,
        values: Vec<f64>,
        floors: &BTreeMap<Beside, f64>,
        goal: Option<Goal>,
        reason: Option<&str>,
    ) -> Self {
        let floor = value.beside.and_then(|beside| floors.get(&beside)).copied();
        let most = goal.map(|goal| match goal {
            Goal::AtMost(most) => most,
            // Without a floor there is nothing that could be held.
            Goal::TimesFloor(times) => floor.map_or(f64::NAN, |floor| floor * times),
        });
        let own = values.first().copied().unwrap_or(f64::NAN);
        let verdict = match (most, reason) {
            (None, _) => Verdict::Free,
            (Some(most), _) if own <= most => Verdict::Holds,
            (Some(_), Some(reason)) => Verdict::Known(reason.to_owned()),
            (Some(_), None) => Verdict::Missed,
        };
        Self { name: value.name.clone(), values, floor, goal, verdict, detail: value.detail }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.zip(self.values.first()).map(|(floor, value)| value / floor)
    }

    /// Whether a reader needs it.
    fn shown(&self) -> bool {
        !self.detail || matches!(self.verdict, Verdict::Missed | Verdict::Known(_))
    }

    fn json(&self) -> Json {
        let (verdict, reason) = match &self.verdict {
            Verdict::Free => (Json::Null, Json::Null),
            Verdict::Holds => (json!("ok"), Json::Null),
            Verdict::Missed => (json!("missed"), Json::Null),
            Verdict::Known(reason) => (json!("known"), json!(reason)),
        };
        json!({
            "measure": self.name, "values": self.values, "floor": self.floor, "ratio": self.ratio(),
            "goal": self.goal.map(shown_goal), "verdict": verdict, "reason": reason,
        })
    }
}

fn shown_goal(goal: Goal) -> String {
    match goal {
        Goal::AtMost(most) => format!("<= {most}"),
        Goal::TimesFloor(times) => format!("<= {times} x floor"),
    }
}

/// As many digits as say something.
fn digits(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "-".to_owned(),
        large if large >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// For people.
pub(crate) fn print(rows: &[Row], servers: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let columns: String = servers.iter().map(|server| format!(" {:>14}", last(server))).collect();
    writeln!(out, "{:<54}{columns} {:>9} {:>7} {:>16}", "measure", "floor", "ratio", "goal")?;
    for row in rows.iter().filter(|row| row.shown()) {
        let values: String = row.values.iter().map(|value| format!(" {:>14}", digits(*value))).collect();
        let number = |value: Option<f64>| value.map(digits).unwrap_or_default();
        let goal = row.goal.map(shown_goal).unwrap_or_default();
        let verdict = match &row.verdict {
            Verdict::Free => "",
            Verdict::Holds => "ok",
            Verdict::Missed => "MISSED",
            Verdict::Known(_) => "known",
        };
        let line = format!(
            "{:<54}{values} {:>9} {:>7} {goal:>16}  {verdict}",
            row.name,
            number(row.floor),
            number(row.ratio())
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The end of a path.
fn last(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.get(..14).unwrap_or(name)
}

/// For programs.
pub(crate) fn write(path: &Path, rows: &[Row], about: Json) -> anyhow::Result<()> {
    let rows: Vec<Json> = rows.iter().map(Row::json).collect();
    let text = serde_json::to_string_pretty(&json!({ "about": about, "rows": rows }))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(value: f64, goal: Goal, floor: Option<f64>, reason: Option<&str>) -> Verdict {
        let beside = Beside::Push { bytes: 1024, proxies: 10 };
        let floors = floor.map(|floor| (beside, floor)).into_iter().collect();
        Row::new(&Value::new("x", value).beside(beside), vec![value], &floors, Some(goal), reason).verdict
    }

    #[test]
    fn a_goal_is_missed_unless_it_is_seen_to_hold() {
        assert_eq!(verdict(4.0, Goal::AtMost(4.0), None, None), Verdict::Holds);
        assert_eq!(verdict(4.1, Goal::AtMost(4.0), None, None), Verdict::Missed);
        assert_eq!(verdict(f64::NAN, Goal::AtMost(4.0), None, None), Verdict::Missed);
        assert_eq!(verdict(7.9, Goal::TimesFloor(4.0), Some(2.0), None), Verdict::Holds);
        assert_eq!(verdict(8.1, Goal::TimesFloor(4.0), Some(2.0), None), Verdict::Missed);
        assert_eq!(verdict(1.0, Goal::TimesFloor(4.0), None, None), Verdict::Missed);
        assert_eq!(verdict(8.1, Goal::TimesFloor(4.0), Some(2.0), Some("why")), Verdict::Known("why".to_owned()));
    }
}
