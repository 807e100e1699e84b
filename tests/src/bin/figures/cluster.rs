//! Figures on a real API server, shape Ms: 1,000 services with 10 endpoints each and 10,000 pods in 50 namespaces, a VirtualService for
//! each and a DestinationRule for every second one, 100 policies, a Sidecar in each namespace; the endpoints are made of the pods by
//! Kubernetes' own controllers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Images, Options, Pods, Tools};
use bed::process::{Running, eventually};
use http_body_util::BodyExt;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tests::client::{Client, sidecar};
use tokio::task::JoinSet;

use crate::memory::status;
use crate::secured::program;
use crate::{ENDPOINTS, Figure, NAMESPACES, PROXIES, SERVICES, edge, load, percentile, reviews};

const PODS: usize = 10_000;
const POLICIES: usize = 100;
/// Requests to the API server at a time.
const AT_ONCE: usize = 48;
/// Edits of a route, each of which is timed.
const EDITS: usize = 200;
/// Proxies in the namespace of the route.
const IN_SCOPE: usize = 20;
/// What ends a list that comes as a stream.
const END: &str = "k8s.io/initial-events-end";
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn all() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let checkout = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut options = Options::new(Tools::find(&checkout)?);
    options.pods = Pods::Played(Images::paper());
    let cluster = Cluster::start(options)?;
    let definitions = checkout.join("crds").display().to_string();
    cluster.kubectl(&["apply", "--server-side", "-f", &definitions])?;
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"])?;
    let client = runtime.block_on(connect(&cluster))?;
    let started = Instant::now();
    let mesh = mesh();
    let mut objects = runtime.block_on(create(&client, namespaces()))?;
    eventually("accounts of every namespace", PATIENCE, || {
        let found = cluster.kubectl(&[
            "get",
            "serviceaccounts",
            "-A",
            "--field-selector=metadata.name=default",
            "-o",
            "name",
        ])?;
        ensure!(found.lines().count() >= NAMESPACES, "{} are there", found.lines().count());
        Ok(())
    })?;
    objects += runtime.block_on(create(&client, mesh))?;
    objects += runtime.block_on(create(&client, settings()?))?;
    let without_pods = Control::start(&cluster)?.settled();
    objects += runtime.block_on(pods(&client))?;
    eventually("endpoints of all pods", PATIENCE, || {
        let found: Value = serde_json::from_str(&cluster.kubectl(&["get", "endpointslices", "-A", "-o", "json"])?)?;
        let slices = found["items"].as_array().into_iter().flatten();
        let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true).count();
        ensure!(ready >= PODS, "{ready} are ready");
        Ok(())
    })?;
    eprintln!("{objects} objects were created in {:.0} s", started.elapsed().as_secs_f64());

    let bare = runtime.block_on(bare(&client))?;
    eprintln!("the API server needs {:.2} s to send the same to who keeps nothing", bare.as_secs_f64());
    let control = Control::start(&cluster)?;
    let (ready, settled) = (control.ready, control.settled());
    let mut figures = vec![
        Figure::at_most("cluster, Ms: exec to ready, s", ready.as_secs_f64(), 1.0),
        Figure::at_most("cluster, Ms: MB when ready", settled, 60.0),
        Figure::at_most("cluster: MB of 10,000 pods", settled - without_pods, 20.0),
    ];
    let mut edits = runtime.block_on(edits(&client, control.xds))?;
    edits.sort_unstable();
    let at = |share| percentile(&edits, share);
    eprintln!(
        "a route edit is acknowledged by {IN_SCOPE} proxies p50 {:.1} ms, p99 {:.1} ms after the API server's answer",
        at(50),
        at(99)
    );
    figures.push(Figure::at_most("cluster, Ms: route edit to last ack, p99 ms", at(99), 25.0));
    let (clients, proxies) = (load(control.xds)?, u32::try_from(PROXIES)?);
    let started = Instant::now();
    clients.connect(proxies, 0, "reader")?;
    let first = clients.complete(proxies)?;
    eprintln!(
        "{PROXIES} scoped proxies have everything after {:.1} s: {} resources, {:.1} MB; peak of the control plane {:.0} MB",
        started.elapsed().as_secs_f64(),
        first.resources,
        first.bytes as f64 / 1e6,
        status(control.running.id(), "VmHWM") / 1024.0,
    );
    figures.push(Figure::at_most("cluster, Ms: MB with 1,000 scoped proxies", control.settled(), 120.0));
    let root = std::fs::read(control.folder.join("ca/root-cert.pem"))?;
    figures.extend(runtime.block_on(reviews::all(control.webhooks, &root))?);
    drop(clients);
    let live = runtime.block_on(edge::edits(&checkout, control.xds, |object| place(&client, object)))?;
    let at = |share| percentile(&live, share);
    eprintln!(
        "a route edit is live at a real Envoy p50 {:.1} ms, p99 {:.1} ms after the API server's answer",
        at(50),
        at(99)
    );
    figures.push(Figure::at_most("cluster, Ms: route edit to a real Envoy's answer, p99 ms", at(99), 50.0));
    Ok(figures)
}

