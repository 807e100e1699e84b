//! What changes together in a source of objects, whichever it is.

use crate::{AnyObject, Issue, ObjectId, Origin};

/// One transaction of a source: what it holds afterwards becomes visible at once.
#[derive(Default, Debug)]
pub struct Changes {
    /// New objects, and objects with new content.
    pub upserts: Vec<AnyObject>,
    /// Objects that are gone.
    pub removed: Vec<ObjectId>,
    /// Objects that say the same and stand elsewhere now, or that cannot be used and keep what they said.
    pub moved: Vec<(ObjectId, Origin)>,
    /// What is wrong with what changed.
    pub issues: Vec<Issue>,
    /// Everything that is to be said of the whole source as it is now; None when that is as it was.
    pub ledger: Option<Vec<Issue>>,
}

impl Changes {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removed.is_empty() && self.moved.is_empty() && self.issues.is_empty()
    }
}
