//! [`Checked`]: proof that an object went through its kind's checks.

use crate::{ApiKind, Object, ObjectId, ObjectMeta, Origin};

/// An object that was checked; later code need not ask again.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked<K> {
    object: Object<K>,
    origin: Origin,
}

impl<K: ApiKind> Checked<K> {
    /// Only for `decode`, which has just run the checks.
    pub(crate) fn new(object: Object<K>, origin: Origin) -> Self {
        Self { object, origin }
    }

    /// Its metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        &self.object.meta
    }

    /// What it says.
    #[must_use]
    pub fn spec(&self) -> &K {
        &self.object.spec
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What identifies it.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        let meta = &self.object.meta;
        ObjectId { kind: K::KIND, namespace: meta.namespace.clone(), name: meta.name.clone() }
    }

    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> (Object<K>, Origin) {
        (self.object, self.origin)
    }
}
