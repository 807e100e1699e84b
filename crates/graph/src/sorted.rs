//! A sorted map whose clones share it. Most buckets have one item or a few, and a mesh has a bucket for each address: a few are one allocation
//! of their size, where a tree's smallest node has room for many.

use std::sync::Arc;

use imbl::shared_ptr::DefaultSharedPtr;
use imbl::{OrdMap, ordmap};

/// As many are kept side by side; each change copies them.
const FEW: usize = 8;

/// A sorted map.
#[derive(Clone)]
pub struct Sorted<K, V>(Form<K, V>);

#[derive(Clone)]
enum Form<K, V> {
    Few(Arc<[(K, V)]>),
    /// More than a few.
    Many(OrdMap<K, V>),
}

/// Its items, in order of their keys.
pub struct Iter<'a, K, V>(Side<'a, K, V>);

enum Side<'a, K, V> {
    Few(std::slice::Iter<'a, (K, V)>),
    Many(ordmap::Iter<'a, K, V, DefaultSharedPtr>),
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self(Form::Few(Arc::default()))
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    /// The item of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        match &self.0 {
            Form::Few(few) => few.binary_search_by(|(own, _)| own.cmp(key)).ok().map(|at| &few[at].1),
            Form::Many(many) => many.get(key),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few(few) => few.len(),
            Form::Many(many) => many.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All items, in order of their keys.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        match &self.0 {
            Form::Few(few) => Iter(Side::Few(few.iter())),
            Form::Many(many) => Iter(Side::Many(many.iter())),
        }
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All items, in order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Sets the item of a key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match &mut self.0 {
            Form::Few(few) => match few.binary_search_by(|(own, _)| own.cmp(&key)) {
                Ok(at) => {
                    *few = few
                        .iter()
                        .enumerate()
                        .map(|(i, old)| if i == at { (key.clone(), value.clone()) } else { old.clone() })
                        .collect()
                }
                Err(_) if few.len() == FEW => {
                    let mut many: OrdMap<K, V> = few.iter().cloned().collect();
                    many.insert(key, value);
                    self.0 = Form::Many(many);
                }
                Err(at) => {
                    let (before, after) = few.split_at(at);
                    *few = before.iter().cloned().chain([(key, value)]).chain(after.iter().cloned()).collect();
                }
            },
            Form::Many(many) => _ = many.insert(key, value),
        }
    }

    /// Takes the item of a key away.
    pub(crate) fn remove(&mut self, key: &K) {
        match &mut self.0 {
            Form::Few(few) => *few = few.iter().filter(|(own, _)| own != key).cloned().collect(),
            Form::Many(many) => {
                many.remove(key);
                if many.len() <= FEW {
                    self.0 = Form::Few(many.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
                }
            }
        }
    }
}

impl<'a, K: Ord, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Side::Few(few) => few.next().map(|(key, value)| (key, value)),
            Side::Many(many) => many.next(),
        }
    }
}

impl<'a, K: Ord + Clone, V: Clone> IntoIterator for &'a Sorted<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> PartialEq for Sorted<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<K: Ord + Clone + std::fmt::Debug, V: Clone + std::fmt::Debug> std::fmt::Debug for Sorted<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_map(edits in prop::collection::vec((0_u8..24, prop::option::of(0_u8..4)), 0..200)) {
            let (mut sorted, mut expected) = (Sorted::default(), BTreeMap::new());
            for (key, value) in edits {
                let before = sorted.clone();
                let all: Vec<_> = before.iter().map(|(key, value)| (*key, *value)).collect();
                match value {
                    Some(value) => {
                        sorted.insert(key, value);
                        expected.insert(key, value);
                    }
                    None => {
                        sorted.remove(&key);
                        expected.remove(&key);
                    }
                }
                prop_assert_eq!(sorted.get(&key), expected.get(&key));
                prop_assert!(sorted.iter().eq(expected.iter()) && sorted.len() == expected.len());
                prop_assert!(before.iter().eq(all.iter().map(|(key, value)| (key, value))), "a clone stays as it was");
                prop_assert!(matches!(sorted.0, Form::Few(_)) == (sorted.len() <= FEW));
            }
        }
    }
}
