//! The promise of the engine, over the whole of model and translation: after any sequence of edits, connects, relabels and disconnects the
//! incremental state equals one that was built from nothing, byte for byte, and so does what is published for each proxy.

use std::collections::BTreeMap;
use std::fmt::Write;

use api::{AnyObject, Mode, ObjectId, decode, yaml};
use graph::Inline;
use meltemid::publish::Published;
use model::Mesh;
use model::mesh::Edit;
use model::proxies::{NodeFacts, SecretAccess};
use model::settings::Base;
use proptest::prelude::*;
use translate::proxies::{Configs, Type};
use translate::resources::Resources;
use translate::views::Views;
use xds::{Publisher, ResourceType};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Put(String),
    Remove(usize),
    Connect(u64, u8),
    Disconnect(u64),
}

fn meta(name: &str, namespace: &str) -> String {
    format!("metadata: {{name: {name}, namespace: {namespace}}}\n")
}

fn istio(kind: &str, name: &str, namespace: &str, spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: {kind}\n{}spec: {spec}\n", meta(name, namespace))
}

fn namespace() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["shop", "yard", "istio-system"])
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

fn host() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "a.yard.svc.cluster.local",
        "far.test",
        "*.wild.test",
        "deep.wild.test",
        "*.yard.svc.cluster.local",
    ])
}

fn export() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", ", exportTo: ['.']", ", exportTo: [yard]", ", exportTo: ['*']"])
}

fn service() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "clusterIP: 10.96.0.1",
        "clusterIP: 10.96.0.2",
        "clusterIP: None",
        "type: ExternalName, externalName: far.test",
    ]);
    let ports = prop::sample::select(vec![
        "[{name: http, port: 80}]",
        "[{name: http, port: 80}, {name: tcp-x, port: 90}]",
        "[{name: web, port: 80}]",
        "[{name: grpc, port: 80}, {name: tls, port: 443}]",
    ]);
    (name(), namespace(), kind, ports).prop_map(|(name, namespace, kind, ports)| {
        format!(
            "apiVersion: v1\nkind: Service\n{}spec: {{{kind}, selector: {{app: {name}}}, ports: {ports}}}\n",
            meta(name, namespace)
        )
    })
}

fn slice() -> impl Strategy<Value = String> {
    (name(), namespace(), 1..4u8, any::<bool>()).prop_map(|(name, namespace, count, ready)| {
        let mut endpoints = String::new();
        for at in 0..count {
            let _ = write!(endpoints, "{{addresses: [10.1.0.{at}], conditions: {{ready: {ready}}}, targetRef: {{kind: Pod, name: p{at}}}}}, ");
        }
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
             endpoints: [{endpoints}]\nports: [{{name: http, port: 8080}}, {{name: tcp-x, port: 9090}}]\n"
        )
    })
}

fn pod() -> impl Strategy<Value = String> {
    let mesh = prop::sample::select(vec!["", ", security.istio.io/tlsMode: istio"]);
    (0..3u8, namespace(), prop::sample::select(vec!["v1", "v2"]), mesh).prop_map(|(at, namespace, version, mesh)| {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}, namespace: {namespace}, labels: {{app: a, version: {version}{mesh}}}}}\nspec: {{serviceAccountName: {version}}}\nstatus: {{podIP: 10.1.0.{at}}}\n")
    })
}

fn rule() -> impl Strategy<Value = String> {
    let route = prop::sample::select(vec![
        "[{destination: {host: a}}]",
        "[{destination: {host: a, subset: v1}, weight: 60}, {destination: {host: b, port: {number: 80}}, weight: 40}]",
        "[{destination: {host: far.test}}]",
    ]);
    let more = prop::sample::select(vec![
        "",
        ", timeout: 3s",
        ", match: [{sourceLabels: {app: x}}]",
        ", match: [{uri: {prefix: /p}}, {headers: {h: {exact: v}}}], rewrite: {uri: /q}",
        ", match: [{port: 80, sourceNamespace: yard}]",
    ]);
    let gateways = prop::sample::select(vec!["", ", gateways: [edge]", ", gateways: [mesh, shop/edge]"]);
    (name(), namespace(), host(), route, more, gateways, export()).prop_map(
        |(name, namespace, host, route, more, gateways, export)| {
            istio(
                "VirtualService",
                name,
                namespace,
                &format!("{{hosts: ['{host}']{gateways}{export}, http: [{{route: {route}{more}}}]}}"),
            )
        },
    )
}

