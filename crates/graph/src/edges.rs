//! Sets of row ids: sorted, small, shared until changed.

use std::sync::Arc;

use crate::ids::RowId;

/// A sorted set of row ids. Cloning shares it; changing copies it only while it is shared.
#[derive(Clone, Default, Debug)]
pub(crate) struct Edges(Option<Arc<Vec<RowId>>>);

impl Edges {
    pub(crate) fn from_unsorted(mut ids: Vec<RowId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        ids.shrink_to_fit();
        if ids.is_empty() { Self(None) } else { Self(Some(Arc::new(ids))) }
    }

    pub(crate) fn as_slice(&self) -> &[RowId] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn insert(&mut self, id: RowId) {
        let ids = Arc::make_mut(self.0.get_or_insert_default());
        if let Err(at) = ids.binary_search(&id) {
            ids.insert(at, id);
        }
    }

    pub(crate) fn remove(&mut self, id: RowId) {
        let Some(shared) = &mut self.0 else { return };
        if let Ok(at) = shared.binary_search(&id) {
            let ids = Arc::make_mut(shared);
            ids.remove(at);
            if ids.is_empty() {
                self.0 = None;
            }
        }
    }

    /// What is only in `self`, and what is only in `other`.
    pub(crate) fn difference(&self, other: &Self) -> (Vec<RowId>, Vec<RowId>) {
        let (ours, theirs) = (self.as_slice(), other.as_slice());
        let only = |a: &[RowId], b: &[RowId]| a.iter().copied().filter(|id| b.binary_search(id).is_err()).collect();
        (only(ours, theirs), only(theirs, ours))
    }
}
