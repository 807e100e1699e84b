//! What is asked for by name: the proxies of a namespace ask for the same, so equal sets are one in memory, however many streams hold them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, Weak};

use names::Name;

/// Names that were asked for.
type Names = BTreeSet<Name>;

/// Sets that somebody holds.
#[derive(Default)]
pub(crate) struct Subscriptions {
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By hash; of two sets with the same only the later one is remembered.
    sets: BTreeMap<u64, Weak<Names>>,
    /// When there are so many, those that nobody holds are forgotten.
    full: usize,
}

/// Sets that are remembered before it is looked which of them are held.
const FEW: usize = 64;

impl Subscriptions {
    /// This set, or an equal one that somebody holds already.
    pub(crate) fn share(&self, names: Names) -> Arc<Names> {
        let hash = self.hasher.hash_one(&names);
        let mut known = self.known.lock().expect("no holder of this lock panics");
        if let Some(equal) = known.sets.get(&hash).and_then(Weak::upgrade).filter(|held| **held == names) {
            return equal;
        }
        let names = Arc::new(names);
        known.sets.insert(hash, Arc::downgrade(&names));
        if known.sets.len() > known.full {
            known.sets.retain(|_, held| held.strong_count() > 0);
            known.full = FEW.max(known.sets.len() * 2);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[usize]) -> Names {
        names.iter().map(|number| Name::from(number.to_string())).collect()
    }

    #[test]
    fn equal_sets_are_one_while_they_are_held_and_nothing_is_kept_of_others() {
        let shared = Subscriptions::default();
        let held = shared.share(set(&[1, 2]));
        for number in 0..10 * FEW {
            assert_eq!(*shared.share(set(&[number])), set(&[number]));
        }
        assert!(Arc::ptr_eq(&held, &shared.share(set(&[2, 1]))));
        assert!(shared.known.lock().unwrap().sets.len() <= FEW + 1);
    }
}
