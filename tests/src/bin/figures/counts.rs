//! Figures of the engine: rows rebuilt, bytes encoded, reads recorded.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{AnyObject, Mode, decode, yaml};
use graph::{Changes, Inline};
use meltemid::publish::Published;
use model::Mesh;
use model::endpoints::{Endpoint, Health, Locality, Workload};
use model::mesh::Edit;
use model::proxies::NodeFacts;
use model::settings::Base;
use names::{Labels, Name};
use prost::Message;
use proto::Encoded;
use translate::endpoints::{Fragments, Group};
use translate::hosts::Hosts;
use translate::keys::ViewKey;
use translate::proxies::Configs;
use translate::resources::{ResourceKey, Resources};
use translate::views::Views;
use xds::Publisher;

use crate::{ENDPOINTS, Figure, NAMESPACES, PROXIES, SERVICES};

struct World {
    mesh: Mesh,
    published: Published,
    publisher: Publisher,
}

fn objects(text: &str) -> Vec<AnyObject> {
    let documents = yaml::documents(text, None).expect("the mesh is YAML");
    documents.iter().flat_map(|document| decode(document, Mode::Lenient).0).collect()
}

fn proxy(number: usize) -> model::proxies::Proxy {
    let namespace = format!("ns-{}", number % NAMESPACES);
    let address = format!("10.200.{}.{}", number / 250, number % 250 + 1);
    let id = format!("sidecar~{address}~app-{number}.{namespace}~{namespace}.svc.cluster.local");
    NodeFacts { id, vhds: true, ..NodeFacts::default() }.proxy().expect("a good node")
}

impl World {
    fn apply(&mut self, text: &str) -> Changes {
        let mut edit = Edit::default();
        objects(text).into_iter().for_each(|object| self.mesh.upsert(object, &mut edit));
        self.commit(edit)
    }

    fn commit(&mut self, edit: Edit) -> Changes {
        let changes = self.mesh.commit(edit, &Inline);
        self.published.publish(&self.mesh, &changes);
        changes
    }

    fn connect(&mut self, from: u64, count: usize) {
        let mut edit = Edit::default();
        for number in 0..count {
            edit.connect(from + number as u64, proxy(number));
            edit.txn().demand::<Configs>(from + number as u64);
        }
        self.commit(edit);
    }

    fn disconnect(&mut self, from: u64, count: usize) {
        let mut edit = Edit::default();
        for id in (from..).take(count) {
            edit.disconnect(id);
            edit.txn().release::<Configs>(id);
            self.published.forget(id);
        }
        self.commit(edit);
    }
}

/// Bytes of the changed resources of one kind.
fn bytes(world: &World, changes: &Changes, wanted: fn(&ResourceKey) -> bool) -> usize {
    let db = world.mesh.db();
    let changed = changes.of::<Resources>(db).filter(|(key, _)| wanted(key));
    changed.filter_map(|(key, _)| db.row::<Resources>(key)).map(|encoded| Encoded::len(&encoded)).sum()
}

pub(crate) fn all() -> Vec<Figure> {
    let publisher = Publisher::new();
    let mut world = World {
        mesh: Mesh::new(translate::schema(), Base::new()),
        published: Published::new(publisher.clone()),
        publisher,
    };
    let files = tests::mesh::scale(SERVICES, ENDPOINTS, NAMESPACES);
    let whole: String = files.iter().map(|(_, text)| format!("---\n{text}")).collect();
    let started = Instant::now();
    world.apply(&whole);
    world.connect(0, PROXIES);
    eprintln!("the mesh for {PROXIES} proxies is built after {:.2} s", started.elapsed().as_secs_f64());
    let mut figures = sizes(&world);
    figures.extend(edits(&mut world, &files[7].1));
    figures.push(leaks(&mut world));
    figures.push(splice());
    figures
}

fn sizes(world: &World) -> Vec<Figure> {
    let db = world.mesh.db();
    let scopes = db.rows::<Views>().filter(|(key, _)| matches!(key, ViewKey::Clusters(..))).count();
    vec![
        Figure::at_most("outbound views", scopes as f64, 60.0),
        Figure::at_most("recorded reads", db.counts().reads as f64, 500_000.0),
    ]
}

