//! What is published: views, each a map of names to resources of one type that many streams share, all at one revision.
//!
//! A view remembers for each name the revision of its last change, removals included. So "what changed for a stream that was last
//! sent revision r" is a range of one shared log; a stream stores a number, latest wins by itself, and a frozen stream costs nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use imbl::OrdMap;
use names::Name;
use proto::Encoded;
use tokio::sync::Notify;

use crate::types::ResourceType;

/// Number of a commit.
pub type Revision = u64;
/// A view, numbered by whoever publishes it. Numbers are not used twice.
pub type ViewId = u64;
/// A connection, numbered by the source.
pub type ConnectionId = u64;

/// For each type the views whose concatenation a connection sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment(pub Vec<(ResourceType, Arc<[ViewId]>)>);

impl Assignment {
    /// Whether anything is to be said of a type.
    #[must_use]
    pub fn has(&self, kind: ResourceType) -> bool {
        self.0.iter().any(|(of, _)| *of == kind)
    }

    /// The views of a type.
    #[must_use]
    pub fn views(&self, kind: ResourceType) -> Arc<[ViewId]> {
        self.0.iter().find(|(of, _)| *of == kind).map(|(_, views)| views.clone()).unwrap_or_default()
    }
}

#[derive(Clone, Default)]
struct View {
    /// The resource, or a tombstone, and when it changed.
    entries: OrdMap<Name, (Revision, Option<Encoded>)>,
    log: OrdMap<(Revision, Name), ()>,
}

impl View {
    fn set(&mut self, name: Name, revision: Revision, encoded: Option<Encoded>) {
        if let Some((old, _)) = self.entries.insert(name.clone(), (revision, encoded)) {
            self.log.remove(&(old, name.clone()));
        }
        self.log.insert((revision, name), ());
    }
}

/// Everything published, at one revision. Cloning is O(1).
#[derive(Clone, Default)]
pub struct Snapshot {
    revision: Revision,
    views: imbl::HashMap<ViewId, View>,
    assignments: imbl::HashMap<ConnectionId, Arc<Assignment>>,
}

impl Snapshot {
    /// The commit that made it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What a connection sees; `None` before it is known.
    #[must_use]
    pub fn assignment(&self, connection: ConnectionId) -> Option<&Arc<Assignment>> {
        self.assignments.get(&connection)
    }

    /// A resource in one of these views.
    #[must_use]
    pub fn get(&self, views: &[ViewId], name: &str) -> Option<&Encoded> {
        views.iter().find_map(|view| self.views.get(view)?.entries.get(name)?.1.as_ref())
    }

    /// All resources of these views.
    pub fn all<'a>(&'a self, views: &'a [ViewId]) -> impl Iterator<Item = (&'a Name, &'a Encoded)> {
        let views = views.iter().filter_map(|view| self.views.get(view));
        views.flat_map(|view| view.entries.iter()).filter_map(|(name, (_, encoded))| Some((name, encoded.as_ref()?)))
    }

    /// The names that changed in these views after `since`: to what, or that they are gone.
    pub fn changed<'a>(
        &'a self,
        views: &'a [ViewId],
        since: Revision,
    ) -> impl Iterator<Item = (&'a Name, Option<&'a Encoded>)> {
        let from = (since + 1, Name::default());
        let views = views.iter().filter_map(|view| self.views.get(view));
        views.flat_map(move |view| {
            let names = view.log.range(from.clone()..).map(|((_, name), ())| name);
            names.filter_map(|name| Some((name, view.entries.get(name)?.1.as_ref())))
        })
    }
}

/// Who has to be woken: the streams by the views that they see.
#[derive(Default)]
struct Index {
    views: HashMap<ViewId, Vec<(ConnectionId, Arc<Notify>)>>,
    streams: HashMap<ConnectionId, Registered>,
}

/// How to wake a stream, the revision that it has passed, and what it sees.
type Registered = (Arc<Notify>, Arc<AtomicU64>, Arc<Assignment>);

impl Index {
    fn assign(&mut self, connection: ConnectionId, assignment: &Arc<Assignment>) {
        let Some((notify, _, old)) = self.streams.get_mut(&connection) else { return };
        let notify = notify.clone();
        let old = std::mem::replace(old, assignment.clone());
        for view in old.0.iter().flat_map(|(_, views)| views.iter()) {
            if let Some(streams) = self.views.get_mut(view) {
                streams.retain(|(other, _)| *other != connection);
                if streams.is_empty() {
                    self.views.remove(view);
                }
            }
        }
        for view in assignment.0.iter().flat_map(|(_, views)| views.iter()) {
            self.views.entry(*view).or_default().push((connection, notify.clone()));
        }
    }
}

/// The one writer's handle, and the readers'.
#[derive(Clone, Default)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    index: Arc<Mutex<Index>>,
    woken: Arc<AtomicU64>,
}

