//! What a mesh owes its users, proof by proof, in pods whose traffic is led through the proxy by the agent's own rules. One mesh serves
//! them all: `client-1` calls `web-1`, which takes plain text as well, and `web-2`, which is strict; `outside` has no proxy.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use bed::net;
use bed::process::Running;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tests::secured::Secured;
use tests::wire::{Flow, Hello, Tap, hello, is_tls};

use super::ground::{CONTROL, Capture, Ground, PodOf, handshake, pods, token};
use super::*;

const WEB: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 11);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 12);
const STRICT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 13);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 99);
/// The service's address, which no interface has.
const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// That of a service of `web-1` with a port that is opaque and one whose protocol is detected.
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 11);
const PODS: [PodOf<'static>; 3] =
    [("web-1", "web", "v1", WEB), ("web-2", "web", "v2", STRICT), ("client-1", "client", "v1", CLIENT)];

const RULES: &str = "apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.10
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - name: right
    labels: {version: v1}
    trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/web']}}
  - name: wrong
    labels: {version: v1}
    trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/somebody-else']}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
  - {match: [{headers: {x-version: {exact: v1}}}], route: [{destination: {host: web, subset: v1}}]}
  - {match: [{headers: {x-version: {exact: v2}}}], route: [{destination: {host: web, subset: v2}}]}
  - {match: [{uri: {prefix: /right}}], route: [{destination: {host: web, subset: right}}]}
  - {match: [{uri: {prefix: /wrong}}], route: [{destination: {host: web, subset: wrong}}]}
  - {match: [{uri: {prefix: /teapot}}], fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: web}}]}
  - {route: [{destination: {host: web, subset: v1}, weight: 80}, {destination: {host: web, subset: v2}, weight: 20}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
- {addresses: [10.78.0.11], targetRef: {kind: Pod, name: web-1}}
- {addresses: [10.78.0.13], targetRef: {kind: Pod, name: web-2}}
ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop}
spec: {clusterIP: 10.96.0.11, selector: {app: web}, ports: [{name: tcp, port: 7000}, {name: any, port: 7001}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: other, namespace: shop, labels: {kubernetes.io/service-name: other}}
addressType: IPv4
endpoints: [{addresses: [10.78.0.11], targetRef: {kind: Pod, name: web-1}}]
ports: [{name: tcp, port: 7000}, {name: any, port: 7001}]
";

/// What `web-1` takes; `web-2` is strict.
fn peers(of_web_1: &str) -> String {
    let policy = |version: &str, mode: &str| {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {version}, namespace: shop}}\n\
             spec: {{selector: {{matchLabels: {{app: web, version: {version}}}}}, mtls: {{mode: {mode}}}}}\n"
        )
    };
    policy("v1", of_web_1) + &policy("v2", "STRICT")
}

struct Mesh {
    client: Envoy,
    places: [Place; 4],
    _envoys: [Envoy; 2],
    _apps: [Running; 7],
    ground: Ground,
}

