//! Least privilege: the control plane runs as the account that is shipped, and the API server's audit log says what it did. What it may and
//! never does, and what it wanted and may not, are both empty, but for what `unused-rights.txt` explains.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use proto::istio::v1::auth::IstioCertificateRequest;
use serde_json::Value;
use tests::need;
use tests::plane::Plane;
use tests::secured::Secured;

use super::{keys, tools};

const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const ACCOUNT: &str = "system:serviceaccount:istio-system:istiod";

/// A kubeconfig of the shipped account.
pub(super) fn as_shipped(cluster: &Cluster) -> anyhow::Result<PathBuf> {
    let token = cluster.kubectl(&["create", "token", "istiod", "-n", "istio-system"])?;
    let mut config: Value = serde_json::from_slice(&std::fs::read(cluster.kubeconfig())?)?;
    config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
    let path = cluster.folder().join("istiod.kubeconfig");
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

/// What was done: verb, group and resource; and what was refused.
fn record(cluster: &Cluster) -> (BTreeSet<String>, BTreeSet<String>) {
    let log = std::fs::read_to_string(cluster.audit_log()).unwrap();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = events.filter(|event| event["user"]["username"] == ACCOUNT && event["objectRef"].is_object());
    let (mut done, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for event in ours {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (object, verb) = (&event["objectRef"], text(&event["verb"]));
        let part = object["subresource"].as_str().map(|part| format!("/{part}")).unwrap_or_default();
        let right = format!("{verb} {} {}{part}", text(&object["apiGroup"]), text(&object["resource"]));
        match event["responseStatus"]["code"] == 403 {
            true => refused.insert(format!("{right}: {}", event["requestURI"])),
            false => done.insert(right),
        };
    }
    (done, refused)
}

/// What the shipped roles allow.
fn allowed(objects: &[Value]) -> BTreeSet<String> {
    let roles = objects.iter().filter(|object| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        matches!(object["kind"].as_str(), Some("Role" | "ClusterRole")) && name.starts_with("istiod")
    });
    let list = |value: &Value| {
        value
            .as_array()
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|item| item.as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let mut rights = BTreeSet::new();
    for rule in roles.flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default()) {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                rights.extend(list(&rule["verbs"]).iter().map(|verb| format!("{verb} {group} {resource}")));
            }
        }
    }
    rights
}

/// Rights that this test does not see used, each with its reason.
fn explained() -> BTreeSet<String> {
    let text = include_str!("unused-rights.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once(" # ").map_or(line, |(right, _)| right).trim().to_owned()).collect()
}

/// A workload shows its token and gets its certificate: the API server says whose it is.
fn certificate(cluster: &Cluster, plane: &Plane) -> anyhow::Result<String> {
    let token = cluster.kubectl(&["create", "token", "default", "-n", "default", "--audience", "istio-ca"])?;
    let roots = std::fs::read_to_string(plane.folder().join("ca/root-cert.pem"))?;
    let address = plane.secure().context("there is a secured port")?;
    let csr = rcgen::CertificateParams::new(vec![])?.serialize_request(&rcgen::KeyPair::generate()?)?.pem()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Secured::connect(address, &roots, None).await?.with_token(token.trim());
        let asked = IstioCertificateRequest { csr, ..IstioCertificateRequest::default() };
        let chain = client.certificate(&asked).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let leaf = pem::parse(chain.first().context("a chain")?)?;
        let uris = ca::uris_of(leaf.contents());
        Ok(uris.first().context("an identity")?.clone())
    })
}

/// What the control plane does on a cluster, and what it is refused, until it has done all that is `wanted`.
fn run(api_server: &[&str], objects: &[Value], wanted: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut options = Options::new(tools().unwrap());
    options.api_server = api_server.iter().map(|flag| (*flag).to_owned()).collect();
    let cluster = Cluster::start(options).unwrap();
    cluster.apply(&install::yaml(objects).unwrap()).unwrap();
    let config = as_shipped(&cluster).unwrap();
    let plane = Plane::on(&config, &["--webhook-address", "127.0.0.1:0", "--pod-name", "istiod-1"]).unwrap();
    plane.ready(PATIENCE).unwrap();
    assert_eq!(certificate(&cluster, &plane).unwrap(), "spiffe://cluster.local/ns/default/sa/default");
    // A proxy wants the key of a Secret.
    assert_eq!(keys::first_answer(&cluster, &plane, "default", "default", "kubernetes://none").unwrap(), 0);
    let roots = std::fs::read_to_string(plane.folder().join("ca/root-cert.pem")).unwrap();
    for configuration in [
        "mutatingwebhookconfiguration/istio-sidecar-injector",
        "validatingwebhookconfiguration/istio-validator-istio-system",
    ] {
        eventually("the webhooks to know our roots", PATIENCE, || {
            let template = "go-template={{range .webhooks}}{{.clientConfig.caBundle | base64decode}}{{end}}";
            let bundles = cluster.kubectl(&["get", configuration, "-o", template])?;
            let rest = bundles.replace(roots.trim(), "");
            ensure!(bundles.contains(roots.trim()) && rest.trim().is_empty(), "{rest}");
            Ok(())
        })
        .unwrap();
    }
    let outside = "{hosts: [outside.example.com], ports: [{number: 443, name: tls}], resolution: DNS}";
    let kind = "apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: outside, namespace: default}";
    cluster.apply(&format!("{{{kind}, spec: {outside}}}")).unwrap();
    let class = "annotations: {kubernetes.io/ingress.class: istio}";
    let kind = format!("apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: in, {class}}}");
    cluster
        .apply(&format!("{{{kind}, spec: {{defaultBackend: {{service: {{name: a, port: {{number: 80}}}}}}}}}}"))
        .unwrap();
    let reached = ["--type=merge", "-p", r#"{"spec":{"externalIPs":["192.0.2.1"]}}"#];
    let front = ["patch", "service/istio-ingressgateway", "-n", "istio-system"];
    cluster.kubectl(&[&front[..], &reached].concat()).unwrap();
    eventually("every right to be used", PATIENCE, || {
        let (done, refused) = record(&cluster);
        let unused: Vec<_> = wanted.difference(&done).collect();
        ensure!(unused.is_empty(), "it may and never does: {unused:#?}");
        Ok((done, refused))
    })
    .unwrap()
}

#[test]
fn one_apply_installs_it_and_it_may_do_what_it_does_and_nothing_else() {
    if !need("least privilege", tools().err()) {
        return;
    }
    let objects = install::objects(&install::Values::profile("default").unwrap());
    let (may, known) = (allowed(&objects), explained());
    let lists = |right: &&String| right.starts_with("list ");
    // Lists come as streams, unless the API server does not do that.
    let streamed = may.difference(&known).filter(|right| !lists(right)).cloned().collect();
    let (mut done, mut refused) = run(&[], &objects, &streamed);
    let listed = may.difference(&known).filter(lists).cloned().collect();
    let more = run(&["--feature-gates=WatchList=false"], &objects, &listed);
    done.extend(more.0);
    refused.extend(more.1);
    let needless: Vec<_> = known.iter().filter(|right| !may.contains(*right) || done.contains(*right)).collect();
    assert!(needless.is_empty(), "unused-rights.txt explains what needs no explanation: {needless:?}");
    assert!(refused.is_empty(), "it wanted and may not: {refused:#?}");
}
