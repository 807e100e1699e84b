//! The control plane on a cluster: what it sees, what it writes, and what becomes of both when the API server is away.

use std::time::Duration;

use anyhow::ensure;
use bed::cluster::{Cluster, Options, Part};
use bed::process::eventually;
use tests::need;
use tests::plane::Plane;

use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

/// A Service with one endpoint.
const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.2.3], conditions: {ready: true}}]
";

/// The clusters of its services.
fn clusters(plane: &Plane) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = tests::client::sidecar(1, "shop");
        let mut client = tests::client::Client::connect(plane.xds(), node, Default::default()).await?;
        tokio::time::timeout(Duration::from_secs(10), client.settle_all()).await??;
        Ok(client.has[&xds::ResourceType::Cds].keys().cloned().collect())
    })
}

/// The roots in a namespace.
fn roots(cluster: &Cluster, namespace: &str) -> anyhow::Result<String> {
    let path = "jsonpath={.data.root-cert\\.pem}";
    cluster.kubectl(&["get", "configmap/istio-ca-root-cert", "-n", namespace, "-o", path])
}

#[test]
fn what_is_applied_is_served_and_every_namespace_has_the_roots() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let mut cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}").unwrap();
    // Two replicas that start at once on an empty cluster.
    let start = |name: &str| Plane::on(cluster.kubeconfig(), &["--pod-name", name, "--webhook-address", "127.0.0.1:0"]);
    let (one, two) = std::thread::scope(|scope| {
        let one = scope.spawn(|| start("one"));
        let two = start("two");
        (one.join().unwrap(), two)
    });
    let (one, two) = (one.unwrap(), two.unwrap());
    one.ready(PATIENCE).unwrap();
    two.ready(PATIENCE).unwrap();
    cluster.apply(SHOP).unwrap();
    for plane in [&one, &two] {
        eventually("the service", PATIENCE, || {
            let found = clusters(plane)?;
            ensure!(found.iter().any(|name| name == "outbound|80||web.shop.svc.cluster.local"), "{found:?}");
            Ok(())
        })
        .unwrap();
    }

    let shared = eventually("the roots", PATIENCE, || roots(&cluster, "shop")).unwrap();
    for plane in [&one, &two] {
        let own = std::fs::read_to_string(plane.folder().join("ca/root-cert.pem")).unwrap();
        assert_eq!(own.trim(), shared.trim(), "both have one root");
    }
    cluster.kubectl(&["delete", "configmap/istio-ca-root-cert", "-n", "shop"]).unwrap();
    let spoilt = r#"{"data":{"root-cert.pem":"another"}}"#;
    cluster.kubectl(&["patch", "configmap/istio-ca-root-cert", "-n", "default", "-p", spoilt]).unwrap();
    for namespace in ["shop", "default", "kube-system"] {
        eventually("the roots again", PATIENCE, || {
            let found = roots(&cluster, namespace)?;
            ensure!(found == shared, "{namespace} has {found:?}");
            Ok(())
        })
        .unwrap();
    }

    // While the API server is held, what is known is served; afterwards what was edited arrives.
    cluster.hold(Part::ApiServer).unwrap();
    assert!(clusters(&one).unwrap().iter().any(|name| name.contains("web.shop")));
    cluster.release(Part::ApiServer).unwrap();
    cluster.kubectl(&["delete", "service/web", "-n", "shop"]).unwrap();
    eventually("the service to go", PATIENCE, || {
        let found = clusters(&one)?;
        ensure!(!found.iter().any(|name| name.contains("web.shop")), "{found:?}");
        Ok(())
    })
    .unwrap();

    // Who writes gives that up when it ends: the next one need not wait.
    drop((one, two));
    let holder = ["get", "lease/meltemi-leader", "-n", "istio-system", "-o", "jsonpath={.spec.holderIdentity}"];
    assert_eq!(cluster.kubectl(&holder).unwrap(), "");
}
