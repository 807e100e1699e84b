//! What each file holds, and what changes when files change. Knows no file system: texts come in as arguments.
//!
//! - A removed file removes its objects; a renamed one moves them, in one step.
//! - A file that cannot be read, or not as YAML, keeps its last good content, and so does an object that cannot be decoded.
//! - An object in two files belongs to the first in the order of their paths; the other takes over when that one goes.
//!
//! A change costs what the files that changed cost, however many others there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::{AnyObject, Changes, Issue, Mode, ObjectId, Place, Severity, decode, yaml};
use names::Name;

/// What was found where a file is or was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// Its text.
    Text(String),
    /// It is there, and is not to be looked at yet: it keeps what it held.
    Wait,
    /// It is there and cannot be read, and why.
    Closed(String),
    /// It is not there.
    Gone,
}

#[derive(Default)]
struct Held {
    /// Of its text.
    hash: u128,
    /// Its objects, in order.
    ids: Vec<ObjectId>,
    issues: Vec<Issue>,
}

/// An object where it stands.
struct Standing {
    file: Arc<Path>,
    object: AnyObject,
}

/// How an object was before a change: what the outside knows of it, and in how many places it stood.
struct Before {
    shown: Option<AnyObject>,
    places: usize,
}

/// The files and what they hold.
pub struct Directory {
    mode: Mode,
    files: BTreeMap<Arc<Path>, Held>,
    /// In the order of paths, and of lines within a file; the outside knows the first. Never empty.
    objects: BTreeMap<ObjectId, Vec<Standing>>,
    /// Objects that stand in several places.
    doubled: BTreeSet<ObjectId>,
}

impl Directory {
    /// No files.
    #[must_use]
    pub fn new(mode: Mode) -> Self {
        Self { mode, files: BTreeMap::new(), objects: BTreeMap::new(), doubled: BTreeSet::new() }
    }

    /// Takes in what was found where files are or were; all other files stay as they are.
    pub fn update(&mut self, looks: BTreeMap<PathBuf, Look>) -> Changes {
        let mut changes = Changes::default();
        let mut touched = BTreeMap::new();
        let mut said = false;
        for (path, look) in looks {
            let path: Arc<Path> = path.into();
            let before = self.files.get(&path).map(|held| held.issues.clone()).unwrap_or_default();
            match look {
                Look::Wait => continue,
                Look::Text(text) => self.read(&path, &text, &mut touched),
                Look::Closed(why) => {
                    self.files.entry(path.clone()).or_default().close(&path, &why);
                }
                Look::Gone => {
                    let held = self.files.remove(&path).unwrap_or_default();
                    self.take(&path, &held.ids, &mut touched);
                }
            }
            let after = self.files.get(&path).map(|held| held.issues.as_slice()).unwrap_or_default();
            if before != after {
                changes.issues.extend(after.iter().cloned());
                said = true;
            }
        }
        said |= self.settle(touched, &mut changes);
        changes.ledger = said.then(|| self.ledger());
        changes
    }