fn edits(world: &mut World, text: &str) -> Vec<Figure> {
    let mut figures = Vec::new();
    let endpoint = world.apply(&tests::mesh::slice(7, "ns-7", ENDPOINTS, 9));
    let views =
        endpoint.of::<Resources>(world.mesh.db()).flat_map(|(_, row)| world.mesh.db().holders::<Views>(row)).count();
    figures.push(Figure::at_most("endpoint edit: rows rebuilt", endpoint.rebuilt_in_all() as f64, (6 + views) as f64));
    figures.push(Figure::at_most("endpoint edit: endpoints encoded", endpoint.rebuilt::<Fragments>() as f64, 1.0));

    let commented = format!("# a comment\n{text}");
    let reordered =
        text.replace("metadata: {name: svc-7, namespace: ns-7}", "metadata: {namespace: ns-7, name: svc-7}");
    world.apply(text);
    for (name, text) in
        [("no-op edit: rows", text), ("comment: rows", &commented), ("reordered keys: rows", &reordered)]
    {
        let revision = world.publisher.snapshot().revision();
        let changes = world.apply(text);
        let pushed = world.publisher.snapshot().revision() - revision;
        figures.push(Figure::at_most(name, (changes.rebuilt_in_all() as u64 + pushed) as f64, 0.0));
    }

    let route = world.apply(&text.replace("timeout: 5s", "timeout: 6s"));
    let others = bytes(world, &route, |key| !matches!(key, ResourceKey::Host(..)));
    figures.push(Figure::at_most("route edit: bytes that are no virtual host", others as f64, 0.0));
    // Its own namespace and the others call it by different names.
    figures.push(Figure::at_most("route edit: virtual hosts encoded", route.rebuilt::<Hosts>() as f64, 2.0));
    let sent = bytes(world, &route, |key| matches!(key, ResourceKey::Host(..)));
    figures.push(Figure::at_most("route edit: bytes to a proxy", sent as f64 / 2.0, 4096.0));

    let mut edit = Edit::default();
    let node =
        NodeFacts { id: "sidecar~10.9.9.9~x.new~new.svc.cluster.local".into(), vhds: true, ..NodeFacts::default() };
    edit.connect(5_000_000, node.proxy().expect("a good node"));
    edit.txn().demand::<Configs>(5_000_000);
    let namespace = world.commit(edit);
    let clusters = bytes(world, &namespace, |key| matches!(key, ResourceKey::Cluster(_)));
    figures.push(Figure::at_most("new namespace: cluster bytes", clusters as f64, 0.0));
    world.disconnect(5_000_000, 1);
    figures
}

/// Connects and disconnects leave nothing behind.
fn leaks(world: &mut World) -> Figure {
    let settle = |world: &mut World| (0..200).for_each(|_| _ = world.commit(Edit::default()));
    settle(world);
    let before = world.mesh.db().counts();
    for round in 0..10 {
        let from = 1_000_000 + round * 1000;
        world.connect(from, 1000);
        world.disconnect(from, 1000);
    }
    settle(world);
    let after = world.mesh.db().counts();
    let grown =
        after.nodes.abs_diff(before.nodes) + after.reads.abs_diff(before.reads) + after.keys.abs_diff(before.keys);
    Figure::at_most("10,000 connects: rows, reads and keys more", grown as f64, 0.0)
}

/// Splicing against building and encoding with prost, in the same run.
fn splice() -> Figure {
    let endpoints: Vec<Arc<Endpoint>> = (0..1000u32)
        .map(|number| {
            Arc::new(Endpoint {
                address: Name::from(format!("10.1.{}.{}", number / 250, number % 250)),
                port: 8080,
                locality: Locality::default(),
                weight: 1,
                health: Health::Ready,
                mtls: true,
                workload: Workload {
                    name: Name::from(format!("app-{number}")),
                    namespace: Name::from("shop"),
                    ..Workload::default()
                },
                labels: Labels::default(),
                network: Name::default(),
                cluster: Name::from("Kubernetes"),
                node: Name::default(),
                dns: Name::default(),
            })
        })
        .collect();
    let fragments: Vec<_> = endpoints.iter().map(|endpoint| translate::endpoints::fragment(endpoint)).collect();
    let groups = vec![Group { locality: Locality::default(), priority: 0, weight: 1000, fragments }];
    let built = || {
        use proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LocalityLbEndpoints};
        let locality = LocalityLbEndpoints {
            lb_endpoints: endpoints.iter().map(|endpoint| translate::endpoints::lb_endpoint(endpoint)).collect(),
            load_balancing_weight: Some(1000),
            locality: Some(Default::default()),
            ..LocalityLbEndpoints::default()
        };
        ClusterLoadAssignment { cluster_name: "x".into(), endpoints: vec![locality], ..Default::default() }
            .encode_to_vec()
    };
    assert_eq!(built().len(), translate::endpoints::splice("x", &groups).len(), "both are the same assignment");
    let spliced = best(|| _ = black_box(translate::endpoints::splice("x", &groups)));
    let encoded = best(|| _ = black_box(built()));
    Figure::at_least("splicing 1,000 endpoints: times faster", encoded.as_secs_f64() / spliced.as_secs_f64(), 20.0)
}

fn best(mut run: impl FnMut()) -> Duration {
    let timed = (0..50).map(|_| {
        let started = Instant::now();
        run();
        started.elapsed()
    });
    timed.min().unwrap_or_default()
}
