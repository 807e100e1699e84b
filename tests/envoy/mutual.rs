//! Mutual TLS between real Envoys with the agent beside each, in namespaces with capture: who calls is known, plain text is refused where
//! it should be, and certificates are renewed under traffic.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use bed::net;
use bed::process::Running;

use super::ground::{Capture, Ground, handshake, pods};
use super::*;

const WEB: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 11);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 12);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 13);
/// Edits while load goes on.
const EDITS: usize = 100;

/// A service with these of its endpoints, which are `web-1` of version v1 and `web-2` of version v2.
fn mesh(port_name: &str, endpoints: &[(&str, Ipv4Addr)]) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: 10.96.0.10, selector: {{app: web}}, ports: [{{name: {port_name}, port: 80, targetPort: 8080}}]}}
"
    );
    for (pod, address) in endpoints {
        text += &format!(
            "---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {pod}, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}], conditions: {{ready: true}}, targetRef: {{kind: Pod, name: {pod}}}}}]
ports: [{{name: {port_name}, port: 8080}}]
"
        );
    }
    text + &pods(&[("web-1", "web", "v1", WEB), ("web-2", "web", "v2", OTHER), ("client-1", "client", "v1", CLIENT)])
}

/// Each round calls a subset by another name and of the other endpoint: cluster, endpoints and route all change.
fn round(round: usize) -> String {
    let version = if round.is_multiple_of(2) { "v1" } else { "v2" };
    let both = [("web-1", WEB), ("web-2", OTHER)];
    mesh("http2", &both)
        + &format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec: {{host: web, subsets: [{{name: s{round}, labels: {{version: {version}}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [web]
  http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: web, subset: s{round}}}}}]}}]
"
        )
}

fn peers(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: istio-system}}\n\
         spec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

struct Mesh {
    web: Envoy,
    client: Envoy,
    client_place: Place,
    _other: Envoy,
    _apps: [Running; 2],
    ground: Ground,
}

impl Mesh {
    fn start(services: &str, flags: &[&str]) -> Self {
        let ground = Ground::start(&[("mesh.yaml", services), ("peers.yaml", &peers("STRICT"))], flags, "8s");
        let (web, web_place) = ground.sidecar(("web-1", "web", "v1", WEB), Capture::Bed);
        let (other, other_place) = ground.sidecar(("web-2", "web", "v2", OTHER), Capture::Bed);
        let (client, client_place) = ground.sidecar(("client-1", "client", "v1", CLIENT), Capture::Bed);
        let apps = [
            ground.app(&web_place, ("web", "v1"), (WEB, 8080).into()),
            ground.app(&other_place, ("web", "v2"), (OTHER, 8080).into()),
        ];
        Self { web, client, client_place, _other: other, _apps: apps, ground }
    }

    /// The failures under load from the client's workload while edits go on and certificates are renewed.
    fn failures(&self, seconds: u64) -> anyhow::Result<bed::load::Outcome> {
        eventually("the first answer", Duration::from_secs(20), || self.call())?;
        let mut command = self.client_place.command(&self.ground.meltemi);
        command.args([
            "demo-load",
            "--address",
            "10.96.0.10:80",
            "--host",
            "web.shop",
            "--seconds",
            &seconds.to_string(),
        ]);
        let load = command.stdout(std::process::Stdio::piped()).spawn()?;
        let pace = Duration::from_secs(seconds) / u32::try_from(EDITS + 5)?;
        for number in 1..=EDITS {
            let started = Instant::now();
            self.ground.edit("mesh.yaml", &round(number), 3)?;
            std::thread::sleep(pace.saturating_sub(started.elapsed()));
        }
        let out = load.wait_with_output()?;
        Ok(serde_json::from_slice(&out.stdout)?)
    }

    /// Calls the service from the client's workload.
    fn call(&self) -> anyhow::Result<Answer> {
        let answer = self.client_place.inside(|| http_get(([10, 96, 0, 10], 80).into()))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
    }

    /// Calls the workload in plain text, past any client's proxy.
    fn plain(&self) -> anyhow::Result<()> {
        let answer = self.ground.network.node().inside(|| http_get((WEB, 8080).into()))?;
        ensure!(answer.status == 200, "{}", answer.status);
        Ok(())
    }

    fn refused(&self) -> anyhow::Result<()> {
        ensure!(self.plain().is_err(), "plain text is taken");
        Ok(())
    }

