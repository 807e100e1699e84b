//! What the control plane writes on a cluster, and what it leaves to others.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use anyhow::ensure;
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use serde_json::{Value, json};
use tests::need;
use tests::plane::Plane;

use super::rights::{ACCOUNT, as_shipped};
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

/// An object as it is.
pub(super) fn object(cluster: &Cluster, what: &str, namespace: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&cluster.kubectl(&[
        "get",
        what,
        "-n",
        namespace,
        "-o",
        "json",
        "--show-managed-fields",
    ])?)?)
}

/// Applies an object as a program of that name does.
fn apply_as(cluster: &Cluster, manager: &str, object: &Value) {
    let mut command = cluster.kubectl_command();
    command.args(["apply", "--server-side", "--force-conflicts", "--field-manager", manager, "-f", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{object}");
}

/// A control plane that runs as an account.
pub(super) fn plane(config: &std::path::Path, name: &str, flags: &[&str]) -> Plane {
    let fixed = ["--webhook-address", "127.0.0.1:0", "--pod-name", name];
    Plane::on(config, &[&fixed, flags].concat()).unwrap()
}

fn rule(name: &str, regex: &str, host: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {name}, namespace: default}}, spec: {{hosts: \
         [{name}.example.com], http: [{{match: [{{uri: {{regex: '{regex}'}}}}], route: [{{destination: {{host: {host}}}}}]}}]}}}}"
    )
}

/// How often the status of an object was written by the shipped account; every request of it was allowed.
pub(super) fn writes(cluster: &Cluster, name: &str) -> usize {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours: Vec<Value> = events.filter(|event| event["user"]["username"] == ACCOUNT).collect();
    let refused = ours.iter().find(|event| event["responseStatus"]["code"] == 403);
    assert!(refused.is_none(), "{refused:?}");
    let of = |event: &&Value| event["objectRef"]["subresource"] == "status" && event["objectRef"]["name"] == name;
    ours.iter().filter(of).count()
}

/// What the status of a rule says: levels and codes.
fn said(cluster: &Cluster, name: &str) -> anyhow::Result<Vec<String>> {
    let found = object(cluster, &format!("virtualservice/{name}"), "default")?;
    let generation = found["metadata"]["generation"].to_string();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = found["status"]["validationMessages"].as_array().cloned();
    let Some(messages) = messages else { return Ok(vec!["nothing yet".into()]) };
    ensure!(text(&found["status"]["observedGeneration"]) == generation, "{}", found["status"]);
    Ok(messages.iter().map(|each| format!("{} {}", text(&each["level"]), text(&each["type"]["code"]))).collect())
}

fn says(cluster: &Cluster, name: &str, wanted: &[&str]) {
    eventually(name, PATIENCE, || {
        let said = said(cluster, name)?;
        ensure!(said == wanted, "{said:?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_is_wrong_with_an_object_is_said_in_its_status_once() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let mut values = install::Values::profile("default").unwrap();
    values.set("pilot.env.PILOT_ENABLE_ANALYSIS=true").unwrap();
    cluster.apply(&install::yaml(&install::objects(&values)).unwrap()).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let flags = ["--enable-analysis=true", "--analysis-interval=1s"];
    let replicas = [plane(&config, "istiod-1", &flags), plane(&config, "istiod-2", &flags)];
    replicas.iter().for_each(|replica| replica.ready(PATIENCE).unwrap());

    cluster.apply(&rule("lost", "/a", "web")).unwrap();
    says(&cluster, "lost", &["WARNING IST0101"]);
    let found = object(&cluster, "virtualservice/lost", "default").unwrap();
    let text = found["status"]["validationMessages"][0]["message"].as_str().unwrap();
    assert!(text.contains("spec.http[0].route[0].destination.host: there is neither"), "{text}");
    let managers = found["metadata"]["managedFields"].as_array().unwrap();
    let ours = managers.iter().find(|entry| entry["manager"] == "meltemi-analysis").unwrap();
    assert_eq!((&ours["operation"], &ours["subresource"]), (&json!("Apply"), &json!("status")));
    // The webhook was not there to refuse it.
    cluster.apply(&rule("broken", "/a[", "kubernetes")).unwrap();
    says(&cluster, "broken", &["ERROR IST0106"]);
    assert_eq!((writes(&cluster, "lost"), writes(&cluster, "broken")), (1, 1), "one replica writes, and once");

    let ports = "{ports: [{name: http, port: 80}]}";
    cluster.apply(&format!("{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {ports}}}")).unwrap();
    says(&cluster, "lost", &[]);
    // What is said later was found by a later look at everything.
    cluster.apply(&rule("later", "/b", "nowhere")).unwrap();
    says(&cluster, "later", &["WARNING IST0101"]);
    assert_eq!((writes(&cluster, "lost"), writes(&cluster, "broken")), (2, 1), "what is said stays");
}

fn root_map(namespace: &str, roots: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "istio-ca-root-cert", "namespace": namespace },
        "data": { "root-cert.pem": roots },
    })
}

