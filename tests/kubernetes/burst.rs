//! Ten thousand objects at once: they come to proxies together, not one by one; the control plane stays ready, within its memory, and ends
//! where one that sees them all at its start begins.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Options};
use bed::process::{Keeper, eventually};
use kube::api::{DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tests::client::sidecar;
use tests::follower::{Follower, Told};
use tests::need;

use super::replica::{self, Replica};
use super::tools;

const PATIENCE: Duration = Duration::from_secs(90);
/// Of each of five kinds.
const EACH: usize = 2000;
const ALL: usize = EACH * 5;
const NAMESPACES: usize = 20;
/// Requests under way at a time.
const AT_ONCE: usize = 16;
const LOOK: Duration = Duration::from_millis(200);
/// What is known of the API server is at proxies after this at most, also in a debug build on a machine that does much else.
const STALE: Duration = Duration::from_secs(10);
/// In MB: several times what the same objects cost a program that was built to be fast.
const MEMORY: u64 = 300;

/// The object of a number: a Service, its endpoints, a host outside, a route and a policy in turn.
fn object(number: usize) -> Value {
    let (name, namespace) = (format!("o{}", number / 5), format!("n{}", number / 5 % NAMESPACES));
    let meta = json!({ "name": name, "namespace": namespace });
    let host = format!("{name}.{namespace}.svc.cluster.local");
    let port = json!({ "name": "http", "port": 80 });
    let istio = "networking.istio.io/v1";
    match number % 5 {
        0 => json!({ "apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": { "ports": [port] } }),
        1 => json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "name": name, "namespace": namespace, "labels": { "kubernetes.io/service-name": name } },
            "ports": [{ "name": "http", "port": 8080 }],
            "endpoints": [{ "addresses": [format!("10.7.{}.{}", number / 5 / 250, number / 5 % 250 + 1)] }],
        }),
        2 => json!({ "apiVersion": istio, "kind": "ServiceEntry", "metadata": meta, "spec": {
            "hosts": [format!("{name}.example.com")], "resolution": "DNS",
            "ports": [{ "number": 443, "name": "tls" }],
        } }),
        3 => json!({ "apiVersion": istio, "kind": "VirtualService", "metadata": meta, "spec": {
            "hosts": [host], "http": [{ "timeout": "3s", "route": [{ "destination": { "host": host } }] }],
        } }),
        _ => json!({ "apiVersion": istio, "kind": "DestinationRule", "metadata": meta, "spec": {
            "host": host, "trafficPolicy": { "connectionPool": { "tcp": { "maxConnections": number } } },
        } }),
    }
}

/// Where objects of a kind are made.
fn place(client: &Client, object: &Value) -> anyhow::Result<Api<DynamicObject>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, of) = (text(&object["kind"]), text(&object["apiVersion"]));
    let (group, version) = of.split_once('/').unwrap_or(("", &of));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    Ok(Api::namespaced_with(
        client.clone(),
        object["metadata"]["namespace"].as_str().context("a namespace")?,
        &resource,
    ))
}

/// Creates all of them.
fn create_all(config: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let read = Kubeconfig::read_from(config)?;
    runtime.block_on(async {
        let client = Client::try_from(Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?)?;
        let next = std::sync::Arc::new(AtomicUsize::new(0));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (client, next) = (client.clone(), next.clone());
            workers.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= ALL {
                        return anyhow::Ok(());
                    }
                    let object = object(number);
                    let place = place(&client, &object)?;
                    let parsed = serde_json::from_value(object)?;
                    place.create(&PostParams::default(), &parsed).await.with_context(|| format!("object {number}"))?;
                }
            });
        }
        while let Some(ended) = workers.join_next().await {
            ended??;
        }
        Ok(())
    })
}

/// Asks for readiness until `stop`; what was not ready, and the longest answer.
fn watch_readiness(replica: &Replica, stop: &AtomicBool) -> (Vec<String>, Duration) {
    let (mut bad, mut longest) = (Vec::new(), Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        match replica.page("/ready") {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => bad.push(format!("{} {}", answer.status, answer.body)),
            Err(error) => bad.push(format!("{error:#}")),
        }
        longest = longest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(50));
    }
    (bad, longest)
}