    fn logs(&self) -> String {
        [&self.web, &self.client].map(|envoy| std::fs::read_to_string(&envoy.log).unwrap_or_default()).join("\n---\n")
    }
}

fn http_get(address: SocketAddr) -> anyhow::Result<bed::http::Answer> {
    bed::http::get(address, "web.shop", "/", &[])
}

#[test]
fn workloads_know_each_other_and_strict_refuses_plain_text() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("mutual TLS", missing) {
        return;
    }
    let mut mesh = Mesh::start(&mesh("http", &[("web-1", WEB)]), &[]);
    let answer = eventually("an answer by mutual TLS", Duration::from_secs(20), || mesh.call());
    let answer = answer.unwrap_or_else(|error| panic!("{error:#}\n{}", mesh.logs()));
    assert!(answer.client.contains("URI=spiffe://cluster.local/ns/shop/sa/client"), "{answer:?}");
    assert!(answer.client.contains("By=spiffe://cluster.local/ns/shop/sa/web"), "{answer:?}");
    let page = |path: &'static str, port: u16| {
        let answer = mesh.ground.network.node().inside(move || bed::http::get((WEB, port).into(), "web", path, &[]))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(answer.body)
    };
    eventually("readiness", Duration::from_secs(10), || page("/healthz/ready", 15021)).unwrap();
    let metrics = page("/stats/prometheus", 15020).unwrap();
    assert!(metrics.contains("istio_agent_cert_expiry_seconds") && metrics.contains("envoy_server_live"), "{metrics}");
    // A client of another make sees the workload's name, and without a certificate of the mesh nothing more.
    let openssl = mesh.ground.network.node().command(Path::new("openssl"));
    let shown = handshake(openssl, (WEB, 8080).into(), &["-alpn", "istio-http/1.1,h2"]).unwrap();
    assert!(shown.contains("URI:spiffe://cluster.local/ns/shop/sa/web"), "{shown}");
    assert!(shown.contains("ALPN protocol: h2") && !shown.contains("HTTP/1.1 200"), "{shown}");
    for _ in 0..5 {
        mesh.refused().expect("STRICT takes no plain text");
    }
    // The same call is taken where plain text is allowed: it is the policy that refused it.
    mesh.ground.write("peers.yaml", &peers("PERMISSIVE")).unwrap();
    eventually("plain text to be taken", Duration::from_secs(10), || mesh.plain()).unwrap();
    mesh.ground.write("peers.yaml", &peers("STRICT")).unwrap();
    eventually("plain text to be refused", Duration::from_secs(10), || mesh.refused()).unwrap();
    // Certificates of 8 s are renewed at 4 s.
    let (started, mut calls) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(10) {
        mesh.call().unwrap_or_else(|error| panic!("call {calls} under renewal: {error:#}\n{}", mesh.logs()));
        calls += 1;
    }
    let renewals = mesh.logs().matches("certificate obtained").count();
    assert!(renewals >= 6, "{renewals} certificates in {calls} calls");
    mesh.web.stop(Duration::from_secs(8));
    assert!(mesh.logs().contains("draining") && mesh.logs().contains("Envoy ended"), "{}", mesh.logs());
}

#[test]
fn zero_failed_requests_under_strict_while_everything_changes_and_certificates_are_renewed() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("zero failed under mutual TLS", missing) {
        return;
    }
    let seconds = super::zero_failed::seconds();
    let run = |flags: &[&str], seconds: u64| {
        let mesh = Mesh::start(&round(0), flags);
        let outcome = mesh.failures(seconds).unwrap_or_else(|error| panic!("{error:#}\n{}", mesh.logs()));
        let renewals = mesh.logs().matches("certificate obtained").count();
        eprintln!("{flags:?}: {outcome:?}, {renewals} certificates");
        (outcome, renewals)
    };
    let (ordered, renewals) = run(&[], seconds);
    let (unordered, _) = run(&["--unordered"], seconds.min(20));
    assert_eq!(ordered.failures(), 0, "{:?}", ordered.failed);
    assert!(
        ordered.sent >= 200 * seconds && renewals as u64 >= seconds / 4,
        "{} requests, {renewals} certificates",
        ordered.sent
    );
    assert!(unordered.failures() > 0, "without the order nothing failed, so this test proves nothing");
}
