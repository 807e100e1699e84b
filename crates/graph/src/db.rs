//! What is stored: nodes (rows, index buckets, remembered misses) with their edges, in persistent maps.

use std::sync::Arc;

use crate::declare::{Derived, Index, Input};
use crate::edges::Edges;
use crate::erased::{Erased, typed};
use crate::ids::{AnyIds, Ids, RowId};
use crate::index::Members;
use crate::table::{Kind, Schema, TableId};

/// One row, bucket, or remembered miss.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) table: TableId,
    pub(crate) key: Erased,
    pub(crate) value: Option<Erased>,
    /// Derived rows: whether the builder has run at all.
    pub(crate) built: bool,
    pub(crate) roots: u32,
    pub(crate) reads: Edges,
    pub(crate) holds: Edges,
    pub(crate) readers: Edges,
    pub(crate) holders: Edges,
}

impl Node {
    pub(crate) fn wanted(&self) -> bool {
        self.roots > 0 || !self.readers.is_empty() || !self.holders.is_empty()
    }
}

/// A builder that panicked; its last good row stays in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Name of the table.
    pub table: &'static str,
    /// The key, as its `Debug` shows it.
    pub key: String,
    /// What the panic said.
    pub message: String,
}

/// Sizes, for limits and leak tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Nodes of all kinds: rows, buckets, remembered misses.
    pub nodes: usize,
    /// Derived rows.
    pub derived: usize,
    /// Recorded reads.
    pub reads: usize,
    /// Rows held without being read.
    pub holds: usize,
    /// Interned keys of all tables.
    pub keys: usize,
}

/// What a builder says beside its row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Note {
    /// What it is about, in the builder's words.
    pub about: String,
    /// What was done.
    pub message: String,
}

/// A database at one revision. Cloning is O(1): a snapshot to read from, or a fork to commit to.
pub struct Db {
    pub(crate) schema: Arc<Schema>,
    pub(crate) ids: Vec<Box<dyn AnyIds>>,
    pub(crate) nodes: imbl::Vector<Option<Node>>,
    pub(crate) free: imbl::Vector<RowId>,
    /// Rows that nobody wants, and the revision since when.
    pub(crate) orphans: imbl::OrdMap<RowId, u64>,
    pub(crate) faults: imbl::OrdMap<RowId, Fault>,
    pub(crate) notes: imbl::OrdMap<RowId, Arc<[Note]>>,
    pub(crate) revision: u64,
    /// Inputs and buckets that lost a reader during this commit, and ids freed during it: both are dealt with at its end, since
    /// runs of the same wave may still name them.
    pub(crate) blanks: Vec<RowId>,
    pub(crate) freed: Vec<RowId>,
    /// Derived rows that were dropped since the last commit said so.
    pub(crate) dropped: Vec<(TableId, Erased)>,
}

impl Clone for Db {
    fn clone(&self) -> Self {
        Self {
            schema: self.schema.clone(),
            ids: self.ids.iter().map(|ids| ids.boxed()).collect(),
            nodes: self.nodes.clone(),
            free: self.free.clone(),
            orphans: self.orphans.clone(),
            faults: self.faults.clone(),
            notes: self.notes.clone(),
            revision: self.revision,
            blanks: Vec::new(),
            freed: Vec::new(),
            dropped: Vec::new(),
        }
    }
}