/// The control plane's program on a cluster.
struct Control {
    running: Running,
    folder: PathBuf,
    xds: SocketAddr,
    webhooks: SocketAddr,
    /// From its start until it was ready.
    ready: Duration,
}

impl Control {
    fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let folder = tests::plane::folder();
        let mut command = Command::new(program("meltemid")?);
        command.arg("--kubeconfig").arg(cluster.kubeconfig()).arg("--ca-dir").arg(folder.join("ca"));
        for address in ["--secure-address", "--xds-address", "--http-address", "--webhook-address"] {
            command.args([address, "127.0.0.1:0"]);
        }
        let log = folder.join("meltemid.log");
        let started = Instant::now();
        let mut running = Running::start("meltemid", &mut command, &log)?;
        let (xds, webhooks) = eventually("the control plane", PATIENCE, || {
            running.check()?;
            let text = std::fs::read_to_string(&log)?;
            let at = |name: &str| {
                let rest = text.split_once(&format!(" {name}=")).context("not listening yet")?.1;
                Ok::<SocketAddr, anyhow::Error>(rest.split_whitespace().next().context("half a line")?.parse()?)
            };
            let (xds, http, webhooks) = (at("xds")?, at("http")?, at("webhooks")?);
            ensure!(bed::http::get(http, "meltemid", "/ready", &[])?.status == 200, "not ready yet");
            Ok((xds, webhooks))
        })?;
        Ok(Self { running, folder, xds, webhooks, ready: started.elapsed() })
    }

    /// Its memory in MB, when it does not change any more.
    fn settled(&self) -> f64 {
        let mut last = f64::NAN;
        loop {
            let now = status(self.running.id(), "VmRSS") / 1024.0;
            if (now - last).abs() < 0.5 {
                return now;
            }
            last = now;
            std::thread::sleep(Duration::from_secs(2));
        }
    }
}

async fn connect(cluster: &Cluster) -> anyhow::Result<kube::Client> {
    let config = kube::config::Kubeconfig::read_from(cluster.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// How long it takes to be sent all that the control plane watches: what is the API server's in the time until it is ready.
async fn bare(client: &kube::Client) -> anyhow::Result<Duration> {
    let (started, mut running) = (Instant::now(), JoinSet::new());
    for kind in api::Kind::ALL {
        let (group, version) = (kind.group(), kind.versions()[0]);
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let asked = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=60";
        let request = http::Request::get(format!("{root}/{version}/{}?{asked}", kind.plural()));
        let (client, request) = (client.clone(), request.body(kube::client::Body::empty())?);
        running.spawn(async move {
            let mut body = client.send(request).await?.into_body();
            let mut last: Vec<u8> = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame?.into_data() else { continue };
                // The mark may be in two frames.
                last.drain(..last.len().saturating_sub(END.len()));
                last.extend_from_slice(&data);
                if last.windows(END.len()).any(|window| window == END.as_bytes()) {
                    return Ok(());
                }
            }
            // A kind that is not defined.
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(started.elapsed())
}

fn namespaces() -> Vec<Value> {
    let all = (0..NAMESPACES).map(|number| format!("ns-{number}")).chain(["istio-system".to_owned()]);
    all.map(|name| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })).collect()
}

/// What an installation says of the mesh and of what is injected.
fn settings() -> anyhow::Result<Vec<Value>> {
    let installed = install::objects(&install::Values::profile("default")?);
    Ok(installed.into_iter().filter(|object| object["kind"] == "ConfigMap").collect())
}

/// Everything but namespaces and pods.
fn mesh() -> Vec<Value> {
    let mut objects = Vec::new();
    for (_, text) in tests::mesh::scale(SERVICES, ENDPOINTS, NAMESPACES) {
        for mut object in
            api::yaml::documents(&text, None).unwrap_or_default().into_iter().map(|document| document.value)
        {
            // Addresses are the API server's to give, endpoints are made of the pods by its controllers.
            if let Some(spec) = object["spec"].as_object_mut() {
                spec.remove("clusterIP");
            }
            if object["kind"] != "EndpointSlice" {
                objects.push(object);
            }
        }
    }
    for number in 0..POLICIES {
        objects.push(json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": { "name": format!("p-{number}"), "namespace": format!("ns-{}", number % NAMESPACES) },
            "spec": { "selector": { "matchLabels": { "app": format!("svc-{number}") } }, "rules": [{}] },
        }));
    }
    for number in 0..NAMESPACES {
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
            "metadata": { "name": "default", "namespace": format!("ns-{number}") },
            "spec": { "egress": [{ "hosts": ["./*", "istio-system/*"] }] },
        }));
    }
    objects
}

