//! What else the agent does in a pod: probes reach the workload past the capture rules, also under STRICT; metrics are one text; a file
//! is laid over Envoy's bootstrap.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Instant;

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

/// A connection from the node to the workload that was used once, and the application that keeps it open.
fn connected(pod: &Pod) -> (TcpStream, Running) {
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug/meltemi");
    let mut command = pod.place.command(&built);
    command.args(["demo-app", "--name", "app", "--version", "v1", "--listen", "0.0.0.0:8080"]);
    let app = Running::start("app", &mut command, &pod.folder.join("app.log")).unwrap();
    let used = || {
        let mut socket = pod.network.node().inside(|| Ok(TcpStream::connect((CLIENT, 8080))?))?;
        socket.write_all(b"GET / HTTP/1.1\r\nhost: client.shop\r\n\r\n")?;
        let mut answer = [0; 12];
        socket.read_exact(&mut answer)?;
        ensure!(answer == *b"HTTP/1.1 200", "{}", String::from_utf8_lossy(&answer));
        Ok(socket)
    };
    (eventually("an answer of the workload", Duration::from_secs(10), used).unwrap(), app)
}

fn order_drain(agent: SocketAddr) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(agent)?;
    socket.write_all(b"POST /drain HTTP/1.1\r\nhost: agent\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn an_ending_proxy_waits_for_connections_unless_the_pod_has_drained_it_before() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("the end of a proxy", missing) {
        return;
    }
    let patient =
        || vec![("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "true".to_owned()), ("MINIMUM_DRAIN_DURATION", "1s".to_owned())];
    let mut pod = Pod::start(&envoy().unwrap(), patient());
    let (socket, _app) = connected(&pod);
    let held = Duration::from_secs(4);
    let holder = std::thread::spawn(move || {
        std::thread::sleep(held);
        drop(socket);
    });
    let started = Instant::now();
    pod.envoy.stop(Duration::from_secs(20));
    holder.join().unwrap();
    let took = started.elapsed();
    assert!(took >= held && took < held + Duration::from_secs(5), "it ended after {took:?}");
    drop(pod);

    let mut pod = Pod::start(&envoy().unwrap(), patient());
    let (_socket, _app) = connected(&pod);
    let strange = pod.network.node().inside(|| order_drain((CLIENT, 15020).into())).unwrap();
    assert!(strange.starts_with("HTTP/1.1 403"), "{strange}");
    let own = pod.place.inside(|| order_drain(([127, 0, 0, 1], 15020).into())).unwrap();
    assert!(own.starts_with("HTTP/1.1 200"), "{own}");
    let log = || std::fs::read_to_string(&pod.envoy.log).unwrap_or_default();
    eventually("the drain", Duration::from_secs(5), || {
        ensure!(log().contains("draining, as the pod asks"), "nothing of it is told");
        Ok(())
    })
    .unwrap();
    let started = Instant::now();
    pod.envoy.stop(Duration::from_secs(20));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(4), "it ended after {took:?}");
}
