//! Per table: which row id a key has. Typed inside, erased for the engine.

use std::any::Any;
use std::sync::Arc;

use crate::erased::{Erased, Key, typed};

/// The number of a row, recycled when the row is dropped.
pub type RowId = u32;

/// Keys of one table and the ids of their rows.
pub(crate) struct Ids<K>(Map<Arc<K>, RowId>);

/// Keys are long and looked up all the time, which is what a builder mostly does: the usual hasher takes several times as long.
type Map<K, V> = imbl::GenericHashMap<K, V, foldhash::quality::RandomState, imbl::shared_ptr::DefaultSharedPtr>;

impl<K> Default for Ids<K> {
    fn default() -> Self {
        Self(Map::default())
    }
}

impl<K: Key> Ids<K> {
    pub(crate) fn find(&self, key: &K) -> Option<RowId> {
        self.0.get(key).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, RowId)> {
        self.0.iter().map(|(key, id)| (&**key, *id))
    }
}

/// [`Ids`] without its key type.
pub(crate) trait AnyIds: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn get(&self, key: &Erased) -> Option<RowId>;
    fn insert(&mut self, key: &Erased, id: RowId);
    fn remove(&mut self, key: &Erased);
    fn len(&self) -> usize;
    fn boxed(&self) -> Box<dyn AnyIds>;
}

impl<K: Key> AnyIds for Ids<K> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn get(&self, key: &Erased) -> Option<RowId> {
        self.find(typed(key))
    }

    fn insert(&mut self, key: &Erased, id: RowId) {
        let key = key.clone().downcast::<K>().expect("a table holds one type of key");
        self.0.insert(key, id);
    }

    fn remove(&mut self, key: &Erased) {
        self.0.remove(typed::<K>(key));
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn boxed(&self) -> Box<dyn AnyIds> {
        Box::new(Self(self.0.clone()))
    }
}
