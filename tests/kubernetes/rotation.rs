//! Another authority takes the place of the one by which the webhooks are known, while objects are applied and pods are made at a steady
//! rate: no request is refused for want of a webhook. Validation is asked of one replica, injection of the other.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tests::edge::free_port;
use tests::need;
use tests::plane::Plane;

use super::rights::as_shipped;
use super::tools;

const PATIENCE: Duration = Duration::from_secs(90);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a root is kept when nothing below it can be found out: as long as a certificate may last here.
const LONGEST: &str = "15s";

/// The installation, but with webhooks at ports of this machine: validation at one, injection at the other.
fn objects(ports: [u16; 2]) -> Vec<Value> {
    let mut objects = install::objects(&install::Values::profile("default").unwrap());
    for object in &mut objects {
        let (port, path) = match object["kind"].as_str() {
            Some("ValidatingWebhookConfiguration") => (ports[0], "validate"),
            Some("MutatingWebhookConfiguration") => (ports[1], "inject"),
            _ => continue,
        };
        for hook in object["webhooks"].as_array_mut().unwrap() {
            hook["clientConfig"] = json!({ "url": format!("https://localhost:{port}/{path}") });
        }
    }
    objects
}

fn start(config: &Path, name: &str, port: u16) -> Plane {
    let address = format!("127.0.0.1:{port}");
    let flags = [
        ["--pod-name", name],
        ["--webhook-address", &address],
        ["--custom-host", "localhost"],
        ["--root-settle", "1s"],
        ["--workload-cert-ttl", LONGEST],
        ["--max-workload-cert-ttl", LONGEST],
    ];
    let plane = Plane::on(config, &flags.concat()).unwrap();
    plane.ready(PATIENCE).unwrap();
    plane
}

/// How far a replica says the replacement is.
pub(super) fn stage(plane: &Plane) -> anyhow::Result<u8> {
    let metrics = plane.page("/metrics")?.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix("meltemi_root_rotation_stage "));
    Ok(line.context("there is a stage")?.trim().parse()?)
}

/// A counter of a replica.
fn count(plane: &Plane, name: &str) -> anyhow::Result<u64> {
    let metrics = plane.page("/metrics")?.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no {name}"))?.trim().parse()?)
}

/// The certificates that a configuration's webhooks are known by, once all are known by the same.
fn bundle(cluster: &Cluster, configuration: &str) -> anyhow::Result<String> {
    let hooks: Value = serde_json::from_str(&cluster.kubectl(&["get", configuration, "-o", "json"])?)?;
    let template = "go-template={{range .webhooks}}{{.clientConfig.caBundle | base64decode}}|{{end}}";
    let said = cluster.kubectl(&["get", configuration, "-o", template])?;
    let bundles: Vec<&str> = said.split_terminator('|').collect();
    let first = bundles.first().context("there are webhooks")?;
    ensure!(bundles.iter().all(|bundle| bundle == first), "{hooks}");
    Ok((*first).to_owned())
}

const CONFIGURATIONS: [&str; 2] = [
    "validatingwebhookconfiguration/istio-validator-istio-system",
    "mutatingwebhookconfiguration/istio-sidecar-injector",
];

/// What came of the requests.
#[derive(Default, Debug)]
struct Outcome {
    applied: u64,
    injected: u64,
    failed: Vec<String>,
}

/// Applies a rule and tries a pod in turn until `stop`.
async fn load(config: &Path, stop: &AtomicBool) -> anyhow::Result<Outcome> {
    let config = Config::from_custom_kubeconfig(Kubeconfig::read_from(config)?, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let kind =
        |group: &str, version: &str, kind: &str| ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let rule = kind("networking.istio.io", "v1", "VirtualService");
    let rules: Api<DynamicObject> = Api::namespaced_with(client.clone(), "shop", &rule);
    let pods: Api<DynamicObject> = Api::namespaced_with(client, "shop", &kind("", "v1", "Pod"));
    let apply = PatchParams::apply("user").force();
    let trial = PostParams { dry_run: true, ..PostParams::default() };
    let mut outcome = Outcome::default();
    let mut tick = tokio::time::interval(PAUSE);
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        tick.tick().await;
        let route = json!([{ "destination": { "host": "kubernetes.default.svc.cluster.local" } }]);
        let http = json!([{ "match": [{ "uri": { "prefix": format!("/{number}") } }], "route": route }]);
        let name = format!("r{}", number % 10);
        let written = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": { "name": name, "namespace": "shop" }, "spec": { "hosts": ["r.example.com"], "http": http },
        });
        match rules.patch(&name, &apply, &Patch::Apply(written)).await {
            Ok(_) => outcome.applied += 1,
            Err(error) => outcome.failed.push(format!("rule {number}: {error}")),
        }
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("p{number}") },
            "spec": { "containers": [{ "name": "web", "image": "web" }] },
        });
        match pods.create(&trial, &serde_json::from_value(pod)?).await {
            Ok(made) if made.data["spec"].to_string().contains("\"istio-proxy\"") => outcome.injected += 1,
            Ok(made) => outcome.failed.push(format!("pod {number} was not injected: {}", made.data)),
            Err(error) => outcome.failed.push(format!("pod {number}: {error}")),
        }
    }
    Ok(outcome)
}

