//! Bad days of one kind: the control plane may not see it, or its definition is not there. Everything else goes on, nothing is pushed from
//! a world without it, and it comes back by itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use serde_json::Value;
use tests::client::sidecar;
use tests::follower::Follower;
use tests::need;
use tests::plane::Plane;

use super::badday::{clusters_of, service, steady, unchanged};
use super::rights::as_shipped;
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);
const ROLE: &str = "clusterrole/istiod-clusterrole-istio-system";

/// A ServiceEntry of one host.
fn outside(name: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, namespace: default}}, spec: {{hosts: \
         [{name}.example.com], ports: [{{number: 443, name: tls}}], resolution: DNS}}}}"
    )
}

fn start(config: &Path) -> Plane {
    // Watches are short here: a right that is taken away is missed when the next one begins.
    Plane::on(config, &["--webhook-address", "127.0.0.1:0", "--watch-seconds", "5", "--pod-name", "istiod-1"]).unwrap()
}

/// The kinds that a metric says are not seen.
fn unseen(plane: &Plane) -> anyhow::Result<Vec<String>> {
    let page = plane.page("/metrics")?.body;
    let kinds = page.lines().filter_map(|line| line.strip_prefix("meltemi_unseen_kinds{kind=\"")?.split('"').next());
    Ok(kinds.map(str::to_owned).collect())
}

/// Waits until the control plane says that it cannot see `kind`, with this status.
fn says(plane: &Plane, status: u16, kind: &str) {
    eventually("the kind to be named", PATIENCE, || {
        let answer = plane.page("/ready")?;
        let lines: Vec<&str> = answer.body.lines().collect();
        let named =
            answer.status == status && lines.iter().any(|line| line.contains(kind) && line.contains("forbidden"));
        ensure!(named, "{} {}", answer.status, answer.body);
        ensure!(unseen(plane)? == [kind], "{:?}", unseen(plane)?);
        let ledger = plane.page("/debug/ledger")?.body;
        ensure!(ledger.contains("MLT0301") && ledger.contains("forbidden") || status != 200, "{ledger}");
        Ok(())
    })
    .unwrap();
}

fn nothing_is_unseen(plane: &Plane) {
    eventually("everything to be seen", PATIENCE, || {
        let answer = plane.page("/ready")?;
        ensure!((answer.status, &*answer.body) == (200, "ready\n"), "{} {}", answer.status, answer.body);
        ensure!(unseen(plane)?.is_empty());
        Ok(())
    })
    .unwrap();
}

/// The shipped role as it is, and without one resource.
struct Role {
    whole: Value,
}

impl Role {
    fn read(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut whole: Value = serde_json::from_str(&cluster.kubectl(&["get", ROLE, "-o", "json"])?)?;
        // It is written again and again.
        whole["metadata"].as_object_mut().context("it has metadata")?.remove("resourceVersion");
        Ok(Self { whole })
    }

    fn give(&self, cluster: &Cluster) -> anyhow::Result<()> {
        write(cluster, &self.whole)
    }

    fn take(&self, cluster: &Cluster, resource: &str) -> anyhow::Result<()> {
        let mut less = self.whole.clone();
        let rules = less["rules"].as_array_mut().context("a role has rules")?;
        let lists = rules.iter_mut().filter_map(|rule| rule["resources"].as_array_mut());
        let mut taken = false;
        for list in lists {
            let before = list.len();
            list.retain(|each| each != resource);
            taken |= list.len() != before;
        }
        rules.retain(|rule| rule["resources"].as_array().is_none_or(|list| !list.is_empty()));
        ensure!(taken, "the role does not give {resource}");
        write(cluster, &less)
    }
}

fn write(cluster: &Cluster, role: &Value) -> anyhow::Result<()> {
    let path = cluster.folder().join("role.json");
    std::fs::write(&path, role.to_string())?;
    cluster.kubectl(&["replace", "-f", &path.display().to_string()]).map(|_| ())
}

