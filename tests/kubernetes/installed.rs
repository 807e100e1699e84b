//! An installation in a cluster whose pods run: the control plane is a Deployment with the shipped account, and the API server asks it
//! through the shipped webhooks.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Image, Images, Options, Pods};
use bed::process::{Running, eventually};
use tests::need;

use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);

fn checkout() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program that was built.
fn built(name: &str) -> PathBuf {
    checkout().join("target/debug").join(name)
}

fn obstacle() -> Option<String> {
    let missing = (!built("meltemi").is_file()).then(|| "meltemi is not built: cargo build -p cli".to_owned());
    let images = Images::default().with_shipped(&checkout()).err().map(|error| format!("{error:#}"));
    tools().err().or(missing).or(images).or_else(bed::net::obstacle)
}

/// What `meltemi` says; an error when it fails.
fn meltemi(cluster: &Cluster, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new(built("meltemi"));
    let ran = command.args(arguments).arg("--kubeconfig").arg(cluster.kubeconfig()).output()?;
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    ensure!(ran.status.success(), "meltemi {arguments:?}: {said}");
    Ok(said)
}

/// What kubectl says on standard error when it applies an object, and whether that went well.
fn applied(cluster: &Cluster, object: &str) -> anyhow::Result<(bool, String)> {
    let path = cluster.folder().join("object.yaml");
    std::fs::write(&path, object)?;
    let ran = cluster.kubectl_command().arg("apply").arg("-f").arg(&path).output().context("kubectl")?;
    Ok((ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned()))
}

fn rule(uri: &str, host: &str) -> String {
    format!(
        "{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: r, namespace: default}}, spec: {{hosts: [r.example.com], \
         http: [{{match: [{{uri: {{regex: '{uri}'}}}}], route: [{{destination: {{host: {host}}}}}]}}]}}}}"
    )
}

/// The debug pages by a port-forward to the Deployment, as people and their tools ask for them.
fn forwarded(cluster: &Cluster) {
    let log = cluster.folder().join("port-forward.log");
    let mut command = cluster.kubectl_command();
    command.args(["port-forward", "-n", "istio-system", "deployment/istiod", ":15014"]);
    let _forward = Running::start("port-forward", &mut command, &log).unwrap();
    for (page, said) in [("/debug/syncz", "["), ("/debug/configz", "VirtualService"), ("/metrics", "# TYPE")] {
        let asked = || {
            let text = std::fs::read_to_string(&log)?;
            let port = text.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()).context("not yet")?;
            let answer = bed::http::get(([127, 0, 0, 1], port.parse()?).into(), "localhost", page, &[])?;
            ensure!(answer.status == 200 && answer.body.contains(said), "{page}: {answer:?}");
            Ok(())
        };
        eventually("the page by port-forward", PATIENCE, asked).unwrap();
    }
}

#[test]
fn it_installs_validates_warns_and_leaves() {
    if !need("an installation", obstacle()) {
        return;
    }
    let mut options = Options::new(tools().unwrap());
    let images = Images::default().with_shipped(&checkout()).unwrap();
    options.pods = Pods::Played(images.with("shop/web", Image::Paper));
    let cluster = Cluster::start(options).unwrap();
    let said = meltemi(&cluster, &["install", "--profile", "minimal", "--readiness-timeout", "90"]).unwrap();
    assert!(said.contains("Meltemi is there"), "{said}");
    // Once validation was seen to work, what it cannot see is refused.
    eventually("validation", PATIENCE, || {
        let path = "jsonpath={.webhooks[0].failurePolicy}";
        let get = ["get", "validatingwebhookconfiguration/istio-validator-istio-system", "-o", path];
        let policy = cluster.kubectl(&get)?;
        ensure!(policy == "Fail", "{policy}");
        Ok(())
    })
    .unwrap();

    // What no schema says is said by the control plane, with the path.
    let (taken, said) = applied(&cluster, &rule("/a[", "kubernetes")).unwrap();
    assert!(!taken && said.contains("denied the request") && said.contains("spec.http[0].match[0].uri"), "{said}");
    let (taken, said) = applied(&cluster, &rule("/a", "nobody")).unwrap();
    assert!(taken && said.contains("Warning: IST0101: spec.http[0].route[0].destination.host"), "{said}");
    let (taken, said) = applied(&cluster, &rule("/a", "kubernetes")).unwrap();
    assert!(taken && !said.contains("IST0101"), "{said}");

    // Pods of a labelled namespace get a proxy; those of others do not.
    cluster.kubectl(&["create", "namespace", "shop"]).unwrap();
    cluster.kubectl(&["label", "namespace", "shop", "istio-injection=enabled"]).unwrap();
    for (namespace, injected) in [("shop", true), ("default", false)] {
        eventually("the namespace's account", PATIENCE, || {
            cluster.kubectl(&["get", "serviceaccount/default", "-n", namespace])
        })
        .unwrap();
        cluster.kubectl(&["run", "web", "--image=shop/web", "-n", namespace]).unwrap();
        let get = ["get", "pod/web", "-n", namespace, "-o", "jsonpath={.spec..name}"];
        let names = cluster.kubectl(&get).unwrap();
        assert_eq!(names.split_whitespace().any(|name| name == "istio-proxy"), injected, "{namespace}: {names}");
    }

    forwarded(&cluster);

    let said = meltemi(&cluster, &["uninstall", "--profile", "minimal"]).unwrap();
    assert!(said.contains("removed Deployment istio-system/istiod"), "{said}");
    for gone in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        let left = cluster.kubectl(&["get", gone, "-o", "name"]).unwrap();
        assert!(left.trim().is_empty(), "{left}");
    }
    // Users' objects, their kinds and the authority stay.
    cluster.kubectl(&["get", "virtualservice/r"]).unwrap();
    cluster.kubectl(&["get", "secret/istio-ca-secret", "-n", "istio-system"]).unwrap();
    // Images that cannot be had are named long before anybody's patience ends, with what to do.
    let nowhere =
        ["install", "--profile", "minimal", "--set", "global.hub=nowhere.example", "--readiness-timeout", "300"];
    let said = meltemi(&cluster, &nowhere).unwrap_err().to_string();
    assert!(
        said.contains("ErrImagePull of nowhere.example/meltemid") && said.contains("kind load image-archive"),
        "{said}"
    );
}
