//! A transaction and the wave that follows it: changed inputs, then the rows that read them, level by level upwards.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::db::{Db, Fault, Note};
use crate::declare::{Derived, Input};
use crate::edges::Edges;
use crate::erased::{Erased, typed};
use crate::ids::RowId;
use crate::reader::{Reader, Seen};
use crate::table::{Kind, TableId};
use crate::{Executor, Inline};

/// Waves smaller than this run on the calling thread: handing them out costs more than it gains.
const INLINE_BELOW: usize = 32;

/// One change to an input or a root.
type Set = Box<dyn FnOnce(&mut Db, &mut Wave) + Send>;

/// Changes to inputs and roots that become visible together.
#[derive(Default)]
pub struct Txn {
    sets: Vec<Set>,
}

impl Txn {
    /// Sets an input row.
    pub fn set<T: Input>(&mut self, key: T::Key, value: T::Value) {
        self.put::<T>(key, Some(Arc::new(value)));
    }

    /// Removes an input row, if it is there.
    pub fn remove<T: Input>(&mut self, key: T::Key) {
        self.put::<T>(key, None);
    }

    /// Wants a derived row until [`Txn::release`] is called as often.
    pub fn demand<T: Derived>(&mut self, key: T::Key) {
        self.root::<T>(key, true);
    }

    /// Takes back one [`Txn::demand`].
    pub fn release<T: Derived>(&mut self, key: T::Key) {
        self.root::<T>(key, false);
    }

    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Appends all of another transaction.
    pub fn append(&mut self, mut other: Self) {
        self.sets.append(&mut other.sets);
    }

    fn put<T: Input>(&mut self, key: T::Key, value: Option<Arc<T::Value>>) {
        self.sets.push(Box::new(move |db, wave| {
            let table = db.schema.table_of::<T>();
            db.set_input(table, &(Arc::new(key) as Erased), value.map(|value| value as Erased), wave);
        }));
    }

    fn root<T: Derived>(&mut self, key: T::Key, wanted: bool) {
        self.sets.push(Box::new(move |db, wave| {
            let table = db.schema.table_of::<T>();
            db.set_root(table, &(Arc::new(key) as Erased), wanted, wave);
        }));
    }

    pub(crate) fn set_erased(&mut self, table: TableId, key: Erased, value: Option<Erased>) {
        self.sets.push(Box::new(move |db, wave| db.set_input(table, &key, value, wave)));
    }

    pub(crate) fn root_erased(&mut self, table: TableId, key: Erased, wanted: bool) {
        self.sets.push(Box::new(move |db, wave| db.set_root(table, &key, wanted, wave)));
    }
}

/// What a commit did.
#[derive(Default, Debug)]
pub struct Changes {
    /// The revision that the commit made.
    pub revision: u64,
    /// Derived rows whose value changed, appeared, or went absent, by ascending level.
    rows: Vec<(TableId, RowId, Erased)>,
    /// Derived rows that nobody wanted any more and that are gone. Some may be there again.
    dropped: Vec<(TableId, Erased)>,
    /// Per table: builder runs that gave a result. A row that had to wait for rows it demanded counts once.
    rebuilt: BTreeMap<&'static str, usize>,
}

impl Changes {
    /// The keys of the changed rows of a table, each with its id. A dropped row has no id any more.
    pub fn of<'a, T: Derived>(&'a self, db: &'a Db) -> impl Iterator<Item = (&'a T::Key, RowId)> {
        let table = db.schema.table_of::<T>();
        self.rows.iter().filter(move |(of, ..)| *of == table).map(|(_, id, key)| (typed(key), *id))
    }

    /// The keys of rows of a table that were dropped since the last commit: whoever mirrors them has missed nothing until now, and would
    /// miss what comes.
    pub fn dropped<'a, T: Derived>(&'a self, db: &'a Db) -> impl Iterator<Item = &'a T::Key> {
        let table = db.schema.table_of::<T>();
        self.dropped.iter().filter(move |(of, _)| *of == table).map(|(_, key)| typed(key))
    }

    /// Rows of a table that were rebuilt, changed or not.
    #[must_use]
    pub fn rebuilt<T: Derived>(&self) -> usize {
        self.rebuilt.get(T::NAME).copied().unwrap_or(0)
    }

    /// Rows of all tables that were rebuilt, by the name of their table.
    #[must_use]
    pub fn rebuilt_by_table(&self) -> &BTreeMap<&'static str, usize> {
        &self.rebuilt
    }

    /// Rows of all tables that were rebuilt.
    #[must_use]
    pub fn rebuilt_in_all(&self) -> usize {
        self.rebuilt.values().sum()
    }

    /// Whether no derived row changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Rows to build, by level, and what came of it so far.
