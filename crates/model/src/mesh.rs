//! The mesh database: objects and proxies go in by transactions, snapshots come out. The only place that knows every table.

use std::sync::Arc;

use api::mesh::LabelSelector;
use api::{AnyObject, ApiKind, Checked, ObjectId, Origin};
use graph::{Changes, Db, Executor, Schema, Txn};
use names::{Name, Namespace};

use crate::door::{Change, Door, Incoming};
use crate::proxies::{AskedForNames, FoundAccess, Proxies, Proxy, ProxyId, SecretAccess};
use crate::settings::{Base, Bases, MeshSettings, Settings, TrustBundle};
use crate::{
    Id, Objects, Row, endpoints, gateways, ingress, peers, policy, proxies, rules, scopes, services, settings,
};

/// The model's tables; `translate` adds its own on top.
#[must_use]
pub fn schema() -> Schema {
    macro_rules! inputs {
        ($($field:ident: $kind:ident),* $(,)?) => {
            Schema::new().input::<Bases>().input::<TrustBundle>().input::<Proxies>().input::<AskedForNames>().input::<FoundAccess>()
                $(.input::<Objects<api::$kind>>())*
        };
    }
    api::for_each_kind!(inputs)
        .index::<services::EntriesByHost>()
        .index::<services::ServiceOffers>()
        .index::<services::EntryOffers>()
        .index::<endpoints::SlicesByService>()
        .index::<endpoints::PodsByNamespace>()
        .index::<peers::PeersByNamespace>()
        .index::<policy::RulesByHost>()
        .index::<rules::RuleAudience>()
        .index::<rules::RulesByGateway>()
        .index::<rules::SourceLabels>()
        .index::<scopes::SidecarsByNamespace>()
        .index::<gateways::GatewaySelectors>()
        .index::<ingress::Ingresses>()
        .index::<ingress::IngressesByHost>()
        .index::<proxies::SlicesByAddress>()
        .index::<proxies::SelectingServices>()
        .index::<proxies::SelectingEntries>()
        .index::<endpoints::WorkloadsByNamespace>()
        .derived::<settings::Settings>()
        .derived::<services::Services>()
        .derived::<services::AllClaims>()
        .derived::<peers::NamespacePeers>()
        .derived::<policy::Policies>()
        .derived::<rules::Rules>()
        .derived::<ingress::IngressGateways>()
        .derived::<ingress::IngressRules>()
        .derived::<ingress::IngressRefs>()
        .derived::<services::Visible>()
        .derived::<endpoints::Endpoints>()
        .derived::<endpoints::Accounts>()
        .derived::<policy::Resolutions>()
        .derived::<scopes::Catalogs>()
        .derived::<proxies::Facets>()
}

/// The database and what is known of its objects beside their meaning. Cloning is O(1): a snapshot, or a fork to try a change on.
#[derive(Clone)]
pub struct Mesh {
    db: Db,
    base: Arc<Base>,
    /// Sorted, since a hash map of as many takes several times the memory.
    origins: imbl::OrdMap<ObjectId, Origin>,
    door: Door,
}

/// Changes that become visible together.
#[derive(Default)]
pub struct Edit {
    txn: Txn,
    objects: Vec<Change>,
    origins: Vec<(ObjectId, Option<Origin>)>,
}

impl Mesh {
    /// An empty mesh over a schema that starts with [`schema`].
    #[must_use]
    pub fn new(schema: Schema, base: Base) -> Self {
        let mut db = Db::new(schema);
        let mut txn = Txn::default();
        txn.set::<Bases>((), base.clone());
        // They count before any proxy asks for something: callers are known by the trust domain.
        txn.demand::<Settings>(());
        db.commit(txn, &graph::Inline);
        Self { db, base: Arc::new(base), origins: imbl::OrdMap::new(), door: Door::default() }
    }