/// The cluster of an installation whose webhooks work, and its two replicas.
fn installed() -> (Cluster, [Plane; 2]) {
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let ports = [free_port(), free_port()];
    cluster.apply(&install::yaml(&objects(ports)).unwrap()).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let first = start(&config, "istiod-1", ports[0]);
    let lease = ["get", "lease/meltemi-leader", "-n", "istio-system", "-o", "jsonpath={.spec.holderIdentity}"];
    eventually("a holder of the Lease", PATIENCE, || {
        ensure!(cluster.kubectl(&lease)? == "istiod-1");
        Ok(())
    })
    .unwrap();
    let second = start(&config, "istiod-2", ports[1]);
    // Once validation was seen to work, what it cannot see is refused.
    eventually("validation", PATIENCE, || {
        let policy = cluster.kubectl(&["get", CONFIGURATIONS[0], "-o", "jsonpath={.webhooks[*].failurePolicy}"])?;
        ensure!(policy == "Fail Fail", "{policy}");
        Ok(())
    })
    .unwrap();
    cluster.kubectl(&["create", "namespace", "shop"]).unwrap();
    cluster.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]).unwrap();
    eventually("the namespace's account", PATIENCE, || {
        cluster.kubectl(&["get", "serviceaccount/default", "-n", "shop"])
    })
    .unwrap();
    (cluster, [first, second])
}

#[test]
fn a_new_root_of_the_webhooks_fails_no_request() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let (cluster, planes) = installed();
    let old = std::fs::read_to_string(planes[0].folder().join("ca/root-cert.pem")).unwrap();
    let before = [count(&planes[0], "galley_validation_passed"), count(&planes[1], "sidecar_injection_success_total")];
    let before = before.map(Result::unwrap);
    let stop = Arc::new(AtomicBool::new(false));
    let (config, over) = (cluster.kubeconfig().to_owned(), stop.clone());
    let loading = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(load(&config, &over))
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (cert, key) = ca::self_signed("next", i64::try_from(now).unwrap()).unwrap();
    let files = json!({ "ca-cert.pem": cert, "ca-key.pem": key, "root-cert.pem": cert, "cert-chain.pem": cert });
    let meta = json!({ "name": "cacerts", "namespace": "istio-system" });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": files });
    cluster.apply(&secret.to_string()).unwrap();
    // Both roots, then the new one alone.
    for whole in [true, false] {
        for configuration in CONFIGURATIONS {
            eventually("the roots of the webhooks", PATIENCE, || {
                let bundle = bundle(&cluster, configuration)?;
                ensure!(bundle.contains(cert.trim()) && bundle.contains(old.trim()) == whole, "{bundle}");
                Ok(())
            })
            .unwrap();
        }
    }
    // Every replica has come to its end, and requests go on.
    for plane in &planes {
        eventually("the end of the replacement", PATIENCE, || {
            ensure!(stage(plane)? == 0, "stage {}", stage(plane)?);
            Ok(())
        })
        .unwrap();
    }
    let ended = count(&planes[1], "sidecar_injection_success_total").unwrap();
    eventually("requests after it", PATIENCE, || {
        let now = count(&planes[1], "sidecar_injection_success_total")?;
        ensure!(now > ended + 50, "{now} of {ended}");
        Ok(())
    })
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    let outcome = loading.join().unwrap().unwrap();
    let (applied, injected, failed) = (outcome.applied, outcome.injected, outcome.failed);
    eprintln!("{applied} rules and {injected} pods while the root was replaced, {} failed", failed.len());
    assert!(failed.is_empty(), "{} of {applied} + {injected}: {:#?}", failed.len(), &failed[..failed.len().min(5)]);
    // All were asked of the webhooks.
    let asked = [count(&planes[0], "galley_validation_passed"), count(&planes[1], "sidecar_injection_success_total")];
    let [passed, success] = asked.map(Result::unwrap);
    assert!(
        passed >= before[0] + applied && success >= before[1] + injected,
        "{passed} {success} {outcome:?}",
        outcome = (applied, injected)
    );
}
