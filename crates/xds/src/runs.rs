//! Lists of resources that many streams are sent at the same time: one list in memory, however many streams hold a part of it.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, Weak};

use proto::Encoded;

/// A part of a shared list.
#[derive(Clone, Debug)]
pub struct Run {
    list: Arc<[Encoded]>,
    from: usize,
    to: usize,
}

impl Deref for Run {
    type Target = [Encoded];

    fn deref(&self) -> &[Encoded] {
        &self.list[self.from..self.to]
    }
}

impl Run {
    /// The first resources that together stay below `size` bytes (at least one), and the rest.
    pub(crate) fn split(self, size: usize) -> (Self, Option<Self>) {
        let mut sum = 0;
        let fits = self.iter().take_while(|encoded| {
            sum += encoded.len();
            sum <= size
        });
        let at = self.from + fits.count().max(1).min(self.len());
        let rest = (at < self.to).then(|| Self { list: self.list.clone(), from: at, to: self.to });
        (Self { to: at, ..self }, rest)
    }
}

/// Lists made lately that somebody still holds.
#[derive(Default)]
pub(crate) struct Runs(Mutex<VecDeque<(u128, Weak<[Encoded]>)>>);

/// Lists that are remembered. A commit makes a handful.
const REMEMBERED: usize = 64;

impl Runs {
    /// This list, or an equal one that exists already.
    pub(crate) fn share(&self, list: Vec<Encoded>) -> Run {
        let to = list.len();
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for encoded in &list {
            hash.update(encoded.name().as_bytes());
            hash.update(&encoded.version().0.to_le_bytes());
        }
        let key = hash.digest128();
        let mut known = self.0.lock().expect("no holder of this lock panics");
        let found = known.iter().find(|(of, _)| *of == key).and_then(|(_, list)| list.upgrade());
        let list = found.unwrap_or_else(|| {
            let list: Arc<[Encoded]> = list.into();
            known.push_front((key, Arc::downgrade(&list)));
            known.truncate(REMEMBERED);
            list
        });
        Run { list, from: 0, to }
    }
}