impl Mesh {
    fn start() -> Self {
        let (mesh, peers) = (RULES.to_owned() + &pods(&PODS), peers("PERMISSIVE"));
        let ground = Ground::start(&[("mesh.yaml", &mesh), ("peers.yaml", &peers)], &[], "24h");
        let [(web, web_place), (strict, strict_place), (client, client_place)] =
            [(PODS[0], "nftables"), (PODS[1], "iptables"), (PODS[2], "iptables")]
                .map(|(pod, backend)| ground.sidecar(pod, Capture::Agent(backend)));
        let outside = ground.network.pod("outside", OUTSIDE, false).unwrap();
        let everywhere = |port: u16| (Ipv4Addr::UNSPECIFIED, port).into();
        let apps = [
            ground.app(&web_place, ("web", "v1"), everywhere(8080)),
            ground.app(&web_place, ("web", "v1"), everywhere(7000)),
            ground.app(&web_place, ("web", "v1"), everywhere(7001)),
            ground.app(&strict_place, ("web", "v2"), everywhere(8080)),
            ground.app(&client_place, ("client", "v1"), everywhere(8080)),
            ground.app(&outside, ("outside", "v1"), everywhere(8080)),
            ground.app(&outside, ("outside", "v1"), everywhere(80)),
        ];
        let places = [web_place, strict_place, client_place, outside];
        let mesh = Self { client, places, _envoys: [web, strict], _apps: apps, ground };
        for (place, address) in mesh.places.iter().zip([WEB, STRICT, CLIENT, OUTSIDE]) {
            let up = || place.inside(move || Ok(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, 8080))?));
            eventually(&format!("the application of {address}"), Duration::from_secs(10), up).unwrap();
        }
        eventually("all proxies", Duration::from_secs(20), || mesh.ground.live(3)).unwrap();
        mesh
    }

    /// Asks from a place for a path of an address.
    fn ask(
        place: &Place,
        to: (Ipv4Addr, u16),
        path: &str,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<bed::http::Answer> {
        let (path, headers) =
            (path.to_owned(), headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let headers: Vec<(String, String)> = headers.collect();
        // By its name a request would go to the service wherever it is sent.
        let host = if to.0 == SERVICE { "web.shop" } else { "elsewhere.example" };
        place.inside(move || {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            bed::http::get(to.into(), host, &path, &headers)
        })
    }

    /// The application's answer to a call of the service by the client's workload.
    fn call(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        read(Self::ask(self.place("client"), (SERVICE, 80), path, headers)?)
    }

    fn place(&self, name: &str) -> &Place {
        let at = ["web", "strict", "client", "outside"].iter().position(|known| *known == name);
        &self.places[at.expect("a name of a pod")]
    }

    /// A certificate of the mesh for a client of another make: files of its chain and its key.
    fn identity(&self) -> [String; 2] {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap().pem().unwrap();
        let request = proto::istio::v1::auth::IstioCertificateRequest { csr, ..Default::default() };
        let roots = std::fs::read_to_string(&self.ground.roots).unwrap();
        let chain = self.ground.network.node().inside(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let client = Secured::connect((CONTROL, 15012).into(), &roots, None).await?;
                client.with_token(&token("other")).certificate(&request).await
            })
        });
        let chain = chain.unwrap().unwrap();
        ["chain.pem", "key.pem"].map(|name| {
            let path = self.ground.folder.join(name);
            let text = if name == "key.pem" { key.serialize_pem() } else { chain.concat() };
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        })
    }
}

/// What the application said.
fn read(answer: bed::http::Answer) -> anyhow::Result<Answer> {
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
}

/// A proxy has had the answer in hand.
fn proxied(answer: &bed::http::Answer) -> bool {
    answer.head.contains("server: envoy")
}

#[test]
fn what_a_mesh_owes_its_users() {
    let missing =
        envoy().err().or_else(net::obstacle).or_else(|| without("iptables-restore")).or_else(|| without("tcpdump"));
    if !need("proofs", missing) {
        return;
    }
    let mesh = Mesh::start();
    // First, so that no connection is from before.
    what_goes_over_the_wire_is_tls(&mesh);
    traffic_is_led_through_both_proxies(&mesh);
    rules_decide_where_requests_go(&mesh);
    a_server_of_another_name_is_refused(&mesh);
    what_is_not_the_meshs_goes_its_own_way(&mesh);
    a_certificate_of_the_mesh_opens_the_door(&mesh);
    plain_text_is_taken_where_the_policy_says(&mesh);
}

