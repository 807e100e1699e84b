//! [`Checked`]: proof that an object went through its kind's checks.

use std::sync::Arc;

use crate::{ApiKind, ObjectId, ObjectMeta, Origin};

/// An object that was checked; later code need not ask again. A clone shares what it says.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked<K> {
    meta: Arc<ObjectMeta>,
    spec: Arc<K>,
    origin: Origin,
}

impl<K: ApiKind> Checked<K> {
    /// Only for `decode`, which has just run the checks.
    pub(crate) fn new(meta: ObjectMeta, spec: K, origin: Origin) -> Self {
        Self { meta: Arc::new(meta), spec: Arc::new(spec), origin }
    }

    /// Its metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    /// What it says.
    #[must_use]
    pub fn spec(&self) -> &K {
        &self.spec
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId { kind: K::KIND, namespace: self.meta.namespace.clone(), name: self.meta.name.clone() }
    }

    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> (Arc<ObjectMeta>, Arc<K>, Origin) {
        (self.meta, self.spec, self.origin)
    }
}
