//! A gRPC client without a proxy, by the state-of-the-world variant: grpcio from PyPI.

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
fn follows(python: &std::path::Path, bootstrap: &std::path::Path, told: impl Fn() -> String) {
    let mut command = std::process::Command::new(python);
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

#[test]
fn the_agent_gives_a_proxyless_client_its_bootstrap_and_its_certificate() {
    let Ok(python) = python().map_err(|why| need("grpc by the agent", Some(why))) else { return };
    let endpoints = [("127.0.0.1", app("web", "v1"), "v1"), ("127.0.0.1", app("web", "v2"), "v2")];
    let mesh = service("web", "shop", 10, "grpc", &endpoints);
    let home = folder();
    let (ca, tokens) = (home.join("ca"), home.join("tokens"));
    std::fs::write(&tokens, "token-of-client-0123456789 shop/client\n").unwrap();
    std::fs::write(home.join("token"), "token-of-client-0123456789").unwrap();
    let [ca_path, tokens] = [&ca, &tokens].map(|path| path.display().to_string());
    let flags = ["--ca-dir", &ca_path, "--token-file", &tokens, "--secure-address", "127.0.0.1:0"];
    let plane = Plane::start(&[("mesh.yaml", &mesh), ("rules.yaml", RULES)], &flags).unwrap();
    let (bootstrap, certificates) = (home.join("bootstrap.json"), home.join("certs"));
    let mut command = std::process::Command::new(agent());
    command.current_dir(&home).args(["proxy", "sidecar", "--ip", "10.1.0.9", "--disable-envoy", "--token", "token"]);
    command.arg("--root-ca").arg(ca.join("root-cert.pem")).arg("--grpc-bootstrap").arg(&bootstrap);
    command.arg("--output-certs").arg(&certificates).args(["--istiod-san", "istiod.istio-system.svc"]);
    let config = format!("{{discoveryAddress: '{}', statusPort: {}}}", plane.secure().unwrap(), free_port());
    command.env("PROXY_CONFIG", config).env("ISTIO_META_GENERATOR", "grpc").env("SERVICE_ACCOUNT", "client");
    command.env("POD_NAME", "client-1").env("POD_NAMESPACE", "shop");
    let mut running = bed::process::Running::start("agent", &mut command, &home.join("agent.log")).unwrap();
    eventually("the certificate's files", Duration::from_secs(10), || {
        running.check()?;
        ensure!(bootstrap.exists() && certificates.join("root-cert.pem").exists(), "they are not there yet");
        Ok(())
    })
    .unwrap();
    let chain = pem(&certificates.join("cert-chain.pem"));
    assert_eq!(ca::uris_of(&chain), ["spiffe://cluster.local/ns/shop/sa/client"]);
    follows(&python, &bootstrap, || std::fs::read_to_string(home.join("agent.log")).unwrap());
}

/// The first certificate of a file, as DER.
fn pem(path: &std::path::Path) -> Vec<u8> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_file(path).unwrap().to_vec()
}