/// Where an object is kept.
fn place(client: &kube::Client, object: &Value) -> anyhow::Result<Api<DynamicObject>> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let (version, kind) = version.zip(kind).context("an object has a version and a kind")?;
    let (group, number) = version.split_once('/').unwrap_or(("", version));
    let lower = kind.to_lowercase();
    let plural = match lower.strip_suffix('y') {
        Some(stem) if !stem.ends_with('a') => format!("{stem}ies"),
        _ => format!("{lower}s"),
    };
    let (group, number, version) = (group.to_owned(), number.to_owned(), version.to_owned());
    let resource = ApiResource { group, version: number, api_version: version, kind: kind.to_owned(), plural };
    Ok(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

/// Creates objects, many at a time.
async fn create(client: &kube::Client, objects: Vec<Value>) -> anyhow::Result<usize> {
    let (count, mut running) = (objects.len(), JoinSet::new());
    for object in objects {
        if running.len() >= AT_ONCE {
            running.join_next().await.context("a request")???;
        }
        let api = place(client, &object)?;
        running.spawn(async move {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let object: DynamicObject = serde_json::from_value(object)?;
            api.create(&PostParams::default(), &object).await.context(name)?;
            anyhow::Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(count)
}

/// The pods behind the services.
async fn pods(client: &kube::Client) -> anyhow::Result<usize> {
    let pods = (0..PODS).map(|number| {
        let service = number % SERVICES;
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("svc-{service}-{number}"), "namespace": format!("ns-{}", service % NAMESPACES),
                "labels": { "app": format!("svc-{service}"), "version": "v1", "pod-template-hash": "5d5f7db9c5" },
            },
            "spec": { "containers": [{ "name": "app", "image": "app", "ports": [{ "containerPort": 8080 }] }] },
        })
    });
    create(client, pods.collect()).await
}

/// From the API server's answer to an edit of a route to the last ack of the proxies in its scope.
async fn edits(client: &kube::Client, xds: SocketAddr) -> anyhow::Result<Vec<Duration>> {
    let mut proxies = Vec::new();
    for number in 0..IN_SCOPE {
        let mut proxy = Client::connect(xds, sidecar(7 + number * NAMESPACES, "ns-7"), Default::default()).await?;
        tokio::time::timeout(PATIENCE, proxy.settle_all()).await??;
        proxies.push(proxy);
    }
    let object = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "name": "svc-7", "namespace": "ns-7" },
    });
    let (api, mut took) = (place(client, &object)?, Vec::new());
    for round in 0..EDITS {
        let route =
            json!([{ "timeout": format!("{}s", 6 + round), "route": [{ "destination": { "host": "svc-7" } }] }]);
        let mut running = JoinSet::new();
        for mut proxy in proxies.drain(..) {
            running.spawn(async move {
                tokio::time::timeout(PATIENCE, proxy.step()).await??;
                anyhow::Ok((proxy, Instant::now()))
            });
        }
        let patch = Patch::Merge(json!({ "spec": { "http": route } }));
        api.patch("svc-7", &PatchParams::default(), &patch).await?;
        let (answered, mut last) = (Instant::now(), Instant::now());
        while let Some(ended) = running.join_next().await {
            let (proxy, acked) = ended??;
            last = last.max(acked);
            proxies.push(proxy);
        }
        took.push(last.saturating_duration_since(answered));
    }
    Ok(took)
}
