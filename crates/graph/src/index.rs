//! Index buckets: which items a bucket holds, and how a changed input row changes them.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::declare::{Index, Input};
use crate::erased::{Erased, typed};
use crate::sorted::Sorted;

/// The items of one bucket by the key of their row.
pub type Members<I> = Sorted<<<I as Index>::Of as Input>::Key, <I as Index>::Item>;

/// Gives a bucket's members after an edit, or `None` when the edit changes nothing.
pub(crate) type Apply = Box<dyn FnOnce(Option<&Erased>) -> Option<Erased>>;

/// One change to one bucket.
pub(crate) struct BucketEdit {
    pub(crate) bucket: Erased,
    pub(crate) apply: Apply,
}

/// An index without its types.
pub(crate) trait AnyIndex: Send + Sync {
    /// How the buckets change when the row of `key` goes from `old` to `new`.
    fn edits(&self, key: &Erased, old: Option<&Erased>, new: Option<&Erased>) -> Vec<BucketEdit>;
    fn is_empty(&self, members: &Erased) -> bool;
}

pub(crate) struct IndexOps<I>(PhantomData<fn() -> I>);

impl<I> Default for IndexOps<I> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<I: Index> IndexOps<I> {
    fn entries(key: &Erased, value: Option<&Erased>) -> Vec<(I::Bucket, I::Item)> {
        let Some(value) = value else { return Vec::new() };
        let value = value.clone().downcast::<<I::Of as Input>::Value>().expect("a table holds one type");
        I::entries(typed(key), &value)
    }
}

impl<I: Index> AnyIndex for IndexOps<I> {
    fn edits(&self, key: &Erased, old: Option<&Erased>, new: Option<&Erased>) -> Vec<BucketEdit> {
        let (before, after) = (Self::entries(key, old), Self::entries(key, new));
        let gone = before.into_iter().filter(|(bucket, _)| !after.iter().any(|(kept, _)| kept == bucket));
        let gone: Vec<_> = gone.map(|(bucket, _)| (bucket, None)).collect();
        let set = after.into_iter().map(|(bucket, item)| (bucket, Some(item)));
        let row: <I::Of as Input>::Key = typed::<<I::Of as Input>::Key>(key).clone();
        gone.into_iter()
            .chain(set)
            .map(|(bucket, item)| {
                let row = row.clone();
                BucketEdit { bucket: Arc::new(bucket), apply: Box::new(move |members| edit::<I>(members, row, item)) }
            })
            .collect()
    }

    fn is_empty(&self, members: &Erased) -> bool {
        typed::<Members<I>>(members).is_empty()
    }
}

fn edit<I: Index>(members: Option<&Erased>, row: <I::Of as Input>::Key, item: Option<I::Item>) -> Option<Erased> {
    let mut members = members.map_or_else(Members::<I>::default, |members| typed::<Members<I>>(members).clone());
    let unchanged = match (members.get(&row), &item) {
        (Some(old), Some(new)) => old == new,
        (None, None) => true,
        _ => false,
    };
    if unchanged {
        return None;
    }
    match item {
        Some(item) => members.insert(row, item),
        None => members.remove(&row),
    };
    Some(Arc::new(members))
}