/// The roots in a namespace, and who wrote them.
fn roots(cluster: &Cluster, namespace: &str) -> anyhow::Result<(String, Vec<String>)> {
    let found = object(cluster, "configmap/istio-ca-root-cert", namespace)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let managers = found["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    Ok((text(&found["data"]["root-cert.pem"]), managers.iter().map(|entry| text(&entry["manager"])).collect()))
}

#[test]
fn another_control_planes_authority_is_adopted_and_its_roots_are_left_alone() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    for namespace in ["istio-system", "shop"] {
        cluster.kubectl(&["create", "namespace", namespace]).unwrap();
    }
    // As istiod leaves it: its Secret, and its root in the namespaces, with a line more than we would write.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (cert, key) = ca::self_signed("theirs", i64::try_from(now).unwrap()).unwrap();
    let files =
        json!({ "ca-cert.pem": cert, "ca-key.pem": key, "root-cert.pem": cert, "cert-chain.pem": "", "key.pem": "" });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "istio.io/ca-root",
        "metadata": { "name": "istio-ca-secret", "namespace": "istio-system" }, "stringData": files,
    });
    apply_as(&cluster, "pilot-discovery", &secret);
    let theirs = format!("{cert}\n");
    for namespace in ["istio-system", "shop"] {
        apply_as(&cluster, "pilot-discovery", &root_map(namespace, &theirs));
    }
    let adopting = plane(cluster.kubeconfig(), "one", &[]);
    adopting.ready(PATIENCE).unwrap();
    let written = eventually("the roots where there were none", PATIENCE, || roots(&cluster, "default")).unwrap();
    assert_eq!((written.0.trim(), &*written.1), (cert.trim(), &["meltemi".to_owned()][..]));
    let left = (theirs.clone(), vec!["pilot-discovery".to_owned()]);
    assert_eq!(roots(&cluster, "shop").unwrap(), left, "the same root is not written again");
    drop(adopting);

    // Another root, of a control plane that is not ours.
    let (other, _) = ca::self_signed("other", i64::try_from(now).unwrap()).unwrap();
    for namespace in ["istio-system", "shop"] {
        apply_as(&cluster, "pilot-discovery", &root_map(namespace, &other));
    }
    cluster.kubectl(&["delete", "configmap/istio-ca-root-cert", "-n", "default"]).unwrap();
    let refusing = plane(cluster.kubeconfig(), "two", &[]);
    eventually("the reason", PATIENCE, || {
        let answer = refusing.page("/ready")?;
        let reason = answer.status == 503 && answer.body.contains("holds the root of another control plane");
        ensure!(reason, "{} {}", answer.status, answer.body);
        let metrics = refusing.page("/metrics")?.body;
        ensure!(metrics.contains("meltemi_foreign_roots 2\n"), "{metrics}");
        // It could write: it has the Lease.
        let holder = ["get", "lease/meltemi-leader", "-n", "istio-system", "-o", "jsonpath={.spec.holderIdentity}"];
        ensure!(cluster.kubectl(&holder)? == "two");
        Ok(())
    })
    .unwrap();
    // Where the mesh is another's, ours goes nowhere.
    assert!(roots(&cluster, "default").is_err());
    cluster.kubectl(&["delete", "configmap/istio-ca-root-cert", "-n", "istio-system"]).unwrap();
    refusing.ready(PATIENCE).unwrap();
    for namespace in ["istio-system", "default"] {
        let found = eventually("our roots", PATIENCE, || roots(&cluster, namespace)).unwrap();
        assert_eq!(found.0.trim(), cert.trim());
    }
    assert_eq!(roots(&cluster, "shop").unwrap().0, other, "what is still another's stays");
    let metrics = refusing.page("/metrics").unwrap().body;
    assert!(metrics.contains("meltemi_foreign_roots 1\n"), "{metrics}");
    // Who can write there does not stop what has begun.
    apply_as(&cluster, "pilot-discovery", &root_map("istio-system", &other));
    eventually("the metric", PATIENCE, || {
        let metrics = refusing.page("/metrics")?.body;
        ensure!(metrics.contains("meltemi_foreign_roots 2\n"), "{metrics}");
        Ok(())
    })
    .unwrap();
    refusing.ready(Duration::from_secs(1)).unwrap();
}

fn outside(name: &str, more: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: {name}, namespace: default{more}}}, spec: {{hosts: \
         [{name}.example.com], ports: [{{number: 5432, name: tcp, protocol: TCP}}], resolution: DNS}}}}"
    )
}

/// The addresses that a host was given.
fn given(cluster: &Cluster, name: &str) -> anyhow::Result<Vec<String>> {
    let found = object(cluster, &format!("serviceentry/{name}"), "default")?;
    let given = found["status"]["addresses"].as_array().cloned().unwrap_or_default();
    let of = |each: &Value| {
        assert_eq!(each["host"], format!("{name}.example.com"));
        each["value"].as_str().unwrap_or_default().to_owned()
    };
    Ok(given.iter().map(of).collect())
}

