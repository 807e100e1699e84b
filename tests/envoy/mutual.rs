//! Mutual TLS between real Envoys with the agent beside each, in namespaces with capture: who calls is known, plain text is refused where
//! it should be, and certificates are renewed under traffic.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

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

struct Pod {
    place: Place,
    agent: Running,
    log: PathBuf,
    _app: Option<Running>,
}

struct Mesh {
    config: PathBuf,
    network: Network,
    web: Pod,
    client: Pod,
    _control: Running,
}

/// A program where any user can run it.
fn program(from: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(from.file_name().unwrap());
    std::fs::copy(from, &to).unwrap();
    to
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
}

impl Mesh {
    fn start(envoy: &Path, mode: &str) -> Self {
        let folder = folder();
        let (config, ca) = (folder.join("config"), folder.join("ca"));
        std::fs::create_dir_all(&config).unwrap();
        open_to_all(&folder);
        std::fs::write(config.join("mesh.yaml"), MESH).unwrap();
        std::fs::write(config.join("peers.yaml"), peers(mode)).unwrap();
        let tokens = folder.join("tokens");
        std::fs::write(&tokens, "token-of-web-0123456789 shop/web\ntoken-of-client-0123456789 shop/client\n").unwrap();
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug");
        let [agent, meltemi, meltemid] =
            ["meltemi-agent", "meltemi", "meltemid"].map(|name| program(&built.join(name), &folder));
        let envoy = program(envoy, &folder);
        let network = Network::new(CONTROL, ToldBy::User).unwrap();
        let mut command = network.node().command(&meltemid);
        command.arg("--config-dir").arg(&config).arg("--ca-dir").arg(&ca).arg("--token-file").arg(&tokens);
        command.args(["--secure-address", "10.78.0.1:15012", "--http-address", "10.78.0.1:15014"]);
        let control = Running::start("meltemid", &mut command, &folder.join("meltemid.log")).unwrap();
        let root = ca.join("root-cert.pem");
        eventually("the authority", Duration::from_secs(10), || {
            Ok(ensure!(root.exists() && ca.join("ca-cert.pem").exists(), "no root yet"))
        })
        .unwrap();
        let pod = |name: &str, address: Ipv4Addr, port: Option<u16>| {
            let place = network.pod(name, address, true).unwrap();
            let home = folder.join(name);
            std::fs::create_dir_all(&home).unwrap();
            open_to_all(&home);
            std::fs::copy(&root, home.join("root.pem")).unwrap();
            std::fs::write(home.join("token"), format!("token-of-{name}-0123456789")).unwrap();
            let app = port.map(|port| {
                let mut command = place.command(&meltemi);
                command.args(["demo-app", "--name", name, "--version", "v1", "--listen", &format!("{address}:{port}")]);
                Running::start("app", &mut command, &home.join("app.log")).unwrap()
            });
            let mut command = place.proxy_command(&agent);
            command.args([
                "proxy",
                "sidecar",
                "--ip",
                &address.to_string(),
                "--root-ca",
                "root.pem",
                "--token",
                "token",
            ]);
            command.args([
                "--istiod-san",
                "istiod.istio-system.svc",
                "--secret-ttl",
                "8s",
                "--concurrency",
                "1",
                "--envoy",
            ]);
            command.arg(&envoy).current_dir(&home).env("POD_NAME", format!("{name}-1")).env("POD_NAMESPACE", "shop");
            command
                .env("SERVICE_ACCOUNT", name)
                .env("ISTIO_META_INTERCEPTION_MODE", "REDIRECT")
                .env("ISTIO_META_CLUSTER_ID", "Kubernetes");
            let config = "{discoveryAddress: '10.78.0.1:15012', terminationDrainDuration: 1s}";
            command.env("PROXY_CONFIG", config).env("ISTIO_METAJSON_LABELS", format!("{{\"app\":\"{name}\"}}"));
            let log = home.join("agent.log");
            let agent = Running::start(name, &mut command, &log).unwrap();
            Pod { place, agent, log, _app: app }
        };
        let (web, client) = (pod("web", WEB, Some(8080)), pod("client", CLIENT, None));
        Self { config, network, web, client, _control: control }
    }

    /// Calls the service from the client's workload.
    fn call(&self) -> anyhow::Result<Answer> {
        let asked = || http_get(([10, 96, 0, 10], 80).into());
        let answer = self.client.place.inside(asked)?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).with_context(|| answer.body.clone())
    }

    /// Calls the workload in plain text, past any client's proxy.
    fn plain(&self) -> anyhow::Result<bed::http::Answer> {
        self.network.node().inside(|| http_get((WEB, 8080).into()))
    }

    fn logs(&self) -> String {
        [&self.web, &self.client].map(|pod| std::fs::read_to_string(&pod.log).unwrap_or_default()).join("\n---\n")
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
    for _ in 0..5 {
        assert!(mesh.plain().is_err(), "STRICT takes no plain text");
    }
    // The same call is taken where plain text is allowed: it is the policy that refused it.
    std::fs::write(mesh.config.join("peers.yaml"), peers("PERMISSIVE")).unwrap();
    let taken = || mesh.plain().and_then(|answer| Ok(ensure!(answer.status == 200, "{}", answer.status)));
    eventually("plain text to be taken", Duration::from_secs(10), taken).unwrap();
    std::fs::write(mesh.config.join("peers.yaml"), peers("STRICT")).unwrap();
    eventually("plain text to be refused", Duration::from_secs(10), || {
        Ok(ensure!(mesh.plain().is_err(), "it is taken"))
    })
    .unwrap();
    // Certificates of 8 s are renewed at 4 s.
    let (started, mut calls) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(10) {
        mesh.call().unwrap_or_else(|error| panic!("call {calls} under renewal: {error:#}\n{}", mesh.logs()));
        calls += 1;
    }
    let renewals = mesh.logs().matches("certificate obtained").count();
    assert!(renewals >= 6, "{renewals} certificates in {calls} calls");
    let stopping = Command::new("kill").arg(mesh.web.agent.id().to_string()).status().unwrap();
    assert!(stopping.success());
    eventually("the agent to end", Duration::from_secs(8), || Ok(ensure!(mesh.web.agent.check().is_err(), "it runs")))
        .unwrap();
    assert!(mesh.logs().contains("draining"), "{}", mesh.logs());
}
