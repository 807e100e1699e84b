//! What is looked up for many objects alike, found out once: the oldest rule of a host, the hosts of a subset, whether a selector selects
//! somebody. A fact is found out when it is first asked for.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use api::networking::VirtualService;
use model::settings::MeshSettings;
use model::{Age, Id, Mesh, Objects};
use names::{Hostname, Labels, Name, Namespace};

/// The gateway of all sidecars.
pub(crate) const SIDECARS: &str = "mesh";

/// A rule, as it is shown, and how old it is.
type Rule = (Age, String);
/// A selector, within a namespace perhaps.
type Selection = (Option<Namespace>, Labels);

/// Facts of one snapshot.
pub(crate) struct Known<'m> {
    pub(crate) mesh: &'m Mesh,
    oldest: OnceCell<BTreeMap<Hostname, Rule>>,
    subsets: OnceCell<BTreeMap<Name, Vec<Hostname>>>,
    selected: RefCell<BTreeMap<Selection, bool>>,
    settings: OnceCell<Arc<MeshSettings>>,
}

impl<'m> Known<'m> {
    /// Nothing is known yet.
    pub(crate) fn new(mesh: &'m Mesh) -> Self {
        Self {
            mesh,
            oldest: OnceCell::new(),
            subsets: OnceCell::new(),
            selected: RefCell::default(),
            settings: OnceCell::new(),
        }
    }

    /// The mesh's settings.
    pub(crate) fn settings(&self) -> &MeshSettings {
        self.settings.get_or_init(|| self.mesh.settings())
    }

    /// The oldest rule of sidecars for exactly this host, if it is older than `age`.
    pub(crate) fn older(&self, host: &Hostname, age: &Age) -> Option<&str> {
        let oldest = self.oldest.get_or_init(|| {
            let mut oldest = BTreeMap::<Hostname, Rule>::new();
            for (id, row) in self.mesh.db().inputs::<Objects<VirtualService>>() {
                if !of_sidecars(&row.spec) {
                    continue;
                }
                for host in row.spec.hosts.iter().map(|host| row.host(host)) {
                    let rule = (row.age(), format!("{}/{}", id.namespace, id.name));
                    let first = oldest.entry(host).or_insert_with(|| rule.clone());
                    if rule.0 < first.0 {
                        *first = rule;
                    }
                }
            }
            oldest
        });
        oldest.get(host).filter(|(first, _)| first < age).map(|(_, rule)| rule.as_str())
    }

    /// Whether some DestinationRule of the host has the subset.
    pub(crate) fn subset(&self, host: &Hostname, subset: &str) -> bool {
        let subsets = self.subsets.get_or_init(|| {
            let mut subsets = BTreeMap::<Name, Vec<Hostname>>::new();
            for (_, row) in self.mesh.db().inputs::<Objects<api::DestinationRule>>() {
                for subset in &row.spec.subsets {
                    subsets.entry(subset.name.clone()).or_default().push(row.host(&row.spec.host));
                }
            }
            subsets
        });
        subsets.get(subset).is_some_and(|hosts| hosts.iter().any(|of| of.covers(host)))
    }

    /// Whether some pod, or workload outside, has the labels.
    pub(crate) fn selects(&self, namespace: Option<&Namespace>, labels: &Labels) -> bool {
        let key = (namespace.cloned(), labels.clone());
        if let Some(known) = self.selected.borrow().get(&key) {
            return *known;
        }
        let db = self.mesh.db();
        let within = |id: &Id| namespace.is_none_or(|namespace| id.namespace == *namespace);
        let mut pods = db.inputs::<Objects<api::Pod>>();
        let mut entries = db.inputs::<Objects<api::WorkloadEntry>>();
        let found = pods.any(|(id, row)| within(id) && row.meta.labels.contain(labels))
            || entries.any(|(id, row)| within(id) && row.spec.labels.contain(labels));
        self.selected.borrow_mut().insert(key, found);
        found
    }
}

/// Whether a rule is for sidecars.
pub(crate) fn of_sidecars(rule: &VirtualService) -> bool {
    rule.gateways.is_empty() || rule.gateways.iter().any(|gateway| *gateway == SIDECARS)
}