impl Db {
    /// An empty database with the tables of `schema`.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self::empty(Arc::new(schema))
    }

    pub(crate) fn empty(schema: Arc<Schema>) -> Self {
        let ids = schema.ids.iter().map(|ids| ids.boxed()).collect();
        Self {
            schema,
            ids,
            nodes: imbl::Vector::new(),
            free: imbl::Vector::new(),
            orphans: imbl::OrdMap::new(),
            faults: imbl::OrdMap::new(),
            notes: imbl::OrdMap::new(),
            revision: 0,
            blanks: Vec::new(),
            freed: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Number of commits so far.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Builders that panicked and have not succeeded since.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.values()
    }

    /// What builders left notes about, each once.
    #[must_use]
    pub fn notes(&self) -> std::collections::BTreeSet<&Note> {
        self.notes.values().flat_map(|notes| notes.iter()).collect()
    }

    /// An input row.
    #[must_use]
    pub fn input<T: Input>(&self, key: &T::Key) -> Option<Arc<T::Value>> {
        self.value(self.schema.table_of::<T>(), key)
    }

    /// A derived row, if somebody demanded it and its builder gave one.
    #[must_use]
    pub fn row<T: Derived>(&self, key: &T::Key) -> Option<Arc<T::Value>> {
        self.value(self.schema.table_of::<T>(), key)
    }

    /// An index bucket.
    #[must_use]
    pub fn bucket<I: Index>(&self, bucket: &I::Bucket) -> Members<I> {
        let members = self.value::<I::Bucket, Members<I>>(self.schema.table_of::<I>(), bucket);
        members.map(|members| (*members).clone()).unwrap_or_default()
    }

    /// All rows of an input table, in no particular order.
    pub fn inputs<T: Input>(&self) -> impl Iterator<Item = (&T::Key, &T::Value)> {
        self.rows_of(self.schema.table_of::<T>())
    }

    /// All present rows of a derived table, in no particular order.
    pub fn rows<T: Derived>(&self) -> impl Iterator<Item = (&T::Key, &T::Value)> {
        self.rows_of(self.schema.table_of::<T>())
    }

    fn rows_of<K: crate::Key, V: crate::Value>(&self, table: TableId) -> impl Iterator<Item = (&K, &V)> {
        let ids =
            self.ids[usize::from(table)].as_any().downcast_ref::<Ids<K>>().expect("a table holds one type of key");
        ids.iter().filter_map(|(key, id)| Some((key, typed(self.node(id).value.as_ref()?))))
    }

    /// The id of a derived row that is known, present or absent.
    #[must_use]
    pub fn find<T: Derived>(&self, key: &T::Key) -> Option<RowId> {
        self.id_of(self.schema.table_of::<T>(), key)
    }

    /// The keys of the rows of `T` that hold this row.
    pub fn holders<T: Derived>(&self, id: RowId) -> impl Iterator<Item = &T::Key> {
        let table = self.schema.table_of::<T>();
        let holders = self.node(id).holders.as_slice().iter().map(|holder| self.node(*holder));
        holders.filter(move |node| node.table == table).map(|node| typed(&node.key))
    }

    /// The keys of the input rows of `T` that this row depends on, through any number of derived rows and buckets. A row that was
    /// looked for and not found counts: its appearance would change this row.
    #[must_use]
    pub fn sources<T: Input>(&self, id: RowId) -> Vec<T::Key> {
        let table = self.schema.table_of::<T>();
        let mut seen = std::collections::BTreeSet::from([id]);
        let mut next = vec![id];
        let mut found = Vec::new();
        while let Some(id) = next.pop() {
            let node = self.node(id);
            if node.table == table {
                found.push(typed::<T::Key>(&node.key).clone());
            }
            next.extend(node.reads.as_slice().iter().copied().filter(|read| seen.insert(*read)));
        }
        found.sort();
        found
    }

    /// Sizes; O(nodes).
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { keys: self.ids.iter().map(|ids| ids.len()).sum(), ..Counts::default() };
        for node in self.nodes.iter().flatten() {
            counts.nodes += 1;
            counts.derived += usize::from(self.schema.table(node.table).kind == Kind::Derived);
            counts.reads += node.reads.as_slice().len();
            counts.holds += node.holds.as_slice().len();
        }
        counts
    }

    /// Nodes per table, for dumps.
    #[must_use]
    pub fn sizes(&self) -> Vec<(&'static str, usize)> {
        self.schema.tables.iter().zip(&self.ids).map(|(table, ids)| (table.name, ids.len())).collect()
    }

    pub(crate) fn id_of<K: crate::Key>(&self, table: TableId, key: &K) -> Option<RowId> {
        self.ids[usize::from(table)].as_any().downcast_ref::<Ids<K>>().expect("a table holds one type of key").find(key)
    }

    fn value<K: crate::Key, V: crate::Value>(&self, table: TableId, key: &K) -> Option<Arc<V>> {
        let value = self.node(self.id_of(table, key)?).value.clone()?;
        Some(value.downcast().expect("a table holds one type"))
    }

    pub(crate) fn node(&self, id: RowId) -> &Node {
        self.nodes[id as usize].as_ref().expect("edges lead to live nodes")
    }

    pub(crate) fn node_mut(&mut self, id: RowId) -> &mut Node {
        self.nodes[id as usize].as_mut().expect("edges lead to live nodes")
    }

    pub(crate) fn level(&self, id: RowId) -> u8 {
        self.schema.table(self.node(id).table).level
    }

    /// The id of a key's node, made if need be.
    pub(crate) fn intern(&mut self, table: TableId, key: &Erased) -> RowId {
        if let Some(id) = self.ids[usize::from(table)].get(key) {
            return id;
        }
        let node = Node {
            table,
            key: key.clone(),
            value: None,
            built: false,
            roots: 0,
            reads: Edges::default(),
            holds: Edges::default(),
            readers: Edges::default(),
            holders: Edges::default(),
        };
        let id = if let Some(id) = self.free.pop_back() {
            self.nodes.set(id as usize, Some(node));
            id
        } else {
            self.nodes.push_back(Some(node));
            RowId::try_from(self.nodes.len() - 1).expect("fewer than 4 billion rows")
        };
        self.ids[usize::from(table)].insert(key, id);
        id
    }
}
