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
    for (pod, account, version, address) in
        [("web-1", "web", "v1", WEB), ("web-2", "web", "v2", OTHER), ("client-1", "client", "v1", CLIENT)]
    {
        text += &format!(
            "---
apiVersion: v1
kind: Pod
metadata: {{name: {pod}, namespace: shop, labels: {{app: {account}, version: {version}, security.istio.io/tlsMode: istio}}}}
spec: {{serviceAccountName: {account}}}
status: {{podIP: {address}, phase: Running}}
"
        );
    }
    text
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
    config: PathBuf,
    network: Network,
    web: Envoy,
    client: Envoy,
    client_place: Place,
    meltemi: PathBuf,
    _other: Envoy,
    _running: [Running; 3],
}

/// A program where any user can run it.
fn program(from: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(from.file_name().unwrap());
    std::fs::copy(from, &to).unwrap();
    to
}

impl Mesh {
    fn start(envoy: &Path, services: &str, flags: &[&str]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, ca, tokens) = (folder.join("config"), folder.join("ca"), folder.join("tokens"));
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("mesh.yaml"), services).unwrap();
        std::fs::write(config.join("peers.yaml"), peers("STRICT")).unwrap();
        std::fs::write(&tokens, "token-of-web-0123456789 shop/web\ntoken-of-client-0123456789 shop/client\n").unwrap();
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug");
        let [meltemi, meltemid] = ["meltemi", "meltemid"].map(|name| program(&built.join(name), &folder));
        let network = Network::new(CONTROL, ToldBy::User).unwrap();
        let mut command = network.node().command(&meltemid);
        command.arg("--config-dir").arg(&config).arg("--ca-dir").arg(&ca).arg("--token-file").arg(&tokens);
        command.args(["--secure-address", "10.78.0.1:15012", "--http-address", "10.78.0.1:15014"]);
        command.args(flags);
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
            arguments: Vec::new(),
            variables: Vec::new(),
        };
        let pod = |name: &str, number: u8, address: Ipv4Addr| {
            let place = network.pod(&format!("{name}-{number}"), address, true).unwrap();
            let spec = Spec {
                pod: format!("{name}-{number}"),
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
        let ((web, web_place), (other, other_place)) = (pod("web", 1, WEB), pod("web", 2, OTHER));
        let (client, client_place) = pod("client", 1, CLIENT);
        let app = |place: &Place, version: &str, address: Ipv4Addr| {
            let mut command = place.command(&meltemi);
            command.args(["demo-app", "--name", "web", "--version", version, "--listen", &format!("{address}:8080")]);
            Running::start("app", &mut command, &folder.join(format!("{version}.log"))).unwrap()
        };
        let running = [control, app(&web_place, "v1", WEB), app(&other_place, "v2", OTHER)];
        Self { config, network, web, client, client_place, meltemi, _other: other, _running: running }
    }

    /// Asks the control plane.
    fn page(&self, path: &'static str) -> anyhow::Result<String> {
        let answer =
            self.network.node().inside(move || bed::http::get((CONTROL, 15014).into(), "meltemid", path, &[]))?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(answer.body)
    }

    /// What is published, if all three proxies have all of it.
    fn live(&self) -> anyhow::Result<u64> {
        let proxies: Vec<serde_json::Value> = serde_json::from_str(&self.page("/debug/syncz")?)?;
        ensure!(proxies.len() == 3, "{} proxies are connected", proxies.len());
        for proxy in &proxies {
            let all =
                proxy["types"].as_object().is_some_and(|types| types.values().all(|status| status["live"] == true));
            ensure!(all, "{proxy}");
        }
        proxies.iter().filter_map(|proxy| proxy["revision"].as_u64()).max().context("no revision")
    }

    /// The failures under load from the client's workload while edits go on and certificates are renewed.
    fn failures(&self, seconds: u64) -> anyhow::Result<bed::load::Outcome> {
        eventually("the first answer", Duration::from_secs(20), || self.call())?;
        let mut command = self.client_place.command(&self.meltemi);
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
            let (started, before) = (Instant::now(), self.live()?);
            let beside = self.config.join(".mesh.yaml.new");
            std::fs::write(&beside, round(number))?;
            std::fs::rename(beside, self.config.join("mesh.yaml"))?;
            eventually("an edit to be live", Duration::from_secs(10), || {
                let now = self.live()?;
                ensure!(now > before, "nothing new is published");
                Ok(())
            })?;
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

/// What openssl says of a handshake with the workload, of its certificate, and of an answer to a request.
fn handshake(mut openssl: std::process::Command, flags: &[&str]) -> anyhow::Result<String> {
    use std::io::Write;
    use std::process::Stdio;
    openssl.args(["s_client", "-connect", &format!("{WEB}:8080"), "-showcerts"]).args(flags);
    let mut client = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // It may be over before the request is written: that is what is tested.
    let _ = client.stdin.take().context("openssl has an input")?.write_all(b"GET / HTTP/1.1\r\nhost: web.shop\r\n\r\n");
    let said = client.wait_with_output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let (start, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let leaf =
        said.find(start).zip(said.find(end)).map(|(from, to)| &said[from..to + end.len()]).context("no certificate")?;
    let mut text = std::process::Command::new("openssl");
    let mut text = text.args(["x509", "-noout", "-text"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    text.stdin.take().context("openssl has an input")?.write_all(leaf.as_bytes())?;
    let text = text.wait_with_output()?;
    Ok(said + &String::from_utf8_lossy(&text.stdout))
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
    let mut mesh = Mesh::start(&envoy().unwrap(), &mesh("http", &[("web-1", WEB)]), &[]);
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
    // A client of another make sees the workload's name, and without a certificate of the mesh nothing more.
    let openssl = mesh.network.node().command(Path::new("openssl"));
    let shown = handshake(openssl, &["-alpn", "istio-http/1.1,h2"]).unwrap();
    assert!(shown.contains("URI:spiffe://cluster.local/ns/shop/sa/web"), "{shown}");
    assert!(shown.contains("ALPN protocol: h2") && !shown.contains("HTTP/1.1 200"), "{shown}");
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

#[test]
fn zero_failed_requests_under_strict_while_everything_changes_and_certificates_are_renewed() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("zero failed under mutual TLS", missing) {
        return;
    }
    let seconds = super::zero_failed::seconds();
    let run = |flags: &[&str], seconds: u64| {
        let mesh = Mesh::start(&envoy().unwrap(), &round(0), flags);
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
