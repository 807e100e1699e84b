//! What one kind's watch has shown, and what follows from what it shows next. A list counts as a whole: until its end nothing follows
//! from it, and at its end what was not in it is gone. Knows no connection and no clock.

use std::collections::{BTreeMap, BTreeSet};

use api::yaml::Document;
use api::{AnyObject, Changes, Issue, Kind, Mode, ObjectId, Origin, Severity, decode, origin};
use names::Name;
use serde_json::Value;

/// Fewer objects than this may all vanish without a doubt.
const FEW: usize = 10;

/// What a watch shows.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Event {
    /// A list begins.
    Begin,
    /// Something in the list.
    Listed(Value),
    /// The list was whole.
    End,
    /// Something is new or changed.
    Put(Value),
    /// Something is gone: its namespace and name.
    Gone(String, String),
}

/// What follows.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing yet.
    Nothing,
    /// These changes, together.
    Changed(Changes),
    /// The list that just ended is not to be believed unless the next ones say the same, and why.
    Doubted(String),
}

/// What is known of an object.
struct Held {
    version: u64,
    /// What is to be said of it.
    issues: Box<[Issue]>,
}

#[derive(Default)]
struct Listing {
    seen: BTreeSet<ObjectId>,
    /// The newest version in it.
    newest: u64,
    /// How many are older than what is known.
    older: usize,
    objects: Vec<Listed>,
}

struct Listed {
    id: ObjectId,
    version: u64,
    read: Read,
}

/// What was read of a document.
struct Read {
    objects: Vec<AnyObject>,
    issues: Vec<Issue>,
    /// Where it came from, when it cannot be used: what it says stays, and what is said of it is about this.
    unused: Option<Origin>,
}

impl Read {
    fn new(kind: Kind, value: Value) -> Self {
        let document = Document::from(value);
        let (objects, issues) = decode(&document, Mode::Lenient);
        let unused = objects.is_empty().then(|| origin(kind, &document)).flatten();
        Self { objects, issues, unused }
    }
}

/// Everything of one kind.
pub(super) struct Store {
    kind: Kind,
    held: BTreeMap<ObjectId, Held>,
    listing: Option<Listing>,
}

impl Store {
    /// Nothing known yet.
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, held: BTreeMap::new(), listing: None }
    }

    /// Takes what a watch shows. `patient`: a doubtful list has been doubted for long enough.
    pub(super) fn take(&mut self, event: Event, patient: bool) -> Step {
        match event {
            Event::Begin => self.listing = Some(Listing::default()),
            Event::Listed(value) => self.list(value),
            Event::End => return self.end(patient),
            Event::Put(value) => return self.put(value),
            Event::Gone(namespace, name) => {
                let id = self.id(&namespace, &name);
                let Some(held) = self.held.remove(&id) else { return Step::Nothing };
                let ledger = (!held.issues.is_empty()).then(|| self.ledger());
                return Step::Changed(Changes { removed: vec![id], ledger, ..Changes::default() });
            }
        }
        Step::Nothing
    }

    /// All is gone: the kind itself is.
    pub(super) fn clear(&mut self) -> Changes {
        self.listing = None;
        let removed = std::mem::take(&mut self.held).into_keys().collect();
        Changes { removed, ledger: Some(Vec::new()), ..Changes::default() }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    fn id(&self, namespace: &str, name: &str) -> ObjectId {
        ObjectId { kind: self.kind, namespace: Name::from(namespace), name: Name::from(name) }
    }

    fn list(&mut self, value: Value) {
        let (id, version) = self.named(&value);
        let known = self.held.get(&id).map(|held| held.version);
        let Some(listing) = &mut self.listing else { return };
        listing.seen.insert(id.clone());
        listing.newest = listing.newest.max(version);
        if known == Some(version) {
            return;
        }
        listing.older += usize::from(known.is_some_and(|known| known > version));
        listing.objects.push(Listed { id, version, read: Read::new(self.kind, value) });
    }

    fn end(&mut self, patient: bool) -> Step {
        let Some(listing) = self.listing.take() else { return Step::Nothing };
        let removed: Vec<ObjectId> = self.held.keys().filter(|id| !listing.seen.contains(*id)).cloned().collect();
        if let Some(doubt) = self.doubt(&listing, removed.len()).filter(|_| !patient) {
            return Step::Doubted(doubt);
        }
        let mut changes = Changes::default();
        let mut said = removed.iter().filter_map(|id| self.held.remove(id)).any(|held| !held.issues.is_empty());
        changes.removed = removed;
        // Together, and not one after the other in their order, which would leave half of the tree's room empty.
        let mut held = Vec::with_capacity(listing.objects.len());
        for Listed { id, version, read } in listing.objects {
            said |= self.says_otherwise(&id, &read.issues);
            held.push((id.clone(), Held { version, issues: read.issues.as_slice().into() }));
            changes.moved.extend(read.unused.map(|origin| (id, origin)));
            changes.upserts.extend(read.objects);
            changes.issues.extend(read.issues);
        }
        self.held.append(&mut held.into_iter().collect());
        changes.ledger = said.then(|| self.ledger());
        Step::Changed(changes)
    }

    /// Why a list may not be the truth: it comes from an API server that lags behind another, or from a store that was just restored.
    fn doubt(&self, listing: &Listing, removed: usize) -> Option<String> {
        if listing.older > 0 {
            return Some(format!("{} objects of the list are older than what was seen before", listing.older));
        }
        // What a watch showed to be gone is not held, and not missed.
        if self.held.values().any(|held| held.version > listing.newest) {
            return Some("the newest that was seen before is not in the list, and nothing newer is".to_owned());
        }
        let many = self.kind == Kind::Service && removed > FEW && removed * 2 > self.held.len();
        many.then(|| format!("{removed} of {} are not in the list any more", self.held.len()))
    }

    fn put(&mut self, value: Value) -> Step {
        let (id, version) = self.named(&value);
        let Read { objects, issues, unused } = Read::new(self.kind, value);
        let said = self.says_otherwise(&id, &issues);
        self.held.insert(id.clone(), Held { version, issues: issues.as_slice().into() });
        let ledger = said.then(|| self.ledger());
        let moved = unused.map(|origin| (id, origin)).into_iter().collect();
        Step::Changed(Changes { upserts: objects, moved, issues, ledger, ..Changes::default() })
    }

    /// Whether other things are to be said of an object than before. One that cannot be used keeps its last good content in the mesh.
    fn says_otherwise(&self, id: &ObjectId, issues: &[Issue]) -> bool {
        *self.held.get(id).map(|held| &*held.issues).unwrap_or_default() != *issues
    }

    fn named(&self, value: &Value) -> (ObjectId, u64) {
        let text = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
        // Versions of objects are numbers that grow, as of Kubernetes 1.35 by contract.
        (self.id(text("namespace"), text("name")), text("resourceVersion").parse().unwrap_or(0))
    }

    fn ledger(&self) -> Vec<Issue> {
        self.held.values().flat_map(|held| held.issues.iter().cloned()).collect()
    }
}

/// What is to be said of a kind as a whole.
pub(super) fn about(kind: Kind, message: String) -> Issue {
    Issue {
        code: "MLT0301",
        severity: Severity::Warning,
        object: None,
        path: String::new(),
        message: format!("{kind}: {message}"),
        place: None,
    }
}

#[cfg(test)]
mod tests;
