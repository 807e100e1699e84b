//! What each file holds, and what changes when files change. Knows no file system: texts come in as arguments.
//!
//! - A removed file removes its objects; a renamed one moves them, in one step.
//! - A file that cannot be read as YAML keeps its last good content, and so does an object that cannot be decoded.
//! - An object in two files belongs to the first in the order of their paths; the other takes over when that one goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::{AnyObject, Changes, Issue, Mode, ObjectId, Severity, decode, yaml};
use names::Name;

#[derive(Default)]
struct Held {
    text: String,
    objects: Vec<AnyObject>,
    issues: Vec<Issue>,
}

/// The files and what they hold.
pub struct Directory {
    mode: Mode,
    files: BTreeMap<PathBuf, Held>,
    /// What the outside knows.
    current: BTreeMap<ObjectId, AnyObject>,
}

impl Directory {
    /// No files.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, files: BTreeMap::new(), current: BTreeMap::new() }
    }

    /// Takes in all files as they are now. `None` is a file that is there but is not to be looked at yet: it keeps what it held.
    pub fn update(&mut self, files: BTreeMap<PathBuf, Option<String>>) -> Changes {
        let mut changes = Changes::default();
        let gone = |path: &PathBuf, _: &mut Held| files.contains_key(path);
        self.files.retain(gone);
        for (path, text) in files {
            let Some(text) = text else { continue };
            let known = self.files.get(&path);
            if known.is_some_and(|held| held.text == text) {
                continue;
            }
            let held = self.files.remove(&path).unwrap_or_default();
            let mut issues = Vec::new();
            let objects = self.read(&path, &text, held.objects, &mut issues);
            changes.issues.extend(issues.iter().cloned());
            self.files.insert(path, Held { text, objects, issues });
        }
        self.settle(&mut changes);
        changes.ledger = Some(self.files.values().flat_map(|held| held.issues.iter().cloned()).collect());
        changes
    }

    /// Whether a file holds objects that an empty text would remove.
    #[must_use]
    pub fn holds_objects(&self, path: &PathBuf) -> bool {
        self.files.get(path).is_some_and(|held| !held.objects.is_empty())
    }

    /// Files and objects.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.files.len(), self.current.len())
    }

    fn read(&self, path: &std::path::Path, text: &str, old: Vec<AnyObject>, issues: &mut Vec<Issue>) -> Vec<AnyObject> {
        let file = Name::from(path.display().to_string());
        let documents = match yaml::documents(text, Some(&file)) {
            Ok(documents) => documents,
            Err(issue) => {
                issues.push(*issue);
                return old;
            }
        };
        let mut objects = Vec::new();
        for document in &documents {
            let (read, found) = decode(document, self.mode);
            // What cannot be used keeps its last good content.
            let broken = found
                .iter()
                .filter(|issue| issue.severity == Severity::Error)
                .filter_map(|issue| issue.object.as_ref());
            let missing = |id: &ObjectId| !read.iter().any(|object| object.id() == *id);
            let kept: Vec<AnyObject> = old
                .iter()
                .filter(|object| broken.clone().any(|id| *id == object.id() && missing(id)))
                .cloned()
                .collect();
            objects.extend(read);
            objects.extend(kept);
            issues.extend(found);
        }
        objects
    }

    /// Compares what all files hold with what the outside knows.
    fn settle(&mut self, changes: &mut Changes) {
        let mut next = BTreeMap::<ObjectId, &AnyObject>::new();
        for object in self.files.values().flat_map(|held| &held.objects) {
            let id = object.id();
            if let Some(first) = next.get(&id) {
                if !std::ptr::eq(*first, object)
                    && !self.current.get(&id).is_some_and(|known| known.same_content(first))
                {
                    changes.issues.push(twice(&id, first, object));
                }
                continue;
            }
            next.insert(id, object);
        }
        changes.removed = self.current.keys().filter(|id| !next.contains_key(*id)).cloned().collect();
        for (id, object) in &next {
            match self.current.get(id) {
                Some(known) if known == *object => {}
                Some(known) if known.same_content(object) => changes.moved.push((id.clone(), object.origin().clone())),
                _ => changes.upserts.push((*object).clone()),
            }
        }
        self.current = next.into_iter().map(|(id, object)| (id, object.clone())).collect();
    }
}

fn twice(id: &ObjectId, first: &AnyObject, second: &AnyObject) -> Issue {
    let place = |object: &AnyObject| {
        let origin = object.origin();
        format!("{}:{}", origin.file.as_deref().unwrap_or("-"), origin.line)
    };
    let message = format!("it is in {} and in {}; the first is used", place(first), place(second));
    Issue {
        code: "IST0133",
        severity: Severity::Warning,
        object: Some(id.clone()),
        path: String::new(),
        message,
        place: None,
    }
}

#[cfg(test)]
mod tests;