    /// The tables.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What is fixed at start.
    #[must_use]
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The mesh's trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> Name {
        self.settings().mesh.trust_domain.clone()
    }

    /// The mesh's settings.
    #[must_use]
    pub fn settings(&self) -> Arc<MeshSettings> {
        // The row is there from the beginning.
        self.db.row::<Settings>(&()).unwrap_or_else(|| Arc::new(MeshSettings::new((*self.base).clone(), None)))
    }

    /// What selects the mesh's namespaces; all belong to it when this is empty.
    #[must_use]
    pub fn discovery_selectors(&self) -> &[LabelSelector] {
        self.door.selectors()
    }

    /// Where an object came from, as of its last edit; nothing for Kubernetes' own objects on a cluster.
    #[must_use]
    pub fn origin(&self, id: &ObjectId) -> Option<&Origin> {
        self.origins.get(id)
    }

    /// Where objects came from, also those that are not used; without Kubernetes' own objects on a cluster.
    pub fn origins(&self) -> impl Iterator<Item = (&ObjectId, &Origin)> {
        self.origins.iter()
    }

    /// Puts an object into an edit.
    pub fn upsert(&self, object: AnyObject, edit: &mut Edit) {
        macro_rules! put {
            ($($field:ident: $kind:ident),* $(,)?) => {
                match object {
                    $(AnyObject::$kind(checked) => {
                        let (id, row) = self.row(checked, edit);
                        edit.objects.push(Change::Put(Box::new(Incoming::$kind(id, row))));
                    }),*
                }
            };
        }
        api::for_each_kind!(put);
    }

    /// Takes an object away in an edit.
    pub fn remove(&self, id: &ObjectId, edit: &mut Edit) {
        edit.objects.push(Change::Remove(id.kind, self.id(&id.namespace, &id.name)));
        edit.origins.push((id.clone(), None));
    }

    /// Notes that an equal object now stands elsewhere. No row changes.
    pub fn moved(id: ObjectId, origin: Origin, edit: &mut Edit) {
        edit.origins.push((id, Some(origin)));
    }

    fn row<K: ApiKind>(&self, checked: Checked<K>, edit: &mut Edit) -> (Id, Row<K>) {
        let object_id = checked.id();
        let (meta, spec, origin) = checked.into_parts();
        let id = self.id(&meta.namespace, &meta.name);
        // Kubernetes' own objects are found by their names: of those on a cluster, which are most, nothing more is asked.
        let origin = Some(origin).filter(|origin| origin.file.is_some() || K::DEFINITION.is_some());
        edit.origins.push((object_id, origin));
        (id, Row { meta, spec, domain: self.base.domain.clone() })
    }

    fn id(&self, namespace: &Namespace, name: &Name) -> Id {
        Id { cluster: self.base.cluster.clone(), namespace: namespace.clone(), name: name.clone() }
    }

    /// Applies an edit and rebuilds what depends on it.
    pub fn commit(&mut self, mut edit: Edit, executor: &dyn Executor) -> Changes {
        self.door.take(edit.objects, &self.base, &self.db, &mut edit.txn);
        for (id, origin) in edit.origins {
            match origin {
                Some(origin) => self.origins.insert(id, origin),
                None => self.origins.remove(&id),
            };
        }
        self.db.commit(edit.txn, executor)
    }

    /// The same inputs with everything derived built anew: what incremental results are compared with.
    #[must_use]
    pub fn from_scratch(&self, executor: &dyn Executor) -> Self {
        Self {
            db: self.db.from_scratch(executor),
            base: self.base.clone(),
            origins: self.origins.clone(),
            door: self.door.clone(),
        }
    }

    /// Objects that were read and are not used, and why.
    pub fn left_out(&self) -> impl Iterator<Item = (&ObjectId, String)> {
        self.door.left_out()
    }
}

impl Edit {
    /// A proxy connected, or what it says of itself changed.
    pub fn connect(&mut self, id: ProxyId, proxy: Proxy) {
        self.txn.set::<Proxies>(id, proxy);
    }

    /// A proxy is gone.
    pub fn disconnect(&mut self, id: ProxyId) {
        self.txn.remove::<Proxies>(id);
        self.txn.remove::<AskedForNames>(id);
        self.txn.remove::<FoundAccess>(id);
    }

    /// Which Secrets a connected proxy may have was found out.
    pub fn access(&mut self, id: ProxyId, access: SecretAccess) {
        self.txn.set::<FoundAccess>(id, access);
    }

    /// The agent of a proxy wants the names that it may resolve.
    pub fn ask_for_names(&mut self, id: ProxyId) {
        self.txn.set::<AskedForNames>(id, ());
    }

    /// The roots that vouch for workloads, each as PEM, changed.
    pub fn trust(&mut self, roots: Vec<String>) {
        self.txn.set::<TrustBundle>((), roots);
    }

    /// Roots and rows of tables on top of the model's.
    pub fn txn(&mut self) -> &mut Txn {
        &mut self.txn
    }

    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.txn.is_empty() && self.objects.is_empty() && self.origins.is_empty()
    }

    /// Appends another edit.
    pub fn append(&mut self, other: Self) {
        self.txn.append(other.txn);
        self.objects.extend(other.objects);
        self.origins.extend(other.origins);
    }
}