fn policy() -> impl Strategy<Value = String> {
    let policy = prop::sample::select(vec![
        "",
        ", trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x}}}",
        ", trafficPolicy: {outlierDetection: {interval: 1s}}, subsets: [{name: v1, labels: {version: v1}}]",
        ", subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]",
        ", workloadSelector: {matchLabels: {app: x}}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}",
        ", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}",
        ", trafficPolicy: {tls: {mode: MUTUAL, credentialName: a}}",
        ", trafficPolicy: {tls: {mode: SIMPLE, sni: far.test}, portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, credentialName: b}}]}",
        ", trafficPolicy: {tls: {mode: DISABLE}, loadBalancer: {simple: PASSTHROUGH}}",
    ]);
    (name(), namespace(), host(), policy, export()).prop_map(|(name, namespace, host, policy, export)| {
        // A rule for selected workloads is only for its own namespace.
        let export = if policy.contains("workloadSelector") { "" } else { export };
        istio("DestinationRule", name, namespace, &format!("{{host: '{host}'{policy}{export}}}"))
    })
}

fn peers() -> impl Strategy<Value = String> {
    let spec = prop::sample::select(vec![
        "{mtls: {mode: STRICT}}",
        "{mtls: {mode: DISABLE}}",
        "{selector: {matchLabels: {app: x}}, mtls: {mode: PERMISSIVE}}",
        "{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: DISABLE}, 9999: {mode: STRICT}}}",
    ]);
    (name(), namespace(), spec).prop_map(|(name, namespace, spec)| {
        format!("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n{}spec: {spec}\n", meta(name, namespace))
    })
}

fn secret() -> impl Strategy<Value = String> {
    let data = prop::sample::select(vec![
        "{tls.crt: CERT, tls.key: KEY}",
        "{tls.crt: CERT, tls.key: KEY, ca.crt: CERT}",
        "{tls.crt: none, tls.key: KEY}",
        "{ca.crt: CERT}",
    ]);
    let name = prop::sample::select(vec!["a", "b", "a-cacert"]);
    (name, namespace(), data).prop_map(|(name, namespace, data)| {
        let block = |kind: &str| format!("\"-----BEGIN {kind}-----\\nAA\\n-----END {kind}-----\"");
        let data = data.replace("CERT", &block("CERTIFICATE")).replace("KEY", &block("PRIVATE KEY"));
        format!("apiVersion: v1\nkind: Secret\n{}stringData: {data}\n", meta(name, namespace))
    })
}

fn ingress() -> impl Strategy<Value = String> {
    let class = prop::sample::select(vec!["", "ingressClassName: a, ", "ingressClassName: b, "]);
    let rules = prop::sample::select(vec![
        "rules: [{http: {paths: [{path: /p, pathType: Prefix, backend: BACKEND}]}}]",
        "rules: [{host: far.test, http: {paths: [{path: /, pathType: Prefix, backend: BACKEND}, {path: /p, pathType: Exact, backend: BACKEND}]}}]",
        "defaultBackend: BACKEND, rules: [{host: far.test, http: {paths: [{path: /q, pathType: Prefix, backend: BACKEND}]}}]",
        "defaultBackend: BACKEND, tls: [{hosts: [far.test], secretName: a}, {hosts: [b.test], secretName: b}]",
    ]);
    let backend = prop::sample::select(vec![
        "{service: {name: a, port: {number: 80}}}",
        "{service: {name: b, port: {name: http}}}",
    ]);
    let one = (name(), namespace(), class, rules, backend).prop_map(|(name, namespace, class, rules, backend)| {
        let spec = format!("{{{class}{}}}", rules.replace("BACKEND", backend));
        format!("apiVersion: networking.k8s.io/v1\nkind: Ingress\n{}spec: {spec}\n", meta(name, namespace))
    });
    let controllers = prop::sample::select(vec!["istio.io/ingress-controller", "example.com/other"]);
    let class = (name(), controllers).prop_map(|(name, controller)| {
        format!("apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {{name: {name}}}\nspec: {{controller: {controller}}}\n")
    });
    prop_oneof![3 => one, 1 => class]
}

