//! The incremental engine: input tables, indexes over them, and derived rows that are rebuilt when something they read has
//! changed. It knows no mesh words, owns no threads, and touches nothing outside itself.
//!
//! A builder ([`Derived::build`]) sees its key and a [`Reader`]. What it looks up through the reader *is* its list of
//! dependencies, misses included; nobody writes one by hand. A [`Txn`] changes inputs; [`Db::commit`] rebuilds what read them,
//! level by level, and stops where a rebuilt row equals the old one.
//!
//! - Each derived table has a constant level and reads lower levels only, so a wave runs upwards and never waits.
//! - Rows are *demanded*: by roots, by readers, or *held* by a row that lists them without depending on their content. A row
//!   that is demanded and missing is built in the same wave and its reader run again: no recursion, no locks.
//! - A range or selector read is one edge to an index bucket, whether it is empty or holds thousands.
//! - A row that nobody wants is dropped after [`Db::GRACE`] commits. Row ids are `u32` and recycled.
//! - A builder that panics keeps its last good row and leaves a [`Fault`]; one that leaves something out says so in a [`Note`].
//! - Everything that is stored lies in persistent maps: cloning a [`Db`] is a snapshot or a fork and costs O(1).

mod commit;
mod db;
mod declare;
mod edges;
mod erased;
mod executor;
mod ids;
mod index;
mod reader;
mod scratch;
mod sorted;
mod sweep;
mod table;

pub use commit::{Changes, Txn};
pub use db::{Counts, Db, Fault, Note};
pub use declare::{Derived, Index, Input};
pub use erased::{Key, Value};
pub use executor::{Executor, Inline};
pub use ids::RowId;
pub use index::Members;
pub use reader::Reader;
pub use sorted::Sorted;
pub use table::Schema;
