//! Who sees which host, against the rule itself: of all offers that a viewer may see, the best one for each host.

use api::{Mode, decode, yaml};
use graph::Inline;
use proptest::prelude::*;

use super::*;
use crate::Mesh;
use crate::mesh::{Edit, schema};

const NAMESPACES: [&str; 3] = ["shop", "yard", "istio-system"];
const HOSTS: [&str; 4] = ["far.test", "near.test", "*.wild.test", "a.shop.svc.cluster.local"];

/// What a namespace sees: of all, of one owner, and host by host.
struct Seen;

impl Derived for Seen {
    type Key = Namespace;
    type Value = BTreeMap<Hostname, Namespace>;
    const NAME: &'static str = "seen";
    const LEVEL: u8 = 4;

    fn build(viewer: &Namespace, read: &mut Reader<'_>) -> Option<Self::Value> {
        let all = visible(None, viewer, read);
        let mut apart = BTreeMap::new();
        for owner in NAMESPACES.map(Namespace::from) {
            apart.extend(visible(Some(&BTreeSet::from([owner])), viewer, read));
        }
        assert_eq!(apart, all, "together and apart");
        for host in HOSTS.map(Hostname::new) {
            assert_eq!(owner_of(&host, viewer, read).as_ref(), all.get(&host), "{host}");
        }
        Some(all)
    }
}

/// An object that defines hosts.
#[derive(Clone, Debug)]
struct Given {
    /// As a Service, whose host is made of its name; as a ServiceEntry otherwise.
    kubernetes: bool,
    name: &'static str,
    namespace: &'static str,
    hosts: Vec<&'static str>,
    export: Vec<&'static str>,
    created: u8,
}

impl Given {
    fn text(&self) -> String {
        let Self { name, namespace, created, .. } = self;
        let export = self.export.iter().map(|to| format!("'{to}'")).collect::<Vec<_>>().join(", ");
        let created = format!("creationTimestamp: '2026-01-01T00:00:0{created}Z'");
        if self.kubernetes {
            let export = self.export.join(",");
            return format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: {namespace}, {created}, annotations: \
                 {{networking.istio.io/exportTo: '{export}'}}}}, spec: {{clusterIP: 10.0.0.1, ports: [{{port: 80}}]}}}}"
            );
        }
        let hosts = self.hosts.iter().map(|host| format!("'{host}'")).collect::<Vec<_>>().join(", ");
        format!(
            "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, namespace: {namespace}, {created}}}, \
             spec: {{hosts: [{hosts}], exportTo: [{export}], resolution: NONE, ports: [{{number: 80, name: http, protocol: HTTP}}]}}}}"
        )
    }

    fn hosts(&self) -> Vec<Hostname> {
        match self.kubernetes {
            true => vec![Hostname::of_service(self.name, self.namespace, "cluster.local")],
            false => self.hosts.iter().map(|host| Hostname::new(host)).collect(),
        }
    }

    /// Whether somebody sees it; nothing said is everybody.
    fn is_seen_by(&self, viewer: &str) -> bool {
        let sees = |to: &&str| *to == "*" || *to == "." && viewer == self.namespace || *to == viewer;
        self.export.is_empty() || self.export.iter().any(sees)
    }
}

fn given() -> impl Strategy<Value = Given> {
    let namespace = prop::sample::select(NAMESPACES.to_vec());
    let hosts = prop::collection::btree_set(prop::sample::select(HOSTS.to_vec()), 1..3);
    let export = prop::sample::select(vec![vec![], vec!["*"], vec!["."], vec!["yard"], vec![".", "yard"], vec!["~"]]);
    (any::<bool>(), prop::sample::select(vec!["a", "b"]), namespace, hosts, export, 0..3u8).prop_map(
        |(kubernetes, name, namespace, hosts, export, created)| Given {
            kubernetes,
            name,
            namespace,
            hosts: hosts.into_iter().collect(),
            export,
            created,
        },
    )
}

fn put(mesh: &Mesh, given: &Given, edit: &mut Edit) {
    for document in yaml::documents(&given.text(), None).expect("YAML") {
        let (objects, issues) = decode(&document, Mode::Lenient);
        assert!(!objects.is_empty(), "{issues:?}");
        objects.into_iter().for_each(|object| mesh.upsert(object, edit));
    }
}

proptest! {
    #[test]
    fn each_viewer_sees_the_best_offer_of_each_host(steps in prop::collection::vec(given(), 1..12)) {
        let mut mesh = Mesh::new(schema().derived::<Seen>(), Base::default());
        let mut edit = Edit::default();
        NAMESPACES.iter().for_each(|viewer| edit.txn().demand::<Seen>(Namespace::from(*viewer)));
        mesh.commit(edit, &Inline);
        let mut there = BTreeMap::new();
        for given in steps {
            let mut edit = Edit::default();
            put(&mesh, &given, &mut edit);
            mesh.commit(edit, &Inline);
            there.insert((given.kubernetes, given.namespace, given.name), given);
            for viewer in NAMESPACES {
                let mut best = BTreeMap::new();
                for given in there.values().filter(|given| given.is_seen_by(viewer)) {
                    let rank = (given.namespace != viewer, !given.kubernetes, given.created, given.name, given.namespace);
                    for host in given.hosts() {
                        let found = best.entry(host).or_insert(rank);
                        *found = rank.min(*found);
                    }
                }
                let wanted: BTreeMap<_, _> =
                    best.into_iter().map(|(host, (.., namespace))| (host, Namespace::from(namespace))).collect();
                let seen = mesh.db().row::<Seen>(&Namespace::from(viewer)).expect("it is demanded");
                prop_assert_eq!(&*seen, &wanted, "{} of {:?}", viewer, there);
            }
        }
    }
}