    /// The files that are known at a path: itself, or what is under it.
    pub fn under<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        let after = self.files.range::<Path, _>((std::ops::Bound::Included(path), std::ops::Bound::Unbounded));
        after.map(|(file, _)| &**file).take_while(move |file| file.starts_with(path))
    }

    /// Whether a file holds objects that an empty text would remove.
    #[must_use]
    pub fn holds_objects(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|held| !held.ids.is_empty())
    }

    /// Files and objects.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.files.len(), self.objects.len())
    }

    /// Takes in a file's text.
    fn read(&mut self, path: &Arc<Path>, text: &str, touched: &mut BTreeMap<ObjectId, Before>) {
        let hash = xxhash_rust::xxh3::xxh3_128(text.as_bytes());
        let known = self.files.get(path);
        if known.is_some_and(|held| held.hash == hash && !held.is_closed()) {
            return;
        }
        let name = Name::from(path.display().to_string());
        let documents = match yaml::documents(text, Some(&name)) {
            Ok(documents) => documents,
            Err(issue) => {
                let held = self.files.entry(path.clone()).or_default();
                (held.hash, held.issues) = (hash, vec![*issue]);
                return;
            }
        };
        let ids = known.map(|held| held.ids.clone()).unwrap_or_default();
        let old = self.take(path, &ids, touched);
        let mut issues = Vec::new();
        let mut ids = Vec::new();
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
            for object in read.into_iter().chain(kept) {
                ids.push(object.id());
                self.put(path, object, touched);
            }
            issues.extend(found);
        }
        ids.shrink_to_fit();
        self.files.insert(path.clone(), Held { hash, ids, issues });
    }

    /// How an object is before anything of it changes.
    fn note(&self, id: &ObjectId, touched: &mut BTreeMap<ObjectId, Before>) {
        if !touched.contains_key(id) {
            let standings = self.objects.get(id).map(Vec::as_slice).unwrap_or_default();
            let shown = standings.first().map(|standing| standing.object.clone());
            touched.insert(id.clone(), Before { shown, places: standings.len() });
        }
    }

    /// Takes a file's objects out.
    fn take(&mut self, path: &Path, ids: &[ObjectId], touched: &mut BTreeMap<ObjectId, Before>) -> Vec<AnyObject> {
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            self.note(id, touched);
            let Some(standings) = self.objects.get_mut(id) else { continue };
            taken.extend(standings.extract_if(.., |standing| *standing.file == *path).map(|standing| standing.object));
            if standings.is_empty() {
                self.objects.remove(id);
            }
        }
        taken
    }

    /// Puts an object of a file in.
    fn put(&mut self, path: &Arc<Path>, object: AnyObject, touched: &mut BTreeMap<ObjectId, Before>) {
        let id = object.id();
        self.note(&id, touched);
        let standings = self.objects.entry(id).or_insert_with(|| Vec::with_capacity(1));
        let at = standings.partition_point(|standing| standing.file <= *path);
        standings.insert(at, Standing { file: path.clone(), object });
    }

    /// Compares what stands there now with what the outside knows. Says whether what is said of objects in several places changed.
    fn settle(&mut self, touched: BTreeMap<ObjectId, Before>, changes: &mut Changes) -> bool {
        let mut said = false;
        for (id, before) in touched {
            let standings = self.objects.get(&id).map(Vec::as_slice).unwrap_or_default();
            said |= match standings.len() > 1 {
                true => self.doubled.insert(id.clone()) || before.places != standings.len(),
                false => self.doubled.remove(&id),
            };
            let Some((first, others)) = standings.split_first() else {
                changes.removed.extend(before.shown.map(|_| id));
                continue;
            };
            let same = before.shown.as_ref().is_some_and(|shown| shown.same_content(&first.object));
            if !same || before.places < standings.len() {
                changes.issues.extend(others.iter().map(|other| twice(&id, &first.object, &other.object)));
            }
            if !same {
                changes.upserts.push(first.object.clone());
            } else if before.shown.as_ref() != Some(&first.object) {
                changes.moved.push((id, first.object.origin().clone()));
            }
        }
        said
    }

    /// All that is to be said.
    fn ledger(&self) -> Vec<Issue> {
        let doubled = self.doubled.iter().filter_map(|id| Some((id, self.objects.get(id)?.split_first()?)));
        let doubled = doubled
            .flat_map(|(id, (first, others))| others.iter().map(move |other| twice(id, &first.object, &other.object)));
        self.files.values().flat_map(|held| held.issues.iter().cloned()).chain(doubled).collect()
    }
}

impl Held {
    /// It cannot be read.
    fn close(&mut self, path: &Path, why: &str) {
        let place =
            Place { file: Some(Name::from(path.display().to_string())), line: 1, column: 1, ..Place::default() };
        let message = format!("the file cannot be read: {why}");
        let issue = Issue {
            code: CLOSED,
            severity: Severity::Error,
            object: None,
            path: String::new(),
            message,
            place: Some(place),
        };
        self.issues = vec![issue];
    }

    fn is_closed(&self) -> bool {
        matches!(self.issues.as_slice(), [issue] if issue.code == CLOSED)
    }
}

/// A file that cannot be read.
const CLOSED: &str = "MLT0302";

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
