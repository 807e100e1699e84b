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

#[test]
fn a_proxyless_client_follows_a_rule() {
    let Ok(python) = python().map_err(|why| need("grpc", Some(why))) else { return };
    let endpoints = [("127.0.0.1", app("web", "v1"), "v1"), ("127.0.0.1", app("web", "v2"), "v2")];
    let rules = "apiVersion: networking.istio.io/v1
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
    let mesh = service("web", "shop", 10, "grpc", &endpoints);
    let plane = Plane::start(&[("mesh.yaml", &mesh), ("rules.yaml", rules)], &[]).unwrap();
    let folder = folder();
    let bootstrap = serde_json::json!({
        "xds_servers": [{ "server_uri": plane.xds().to_string(), "channel_creds": [{ "type": "insecure" }], "server_features": ["xds_v3"] }],
        "node": {
            "id": "sidecar~10.1.0.9~client.shop~shop.svc.cluster.local",
            "metadata": { "GENERATOR": "grpc", "NAMESPACE": "shop" }, "locality": { "region": "r" },
        },
    });
    std::fs::write(folder.join("bootstrap.json"), bootstrap.to_string()).unwrap();
    let mut command = std::process::Command::new(python);
    command.args(["-c", SCRIPT, "web.shop:80"]).env("GRPC_XDS_BOOTSTRAP", folder.join("bootstrap.json"));
    let ran = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{out}{err}\n{}", plane.page("/debug/syncz").unwrap().body);
    let count = |version: &str| {
        let after = out.split(&format!("'{version}': ")).nth(1).unwrap_or("0");
        after.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().unwrap_or(0)
    };
    assert_eq!(count("v1") + count("v2"), 100, "{out}");
    // 4 standard deviations around 20 of 100.
    assert!((4..=36).contains(&count("v1")), "{out}");
}
