//! Ground state: one table of objects for each kind, and what they have in common.

use std::marker::PhantomData;
use std::sync::Arc;

use api::{ApiKind, ObjectMeta};
use graph::Input;
use names::{Hostname, Name, Namespace};

/// What identifies an object. Core objects (Services, Pods …) belong to the cluster they were read from, Istio's to the config
/// cluster, so that several clusters can be one mesh.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Id {
    /// The cluster whose API server (or directory) holds the object.
    pub cluster: Name,
    /// Empty for objects without namespace.
    pub namespace: Namespace,
    /// The object's name.
    pub name: Name,
}

/// A checked object as the model keeps it. Where it came from (file, line, generation, resource version) is not in here: an
/// inserted comment changes no row. [`crate::Mesh::origin`] looks that up.
#[derive(Clone, PartialEq, Debug)]
pub struct Row<K> {
    /// Name, labels, annotations, creation time.
    pub meta: Arc<ObjectMeta>,
    /// What the user wrote, checked.
    pub spec: Arc<K>,
    /// The cluster's DNS domain, in which short host names resolve.
    pub domain: Name,
}

impl<K> Row<K> {
    /// A host as written in this object, fully qualified.
    #[must_use]
    pub fn host(&self, written: &str) -> Hostname {
        Hostname::resolve(written, &self.meta.namespace, &self.domain)
    }

    /// "Older first, then by name": how Istio breaks ties between objects (`istio: pilot/pkg/model/config.go sortByCreationComparator`).
    /// Objects without a creation time are the youngest.
    #[must_use]
    pub fn age(&self) -> Age {
        Age::of(&self.meta)
    }
}

/// Sort key: older first, then name, then namespace.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Age(i64, Name, Namespace);

impl Age {
    /// Of an object that is no row yet.
    #[must_use]
    pub fn of(meta: &ObjectMeta) -> Self {
        Self(meta.created.unwrap_or(i64::MAX), meta.name.clone(), meta.namespace.clone())
    }
}

/// The table of all objects of one kind.
pub struct Objects<K>(PhantomData<fn() -> K>);

impl<K: ApiKind> Input for Objects<K> {
    type Key = Id;
    type Value = Row<K>;
    const NAME: &'static str = K::PLURAL;
}