fn others() -> impl Strategy<Value = String> {
    let entry = (name(), namespace(), prop::sample::select(vec!["far.test", "*.wild.test", "deep.wild.test"]), export()).prop_map(
        |(name, namespace, host, export)| {
            let spec = format!("{{hosts: ['{host}'], resolution: NONE, ports: [{{number: 80, name: http, protocol: HTTP}}, {{number: 90, name: tcp, protocol: TCP}}]{export}}}");
            istio("ServiceEntry", name, namespace, &spec)
        },
    );
    let hosts = prop::sample::select(vec!["./*", "*/a.yard.svc.cluster.local", "yard/*", "*/*"]);
    let sidecar =
        (name(), namespace(), hosts, prop::sample::select(vec!["", "workloadSelector: {labels: {app: x}}, "]))
            .prop_map(|(name, namespace, hosts, selector)| {
                istio("Sidecar", name, namespace, &format!("{{{selector}egress: [{{hosts: ['{hosts}']}}]}}"))
            });
    let gateway = (prop::sample::select(vec!["shop", "yard"]), prop::sample::select(vec!["*", "far.test", "*.wild.test"])).prop_map(|(namespace, host)| {
        istio("Gateway", "edge", namespace, &format!("{{selector: {{app: x}}, servers: [{{port: {{number: 8080, name: http, protocol: HTTP}}, hosts: ['{host}']}}]}}"))
    });
    let tls = prop::sample::select(vec![
        "{mode: SIMPLE, credentialName: a}",
        "{mode: MUTUAL, credentialName: a, minProtocolVersion: TLSV1_3}",
        "{mode: OPTIONAL_MUTUAL, credentialName: b, caCertCredentialName: a-cacert}",
        "{mode: ISTIO_MUTUAL}",
        "{mode: AUTO_PASSTHROUGH}",
    ]);
    let opening = (prop::sample::select(vec!["shop", "yard"]), tls).prop_map(|(namespace, tls)| {
        istio("Gateway", "tls", namespace, &format!("{{selector: {{app: x}}, servers: [{{port: {{number: 8443, name: https, protocol: HTTPS}}, hosts: [far.test, '*.yard.svc.cluster.local'], tls: {tls}}}]}}"))
    });
    let mesh = prop::sample::select(vec![
        "",
        "ingressControllerMode: DEFAULT",
        "{ingressControllerMode: DEFAULT, ingressSelector: far}",
        "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
        "defaultServiceExportTo: ['.']",
        "connectTimeout: 3s",
        "enableAutoMtls: false",
        "discoverySelectors: [{matchLabels: {in: 'yes'}}]",
    ])
    .prop_map(|text| {
        format!("apiVersion: v1\nkind: ConfigMap\n{}data: {{mesh: \"{text}\"}}\n", meta("istio", "istio-system"))
    });
    let labelled = (namespace(), prop::sample::select(vec!["in: 'yes'", "in: 'no'"])).prop_map(|(name, labels)| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n")
    });
    prop_oneof![entry, sidecar, gateway, opening, secret(), mesh, labelled, ingress()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop_oneof![3 => service(), 2 => slice(), 1 => pod(), 4 => rule(), 3 => policy(), 2 => peers(), 4 => others()].prop_map(Step::Put),
        3 => any::<usize>().prop_map(Step::Remove),
        3 => (0..6u64, 0..6u8).prop_map(|(id, kind)| Step::Connect(id, kind)),
        1 => (0..6u64).prop_map(Step::Disconnect),
    ]
}

fn node(id: u64, kind: u8) -> NodeFacts {
    let namespace = if id.is_multiple_of(2) { "shop" } else { "yard" };
    let of = if kind == 4 { "router" } else { "sidecar" };
    let app = if kind.is_multiple_of(2) { "x" } else { "a" };
    let mut texts = BTreeMap::new();
    if kind == 3 {
        texts.insert("INTERCEPTION_MODE".to_owned(), "NONE".to_owned());
    }
    if kind == 5 {
        texts.insert("GENERATOR".to_owned(), "grpc".to_owned());
    }
    NodeFacts {
        id: format!("{of}~10.1.0.{}~p{id}.{namespace}~{namespace}.svc.cluster.local", id % 3),
        texts,
        labels: [("app", app), ("istio", "ingressgateway")].into_iter().collect(),
        vhds: kind != 1,
        secrets: if id < 3 { SecretAccess::All } else { SecretAccess::Denied },
        ..NodeFacts::default()
    }
}

