//! The only way for a builder to look at anything: each look is recorded.

use std::sync::Arc;

use crate::db::{Db, Note};
use crate::declare::{Derived, Index, Input};
use crate::erased::{Erased, typed};
use crate::ids::RowId;
use crate::table::TableId;
use crate::{Key, Members, Value};

/// A node that was looked at: known already, or to be made when the run is over.
pub(crate) enum Seen {
    Known(RowId),
    New(TableId, Erased),
}

/// Records what one run of a builder looks up.
pub struct Reader<'a> {
    db: &'a Db,
    level: u8,
    pub(crate) reads: Vec<Seen>,
    pub(crate) holds: Vec<Seen>,
    /// A derived row was read that is not built yet: the run counts for nothing but its demands.
    pub(crate) incomplete: bool,
    pub(crate) notes: Vec<Note>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(db: &'a Db, level: u8) -> Self {
        Self { db, level, reads: Vec::new(), holds: Vec::new(), incomplete: false, notes: Vec::new() }
    }

    /// An input row. A miss is a dependency too.
    pub fn input<T: Input>(&mut self, key: &T::Key) -> Option<Arc<T::Value>> {
        let table = self.db.schema.table_of::<T>();
        let id = self.record(table, key);
        self.value(id)
    }

    /// All rows in an index bucket: one dependency, however many there are.
    pub fn bucket<I: Index>(&mut self, bucket: &I::Bucket) -> Members<I> {
        let table = self.db.schema.table_of::<I>();
        let id = self.record(table, bucket);
        self.value::<Members<I>>(id).map(|members| (*members).clone()).unwrap_or_default()
    }

    /// A derived row of a lower level. One that is not built yet looks absent; it will be built and this run repeated.
    ///
    /// # Panics
    /// When the table's level is not lower than that of the row being built.
    pub fn row<T: Derived>(&mut self, key: &T::Key) -> Option<Arc<T::Value>> {
        self.check_level::<T>();
        let table = self.db.schema.table_of::<T>();
        let id = self.record(table, key);
        if !id.is_some_and(|id| self.db.node(id).built) {
            self.incomplete = true;
        }
        self.value(id)
    }

    /// Wants a derived row of a lower level to exist, without depending on what is in it. Gives the key as the table holds it, so
    /// that lists of keys share their parts.
    ///
    /// # Panics
    /// When the table's level is not lower than that of the row being built.
    pub fn hold<T: Derived>(&mut self, key: &T::Key) -> T::Key {
        self.check_level::<T>();
        let table = self.db.schema.table_of::<T>();
        let id = self.db.id_of(table, key);
        self.holds.push(match id {
            Some(id) => Seen::Known(id),
            None => Seen::New(table, Arc::new(key.clone())),
        });
        id.map_or_else(|| key.clone(), |id| typed::<T::Key>(&self.db.node(id).key).clone())
    }

    /// Leaves a note beside the row: something was left out of it, or decided against what was asked for. The row's value stays what it
    /// is; notes go when the row is built without them, or is dropped.
    pub fn note(&mut self, about: impl Into<String>, message: impl Into<String>) {
        self.notes.push(Note { about: about.into(), message: message.into() });
    }

    fn check_level<T: Derived>(&self) {
        assert!(T::LEVEL < self.level, "a row of level {} reads table {} of level {}", self.level, T::NAME, T::LEVEL);
    }

    fn record<K: Key>(&mut self, table: TableId, key: &K) -> Option<RowId> {
        let id = self.db.id_of(table, key);
        self.reads.push(match id {
            Some(id) => Seen::Known(id),
            None => Seen::New(table, Arc::new(key.clone())),
        });
        id
    }

    fn value<V: Value>(&self, id: Option<RowId>) -> Option<Arc<V>> {
        let value = self.db.node(id?).value.clone()?;
        Some(value.downcast().expect("a table holds one type"))
    }
}
