//! Texts that are read again and again share one allocation: ten thousand pods say `default`, `Running` and `pod-template-hash`. What was read
//! last is remembered in a table of fixed size for each thread; there is nothing to lock and nothing that grows.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Texts that a thread remembers.
const PLACES: usize = 4096;
/// Longer ones are not worth it.
const LONGEST: usize = 64;

thread_local! {
    /// What was read last, each text at the place of its hash.
    static TABLE: RefCell<Vec<Option<Arc<str>>>> = RefCell::new(vec![None; PLACES]);
}

/// The text, sharing the allocation of an equal one that was read not long ago.
pub(crate) fn shared(text: &str) -> Arc<str> {
    if text.len() > LONGEST {
        return Arc::from(text);
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let place = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or_default();
    TABLE.with_borrow_mut(|table| match &mut table[place] {
        Some(known) if **known == *text => known.clone(),
        other => other.insert(Arc::from(text)).clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_others_are_not() {
        let (one, other) = (shared("default"), shared("default"));
        assert!(Arc::ptr_eq(&one, &other));
        // More than there are places for: each is itself all the same.
        for number in 0..3 * PLACES {
            assert_eq!(*shared(&number.to_string()), *number.to_string());
        }
        let long = "a".repeat(LONGEST + 1);
        assert!(!Arc::ptr_eq(&shared(&long), &shared(&long)));
    }
}