fn object(text: &str) -> AnyObject {
    let document = yaml::documents(text, None).unwrap().remove(0);
    let (objects, issues) = decode(&document, Mode::Lenient);
    objects.into_iter().next().unwrap_or_else(|| panic!("{text}\n{issues:?}"))
}

type Shown = BTreeMap<Type, BTreeMap<String, String>>;

/// What a proxy is to have: names and versions by type.
fn shown(mesh: &Mesh, proxy: u64) -> Shown {
    let db = mesh.db();
    let config = db.row::<Configs>(&proxy).expect("it is connected");
    let mut all = Shown::new();
    for (of, keys) in &config.views {
        for (name, key) in keys.iter().filter_map(|key| db.row::<Views>(key)).flat_map(|view| view.entries.clone()) {
            if let Some(encoded) = db.row::<Resources>(&key) {
                all.entry(*of).or_default().insert(name.to_string(), encoded.version().to_string());
            }
        }
    }
    all
}

/// What is published for it.
fn published(publisher: &Publisher, proxy: u64) -> Shown {
    let snapshot = publisher.snapshot();
    let assignment = snapshot.assignment(proxy).expect("it is assigned").clone();
    let mut all = Shown::new();
    for (of, kind) in [
        (Type::Cds, ResourceType::Cds),
        (Type::Eds, ResourceType::Eds),
        (Type::Sds, ResourceType::Sds),
        (Type::Lds, ResourceType::Lds),
        (Type::Rds, ResourceType::Rds),
        (Type::Vhds, ResourceType::Vhds),
        (Type::Nds, ResourceType::Nds),
    ] {
        for (name, encoded) in snapshot.all(&assignment.views(kind)) {
            all.entry(of).or_default().insert(name.to_string(), encoded.version().to_string());
        }
    }
    all
}

struct World {
    mesh: Mesh,
    publisher: Publisher,
    published: Published,
    objects: Vec<ObjectId>,
    /// The connection of each proxy that is connected. A proxy that comes back has another one.
    proxies: BTreeMap<u64, u64>,
    connections: u64,
}

impl World {
    fn new() -> Self {
        let publisher = Publisher::new();
        Self {
            mesh: Mesh::new(translate::schema(), Base::new()),
            published: Published::new(publisher.clone()),
            publisher,
            objects: Vec::new(),
            proxies: BTreeMap::new(),
            connections: 0,
        }
    }

    fn apply(&mut self, steps: Vec<Step>) -> graph::Changes {
        let mut edit = Edit::default();
        for step in steps {
            match step {
                Step::Put(text) => {
                    let object = object(&text);
                    if !self.objects.contains(&object.id()) {
                        self.objects.push(object.id());
                    }
                    self.mesh.upsert(object, &mut edit);
                }
                Step::Remove(at) if !self.objects.is_empty() => {
                    let at = at % self.objects.len();
                    self.mesh.remove(&self.objects.swap_remove(at), &mut edit);
                }
                Step::Remove(_) => {}
                Step::Connect(id, kind) => {
                    let known = self.proxies.get(&id).copied();
                    let connection = known.unwrap_or(self.connections + 1);
                    edit.connect(connection, node(id, kind).proxy().unwrap());
                    if known.is_none() {
                        self.connections = connection;
                        self.proxies.insert(id, connection);
                        edit.txn().demand::<Configs>(connection);
                        if id % 3 == 1 {
                            edit.ask_for_names(connection);
                        }
                    }
                }
                Step::Disconnect(id) => {
                    if let Some(connection) = self.proxies.remove(&id) {
                        edit.disconnect(connection);
                        edit.txn().release::<Configs>(connection);
                        self.published.forget(connection);
                    }
                }
            }
        }
        let changes = self.mesh.commit(edit, &Inline);
        self.published.publish(&self.mesh, &changes);
        changes
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 400, ..ProptestConfig::default() })]
    #[test]
    fn incremental_equals_from_scratch(txns in prop::collection::vec(prop::collection::vec(step(), 1..4), 5..30)) {
        let mut world = World::new();
        for steps in txns {
            world.apply(steps);
            prop_assert_eq!(world.mesh.db().faults().next(), None);
            let scratch = world.mesh.from_scratch(&Inline);
            for proxy in world.proxies.values() {
                let now = shown(&world.mesh, *proxy);
                prop_assert_eq!(&now, &shown(&scratch, *proxy));
                prop_assert_eq!(&published(&world.publisher, *proxy), &now);
            }
            let mut swept = world.mesh.db().clone();
            swept.sweep_all();
            // A run that had to be repeated may have demanded rows that its last one did not.
            let mut fresh = scratch.db().clone();
            fresh.sweep_all();
            prop_assert_eq!(swept.counts(), fresh.counts(), "nothing is left over");
        }
        prop_assert_eq!(world.apply(Vec::new()).rebuilt_in_all(), 0);
    }
}