/// The addresses and ports at which a proxy listens.
fn listeners(plane: &Plane) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = tests::client::sidecar(1, "default");
        let mut client = tests::client::Client::connect(plane.xds(), node, Default::default()).await?;
        tokio::time::timeout(Duration::from_secs(10), client.settle_all()).await??;
        Ok(client.has[&xds::ResourceType::Lds].keys().cloned().collect())
    })
}

#[test]
fn hosts_outside_are_given_addresses_and_keep_them() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let objects = install::objects(&install::Values::profile("default").unwrap());
    cluster.apply(&install::yaml(&objects).unwrap()).unwrap();
    // One that another control plane has given an address already.
    cluster.apply(&outside("theirs", "")).unwrap();
    let address = json!([{ "host": "theirs.example.com", "value": "240.240.0.5" }]).to_string();
    let patch = format!("{{\"status\":{{\"addresses\":{address}}}}}");
    cluster.kubectl(&["patch", "se", "theirs", "--type=merge", "--subresource=status", "-p", &patch]).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let replicas = [plane(&config, "istiod-1", &[]), plane(&config, "istiod-2", &[])];
    replicas.iter().for_each(|replica| replica.ready(PATIENCE).unwrap());
    for name in ["one", "two"] {
        cluster.apply(&outside(name, "")).unwrap();
    }
    cluster.apply(&outside("refused", ", labels: {networking.istio.io/enable-autoallocate-ip: \"false\"}")).unwrap();
    let mut addresses = vec!["240.240.0.5".to_owned()];
    for name in ["one", "two"] {
        let given = eventually("addresses", PATIENCE, || {
            let given = given(&cluster, name)?;
            ensure!(given.len() == 2, "{given:?}");
            Ok(given)
        })
        .unwrap();
        assert!(given[0].starts_with("240.240.") && given[1].starts_with("2001:2::"), "{given:?}");
        assert!(!addresses.contains(&given[0]), "{given:?} {addresses:?}");
        addresses.push(given[0].clone());
    }
    for replica in &replicas {
        eventually("listeners there", PATIENCE, || {
            let listeners = listeners(replica)?;
            for address in &addresses {
                ensure!(listeners.contains(&format!("{address}_5432")), "{address} {listeners:?}");
            }
            Ok(())
        })
        .unwrap();
    }
    drop(replicas);
    // After a restart each keeps its own.
    let again = plane(&config, "istiod-3", &[]);
    again.ready(PATIENCE).unwrap();
    cluster.apply(&outside("three", "")).unwrap();
    eventually("addresses", PATIENCE, || {
        ensure!(given(&cluster, "three")?.len() == 2);
        Ok(())
    })
    .unwrap();
    assert_eq!(given(&cluster, "theirs").unwrap(), ["240.240.0.5"]);
    assert_eq!(given(&cluster, "refused").unwrap(), Vec::<String>::new());
    for (name, count) in [("one", 1), ("two", 1), ("three", 1), ("theirs", 0), ("refused", 0)] {
        assert_eq!(writes(&cluster, name), count, "{name}");
    }
}

#[test]
fn roots_go_where_discovery_selectors_look() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let namespace = |name: &str, mesh: &str| {
        let kind = "apiVersion: v1, kind: Namespace";
        cluster.apply(&format!("{{{kind}, metadata: {{name: {name}, labels: {{mesh: '{mesh}'}}}}}}")).unwrap();
    };
    for (name, mesh) in [("istio-system", "on"), ("a-outside", "off"), ("shop", "on")] {
        namespace(name, mesh);
    }
    let settings = |selectors: &str| {
        let data = json!({ "mesh": format!("discoverySelectors: {selectors}") });
        let meta = json!({ "name": "istio", "namespace": "istio-system" });
        cluster
            .apply(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data }).to_string())
            .unwrap();
    };
    settings("[{matchLabels: {mesh: 'on'}}]");
    let plane = plane(cluster.kubeconfig(), "one", &[]);
    plane.ready(PATIENCE).unwrap();
    let has = |name: &str| {
        eventually(name, PATIENCE, || roots(&cluster, name)).unwrap();
    };
    // They are written in the order of names: who comes later has them, and those before it never will.
    ["istio-system", "shop"].into_iter().for_each(has);
    for without in ["a-outside", "default", "kube-system"] {
        assert!(roots(&cluster, without).is_err(), "{without} has roots");
    }
    namespace("a-outside", "on");
    has("a-outside");
    // One that is left out later keeps what it has: its pods may run.
    namespace("a-outside", "off");
    namespace("b-outside", "off");
    namespace("young", "on");
    has("young");
    has("a-outside");
    assert!(roots(&cluster, "b-outside").is_err());
    settings("[]");
    ["b-outside", "default", "kube-system"].into_iter().for_each(has);
}
