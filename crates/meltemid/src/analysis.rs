//! What analysis finds, said in the status of the objects (`istio: pkg/config/analysis/incluster`): by the holder of the Lease, of the last
//! snapshot, at most once an interval. An object whose status says it already is left alone; one on which somebody else writes too is
//! written ever more rarely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::{Issue, Message, ObjectId, Said, Severity};
use kubernetes::lease::Lead;
use kubernetes::{Cluster, status};

use crate::control::{Control, View};
use crate::writes::{self, Pace};

/// An object has no more messages than this, and a message no more bytes: more help nobody.
const MESSAGES: usize = 20;
const BYTES: usize = 1000;

/// What one object's status is to say.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Write {
    object: ObjectId,
    said: Said,
}

impl writes::Write for Write {
    const WHAT: &'static str = "what was found of it";

    fn due(view: &View) -> Vec<Self> {
        due(view)
    }

    fn object(&self) -> &ObjectId {
        &self.object
    }

    async fn write(&self, cluster: &Cluster) -> anyhow::Result<bool> {
        status::say(cluster, &self.object, &self.said).await?;
        Ok(true)
    }
}

/// Keeps the status of all objects of this revision at what analysis finds, while the Lease is ours. Never returns.
pub(crate) async fn run(cluster: Cluster, control: Control, lead: Lead, interval: Duration) {
    writes::keep::<Write>(cluster, control, lead, Pace { look: interval, again: interval }).await;
}

/// The objects whose status does not say what is to be said of them.
fn due(view: &View) -> Vec<Write> {
    let foreign: BTreeSet<&ObjectId> = view.mesh.left_out().map(|(object, _)| object).collect();
    let across = analyze::all(&view.mesh);
    let mut found = BTreeMap::<&ObjectId, Vec<&Issue>>::new();
    for issue in view.issues.iter().chain(&across).filter(|issue| issue.code.starts_with("IST")) {
        let object = issue.object.as_ref().filter(|object| object.kind.definition().is_some());
        if let Some(object) = object.filter(|object| !foreign.contains(object)) {
            found.entry(object).or_default().push(issue);
        }
    }
    let mut writes = Vec::new();
    for (object, origin) in view.mesh.origins().filter(|(object, _)| !foreign.contains(object)) {
        let issues = found.get(object).map(Vec::as_slice).unwrap_or_default();
        if issues.is_empty() && origin.said.is_none() {
            continue;
        }
        let messages = issues.iter().take(MESSAGES).map(|issue| message(issue)).collect();
        let said = Said { generation: origin.generation, messages };
        let as_it_is = origin.said.as_ref().is_some_and(|is| is.covers(&said));
        if !as_it_is {
            writes.push(Write { object: object.clone(), said });
        }
    }
    writes.sort_by(|one, other| one.object.cmp(&other.object));
    writes
}

fn message(issue: &Issue) -> Message {
    let level = match issue.severity {
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
    };
    let mut text = match issue.path.is_empty() {
        true => issue.message.clone(),
        false => format!("{}: {}", issue.path, issue.message),
    };
    let end = (0..=BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    Message { code: issue.code.into(), level: level.into(), message: Some(text.into()) }
}

#[cfg(test)]
mod tests;