#[test]
fn an_edit_rebuilds_what_it_explains_and_no_more() {
    let mut world = World::new();
    let texts = [
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: b, namespace: shop}\nspec: {clusterIP: 10.96.0.2, ports: [{name: http, port: 80}]}\n",
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\nspec: {hosts: [a], http: [{timeout: 1s, route: [{destination: {host: a}}]}]}\n",
    ];
    world.apply(
        texts
            .iter()
            .map(|text| Step::Put((*text).to_owned()))
            .chain([Step::Connect(0, 0), Step::Connect(1, 0), Step::Connect(2, 0)])
            .collect(),
    );
    let changes = world.apply(vec![Step::Put(texts[2].replace("1s", "2s"))]);
    let rebuilt: Vec<_> = changes.rebuilt_by_table().iter().map(|(table, count)| (*table, *count)).collect();
    // Two namespaces see the service under other names, so its host is there twice.
    assert_eq!(rebuilt, [("resource", 2), ("rule", 1), ("virtual host", 2)]);
    let commented = world.apply(vec![Step::Put(format!("# a comment\n{}", texts[2].replace("1s", "2s")))]);
    assert_eq!(commented.rebuilt_in_all(), 0);
    // Two of them asked for names: one line is encoded anew, and put into the table of each namespace that asked.
    let moved = world.apply(vec![Step::Put(texts[1].replace("10.96.0.2", "10.96.0.3"))]);
    assert_eq!(moved.rebuilt_by_table().get("lines of name tables"), Some(&1), "{:?}", moved.rebuilt_by_table());
}

#[test]
fn an_edit_of_a_path_rebuilds_the_virtual_host_and_no_listener() {
    let mut world = World::new();
    let service = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Service\n{}spec: {{clusterIP: 10.96.0.1, ports: [{{name: http, port: 80}}]}}\n",
            meta(name, "shop")
        )
    };
    let ingress = |name: &str, host: &str, path: &str, status: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: shop, annotations: \
             {{kubernetes.io/ingress.class: istio}}}}\nspec: {{rules: [{{host: {host}, http: {{paths: [{{path: {path}, pathType: Prefix, \
             backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}]}}\nstatus: {status}\n"
        )
    };
    world.apply(vec![
        Step::Put(service("a")),
        Step::Put(ingress("one", "one.test", "/a", "{}")),
        Step::Put(ingress("two", "two.test", "/a", "{}")),
        Step::Connect(0, 4),
        Step::Connect(1, 0),
    ]);
    let edited = world.apply(vec![Step::Put(ingress("one", "one.test", "/b", "{}"))]);
    let rebuilt: Vec<_> = edited.rebuilt_by_table().iter().map(|(table, count)| (*table, *count)).collect();
    let expected =
        [("ingress gateway", 1), ("ingress reference", 1), ("ingress rule", 1), ("resource", 1), ("virtual host", 1)];
    assert_eq!(rebuilt, expected);
    let addresses = "{loadBalancer: {ingress: [{ip: 192.0.2.1}]}}";
    let addressed = world.apply(vec![Step::Put(ingress("one", "one.test", "/b", addresses))]);
    let rebuilt: Vec<_> = addressed.rebuilt_by_table().keys().copied().collect();
    assert_eq!(rebuilt, ["ingress gateway", "ingress rule"], "nothing follows from a status");
}