/// Changes that become visible together.
pub struct Commit<'a> {
    next: Snapshot,
    changed: std::collections::BTreeSet<ViewId>,
    assigned: Vec<(ConnectionId, Arc<Assignment>)>,
    publisher: &'a Publisher,
}

impl Commit<'_> {
    /// Puts a resource into a view.
    pub fn set(&mut self, view: ViewId, encoded: Encoded) {
        let name = Name::from(encoded.name());
        let revision = self.next.revision;
        self.next.views.entry(view).or_default().set(name, revision, Some(encoded));
        self.changed.insert(view);
    }

    /// Puts a resource into a view, unless it is there in this version.
    pub fn set_changed(&mut self, view: ViewId, encoded: &Encoded) {
        let known = self.next.get(&[view], encoded.name()).map(Encoded::version);
        if known != Some(encoded.version()) {
            self.set(view, encoded.clone());
        }
    }

    /// Takes a resource out of a view.
    pub fn remove(&mut self, view: ViewId, name: &Name) {
        let revision = self.next.revision;
        if let Some(view_state) = self.next.views.get_mut(&view)
            && view_state.entries.get(name).is_some_and(|(_, encoded)| encoded.is_some())
        {
            view_state.set(name.clone(), revision, None);
            self.changed.insert(view);
        }
    }

    /// Forgets a view that nobody sees any more.
    pub fn drop_view(&mut self, view: ViewId) {
        self.next.views.remove(&view);
    }

    /// Says what a connection sees.
    pub fn assign(&mut self, connection: ConnectionId, assignment: Assignment) {
        let assignment = Arc::new(assignment);
        if self.next.assignments.get(&connection) != Some(&assignment) {
            self.next.assignments.insert(connection, assignment.clone());
            self.assigned.push((connection, assignment));
        }
    }

    /// A connection is gone.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.next.assignments.remove(&connection);
    }

    /// Makes it visible and wakes the streams of changed views.
    pub fn publish(mut self) {
        let floor = self.publisher.floor();
        for view in &self.changed {
            prune(self.next.views.get_mut(view), floor);
        }
        self.publisher.current.store(Arc::new(self.next));
        let mut index = self.publisher.index.lock().expect("no holder of this lock panics");
        let mut woken = 0;
        for (connection, assignment) in &self.assigned {
            index.assign(*connection, assignment);
            if let Some((notify, ..)) = index.streams.get(connection) {
                notify.notify_one();
            }
        }
        let mut seen = std::collections::HashSet::new();
        for (connection, notify) in self.changed.iter().filter_map(|view| index.views.get(view)).flatten() {
            if seen.insert(*connection) {
                woken += 1;
                notify.notify_one();
            }
        }
        self.publisher.woken.fetch_add(woken, Ordering::Relaxed);
    }
}

/// Tombstones that every stream has passed.
fn prune(view: Option<&mut View>, floor: Revision) {
    let Some(view) = view else { return };
    let old: Vec<(Revision, Name)> = view
        .log
        .range(..(floor, Name::default()))
        .filter(|((_, name), ())| view.entries.get(name).is_some_and(|(_, encoded)| encoded.is_none()))
        .map(|(key, ())| key.clone())
        .collect();
    for key in old {
        view.entries.remove(&key.1);
        view.log.remove(&key);
    }
}

impl Publisher {
    /// Nothing is published yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a commit. There is one writer; two at once would lose changes of one.
    #[must_use]
    pub fn commit(&self) -> Commit<'_> {
        let mut next = (**self.current.load()).clone();
        next.revision += 1;
        Commit { next, changed: std::collections::BTreeSet::new(), assigned: Vec::new(), publisher: self }
    }

    /// What is published now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Streams woken since the start.
    #[must_use]
    pub fn woken(&self) -> u64 {
        self.woken.load(Ordering::Relaxed)
    }

    /// The revision that every stream has passed.
    fn floor(&self) -> Revision {
        let index = self.index.lock().expect("no holder of this lock panics");
        let floors = index.streams.values().map(|(_, floor, _)| floor.load(Ordering::Relaxed));
        floors.min().unwrap_or(Revision::MAX)
    }

    /// A stream that wants to be woken. `floor` is the revision that it has passed.
    pub(crate) fn register(&self, connection: ConnectionId, floor: Arc<AtomicU64>) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let mut index = self.index.lock().expect("no holder of this lock panics");
        index.streams.insert(connection, (notify.clone(), floor, Arc::default()));
        // It may have been assigned before it was registered.
        if let Some(assignment) = self.current.load().assignment(connection).cloned() {
            index.assign(connection, &assignment);
            notify.notify_one();
        }
        notify
    }

    pub(crate) fn unregister(&self, connection: ConnectionId) {
        let mut index = self.index.lock().expect("no holder of this lock panics");
        index.assign(connection, &Arc::default());
        index.streams.remove(&connection);
    }
}

#[cfg(test)]
mod tests;