fn what_goes_over_the_wire_is_tls(mesh: &Mesh) {
    let filter = "tcp port 8080 or tcp port 7000 or tcp port 7001";
    let mut tap = Tap::open(mesh.place("web"), filter, &mesh.ground.folder).unwrap();
    let client = mesh.place("client");
    let call = || mesh.call("/secret-path", &[("x-version", "v1")]);
    eventually("an answer", Duration::from_secs(20), call).unwrap();
    for port in [7000, 7001] {
        Mesh::ask(client, (OTHER, port), "/secret-path", &[]).and_then(read).unwrap();
    }
    // What is not encrypted can be seen, and whatever came before it has been seen too.
    Mesh::ask(mesh.place("outside"), (WEB, 8080), "/open-path", &[]).and_then(read).unwrap();
    let has = |flow: &Flow, text: &str| flow.bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let seen = tap.until(|seen| seen.iter().any(|flow| has(flow, "/open-path"))).unwrap();
    let (open, mesh): (Vec<Flow>, Vec<Flow>) =
        seen.into_iter().partition(|flow| [*flow.from.ip(), *flow.to.ip()].contains(&OUTSIDE));
    assert!(open.iter().all(|flow| !is_tls(&flow.bytes)));
    assert!(mesh.iter().all(|flow| is_tls(&flow.bytes) && !has(flow, "secret-path")), "{mesh:?}");
    let greetings: BTreeMap<u16, Hello> = mesh
        .iter()
        .filter(|flow| *flow.from.ip() == CLIENT)
        .map(|flow| (flow.to.port(), hello(&flow.bytes).unwrap()))
        .collect();
    let expected = [
        (7000, "outbound_.7000_._.other.shop.svc.cluster.local", &["istio"][..]),
        (7001, "outbound_.7001_._.other.shop.svc.cluster.local", &["istio-http/1.1", "istio"]),
        (8080, "outbound_.80_.v1_.web.shop.svc.cluster.local", &["istio-http/1.1", "istio", "http/1.1"]),
    ];
    let expected = expected.map(|(port, name, protocols)| {
        let protocols = protocols.iter().map(|protocol| (*protocol).to_owned()).collect();
        (port, Hello { server_name: name.to_owned(), protocols })
    });
    assert_eq!(greetings, BTreeMap::from(expected));
}

fn traffic_is_led_through_both_proxies(mesh: &Mesh) {
    let called = |version| mesh.call("/", &[("x-version", version)]);
    for version in ["v1", "v2"] {
        let answer = eventually("an answer", Duration::from_secs(20), || called(version)).unwrap();
        assert_eq!((answer.name.as_str(), answer.version.as_str()), ("web", version));
        assert!(answer.peer.starts_with("127.0.0.6"), "the application was not called by its proxy: {answer:?}");
        assert!(answer.client.contains("By=spiffe://cluster.local/ns/shop/sa/web;"), "{answer:?}");
        assert!(answer.client.contains("URI=spiffe://cluster.local/ns/shop/sa/client"), "{answer:?}");
    }
    // A workload that calls its own service is a client like any other.
    let own = Mesh::ask(mesh.place("web"), (SERVICE, 80), "/", &[("x-version", "v1")]).and_then(read).unwrap();
    assert!(own.client.contains("URI=spiffe://cluster.local/ns/shop/sa/web"), "{own:?}");
}

fn rules_decide_where_requests_go(mesh: &Mesh) {
    const CALLS: u32 = 200;
    let first = (0..CALLS).filter(|_| mesh.call("/", &[]).unwrap().version == "v1").count();
    // 80 %, with 4.4 standard deviations to either side.
    assert!((135..=185).contains(&first), "{first} of {CALLS} went to v1");
    let teapot = Mesh::ask(mesh.place("client"), (SERVICE, 80), "/teapot", &[]).unwrap();
    assert_eq!(teapot.status, 418, "{}", teapot.body);
}

fn a_server_of_another_name_is_refused(mesh: &Mesh) {
    // The two differ in nothing but the name that the server has to have.
    let right = Mesh::ask(mesh.place("client"), (SERVICE, 80), "/right", &[]).and_then(read).unwrap();
    assert_eq!(right.version, "v1");
    let wrong = Mesh::ask(mesh.place("client"), (SERVICE, 80), "/wrong", &[]).unwrap();
    assert!(wrong.status == 503 && proxied(&wrong), "{} {}", wrong.status, wrong.body);
}

