//! The door: which objects come into the mesh at all. Objects of another revision, and objects in namespaces that the mesh's discovery
//! selectors leave out, are no rows; they are kept aside, so that they come in when labels or selectors change
//! (`istio: pkg/kube/namespace/filter.go`, `istio: pkg/config/labels istio.io/rev`).

use std::sync::Arc;

use api::mesh::{LabelSelector, MeshConfig};
use api::{ApiKind, Kind, ObjectId};
use graph::{Db, Txn};
use names::{Labels, Name, Namespace};

use crate::settings::Base;
use crate::{Id, Objects, Row};

/// The label that gives an object to one revision of the control plane.
const REVISION: &str = "istio.io/rev";
/// The label that Kubernetes gives every namespace: its name.
const NAME: &str = "kubernetes.io/metadata.name";

macro_rules! incoming {
    ($($field:ident: $kind:ident),* $(,)?) => {
        /// An object on its way in.
        #[derive(Clone)]
        pub(crate) enum Incoming {
            $(
                $kind(Id, Row<api::$kind>)
            ),*
        }

        impl Incoming {
            fn object(&self) -> ObjectId {
                match self { $(Self::$kind(id, _) => object(Kind::$kind, id)),* }
            }

            fn id(&self) -> &Id {
                match self { $(Self::$kind(id, _) => id),* }
            }

            fn labels(&self) -> &Labels {
                match self { $(Self::$kind(_, row) => &row.meta.labels),* }
            }

            fn set(self, txn: &mut Txn) {
                match self { $(Self::$kind(id, row) => txn.set::<Objects<api::$kind>>(id, row)),* }
            }
        }

        fn remove(kind: Kind, id: Id, txn: &mut Txn) {
            match kind { $(Kind::$kind => txn.remove::<Objects<api::$kind>>(id)),* }
        }

        /// The objects that are rows and may not be any more.
        fn expelled(door: &Door, base: &Base, db: &Db) -> Vec<Incoming> {
            let mut found = Vec::new();
            $(
                for (id, row) in db.inputs::<Objects<api::$kind>>() {
                    if !door.shows(<api::$kind as ApiKind>::KIND, id, base) {
                        found.push(Incoming::$kind(id.clone(), row.clone()));
                    }
                }
            )*
            found
        }
    };
}
api::for_each_kind!(incoming);

fn object(kind: Kind, id: &Id) -> ObjectId {
    ObjectId { kind, namespace: id.namespace.clone(), name: id.name.clone() }
}

/// What happened to an object.
pub(crate) enum Change {
    Put(Box<Incoming>),
    Remove(Kind, Id),
}

/// What is let in, and what waits outside.
#[derive(Clone, Default)]
pub(crate) struct Door {
    selectors: Arc<Vec<LabelSelector>>,
    labels: imbl::OrdMap<Namespace, Labels>,
    hidden: imbl::OrdMap<ObjectId, Arc<Incoming>>,
    /// Objects of other revisions, and whose they are.
    foreign: imbl::OrdMap<ObjectId, Name>,
}

impl Door {
    /// Takes changes to the door; what comes in of them goes into the transaction.
    pub(crate) fn take(&mut self, changes: Vec<Change>, base: &Base, db: &Db, txn: &mut Txn) {
        let (selectors, labels) = (self.selectors.clone(), self.labels.clone());
        changes.iter().for_each(|change| self.learn(change, base));
        let other = selectors != self.selectors || !self.selectors.is_empty() && labels != self.labels;
        if other {
            self.turn(base, db, txn);
        }
        for change in changes {
            match change {
                Change::Put(incoming) => self.put(*incoming, base, txn),
                Change::Remove(kind, id) => {
                    self.forget(&object(kind, &id));
                    remove(kind, id, txn);
                }
            }
        }
    }

    /// Namespaces and settings are what the door goes by.
    fn learn(&mut self, change: &Change, base: &Base) {
        match change {
            Change::Put(incoming) => match &**incoming {
                Incoming::KubeNamespace(id, row) => _ = self.labels.insert(id.name.clone(), row.meta.labels.clone()),
                Incoming::ConfigMap(id, row) if is_settings(id, base) => {
                    let text = row.spec.data.get("mesh").map_or("", |text| text.as_str());
                    self.selectors = Arc::new(MeshConfig::from_yaml(text).0.discovery_selectors);
                }
                _ => {}
            },
            Change::Remove(Kind::KubeNamespace, id) => _ = self.labels.remove(&id.name),
            Change::Remove(Kind::ConfigMap, id) if is_settings(id, base) => self.selectors = Arc::default(),
            Change::Remove(..) => {}
        }
    }

    /// Other namespaces are selected than before.
    fn turn(&mut self, base: &Base, db: &Db, txn: &mut Txn) {
        for incoming in expelled(self, base, db) {
            let id = incoming.object();
            remove(id.kind, incoming.id().clone(), txn);
            self.hidden.insert(id, Arc::new(incoming));
        }
        let shown: Vec<Arc<Incoming>> = self
            .hidden
            .iter()
            .filter(|(object, _)| self.selects(&object.namespace))
            .map(|(_, incoming)| incoming.clone())
            .collect();
        for incoming in shown {
            self.hidden.remove(&incoming.object());
            (*incoming).clone().set(txn);
        }
    }

    fn put(&mut self, incoming: Incoming, base: &Base, txn: &mut Txn) {
        let object = incoming.object();
        self.forget(&object);
        let revision = incoming.labels().get(REVISION).filter(|_| object.kind.group().ends_with(".istio.io"));
        if let Some(other) = revision.filter(|revision| **revision != base.revision) {
            self.foreign.insert(object.clone(), other.clone());
            return remove(object.kind, incoming.id().clone(), txn);
        }
        let id = incoming.id().clone();
        if self.shows(object.kind, &id, base) {
            return incoming.set(txn);
        }
        remove(object.kind, id, txn);
        self.hidden.insert(object, Arc::new(incoming));
    }

    fn forget(&mut self, object: &ObjectId) {
        self.hidden.remove(object);
        self.foreign.remove(object);
    }

    /// Whether an object is let in; what has no namespace, and the settings themselves, always are.
    fn shows(&self, kind: Kind, id: &Id, base: &Base) -> bool {
        id.namespace.is_empty() || kind == Kind::ConfigMap && is_settings(id, base) || self.selects(&id.namespace)
    }

    fn selects(&self, namespace: &Namespace) -> bool {
        if self.selectors.is_empty() {
            return true;
        }
        let written = self.labels.get(namespace);
        let written = written.iter().flat_map(|labels| labels.iter()).map(|(key, value)| (key.clone(), value.clone()));
        let labels: Labels = written.chain([(Name::from(NAME), namespace.clone())]).collect();
        self.selectors.iter().any(|selector| selector.matches(&labels))
    }

    /// What selects namespaces.
    pub(crate) fn selectors(&self) -> &[LabelSelector] {
        &self.selectors
    }

    /// What waits outside, and why.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = (&ObjectId, String)> {
        let foreign = self.foreign.iter().map(|(object, revision)| {
            (object, format!("not used: its label {REVISION} gives it to revision {revision}"))
        });
        let hidden = self.hidden.keys().map(|object| {
            (object, format!("not used: the mesh's discoverySelectors leave out namespace {}", object.namespace))
        });
        foreign.chain(hidden)
    }
}

fn is_settings(id: &Id, base: &Base) -> bool {
    id.namespace == base.root_namespace && id.name == base.config_map
}

#[cfg(test)]
mod tests;
