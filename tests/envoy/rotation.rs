//! Certificates, intermediates and roots are replaced under twenty agents, each with its Envoy, while every request makes a handshake of
//! its own: none fails. The control run takes a new root at once and must fail, or the test would prove nothing.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};

use bed::net;
use bed::process::Running;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::ground::{Capture, Ground, PodOf, handshake, pods};
use super::*;

/// Agents: one client, the others serve.
const AGENTS: u8 = 20;
const FIRST: u8 = 20;

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, 0, FIRST + number)
}

/// The service of all but the first workload, called by mutual TLS with a handshake for each request.
fn mesh(count: u8) -> String {
    let names: Vec<String> = (1..count).map(|number| format!("web-{number}")).collect();
    let mut all: Vec<PodOf<'_>> = vec![("client-0", "client", "v1", address(0))];
    all.extend(names.iter().zip(1..).map(|(name, number)| (name.as_str(), "web", "v1", address(number))));
    let endpoints: Vec<String> = names
        .iter()
        .zip(1..)
        .map(|(name, number)| {
            let address = address(number);
            format!("{{addresses: [{address}], conditions: {{ready: true}}, targetRef: {{kind: Pod, name: {name}}}}}")
        })
        .collect();
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: 10.96.0.10, selector: {{app: web}}, ports: [{{name: http2, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{}]
ports: [{{name: http2, port: 8080}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec: {{host: web, trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec: {{hosts: [web], http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: web}}}}]}}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: STRICT}}}}
{}",
        endpoints.join(", "),
        pods(&all)
    )
}

/// A root, and what it signs.
struct Root {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn ca(name: &str) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::OrganizationName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

impl Root {
    fn new(name: &str) -> anyhow::Result<Self> {
        let (params, key) = (ca(name)?, KeyPair::generate()?);
        Ok(Self { pem: params.self_signed(&key)?.pem(), issuer: Issuer::new(params, key) })
    }