#[derive(Default)]
pub(crate) struct Wave {
    dirty: BTreeMap<u8, BTreeSet<RowId>>,
    changes: Changes,
}

impl Wave {
    fn mark(&mut self, level: u8, id: RowId) {
        self.dirty.entry(level).or_default().insert(id);
    }
}

/// The outcome of one builder run.
struct Run {
    value: Result<Option<Erased>, String>,
    reads: Vec<Seen>,
    holds: Vec<Seen>,
    incomplete: bool,
    notes: Vec<Note>,
}

impl Db {
    /// Applies a transaction and rebuilds what depends on it. Half a transaction is never visible: until this returns, snapshots
    /// taken before are what others read.
    pub fn commit(&mut self, txn: Txn, executor: &dyn Executor) -> Changes {
        self.revision += 1;
        let mut wave = Wave::default();
        for set in txn.sets {
            set(self, &mut wave);
        }
        while let Some((_, batch)) = wave.dirty.pop_first() {
            self.build_level(batch, executor, &mut wave);
        }
        self.sweep(self.revision.saturating_sub(Self::GRACE));
        self.tidy();
        wave.changes.dropped = std::mem::take(&mut self.dropped);
        wave.changes.revision = self.revision;
        wave.changes
    }

    fn set_input(&mut self, table: TableId, key: &Erased, value: Option<Erased>, wave: &mut Wave) {
        let id = self.intern(table, key);
        let schema = self.schema.clone();
        let declared = schema.table(table);
        let old = self.node(id).value.clone();
        let unchanged = match (&old, &value) {
            (Some(old), Some(new)) => declared.ops.same(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !unchanged {
            self.node_mut(id).value.clone_from(&value);
            self.wake(id, wave);
            for (bucket_table, index) in &declared.indexes {
                for edit in index.edits(key, old.as_ref(), value.as_ref()) {
                    self.edit_bucket(*bucket_table, edit, &**index, wave);
                }
            }
        }
        self.blanks.push(id);
    }

    fn edit_bucket(
        &mut self,
        table: TableId,
        edit: crate::index::BucketEdit,
        index: &dyn crate::index::AnyIndex,
        wave: &mut Wave,
    ) {
        let id = self.intern(table, &edit.bucket);
        if let Some(members) = (edit.apply)(self.node(id).value.as_ref()) {
            self.node_mut(id).value = Some(members).filter(|members| !index.is_empty(members));
            self.wake(id, wave);
        }
        self.blanks.push(id);
    }

    fn set_root(&mut self, table: TableId, key: &Erased, wanted: bool, wave: &mut Wave) {
        let id = self.intern(table, key);
        let node = self.node_mut(id);
        node.roots = if wanted { node.roots + 1 } else { node.roots.saturating_sub(1) };
        if !node.built {
            let level = self.level(id);
            wave.mark(level, id);
        }
        self.note_orphan(id);
    }

    /// Marks all readers of a changed node.
    fn wake(&self, id: RowId, wave: &mut Wave) {
        for reader in self.node(id).readers.as_slice() {
            wave.mark(self.level(*reader), *reader);
        }
    }

    fn build_level(&mut self, batch: BTreeSet<RowId>, executor: &dyn Executor, wave: &mut Wave) {
        // A row may have been dropped, or no longer be wanted, since it was marked.
        let live: Vec<RowId> = batch.into_iter().filter(|id| self.nodes[*id as usize].is_some()).collect();
        let (wanted, unwanted): (Vec<_>, Vec<_>) = live.into_iter().partition(|id| self.node(*id).wanted());
        unwanted.into_iter().for_each(|id| self.forget(id));

        let runs: Vec<Mutex<Option<Run>>> = wanted.iter().map(|_| Mutex::new(None)).collect();
        let job = |number: usize| {
            let run = self.run(wanted[number]);
            *runs[number].lock().expect("no holder of this lock panics") = Some(run);
        };
        if wanted.len() < INLINE_BELOW {
            Inline.run(wanted.len(), &job)
        } else {
            executor.run(wanted.len(), &job)
        }
        for (id, run) in wanted.into_iter().zip(runs) {
            let run = run.into_inner().expect("no holder of this lock panics").expect("the executor runs each job");
            self.settle(id, run, wave);
        }
    }

    fn run(&self, id: RowId) -> Run {
        let node = self.node(id);
        let table = self.schema.table(node.table);
        let mut reader = Reader::new(self, table.level);
        let built = catch_unwind(AssertUnwindSafe(|| table.ops.build(&node.key, &mut reader)));
        let value = built.map_err(|panic| {
            let text =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            text.unwrap_or("a panic without a message").to_owned()
        });
        Run { value, reads: reader.reads, holds: reader.holds, incomplete: reader.incomplete, notes: reader.notes }
    }

    /// Takes in what a run gave: edges first, then the value, unless rows it needs are still to be built.
    fn settle(&mut self, id: RowId, run: Run, wave: &mut Wave) {
        let failed = run.value.is_err();
        let mut reads = self.resolve(run.reads, wave);
        let mut holds = self.resolve(run.holds, wave);
        if run.incomplete || failed {
            // Keep the old edges beside the new: the old value stays in use, and any of these may bring the row back to life.
            reads.extend_from_slice(self.node(id).reads.as_slice());
            holds.extend_from_slice(self.node(id).holds.as_slice());
        }
        self.set_edges(id, Edges::from_unsorted(reads), Edges::from_unsorted(holds));
        let level = self.level(id);
        if run.incomplete {
            wave.mark(level, id);
            return;
        }
        let table = self.node(id).table;
        let name = self.schema.table(table).name;
        *wave.changes.rebuilt.entry(name).or_default() += 1;
        match run.value {
            Ok(value) => {
                self.faults.remove(&id);
                match run.notes.is_empty() {
                    true => self.notes.remove(&id),
                    false => self.notes.insert(id, run.notes.into()),
                };
                self.set_derived(id, value, wave);
            }
            Err(message) => {
                let key = self.schema.table(table).ops.show(&self.node(id).key);
                self.faults.insert(id, Fault { table: name, key, message });
                self.node_mut(id).built = true;
            }
        }
    }

    fn set_derived(&mut self, id: RowId, value: Option<Erased>, wave: &mut Wave) {
        let schema = self.schema.clone();
        let node = self.node(id);
        let same = match (&node.value, &value) {
            (Some(old), Some(new)) => schema.table(node.table).ops.same(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let (table, key) = (node.table, node.key.clone());
        let node = self.node_mut(id);
        node.built = true;
        if !same {
            node.value = value;
            wave.changes.rows.push((table, id, key));
            self.wake(id, wave);
        }
    }

    /// Turns what was seen into ids, and marks derived rows that are not built yet.
    fn resolve(&mut self, seen: Vec<Seen>, wave: &mut Wave) -> Vec<RowId> {
        let mut ids = Vec::with_capacity(seen.len());
        for seen in seen {
            let id = match seen {
                Seen::Known(id) => id,
                Seen::New(table, key) => self.intern(table, &key),
            };
            let node = self.node(id);
            let table = self.schema.table(node.table);
            if table.kind == Kind::Derived && !node.built {
                wave.mark(table.level, id);
            }
            ids.push(id);
        }
        ids
    }

    fn set_edges(&mut self, id: RowId, reads: Edges, holds: Edges) {
        let node = self.node_mut(id);
        let old_reads = std::mem::replace(&mut node.reads, reads.clone());
        let old_holds = std::mem::replace(&mut node.holds, holds.clone());
        let (gone, come) = old_reads.difference(&reads);
        come.into_iter().for_each(|read| self.node_mut(read).readers.insert(id));
        let (unheld, held) = old_holds.difference(&holds);
        held.into_iter().for_each(|row| self.node_mut(row).holders.insert(id));
        for read in gone {
            self.node_mut(read).readers.remove(id);
            self.unwant(read);
        }
        for row in unheld {
            self.node_mut(row).holders.remove(id);
            self.unwant(row);
        }
        come_back(self, &reads, &holds);
    }
}

/// A row that was on its way out and is wanted again.
fn come_back(db: &mut Db, reads: &Edges, holds: &Edges) {
    if db.orphans.is_empty() {
        return;
    }
    for id in reads.as_slice().iter().chain(holds.as_slice()) {
        db.orphans.remove(id);
    }
}

#[cfg(test)]
mod tests;