#[test]
fn a_forbidden_kind_keeps_it_from_beginning_and_later_stays_as_it_was_seen() {
    if !need("a forbidden kind", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let objects = install::objects(&install::Values::profile("default").unwrap());
    cluster.apply(&install::yaml(&objects).unwrap()).unwrap();
    cluster.apply(&(service("one") + &service("two"))).unwrap();
    let (role, config) = (Role::read(&cluster).unwrap(), as_shipped(&cluster).unwrap());
    role.take(&cluster, "authorizationpolicies").unwrap();

    // At the start: a mesh without its policies would be open.
    let plane = start(&config);
    let follower = Follower::start(plane.xds(), sidecar(1, "default"), Default::default());
    says(&plane, 503, "AuthorizationPolicy");
    eventually("all other kinds", PATIENCE, || {
        let body = plane.page("/ready")?.body;
        let awaited = body.split_once(": ").context("it says what it awaits")?.1;
        ensure!(awaited.starts_with("AuthorizationPolicy (authorizationpolicies") && !awaited.contains(", "), "{body}");
        Ok(())
    })
    .unwrap();
    assert_eq!(follower.told().responses, 0, "nothing is pushed from a part of the world");
    role.give(&cluster).unwrap();
    let given = Instant::now();
    plane.ready(PATIENCE).unwrap();
    follower.wait("two.default", true, PATIENCE).unwrap();
    nothing_is_unseen(&plane);
    eprintln!("ready {:.1?} after the right was given", given.elapsed());

    // Later: what was seen stays, and everything else goes on.
    let before = steady(&plane, &follower).unwrap();
    role.take(&cluster, "services").unwrap();
    says(&plane, 200, "Service");
    cluster.kubectl(&["delete", "service/two", "-n", "default"]).unwrap();
    cluster.apply(&service("three")).unwrap();
    unchanged(&follower, &before);
    cluster.apply(&outside("elsewhere")).unwrap();
    let told = follower.wait("elsewhere.example.com", true, PATIENCE).unwrap();
    assert!(told.lost.is_empty() && told.clusters().any(|name| name.contains("two.default")), "{told:?}");
    assert!(!told.clusters().any(|name| name.contains("three.default")));
    role.give(&cluster).unwrap();
    let given = Instant::now();
    follower.wait("three.default", true, PATIENCE).unwrap();
    let told = follower.wait("two.default", false, PATIENCE).unwrap();
    assert_eq!(Vec::from_iter(told.lost), clusters_of("two"), "only what is gone was taken away");
    nothing_is_unseen(&plane);
    eprintln!("all is seen {:.1?} after the right was given", given.elapsed());
}

fn definition() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crds");
    root.join("serviceentries.networking.istio.io.yaml")
}

#[test]
fn a_kind_comes_and_goes_with_its_definition() {
    if !need("a missing definition", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}").unwrap();
    let crds = definition().parent().map(Path::to_owned).unwrap();
    cluster.kubectl(&["apply", "--server-side", "-f", &crds.display().to_string()]).unwrap();
    cluster.kubectl(&["delete", "crd", "serviceentries.networking.istio.io"]).unwrap();
    cluster.apply(&service("one")).unwrap();
    let plane = start(cluster.kubeconfig());
    plane.ready(PATIENCE).unwrap();
    nothing_is_unseen(&plane);
    let follower = Follower::start(plane.xds(), sidecar(1, "default"), Default::default());
    follower.wait("one.default", true, PATIENCE).unwrap();
    for round in 0..2 {
        let came = Instant::now();
        cluster.kubectl(&["apply", "--server-side", "-f", &definition().display().to_string()]).unwrap();
        eventually("the kind", PATIENCE, || cluster.apply(&outside("elsewhere"))).unwrap();
        follower.wait("elsewhere.example.com", true, PATIENCE).unwrap();
        eprintln!("round {round}: seen {:.1?} after its definition", came.elapsed());
        nothing_is_unseen(&plane);
        // Other kinds go on while this one is not there.
        cluster.kubectl(&["delete", "crd", "serviceentries.networking.istio.io"]).unwrap();
        let name = format!("later-{round}");
        cluster.apply(&service(&name)).unwrap();
        follower.wait(&format!("{name}.default"), true, PATIENCE).unwrap();
        let told = follower.wait("elsewhere.example.com", false, PATIENCE).unwrap();
        let lost: Vec<String> = told.lost.iter().cloned().collect();
        assert_eq!(lost, ["outbound|443||elsewhere.example.com"], "only what is gone was taken away");
        assert!(told.clusters().any(|cluster| cluster.contains("one.default")));
        nothing_is_unseen(&plane);
    }
}
