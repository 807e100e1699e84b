//! Another authority takes the place of the one that is in Secrets, with several replicas that come and go.

use std::time::Duration;

use anyhow::ensure;
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use serde_json::{Value, json};
use tests::client::{Client, sidecar};
use tests::need;
use tests::plane::Plane;

use super::rights::{ACCOUNT, as_shipped};
use super::rotation::stage;
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

fn start(config: &std::path::Path, name: &str) -> Plane {
    let flags = ["--webhook-address", "127.0.0.1:0", "--pod-name", name, "--root-settle", "1s"];
    let plane = Plane::on(config, &flags).unwrap();
    plane.ready(PATIENCE).unwrap();
    plane
}

/// Waits until a replica remembers that it signs by one root, and makes known some.
fn uses(plane: &Plane, signer: &str, roots: &str) {
    let memory = plane.folder().join("ca/in-use");
    eventually("what is in use", PATIENCE, || {
        let read = |name: &str| std::fs::read_to_string(memory.join(name));
        ensure!((read("signer/ca-cert.pem")?, read("root-cert.pem")?) == (signer.to_owned(), roots.to_owned()));
        Ok(())
    })
    .unwrap();
}

/// The Leases in which replicas say what their proxies know: whether all know the roots, by name.
fn known(cluster: &Cluster) -> anyhow::Result<Vec<(String, String)>> {
    let found = ["get", "leases", "-n", "istio-system", "-l", "meltemi.io/replica", "-o", "json"];
    let found: Value = serde_json::from_str(&cluster.kubectl(&found)?)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = found["items"].as_array().cloned().unwrap_or_default();
    let known = items.iter().map(|lease| {
        let annotations = &lease["metadata"]["annotations"];
        (text(&lease["spec"]["holderIdentity"]), text(&annotations["meltemi.io/roots-known"]))
    });
    Ok(known.collect())
}

#[test]
fn a_replacement_is_one_for_all_replicas_and_outlives_them() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let objects = install::objects(&install::Values::profile("default").unwrap());
    cluster.apply(&install::yaml(&objects).unwrap()).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let first = start(&config, "istiod-1");
    let lease = ["get", "lease/meltemi-leader", "-n", "istio-system", "-o", "jsonpath={.spec.holderIdentity}"];
    eventually("a holder of the Lease", PATIENCE, || {
        ensure!(cluster.kubectl(&lease)? == "istiod-1");
        Ok(())
    })
    .unwrap();
    let second = start(&config, "istiod-2");
    let old = std::fs::read_to_string(first.folder().join("ca/root-cert.pem")).unwrap();
    uses(&second, &old, &old);

    // A proxy of the replica that does not decide, which does not say which roots it has.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let proxy = runtime.block_on(async {
        let mut client = Client::connect(second.xds(), sidecar(1, "default"), Default::default()).await.unwrap();
        client.settle_all().await.unwrap();
        client
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (cert, key) = ca::self_signed("next", i64::try_from(now).unwrap()).unwrap();
    let files = json!({ "ca-cert.pem": cert, "ca-key.pem": key, "root-cert.pem": cert, "cert-chain.pem": cert });
    let meta = json!({ "name": "cacerts", "namespace": "istio-system" });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": files });
    cluster.apply(&secret.to_string()).unwrap();
    let both = ["true", "false"].map(str::to_owned);
    eventually("all but that proxy to know the root", PATIENCE, || {
        let known = known(&cluster)?;
        let states: Vec<&String> = known.iter().map(|(_, known)| known).collect();
        ensure!(states == both.each_ref(), "{known:?}");
        ensure!((stage(&first)?, stage(&second)?) == (1, 1));
        let path = "jsonpath={.data.root-cert\\.pem}";
        let roots = cluster.kubectl(&["get", "configmap/istio-ca-root-cert", "-n", "default", "-o", path])?;
        ensure!(roots.contains(cert.trim()) && roots.contains(old.trim()), "{roots}");
        Ok(())
    })
    .unwrap();
    // All pods are replaced in the middle of it: the new one is where they were.
    drop(proxy);
    drop((first, second));
    assert_eq!(known(&cluster).unwrap(), [], "who ends takes back what it said");
    let third = start(&config, "istiod-3");
    assert_eq!(stage(&third).unwrap(), 1);
    uses(&third, &old, &format!("{old}{cert}"));
    let fourth = start(&config, "istiod-4");
    for plane in [&third, &fourth] {
        eventually("the new root to sign", PATIENCE, || {
            ensure!(stage(plane)? == 2, "stage {}", stage(plane)?);
            Ok(())
        })
        .unwrap();
        uses(plane, &cert, &format!("{cert}{old}"));
    }
    eventually("the state to be written", PATIENCE, || {
        let path = "go-template={{index .data \"signer.ca-cert.pem\" | base64decode}}";
        let signer = cluster.kubectl(&["get", "secret/meltemi-ca-state", "-n", "istio-system", "-o", path])?;
        ensure!(signer.trim() == cert.trim(), "{signer}");
        Ok(())
    })
    .unwrap();
    drop((third, fourth));
    let fifth = start(&config, "istiod-5");
    assert_eq!(stage(&fifth).unwrap(), 2);
    uses(&fifth, &cert, &format!("{cert}{old}"));

    nothing_was_refused(&cluster);
}

/// The shipped rights are enough.
fn nothing_was_refused(cluster: &Cluster) {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ours = events.filter(|event| event["user"]["username"] == ACCOUNT);
    let refused = ours.find(|event| event["responseStatus"]["code"] == 403);
    assert!(refused.is_none(), "{refused:?}");
}

/// A root with a year to go, as a control plane made it nine years ago.
#[test]
fn a_root_that_a_control_plane_made_is_made_anew_before_its_end() {
    if !need("a control plane on a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let objects = install::objects(&install::Values::profile("default").unwrap());
    cluster.apply(&install::yaml(&objects).unwrap()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let then = i64::try_from(now).unwrap() - 9 * 365 * 24 * 3600;
    let (cert, key) = ca::self_signed("cluster.local", then).unwrap();
    let files = json!({ "ca-cert.pem": cert, "ca-key.pem": key, "root-cert.pem": cert });
    let meta = json!({ "name": "istio-ca-secret", "namespace": "istio-system" });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": files });
    cluster.apply(&secret.to_string()).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let plane = start(&config, "istiod-1");
    let held = |key: &str| {
        let path = format!("go-template={{{{index .data \"{key}\" | base64decode}}}}");
        cluster.kubectl(&["get", "secret/istio-ca-secret", "-n", "istio-system", "-o", &path])
    };
    let again = eventually("another certificate", PATIENCE, || {
        let now = held("ca-cert.pem")?;
        ensure!(now.trim() != cert.trim());
        Ok(now)
    })
    .unwrap();
    assert_eq!(held("root-cert.pem").unwrap(), again);
    assert_eq!(held("ca-key.pem").unwrap().trim(), key.trim(), "the key stays");
    let ends = ca::ends(pem::parse(&again).unwrap().contents()).unwrap();
    assert!(ends > then + 18 * 365 * 24 * 3600, "{ends}");
    // As any other root it is made known before it signs.
    uses(&plane, &again, &format!("{again}{cert}"));
    assert_eq!(held("ca-cert.pem").unwrap(), again, "it was made anew once");
    nothing_was_refused(&cluster);
}