    /// An intermediate: certificate and key.
    fn intermediate(&self, name: &str) -> anyhow::Result<(String, String)> {
        let key = KeyPair::generate()?;
        Ok((ca(name)?.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }
}

struct Mesh {
    proxies: Vec<Envoy>,
    client: Place,
    _apps: Vec<Running>,
    ground: Ground,
}

impl Mesh {
    fn start(count: u8, flags: &[&str]) -> Self {
        let flags =
            [&["--workload-cert-ttl", "8s", "--max-workload-cert-ttl", "8s", "--root-settle", "2s"], flags].concat();
        let mut ground = Ground::start(&[("mesh.yaml", &mesh(count))], &flags, "8s");
        // The bootstrap leaves these counts out unless they are asked for.
        let podinfo = ground.folder.join("podinfo");
        std::fs::create_dir_all(&podinfo).unwrap();
        std::fs::write(podinfo.join("annotations"), "sidecar.istio.io/statsInclusionRegexps=\".*ssl.*\"\n").unwrap();
        ground.agent.roots = ground.folder.join("ca/in-use/root-cert.pem");
        ground.agent.arguments = vec!["--podinfo".to_owned(), podinfo.display().to_string()];
        let started: Vec<(Envoy, Place)> = (0..count)
            .map(|number| {
                let account = if number == 0 { "client" } else { "web" };
                let name = format!("{account}-{number}");
                ground.sidecar((&name, account, "v1", address(number)), Capture::Bed)
            })
            .collect();
        let serving = started.iter().zip(0..).skip(1);
        let apps = serving
            .map(|((_, place), number)| {
                ground.app(place, (&format!("web-{number}"), "v1"), (address(number), 8080).into())
            })
            .collect();
        let (proxies, mut places): (Vec<Envoy>, Vec<Place>) = started.into_iter().unzip();
        let mesh = Self { proxies, client: places.swap_remove(0), _apps: apps, ground };
        let call = || {
            let ask = || bed::http::get(([10, 96, 0, 10], 80).into(), "web.shop", "/", &[]);
            let answer = mesh.client.inside(ask)?;
            ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
            mesh.ground.live(usize::from(count))
        };
        eventually("the first answer", Duration::from_secs(30), call).unwrap();
        mesh
    }

    /// A workload that starts now, with the roots that are trusted now, gets its certificate and its configuration.
    fn newcomer(&self, number: u8) -> anyhow::Result<(Envoy, Place)> {
        let name = format!("other-{number}");
        let started = self.ground.sidecar((&name, "other", "v1", address(number)), Capture::Bed);
        eventually(&name, Duration::from_secs(10), || {
            let proxies: Vec<serde_json::Value> = serde_json::from_str(&self.ground.page("/debug/syncz")?)?;
            let own = proxies.iter().find(|proxy| proxy["proxy"] == format!("{name}.shop"));
            ensure!(own.is_some_and(|own| own["types"]["pcds"]["live"] == true), "{own:?}");
            Ok(())
        })?;
        Ok(started)
    }

    /// Waits for a stage of a replacement.
    fn stage(&self, stage: u8) -> anyhow::Result<()> {
        let line = format!("\nmeltemi_root_rotation_stage {stage}\n");
        eventually(&line, Duration::from_secs(40), || {
            let metrics = self.ground.page("/metrics")?;
            ensure!(metrics.contains(&line), "{}", metrics.lines().find(|of| of.contains("_stage ")).unwrap_or(""));
            Ok(())
        })
    }

    /// What goes wrong under load while `meanwhile` goes on.
    fn load(&self, rate: u32, meanwhile: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<bed::load::Outcome> {
        let done = AtomicBool::new(false);
        let rate = rate.to_string();
        let some = || -> anyhow::Result<bed::load::Outcome> {
            let mut command = self.client.command(&self.ground.meltemi);
            command.args(["demo-load", "--address", "10.96.0.10:80", "--host", "web.shop", "--seconds", "3"]);
            Ok(serde_json::from_slice(&command.args(["--rate", &rate]).output()?.stdout)?)
        };
        std::thread::scope(|scope| {
            let load = scope.spawn(|| {
                let mut all = bed::load::Outcome::default();
                while !done.load(Ordering::Relaxed) {
                    all.add(some()?);
                }
                anyhow::Ok(all)
            });
            let ended = meanwhile();
            done.store(true, Ordering::Relaxed);
            let all = load.join().map_err(|_| anyhow::anyhow!("the load panicked"))?;
            ended.and(all)
        })
    }

    /// Handshakes of all proxies, and those that failed, by the name of the count.
    fn handshakes(&self) -> anyhow::Result<(u64, BTreeMap<String, u64>)> {
        let (mut made, mut failed) = (0, BTreeMap::new());
        for proxy in &self.proxies {
            let stats = proxy.admin("/stats?filter=ssl")?.body;
            for (name, count) in stats.lines().filter_map(|line| line.split_once(": ")) {
                let Ok(count @ 1..) = count.parse::<u64>() else { continue };
                match name.rsplit('.').next() {
                    Some("handshake") => made += count,
                    // The test's own looks at certificates.
                    Some("fail_verify_no_cert") => {}
                    Some(kind) if kind.starts_with("fail_verify") || kind == "connection_error" => {
                        *failed.entry(kind.to_owned()).or_default() += count;
                    }
                    _ => {}
                }
            }
        }
        Ok((made, failed))
    }

    /// Waits until a workload shows a certificate that this authority signed.
    fn signed_by(&self, name: &str) -> anyhow::Result<()> {
        let line = format!("O = {name}\n");
        eventually(name, Duration::from_secs(20), || {
            let openssl = self.ground.network.node().command(std::path::Path::new("openssl"));
            let shown = handshake(openssl, (address(1), 8080).into(), &["-alpn", "istio"])?;
            ensure!(shown.contains(&line), "{}", shown.lines().find(|of| of.contains("Issuer: ")).unwrap_or(""));
            Ok(())
        })
    }
}

#[test]
fn no_handshake_fails_while_leaves_intermediates_and_roots_are_replaced_under_twenty_agents() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("rotation", missing) {
        return;
    }
    let mesh = Mesh::start(AGENTS, &[]);
    let (one, two) = (Root::new("one").unwrap(), Root::new("two").unwrap());
    let staged = mesh.load(30, || {
        let rotate = |root: &Root, name: &str| -> anyhow::Result<()> {
            let (cert, key) = root.intermediate(name)?;
            mesh.ground.authority([&cert, &key, &root.pem, &cert])
        };
        // From a self-signed authority to a root with an intermediate.
        rotate(&one, "one-a")?;
        mesh.stage(1)?;
        let first = mesh.newcomer(AGENTS)?;
        mesh.stage(2)?;
        let second = mesh.newcomer(AGENTS + 1)?;
        mesh.stage(0)?;
        drop((first, second));
        // Another intermediate of the same root.
        rotate(&one, "one-b")?;
        mesh.signed_by("one-b")?;
        rotate(&two, "two-a")?;
        mesh.stage(1)?;
        mesh.stage(2)?;
        mesh.stage(0)?;
        mesh.signed_by("two-a")
    });
    let staged = staged.unwrap();
    let (made, failed) = mesh.handshakes().unwrap();
    eprintln!("staged: {} requests, {made} handshakes, failed: {:?} {failed:?}", staged.sent, staged.failed);
    assert_eq!((staged.failures(), &failed), (0, &BTreeMap::new()), "{:?}", staged.failed);
    assert!(made > staged.sent, "{made} handshakes for {} requests", staged.sent);
    drop(mesh);

    let mesh = Mesh::start(4, &["--unstaged"]);
    let (cert, key) = one.intermediate("one-c").unwrap();
    let unstaged = mesh.load(30, || {
        mesh.ground.authority([&cert, &key, &one.pem, &cert])?;
        eventually("a refused handshake", Duration::from_secs(30), || {
            ensure!(!mesh.handshakes()?.1.is_empty(), "none yet");
            Ok(())
        })
    });
    let unstaged = unstaged.unwrap();
    eprintln!("unstaged: {} requests, failed: {:?}", unstaged.sent, unstaged.failed);
    assert!(unstaged.failures() > 0, "a root taken at once did no harm, so this test proves nothing");
}
