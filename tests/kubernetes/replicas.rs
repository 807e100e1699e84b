//! Two replicas are as good as one: the same bytes for the same proxy, which may move between them, and either may be killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use bed::app::Answer;
use bed::cluster::{Cluster, Options};
use bed::envoy::Envoy;
use bed::net::Place;
use bed::process::{Keeper, eventually};
use tests::between::Between;
use tests::client::sidecar;
use tests::edge::{app, free_port, router};
use tests::follower::{Follower, Told};
use tests::need;
use tests::plane::{PLAIN, Plane, folder};
use xds::ResourceType;

use super::badday::{metric, service};
use super::replica::{self, Replica};
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is missing for an Envoy and a control plane as programs; where they are.
fn programs() -> Result<(PathBuf, PathBuf), String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let envoy = bed::envoy::binary(Some(&root.join(".cache/envoy/envoy"))).map_err(|error| error.to_string())?;
    Ok((envoy, replica::program()?))
}

/// A proxy that has everything, after both control planes have.
fn settled(
    plane: &Plane,
    number: usize,
    has: BTreeMap<ResourceType, BTreeMap<String, String>>,
) -> anyhow::Result<(Follower, Told)> {
    let follower = Follower::start(plane.xds(), sidecar(number, "default"), has);
    follower.wait("two.default", true, PATIENCE)?;
    plane.live(1, 0)?;
    let told = follower.told();
    Ok((follower, told))
}

#[test]
fn replicas_have_equal_bytes_and_a_proxy_that_moves_is_sent_nothing() {
    if !need("two replicas", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}").unwrap();
    cluster.apply(&service("one")).unwrap();
    let start = |name: &str| {
        let plane = Plane::on(cluster.kubeconfig(), &["--pod-name", name, "--webhook-address", "127.0.0.1:0"])?;
        plane.ready(PATIENCE)?;
        anyhow::Ok(plane)
    };
    let one = start("one").unwrap();
    // The second one sees at once what the first one saw one after another.
    for name in ["five", "four", "three", "two"] {
        cluster.apply(&service(name)).unwrap();
    }
    let (first, had) = settled(&one, 1, BTreeMap::new()).unwrap();
    let two = start("two").unwrap();
    let (fresh, other) = settled(&two, 1, BTreeMap::new()).unwrap();
    // A version is the hash of the bytes.
    assert_eq!(had.has, other.has);
    assert!(had.has[&ResourceType::Cds].len() >= 5 && had.resources > 5, "{had:?}");
    drop((first, fresh));
    eventually("the proxy to be gone", PATIENCE, || {
        ensure!(one.proxies()?.is_empty() && two.proxies()?.is_empty(), "still there");
        Ok(())
    })
    .unwrap();
    let mut has = had.has;
    for plane in [&two, &one] {
        let before = metric(plane, "meltemi_xds_resources_sent").unwrap();
        let (_moved, told) = settled(plane, 1, has.clone()).unwrap();
        assert_eq!((told.resources, told.lost.len()), (0, 0), "{told:?}");
        assert_eq!(metric(plane, "meltemi_xds_resources_sent").unwrap(), before, "nothing was sent");
        assert_eq!(told.has, has);
        has = told.has;
    }
}

/// Everything at a gateway goes to the application at `port`, in plain text: the gateway has no agent, and so no certificate.
fn mesh(gateway: u16, port: u16) -> String {
    format!(
        "{PLAIN}---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: default}}
spec:
  selector: {{app: ingress}}
  servers: [{{port: {{number: {gateway}, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: web, namespace: default}}
spec:
  hosts: [web.mesh]
  resolution: STATIC
  ports: [{{number: 80, name: http2, protocol: HTTP2}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http2: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: default}}
spec:
  hosts: [web.test]
  gateways: [edge]
  http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: web.mesh}}}}]}}]
"
    )
}

/// Who answers at a gateway.
pub(super) fn version(gateway: SocketAddr) -> anyhow::Result<String> {
    let answer = bed::http::get(gateway, "web.test", "/", &[])?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    Ok(serde_json::from_str::<Answer>(&answer.body)?.version)
}

/// Under load: kills each replica in turn and edits while it is away. Gives what came of the load.
fn killed_in_turn(envoy: &std::path::Path, program: &std::path::Path) -> anyhow::Result<bed::load::Outcome> {
    let cluster = Cluster::start(Options::new(tools().map_err(anyhow::Error::msg)?))?;
    let crds = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crds");
    cluster.kubectl(&["apply", "--server-side", "-f", &crds.display().to_string()])?;
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}")?;
    let (ports, port) = ([app("web", "v1"), app("web", "v2")], free_port());
    let gateway = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the definitions", PATIENCE, || cluster.apply(&mesh(port, ports[0])))?;
    let keeper = Keeper::new();
    let mut replicas = ["one", "two"].map(|name| Replica::new(program, name, cluster.kubeconfig()));
    for replica in &mut replicas {
        replica.start(&keeper)?;
    }
    let between = Between::start(&[replicas[0].xds(), replicas[1].xds()])?;
    let spec = router("ingress", between.address());
    let mut proxy = Envoy::start(envoy, &spec, &Place::here(), &folder())?;
    proxy.wait_live(PATIENCE)?;
    eventually("the first answer", PATIENCE, || version(gateway))?;
    let time = Duration::from_secs(25);
    let plan = bed::load::Plan { address: gateway, host: "web.test".into(), rate: 80, time };
    let load = std::thread::spawn(move || bed::load::run(&plan));
    for round in 0..2 {
        let wanted = ["v2", "v1"][round];
        replicas[round].kill();
        cluster.apply(&mesh(port, ports[1 - round]))?;
        eventually("the edit, from the other one", PATIENCE, || {
            let by = version(gateway)?;
            ensure!(by == wanted, "{by} answers");
            Ok(())
        })?;
        replicas[round].start(&keeper)?;
    }
    ensure!(!load.is_finished(), "the load was over before the replicas were killed");
    load.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
}

#[test]
fn either_replica_is_killed_under_load_without_a_failed_request() {
    let (envoy, meltemid) = match programs().and_then(|programs| tools().map(|_| programs)) {
        Ok(programs) => programs,
        Err(why) => {
            need("killed replicas", Some(why));
            return;
        }
    };
    let outcome = killed_in_turn(&envoy, &meltemid).unwrap();
    eprintln!("killed in turn: {outcome:?}");
    assert_eq!(outcome.failures(), 0, "{:?}", outcome.failed);
    assert!(outcome.answered.len() == 2 && outcome.sent >= 200 * 25, "{outcome:?}");
}
