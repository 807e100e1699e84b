//! Mutual TLS between real Envoys with the agent beside each, in namespaces with capture: who calls is known, plain text is refused where
//! it should be, and certificates are renewed under traffic.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bed::agent::Agent;
use bed::net::{self, Network, ToldBy};
use bed::process::Running;

use super::*;

const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const WEB: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 11);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 12);

const MESH: &str = "apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.78.0.11], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1}}]
ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: web}
status: {podIP: 10.78.0.11, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: client-1, namespace: shop, labels: {app: client, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: client}
status: {podIP: 10.78.0.12, phase: Running}
";

fn peers(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: istio-system}}\n\
         spec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

struct Mesh {
    config: PathBuf,
    network: Network,
    web: Envoy,
    client: Envoy,
    client_place: Place,
    _running: [Running; 2],
}

/// A program where any user can run it.
fn program(from: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(from.file_name().unwrap());
    std::fs::copy(from, &to).unwrap();
    to
}

impl Mesh {
    fn start(envoy: &Path, mode: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, ca, tokens) = (folder.join("config"), folder.join("ca"), folder.join("tokens"));
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("mesh.yaml"), MESH).unwrap();
        std::fs::write(config.join("peers.yaml"), peers(mode)).unwrap();
        std::fs::write(&tokens, "token-of-web-0123456789 shop/web\ntoken-of-client-0123456789 shop/client\n").unwrap();
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug");
        let [meltemi, meltemid] = ["meltemi", "meltemid"].map(|name| program(&built.join(name), &folder));
        let network = Network::new(CONTROL, ToldBy::User).unwrap();
        let mut command = network.node().command(&meltemid);
        command.arg("--config-dir").arg(&config).arg("--ca-dir").arg(&ca).arg("--token-file").arg(&tokens);
        command.args(["--secure-address", "10.78.0.1:15012", "--http-address", "10.78.0.1:15014"]);
        let control = Running::start("meltemid", &mut command, &folder.join("meltemid.log")).unwrap();
        let node = network.node().clone();
        let ready = || node.inside(|| bed::http::get((CONTROL, 15014).into(), "meltemid", "/ready", &[]));
        eventually("the control plane", Duration::from_secs(10), ready).unwrap();
        let agent = Agent {
            program: program(&agent(), &folder),
            envoy: program(envoy, &folder),
            control: (CONTROL, 15012).into(),
            roots: ca.join("root-cert.pem"),
            lifetime: "8s",
        };
        let pod = |name: &str, address: Ipv4Addr| {
            let place = network.pod(name, address, true).unwrap();
            let spec = Spec {
                pod: format!("{name}-1"),
                namespace: "shop".into(),
                kind: "sidecar",
                address: address.into(),
                labels: vec![("app".into(), name.into())],
                interception: "REDIRECT",
                xds: agent.control,
                delta: true,
                admin: ([127, 0, 0, 1], 15000).into(),
            };
            let token = format!("token-of-{name}-0123456789");
            (agent.start(&spec, (name, &token), &place, &folder).unwrap(), place)
        };
        let ((web, web_place), (client, client_place)) = (pod("web", WEB), pod("client", CLIENT));
        let mut command = web_place.command(&meltemi);
        command.args(["demo-app", "--name", "web", "--version", "v1", "--listen", "10.78.0.11:8080"]);
        let app = Running::start("app", &mut command, &folder.join("app.log")).unwrap();
        Self { config, network, web, client, client_place, _running: [control, app] }
    }

    /// Calls the service from the client's workload.
    fn call(&self) -> anyhow::Result<Answer> {
        let answer = self.client_place.inside(|| http_get(([10, 96, 0, 10], 80).into()))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
    }

    /// Calls the workload in plain text, past any client's proxy.
    fn plain(&self) -> anyhow::Result<()> {
        let answer = self.network.node().inside(|| http_get((WEB, 8080).into()))?;
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
    let mut mesh = Mesh::start(&envoy().unwrap(), "STRICT");
    let answer = eventually("an answer by mutual TLS", Duration::from_secs(20), || mesh.call());
    let answer = answer.unwrap_or_else(|error| panic!("{error:#}\n{}", mesh.logs()));
    assert!(answer.client.contains("URI=spiffe://cluster.local/ns/shop/sa/client"), "{answer:?}");
    assert!(answer.client.contains("By=spiffe://cluster.local/ns/shop/sa/web"), "{answer:?}");
    let page = |path: &'static str, port: u16| {
        let answer = mesh.network.node().inside(move || bed::http::get((WEB, port).into(), "web", path, &[]))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(answer.body)
    };
    eventually("readiness", Duration::from_secs(10), || page("/healthz/ready", 15021)).unwrap();
    let metrics = page("/stats/prometheus", 15020).unwrap();
    assert!(metrics.contains("istio_agent_cert_expiry_seconds") && metrics.contains("envoy_server_live"), "{metrics}");
    for _ in 0..5 {
        mesh.refused().expect("STRICT takes no plain text");
    }
    // The same call is taken where plain text is allowed: it is the policy that refused it.
    std::fs::write(mesh.config.join("peers.yaml"), peers("PERMISSIVE")).unwrap();
    eventually("plain text to be taken", Duration::from_secs(10), || mesh.plain()).unwrap();
    std::fs::write(mesh.config.join("peers.yaml"), peers("STRICT")).unwrap();
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
