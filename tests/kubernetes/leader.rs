//! A leader that is held (SIGSTOP) for longer than its Lease lasts: another one takes over, and when the old one goes on it writes nothing.
//! The API server's audit log tells them apart by their accounts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Options};
use bed::process::{Keeper, eventually};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::need;

use super::replica::{self, Replica};
use super::tools;

const PATIENCE: Duration = Duration::from_secs(90);

/// A kubeconfig of an account of its own.
fn account(cluster: &Cluster, name: &str) -> anyhow::Result<PathBuf> {
    cluster.kubectl(&["create", "serviceaccount", name, "-n", "istio-system"])?;
    let of = format!("--serviceaccount=istio-system:{name}");
    cluster.kubectl(&["create", "clusterrolebinding", name, "--clusterrole=cluster-admin", &of])?;
    let token = cluster.kubectl(&["create", "token", name, "-n", "istio-system"])?;
    let mut config: Value = serde_json::from_slice(&std::fs::read(cluster.kubeconfig())?)?;
    config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
    let path = cluster.folder().join(format!("{name}.kubeconfig"));
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

/// What an account wrote that only the leader writes, one text for each request, in order.
fn writes(cluster: &Cluster, name: &str) -> anyhow::Result<Vec<String>> {
    let user = format!("system:serviceaccount:istio-system:{name}");
    let log = std::fs::read_to_string(cluster.audit_log())?;
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ours = events.filter(|event| event["user"]["username"] == user.as_str());
    let written = ours.filter(|event| {
        let (verb, resource) = (text(&event["verb"]), text(&event["objectRef"]["resource"]));
        let writes = ["create", "update", "patch", "delete"].contains(&&*verb);
        // Each replica has a Lease of its own; tokens are reviewed by all.
        let own =
            resource == "leases" && event["objectRef"]["name"] != "meltemi-leader" || resource.ends_with("reviews");
        writes && !own
    });
    let each = |event: Value| {
        let object = &event["objectRef"];
        let at = [&object["resource"], &object["namespace"], &object["name"], &object["subresource"]].map(text);
        format!("{} {}", text(&event["verb"]), at.join("/"))
    };
    Ok(written.map(each).collect())
}

fn holder(cluster: &Cluster) -> anyhow::Result<String> {
    cluster.kubectl(&["get", "lease/meltemi-leader", "-n", "istio-system", "-o", "jsonpath={.spec.holderIdentity}"])
}

fn leads(cluster: &Cluster, name: &str) {
    eventually("the holder of the Lease", PATIENCE, || {
        let holder = holder(cluster)?;
        ensure!(holder == name, "{holder}");
        Ok(())
    })
    .unwrap();
}

/// Something to do for each writer: a namespace without roots, a host without an address, a rule that leads nowhere.
fn work(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    cluster.apply(&format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {name}}}
spec: {{hosts: [{name}.example.com], ports: [{{number: 443, name: tls}}], resolution: DNS}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {name}}}
spec: {{hosts: [r.example.com], http: [{{route: [{{destination: {{host: nobody}}}}]}}]}}
"
    ))?;
    // The webhooks' roots are spoilt.
    let hooks = cluster.kubectl(&["get", HOOKS, "-o", "json"])?;
    let count = serde_json::from_str::<Value>(&hooks)?["webhooks"].as_array().context("webhooks")?.len();
    let each = |at: usize| format!("{{\"op\":\"remove\",\"path\":\"/webhooks/{at}/clientConfig/caBundle\"}}");
    let patch: Vec<String> = (0..count).map(each).collect();
    cluster.kubectl(&["patch", HOOKS, "--type=json", "-p", &format!("[{}]", patch.join(","))])?;
    Ok(())
}

const HOOKS: &str = "mutatingwebhookconfiguration/istio-sidecar-injector";