fn what_is_not_the_meshs_goes_its_own_way(mesh: &Mesh) {
    let client = mesh.place("client");
    for port in [80, 8080] {
        let outside = Mesh::ask(client, (OUTSIDE, port), "/", &[]).and_then(read).unwrap();
        assert!(outside.name == "outside" && outside.client.is_empty(), "{outside:?}");
        // Opaque or as HTTP: it was the proxy that called.
        let clusters = mesh.client.admin("/clusters").unwrap().body;
        assert!(clusters.contains(&format!("PassthroughCluster::{OUTSIDE}:{port}::cx_total::1")), "{clusters}");
    }
    // The proxy takes the connection, and finds nobody.
    let closed = Mesh::ask(client, (OUTSIDE, 9999), "/", &[]);
    assert!(closed.as_ref().map_or(true, |answer| answer.status == 503), "{closed:?}");
    for address in [Ipv4Addr::LOCALHOST, CLIENT] {
        let own = Mesh::ask(client, (address, 8080), "/", &[]).unwrap();
        assert!(!proxied(&own), "{address} was captured: {}", own.head);
        let own = read(own).unwrap();
        assert!(own.name == "client" && own.peer == address.to_string(), "{own:?}");
    }
}

fn a_certificate_of_the_mesh_opens_the_door(mesh: &Mesh) {
    let roots = mesh.ground.roots.display().to_string();
    let [chain, key] = mesh.identity();
    let leaf = CertificateDer::from_pem_file(&chain).unwrap();
    assert_eq!(ca::uris_of(&leaf), ["spiffe://cluster.local/ns/shop/sa/other"]);
    let said = |flags: &[&str]| {
        let openssl = mesh.place("outside").command(Path::new("openssl"));
        let all = [&["-alpn", "istio", "-CAfile", &roots, "-verify_return_error", "-ign_eof"], flags].concat();
        handshake(openssl, (STRICT, 8080).into(), &all).unwrap()
    };
    let known = said(&["-cert", &chain, "-key", &key]);
    assert!(known.contains("Verify return code: 0 (ok)") && known.contains("TLSv1.3"), "{known}");
    assert!(known.contains("URI:spiffe://cluster.local/ns/shop/sa/web"), "{known}");
    assert!(known.contains("HTTP/1.1 200") && known.contains("URI=spiffe://cluster.local/ns/shop/sa/other"), "{known}");
    let unknown = said(&[]);
    assert!(unknown.contains("certificate required") && !unknown.contains("HTTP/1.1"), "{unknown}");
}

fn plain_text_is_taken_where_the_policy_says(mesh: &Mesh) {
    let outside = mesh.place("outside");
    let plain = |to: Ipv4Addr| Mesh::ask(outside, (to, 8080), "/", &[]);
    let taken = plain(WEB).and_then(read).unwrap();
    assert!(taken.version == "v1" && taken.client.is_empty() && taken.peer.starts_with("127.0.0.6"), "{taken:?}");
    assert!(plain(STRICT).is_err(), "STRICT takes plain text");
    // Where it is off, the mesh's own clients speak plain text too (one that keeps no connection from before), and TLS is not opened.
    mesh.ground.edit("peers.yaml", &peers("DISABLE"), 3).unwrap();
    let off = Mesh::ask(mesh.place("strict"), (SERVICE, 80), "/", &[("x-version", "v1")]).and_then(read).unwrap();
    assert!(off.version == "v1" && off.client.is_empty(), "{off:?}");
    let openssl = || outside.command(Path::new("openssl"));
    assert!(handshake(openssl(), (WEB, 8080).into(), &["-alpn", "istio"]).is_err(), "TLS is opened");
    assert!(plain(WEB).is_ok() && mesh.call("/", &[("x-version", "v2")]).is_ok());
}
