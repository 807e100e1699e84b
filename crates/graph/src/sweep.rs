//! Dropping what nobody wants: remembered misses at once, derived rows after a while (a proxy that reconnects finds its rows).

use crate::db::Db;
use crate::ids::RowId;
use crate::table::Kind;

impl Db {
    /// Commits that an unwanted derived row outlives.
    pub const GRACE: u64 = 64;

    /// Drops every derived row that nobody wants, without grace.
    pub fn sweep_all(&mut self) {
        self.sweep(u64::MAX);
        self.tidy();
    }

    /// Called when an edge to this node went away.
    pub(crate) fn unwant(&mut self, id: RowId) {
        let node = self.node(id);
        match self.schema.table(node.table).kind {
            Kind::Derived => self.note_orphan(id),
            Kind::Input | Kind::Bucket => self.blanks.push(id),
        }
    }

    pub(crate) fn note_orphan(&mut self, id: RowId) {
        if self.node(id).wanted() {
            self.orphans.remove(&id);
        } else if !self.orphans.contains_key(&id) {
            self.orphans.insert(id, self.revision);
        }
    }

    /// Drops the input and bucket nodes that hold nothing and that nobody asks for any more; makes freed ids usable again.
    pub(crate) fn tidy(&mut self) {
        for id in std::mem::take(&mut self.blanks) {
            if self.nodes[id as usize].as_ref().is_some_and(|node| node.value.is_none() && !node.wanted()) {
                self.free_node(id);
            }
        }
        self.free.extend(std::mem::take(&mut self.freed));
    }

    /// Drops orphans that were unwanted at revision `until` already, and what only they wanted and was unwanted as long.
    pub(crate) fn sweep(&mut self, until: u64) {
        loop {
            let due: Vec<RowId> =
                self.orphans.iter().filter(|(_, since)| **since <= until).map(|(id, _)| *id).collect();
            if due.is_empty() {
                return;
            }
            due.into_iter().for_each(|id| self.forget(id));
        }
    }

    /// Drops a derived row together with its edges.
    pub(crate) fn forget(&mut self, id: RowId) {
        let node = self.node_mut(id);
        let (reads, holds) = (std::mem::take(&mut node.reads), std::mem::take(&mut node.holds));
        let dropped = (node.table, node.key.clone());
        self.dropped.push(dropped);
        for read in reads.as_slice() {
            self.node_mut(*read).readers.remove(id);
            self.unwant(*read);
        }
        for row in holds.as_slice() {
            self.node_mut(*row).holders.remove(id);
            self.unwant(*row);
        }
        self.orphans.remove(&id);
        self.faults.remove(&id);
        self.notes.remove(&id);
        self.free_node(id);
    }

    fn free_node(&mut self, id: RowId) {
        let node = self.nodes[id as usize].take().expect("a node is freed once");
        self.ids[usize::from(node.table)].remove(&node.key);
        self.freed.push(id);
    }
}