/// What every writer is to write of some work.
fn of(name: &str) -> BTreeSet<String> {
    BTreeSet::from([
        format!("patch configmaps/{name}/istio-ca-root-cert/"),
        format!("patch serviceentries/{name}/{name}/status"),
        format!("patch virtualservices/{name}/{name}/status"),
        "patch mutatingwebhookconfigurations//istio-sidecar-injector/".to_owned(),
    ])
}

/// Waits until an account has written all of it, beyond its first writes.
fn wrote(cluster: &Cluster, by: &str, after: usize, work: &str) {
    eventually("it to be written", PATIENCE, || {
        let written: BTreeSet<String> = writes(cluster, by)?.into_iter().skip(after).collect();
        let wanted = of(work);
        ensure!(wanted.is_subset(&written), "{by} wrote {written:#?} of {wanted:#?}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_leader_that_was_held_past_its_lease_writes_nothing_when_it_goes_on() {
    let program = match replica::program().and_then(|program| tools().map(|_| program)) {
        Ok(program) => program,
        Err(why) => {
            need("a held leader", Some(why));
            return;
        }
    };
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let objects = install::objects(&install::Values::profile("default").unwrap());
    cluster.apply(&install::yaml(&objects).unwrap()).unwrap();
    let keeper = Keeper::new();
    let flags = ["--enable-analysis=true", "--analysis-interval=1s"];
    let mut replicas = ["one", "two"].map(|name| {
        let config = account(&cluster, name).unwrap();
        Replica::new(&program, name, &config).with(&flags)
    });
    replicas[0].start(&keeper).unwrap();
    leads(&cluster, "one");
    replicas[1].start(&keeper).unwrap();
    let [one, two] = &mut replicas;
    work(&cluster, "before").unwrap();
    wrote(&cluster, "one", 0, "before");
    assert_eq!(writes(&cluster, "two").unwrap(), Vec::<String>::new(), "one replica writes");

    one.signal(Signal::SIGSTOP).unwrap();
    let until = writes(&cluster, "one").unwrap().len();
    // There is something to write for whoever believes to lead, for as long as it is held.
    work(&cluster, "meanwhile").unwrap();
    leads(&cluster, "two");
    wrote(&cluster, "two", 0, "meanwhile");
    let taken = writes(&cluster, "two").unwrap().len();
    // What is left to do when the old one goes on is there for both.
    work(&cluster, "together").unwrap();
    one.signal(Signal::SIGCONT).unwrap();
    wrote(&cluster, "two", taken, "together");
    let taken = writes(&cluster, "two").unwrap().len();
    work(&cluster, "afterwards").unwrap();
    wrote(&cluster, "two", taken, "afterwards");
    // By now the old one has seen all of it too.
    eventually("the old one to see it", PATIENCE, || {
        let ledger = one.page("/debug/syncz")?;
        ensure!(ledger.status == 200 && one.page("/ready")?.status == 200);
        let known = sees(one)?;
        ensure!(known.iter().any(|name| name.contains("afterwards.example.com")), "{known:?}");
        Ok(())
    })
    .unwrap();
    let late: Vec<String> = writes(&cluster, "one").unwrap().into_iter().skip(until).collect();
    assert_eq!(late, Vec::<String>::new(), "it wrote as a leader that it is not any more");
    assert_eq!(holder(&cluster).unwrap(), "two");

    // It is fit to write: when the other one goes it does.
    two.stop();
    leads(&cluster, "one");
    work(&cluster, "again").unwrap();
    wrote(&cluster, "one", until, "again");
}

/// The clusters that a new proxy of a replica gets.
fn sees(replica: &Replica) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let node = tests::client::sidecar(1, "default");
        let mut client = tests::client::Client::connect(replica.xds(), node, Default::default()).await?;
        tokio::time::timeout(Duration::from_secs(10), client.settle_all()).await??;
        Ok(client.has[&xds::ResourceType::Cds].keys().cloned().collect())
    })
}
