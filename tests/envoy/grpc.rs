//! A gRPC client without a proxy, by the state-of-the-world variant: grpcio from PyPI.

use std::path::Path;
use std::process::Command;

use bed::process::Running;

use super::*;

/// Calls the echo through `xds:///` and prints which version answered how often.
const SCRIPT: &str = r#"
import collections, sys, grpc
channel = grpc.insecure_channel("xds:///" + sys.argv[1])
call = channel.unary_unary("/demo.Echo/Say")
seen = collections.Counter()
for _ in range(100):
    answer, made = call.with_call(b"hello", timeout=20, wait_for_ready=True)
    assert answer == b"hello", answer
    seen[dict(made.trailing_metadata())["x-version"]] += 1
print(dict(seen))
"#;

fn python() -> Result<PathBuf, String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.cache/grpc/venv/bin/python");
    if path.exists() { Ok(path) } else { Err("there is no grpcio; `make setup` fetches it".to_owned()) }
}

const RULES: &str = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web, subset: v1}, weight: 20}, {destination: {host: web, subset: v2}, weight: 80}]}]
";

/// Calls by the bootstrap in a file, and looks at who answered.
fn follows(python: &Path, bootstrap: &Path, told: impl Fn() -> String) {
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, "web.shop:80"]).env("GRPC_XDS_BOOTSTRAP", bootstrap);
    let ran = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}{err}\n{}", told());
    let count = |version: &str| {
        let after = out.split(&format!("'{version}': ")).nth(1).unwrap_or("0");
        after.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().unwrap_or(0)
    };
    assert_eq!(count("v1") + count("v2"), 100, "{out}");
    // 4 standard deviations around 20 of 100.
    assert!((4..=36).contains(&count("v1")), "{out}");
}

#[test]
fn a_proxyless_client_follows_a_rule() {
    let Ok(python) = python().map_err(|why| need("grpc", Some(why))) else { return };
    let endpoints = [("127.0.0.1", app("web", "v1"), "v1"), ("127.0.0.1", app("web", "v2"), "v2")];
    let mesh = service("web", "shop", 10, "grpc", &endpoints);
    let plane = Plane::start(&[("mesh.yaml", &mesh), ("rules.yaml", RULES)], &[]).unwrap();
    let folder = folder();
    let bootstrap = serde_json::json!({
        "xds_servers": [{ "server_uri": plane.xds().to_string(), "channel_creds": [{ "type": "insecure" }], "server_features": ["xds_v3"] }],
        "node": {
            "id": "sidecar~10.1.0.9~client.shop~shop.svc.cluster.local",
            "metadata": { "GENERATOR": "grpc", "NAMESPACE": "shop" }, "locality": { "region": "r" },
        },
    });
    std::fs::write(folder.join("bootstrap.json"), bootstrap.to_string()).unwrap();
    follows(&python, &folder.join("bootstrap.json"), || plane.page("/debug/syncz").unwrap().body);
}

/// A control plane that gives certificates to the service accounts `client` and `echo` of the namespace `shop`.
fn secured(files: &[(&str, &str)], home: &Path) -> Plane {
    let (ca, tokens) = (home.join("ca"), home.join("tokens"));
    std::fs::write(&tokens, ["client", "echo"].map(|account| format!("{} shop/{account}\n", token(account))).concat())
        .unwrap();
    let [ca, tokens] = [&ca, &tokens].map(|path| path.display().to_string());
    let flags = ["--ca-dir", &ca, "--token-file", &tokens, "--secure-address", "127.0.0.1:0"];
    Plane::start(files, &flags).unwrap()
}

fn token(account: &str) -> String {
    format!("token-of-{account}-0123456789")
}

/// An agent without Envoy, with what it gives to gRPC.
struct Agent {
    running: Running,
    home: PathBuf,
}

impl Agent {
    /// Starts one for a service account, and waits for its files.
    fn start(account: &str, plane: &Plane, home: &Path) -> Self {
        let roots = home.join("ca/root-cert.pem");
        let home = home.join(account);
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("token"), token(account)).unwrap();
        let mut command = Command::new(agent());
        command.current_dir(&home).args([
            "proxy",
            "sidecar",
            "--ip",
            "10.1.0.9",
            "--disable-envoy",
            "--token",
            "token",
        ]);
        command.arg("--root-ca").arg(roots).arg("--grpc-bootstrap").arg(home.join("bootstrap.json"));
        command.arg("--output-certs").arg(home.join("certs")).args(["--istiod-san", "istiod.istio-system.svc"]);
        let config = format!("{{discoveryAddress: '{}', statusPort: {}}}", plane.secure().unwrap(), free_port());
        command.env("PROXY_CONFIG", config).env("ISTIO_META_GENERATOR", "grpc").env("SERVICE_ACCOUNT", account);
        let labels = serde_json::json!({ "app": account, "security.istio.io/tlsMode": "istio" });
        command.env("POD_NAME", format!("{account}-1")).env("POD_NAMESPACE", "shop");
        command.env("ISTIO_METAJSON_LABELS", labels.to_string());
        let running = Running::start("agent", &mut command, &home.join("agent.log")).unwrap();
        let mut started = Self { running, home };
        eventually("the certificate's files", Duration::from_secs(10), || {
            started.running.check()?;
            let all = [started.bootstrap(), started.home.join("certs/root-cert.pem")];
            ensure!(all.iter().all(|file| file.exists()), "they are not there yet");
            Ok(())
        })
        .unwrap();
        started
    }

    fn bootstrap(&self) -> PathBuf {
        self.home.join("bootstrap.json")
    }

    /// Python with the agent's bootstrap.
    fn python(&self, script: &str, argument: &str) -> Command {
        let mut command = Command::new(python().unwrap());
        command.args(["-c", script, argument]).env("GRPC_XDS_BOOTSTRAP", self.bootstrap());
        command
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.home.join("agent.log")).unwrap_or_default()
    }
}

