//! What else the agent does in a pod: probes reach the workload past the capture rules, also under STRICT; metrics are one text; a file
//! is laid over Envoy's bootstrap.

use std::path::Path;

use bed::net;
use bed::process::Running;

use super::dns::{CLIENT, CONTROL, Pod};
use super::*;

const STRICT: &str = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                      metadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n";

/// A cluster of the node, as a tracer is.
const OVERRIDE: &str = "static_resources:
  clusters:
  - name: tracer
    type: STATIC
    load_assignment:
      cluster_name: tracer
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: $(HOST_IP), port_value: 8126}}}}]}]
";

#[test]
fn probes_and_metrics_reach_the_workload_and_the_bootstrap_is_overridden() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("probes in a pod", missing) {
        return;
    }
    let file = folder().join("override.yaml");
    std::fs::write(&file, OVERRIDE).unwrap();
    let probers = r#"{"/app-health/app/livez":{"httpGet":{"path":"/","port":8080},"timeoutSeconds":5},
                      "/app-health/app/readyz":{"tcpSocket":{"port":8080}},
                      "/app-health/app/startupz":{"httpGet":{"path":"/","port":8081}}}"#;
    let variables = vec![
        ("ISTIO_BOOTSTRAP_OVERRIDE", file.display().to_string()),
        ("HOST_IP", CONTROL.to_string()),
        ("ISTIO_KUBE_APP_PROBERS", probers.to_owned()),
        ("ISTIO_PROMETHEUS_ANNOTATIONS", r#"{"scrape":"true","port":"8080","path":"/"}"#.to_owned()),
    ];
    let pod = Pod::start(&envoy().unwrap(), variables);
    std::fs::write(pod.folder.join("config/peers.yaml"), STRICT).unwrap();
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug/meltemi");
    let mut command = pod.place.command(&built);
    command.args(["demo-app", "--name", "app", "--version", "v1", "--listen", "0.0.0.0:8080"]);
    let _app = Running::start("app", &mut command, &pod.folder.join("app.log")).unwrap();
    let direct = || pod.network.node().inside(|| bed::http::get((CLIENT, 8080).into(), "app", "/", &[]));
    let probe = || pod.page("/app-health/app/livez");
    eventually("the workload to be well", Duration::from_secs(10), probe).unwrap();
    // In plain text nobody else is let in.
    let refused = || {
        ensure!(direct().is_err(), "plain text is taken");
        Ok(())
    };
    eventually("plain text to be refused", Duration::from_secs(10), refused).unwrap();
    let shown = pod.page("/app-health/app/livez").unwrap();
    let seen: Answer = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert_eq!(seen.version, "v1");
    pod.page("/app-health/app/readyz").unwrap();
    assert!(pod.page("/app-health/app/startupz").is_err(), "nobody is there");
    let metrics = pod.page("/stats/prometheus").unwrap();
    let own = metrics.lines().last().and_then(|line| serde_json::from_str::<Answer>(line).ok());
    assert!(metrics.contains("envoy_server_live") && own.is_some_and(|own| own.version == "v1"), "{metrics}");
    let admin = pod.place.inside(|| bed::http::get(([127, 0, 0, 1], 15000).into(), "admin", "/clusters", &[])).unwrap();
    assert!(admin.body.contains(&format!("tracer::{CONTROL}:8126::")), "{}", admin.body);
    let log = std::fs::read_to_string(&pod.envoy.log).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_file_that_is_no_bootstrap_is_passed_over() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("a wrong override", missing) {
        return;
    }
    let variables = vec![("ISTIO_BOOTSTRAP_OVERRIDE", Path::new("/nowhere/override.yaml").display().to_string())];
    let pod = Pod::start(&envoy().unwrap(), variables);
    let log = std::fs::read_to_string(&pod.envoy.log).unwrap();
    assert!(log.contains("the bootstrap is not overridden"), "{log}");
}