/// The responses that a replica sent in all.
fn pushes(replica: &Replica) -> anyhow::Result<u64> {
    let page = replica.page("/metrics")?.body;
    let values = page.lines().filter_map(|line| line.strip_prefix("pilot_xds_pushes{")?.rsplit(' ').next());
    Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
}

/// What a proxy has once all is with it.
fn complete(follower: &Follower) -> anyhow::Result<Told> {
    eventually("all clusters", PATIENCE, || {
        // A look costs as much as a response.
        std::thread::sleep(LOOK);
        let told = follower.told();
        ensure!(told.ended.is_none(), "{:?}", told.ended);
        let ours = told.clusters().filter(|name| name.contains("||o")).count();
        ensure!(ours == EACH * 2, "{ours} clusters");
        Ok(told)
    })
}

#[test]
fn ten_thousand_objects_at_once_come_together() {
    let program = match replica::program().and_then(|program| tools().map(|_| program)) {
        Ok(program) => program,
        Err(why) => {
            need("ten thousand objects", Some(why));
            return;
        }
    };
    let mut options = Options::new(tools().unwrap());
    options.audit = "None";
    let cluster = Cluster::start(options).unwrap();
    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
    cluster.kubectl(&["apply", "--server-side", "-f", &crds.display().to_string()]).unwrap();
    let namespace = |name: &str| format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n---\n");
    let named = (0..NAMESPACES).map(|number| namespace(&format!("n{number}")));
    cluster.apply(&named.chain([namespace("istio-system")]).collect::<String>()).unwrap();
    let keeper = Keeper::new();
    let mut replicas = ["one", "two"].map(|name| Replica::new(&program, name, cluster.kubeconfig()));
    replicas[0].start(&keeper).unwrap();
    let follower = Follower::start(replicas[0].xds(), sidecar(1, "default"), BTreeMap::new());
    follower.wait("kubernetes.default", true, PATIENCE).unwrap();

    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let (created, told, stale, (bad, longest)) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch_readiness(&replicas[0], &stop));
        let created = create_all(cluster.kubeconfig());
        let there = Instant::now();
        let told = created.is_ok().then(|| complete(&follower));
        stop.store(true, Ordering::Relaxed);
        (created.map(|()| there - began), told, there.elapsed(), watching.join().unwrap())
    });
    let (took, told) = (created.unwrap(), told.unwrap().unwrap());
    let (sent, memory) = (pushes(&replicas[0]).unwrap(), replicas[0].most_memory().unwrap());
    eprintln!(
        "{ALL} objects in {took:.1?}: all with a proxy {stale:.1?} later, {sent} responses, {memory} MB, ready within {longest:.1?}"
    );
    assert!(bad.is_empty(), "it was not ready: {:?}", &bad[..bad.len().min(3)]);
    assert!(told.lost.is_empty(), "{:?}", told.lost);
    assert!(stale < STALE, "{stale:?}");
    assert!(memory < MEMORY, "{memory} MB");
    // An answer holds what came while the one before it was on its way.
    assert!(sent < ALL as u64 / 4, "{sent} responses");

    // One that sees everything at its start says the same.
    replicas[1].start(&keeper).unwrap();
    let fresh = Follower::start(replicas[1].xds(), sidecar(1, "default"), BTreeMap::new());
    complete(&fresh).unwrap();
    eventually("the same from both", PATIENCE, || {
        std::thread::sleep(LOOK);
        let (one, other) = (follower.told().has, fresh.told().has);
        for (kind, has) in &one {
            let differs = |name: &&String| other.get(kind).and_then(|other| other.get(*name)) != has.get(*name);
            let different: Vec<&String> = has.keys().filter(differs).take(3).collect();
            ensure!(different.is_empty(), "{kind:?}: {different:?}");
        }
        ensure!(one == other, "the other one has more");
        Ok(())
    })
    .unwrap();
}