#[test]
fn the_agent_gives_a_proxyless_client_its_bootstrap_and_its_certificate() {
    let Ok(python) = python().map_err(|why| need("grpc by the agent", Some(why))) else { return };
    let endpoints = [("127.0.0.1", app("web", "v1"), "v1"), ("127.0.0.1", app("web", "v2"), "v2")];
    let mesh = service("web", "shop", 10, "grpc", &endpoints);
    let home = folder();
    let plane = secured(&[("mesh.yaml", &mesh), ("rules.yaml", RULES)], &home);
    let mut agent = Agent::start("client", &plane, &home);
    let chain = pem(&agent.home.join("certs/cert-chain.pem"));
    assert_eq!(ca::uris_of(&chain), ["spiffe://cluster.local/ns/shop/sa/client"]);
    follows(&python, &agent.bootstrap(), || agent.said());
    // An agent beside a job ends when it is told to.
    let started = std::time::Instant::now();
    agent.running.stop(Duration::from_secs(10));
    assert!(started.elapsed() < Duration::from_secs(5), "{}", agent.said());
}

/// The first certificate of a file, as DER.
fn pem(path: &Path) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_file(path).unwrap().to_vec()
}

/// Serves by what xDS says, and tells callers who they are.
const SERVER: &str = r#"
import sys, grpc
from concurrent import futures
class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        def say(request, context):
            return b",".join(context.auth_context().get("x509_subject_alternative_name", [b"a stranger"]))
        return grpc.unary_unary_rpc_method_handler(say)
server = grpc.server(futures.ThreadPoolExecutor(4), xds=True)
server.add_generic_rpc_handlers((Echo(),))
server.add_secure_port(sys.argv[1], grpc.xds_server_credentials(grpc.insecure_server_credentials()))
server.start()
server.wait_for_termination()
"#;

/// Calls once, by xDS or past it, and prints the answer or the error.
const CALLER: &str = r#"
import sys, grpc, grpc.experimental
credentials = grpc.experimental.insecure_channel_credentials()
if sys.argv[1].startswith("xds:"):
    credentials = grpc.xds_channel_credentials(credentials)
call = grpc.secure_channel(sys.argv[1], credentials).unary_unary("/demo.Echo/Say")
try:
    print(call(b"hello", timeout=10).decode())
except grpc.RpcError as error:
    print(error.code(), error.details())
"#;

/// The echo by gRPC's own server, on a port of loopback.
fn echo(port: u16, names: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: shop}}
spec: {{clusterIP: 10.96.0.12, selector: {{app: echo}}, ports: [{{name: grpc, port: 80, targetPort: {port}}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: echo-1, namespace: shop, labels: {{app: echo, security.istio.io/tlsMode: istio}}}}
spec: {{serviceAccountName: echo}}
status: {{podIP: 127.0.0.1, phase: Running}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: echo-1, namespace: shop, labels: {{kubernetes.io/service-name: echo}}}}
addressType: IPv4
endpoints: [{{addresses: [127.0.0.1], targetRef: {{kind: Pod, name: echo-1}}}}]
ports: [{{name: grpc, port: {port}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo, namespace: shop}}
spec: {{host: echo, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL, subjectAltNames: [{names}]}}}}}}
"
    )
}

/// What the namespace takes from its peers.
fn takes(mode: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, namespace: shop}}\n\
         spec: {{mtls: {{mode: {mode}}}}}\n"
    )
}

#[test]
fn proxyless_client_and_server_know_each_other_by_mutual_tls() {
    if !need("grpc by mutual TLS", python().err()) {
        return;
    }
    let (home, port) = (folder(), free_port());
    let plane = secured(&[("mesh.yaml", &echo(port, "")), ("mode.yaml", &takes("STRICT"))], &home);
    let (client, server) = (Agent::start("client", &plane, &home), Agent::start("echo", &plane, &home));
    let log = home.join("server.log");
    let serving = Running::start("server", &mut server.python(SERVER, &format!("127.0.0.1:{port}")), &log).unwrap();
    let asked = |target: &str| {
        let ran = client.python(CALLER, target).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).trim().to_owned() + &String::from_utf8_lossy(&ran.stderr)
    };
    let (service, past) = ("xds:///echo.shop:80", format!("127.0.0.1:{port}"));
    let says = |target: &str, wanted: &str| {
        let answer = eventually(wanted, Duration::from_secs(20), || {
            let said = asked(target);
            ensure!(said.contains(wanted), "{said}");
            Ok(said)
        });
        answer.unwrap_or_else(|error| {
            panic!(
                "{error:#}\n{}\n{}",
                std::fs::read_to_string(&log).unwrap(),
                plane.page("/debug/syncz").unwrap().body
            )
        })
    };
    says(service, "spiffe://cluster.local/ns/shop/sa/client");
    assert!(asked(&past).contains("UNAVAILABLE"), "STRICT takes plain text");
    // A server of another name than the rule's is not called.
    plane.write("mesh.yaml", &echo(port, "'spiffe://cluster.local/ns/shop/sa/somebody-else'")).unwrap();
    says(service, "UNAVAILABLE");
    plane.write("mesh.yaml", &echo(port, "'spiffe://cluster.local/ns/shop/sa/echo'")).unwrap();
    says(service, "spiffe://cluster.local/ns/shop/sa/client");
    // The same call is taken where mutual TLS is off: it is the policy that refused it.
    plane.write("mode.yaml", &takes("DISABLE")).unwrap();
    says(&past, "a stranger");
    drop(serving);
}
