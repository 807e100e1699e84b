//! What all clients of the process share: names, resources, and what they make of responses. What was not needed for a while is forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::held::{Held, Transition};
use crate::kinds::Kind;
use crate::names::{Name, Names};
use crate::resource::{Frame, Resource};
use crate::response::Response;

/// Resources that are remembered though nobody may have them.
const RESOURCES: usize = 16 * 1024;
/// Responses, and requests, that are remembered.
const STEPS: usize = 2 * 1024;

/// Values that are remembered for a while: what was not asked for among the last so many new ones is gone.
struct Recent<K, V> {
    limit: usize,
    new: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    fn new(limit: usize) -> Mutex<Self> {
        Mutex::new(Self { limit, new: HashMap::new(), old: HashMap::new() })
    }

    fn get(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.new.get(&key) {
            return Some(value.clone());
        }
        let value = self.old.remove(&key)?;
        self.put(key, value.clone());
        Some(value)
    }

    fn put(&mut self, key: K, value: V) {
        if self.new.len() >= self.limit {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, value);
    }
}

/// A type, what was there, and what came.
type Step = (Kind, u64, u64);

/// What is shared.
pub(crate) struct Library {
    /// All names.
    pub(crate) names: Names,
    resources: Mutex<Recent<(u64, Frame), Arc<Resource>>>,
    steps: Mutex<Recent<Step, Arc<Transition>>>,
    requests: Mutex<Recent<(Kind, u64), Bytes>>,
    held: Mutex<Shelf>,
}

/// Every [`Held`] that somebody has, so that what is equal is one.
#[derive(Default)]
struct Shelf {
    all: HashMap<(Kind, u64), Weak<Held>>,
    /// How many there may be before those are looked for that nobody has.
    limit: usize,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            names: Names::default(),
            resources: Recent::new(RESOURCES),
            steps: Recent::new(STEPS),
            requests: Recent::new(STEPS),
            held: Mutex::default(),
        }
    }
}

impl Library {
    /// The resource with these bytes.
    ///
    /// # Errors
    /// When they are none.
    pub(crate) fn resource(
        &self,
        bytes: &Bytes,
        frame: Frame,
        record: bool,
    ) -> Result<Arc<Resource>, prost::DecodeError> {
        let hash = Resource::hash_of(bytes, record);
        if let Some(known) = self.resources.lock().expect("no holder panics").get((hash, frame)) {
            return Ok(known);
        }
        let read = Arc::new(Resource::read(bytes, frame, hash, record, &self.names)?);
        self.resources.lock().expect("no holder panics").put((hash, frame), read.clone());
        Ok(read)
    }

    /// What a response makes of what a client has; see [`Held::after`].
    #[must_use]
    pub(crate) fn after(&self, kind: Kind, held: &Held, response: &Response, whole: bool) -> Arc<Transition> {
        let key = (kind, held.id, response.digest);
        if let Some(known) = self.steps.lock().expect("no holder panics").get(key) {
            return known;
        }
        let mut made = held.after(response, whole);
        made.next = self.one(kind, made.next);
        let made = Arc::new(made);
        self.steps.lock().expect("no holder panics").put(key, made.clone());
        made
    }

    /// What is left without names; see [`Held::without`].
    #[must_use]
    pub(crate) fn without(&self, kind: Kind, held: &Held, names: &[Name]) -> Arc<Held> {
        self.one(kind, Arc::new(held.without(names)))
    }

    /// The one that is equal to this one.
    fn one(&self, kind: Kind, made: Arc<Held>) -> Arc<Held> {
        let mut shelf = self.held.lock().expect("no holder panics");
        if let Some(known) = shelf.all.get(&(kind, made.id)).and_then(Weak::upgrade) {
            return known;
        }
        if shelf.all.len() >= shelf.limit {
            shelf.all.retain(|_, held| held.strong_count() > 0);
            shelf.limit = 2 * shelf.all.len() + 1024;
        }
        shelf.all.insert((kind, made.id), Arc::downgrade(&made));
        made
    }

    /// A request that many clients send alike: made once for each type and list of names.
    pub(crate) fn request(&self, kind: Kind, lists: [&[Name]; 2], make: impl FnOnce(&Names) -> Bytes) -> Bytes {
        let key = (kind, digest(lists));
        if let Some(known) = self.requests.lock().expect("no holder panics").get(key) {
            return known;
        }
        let made = make(&self.names);
        self.requests.lock().expect("no holder panics").put(key, made.clone());
        made
    }
}

/// A hash of two lists of names.
fn digest(lists: [&[Name]; 2]) -> u64 {
    let numbers: Vec<u8> = lists
        .iter()
        .flat_map(|list| {
            let length = u32::try_from(list.len()).unwrap_or(u32::MAX);
            std::iter::once(length).chain(list.iter().map(|name| name.number()))
        })
        .flat_map(u32::to_le_bytes)
        .collect();
    xxh3_64(&numbers)
}
