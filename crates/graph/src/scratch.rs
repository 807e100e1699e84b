//! Building everything anew: what incremental results are compared with.

use crate::commit::Txn;
use crate::db::Db;
use crate::executor::Executor;
use crate::table::Kind;

impl Db {
    /// A database with the same inputs and roots in which everything derived was built anew.
    #[must_use]
    pub fn from_scratch(&self, executor: &dyn Executor) -> Self {
        let mut fresh = Self::empty(self.schema.clone());
        let mut txn = Txn::default();
        for node in self.nodes.iter().flatten() {
            match self.schema.table(node.table).kind {
                Kind::Input if node.value.is_some() => txn.set_erased(node.table, node.key.clone(), node.value.clone()),
                Kind::Derived => (0..node.roots).for_each(|_| txn.root_erased(node.table, node.key.clone(), true)),
                Kind::Input | Kind::Bucket => {}
            }
        }
        fresh.commit(txn, executor);
        fresh
    }
}
