//! What a user of the engine declares: input tables, indexes over them, derived tables.

use std::sync::Arc;

use crate::Reader;
use crate::erased::{Key, Value};

/// A table of ground state: rows that transactions set and remove.
pub trait Input: 'static {
    /// What identifies a row.
    type Key: Key;
    /// What a row holds.
    type Value: Value;
    /// For dumps and counters.
    const NAME: &'static str;
}

/// A table of rows computed from others.
pub trait Derived: 'static {
    /// The key is the argument of the computation, and the cache key.
    type Key: Key;
    /// What the computation gives.
    type Value: Value;
    /// For dumps and counters.
    const NAME: &'static str;
    /// Rows of this table may read derived tables of lower levels only; inputs and indexes are level 0.
    const LEVEL: u8;
    /// Computes the row. `None` is a result too: the row is absent. A missing row that is read looks absent at first; it is then
    /// built and this function called again, so its result must depend on nothing but `key` and what `read` gives.
    fn build(key: &Self::Key, read: &mut Reader<'_>) -> Option<Self::Value>;
}

/// A secondary index over an input table: buckets of projected items, in the order of the rows' keys.
pub trait Index: 'static {
    /// The table it is over.
    type Of: Input;
    /// What a reader asks for.
    type Bucket: Key;
    /// What a reader gets for each row in the bucket; a bucket whose items stay equal does not wake its readers.
    type Item: Value + Clone;
    /// For dumps and counters.
    const NAME: &'static str;
    /// The buckets that a row is in, at most one item for each.
    fn entries(
        key: &<Self::Of as Input>::Key,
        value: &Arc<<Self::Of as Input>::Value>,
    ) -> Vec<(Self::Bucket, Self::Item)>;
}
