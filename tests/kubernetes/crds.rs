//! The definitions of Istio's kinds (`crds/`) on a real API server: it takes and serves them, refuses what they refuse, and gives an object
//! that was written at one version back at another.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use api::Kind;
use api::yaml::documents;
use bed::cluster::{Cluster, Options};
use serde_json::{Value, json};
use tests::need;

use super::tools;

#[test]
fn definitions_are_taken_and_judge_objects() {
    if !need("a cluster", tools().err()) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds").display().to_string();
    // By the way that people take, with the whole object in an annotation; a second time nothing changes.
    cluster.kubectl(&["apply", "-f", &folder]).unwrap();
    let again = cluster.kubectl(&["apply", "-f", &folder]).unwrap();
    assert_eq!(again.lines().filter(|line| line.ends_with(" unchanged")).count(), 15, "{again}");
    cluster.kubectl(&["wait", "--for=condition=Established", "--timeout=120s", "crd", "--all"]).unwrap();

    kinds_are_served_under_all_names(&cluster);
    objects_are_judged(&cluster);
    an_object_is_the_same_at_each_version(&cluster);
    status_is_apart_and_open(&cluster);
}

fn kinds_are_served_under_all_names(cluster: &Cluster) {
    let found: Value = serde_json::from_str(&cluster.kubectl(&["get", "crd", "-o", "json"]).unwrap()).unwrap();
    let found = found["items"].as_array().unwrap();
    assert_eq!(found.len(), 15);
    for definition in found {
        let (name, status) = (&definition["metadata"]["name"], &definition["status"]);
        let conditions = status["conditions"].as_array().unwrap();
        let mut held: Vec<_> = conditions.iter().filter(|condition| condition["status"] == "True").collect();
        held.sort_by_key(|condition| condition["type"].as_str().unwrap().to_owned());
        let held: Vec<_> = held.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
        assert_eq!(held, ["Established", "NamesAccepted"], "{name}: {conditions:?}");
        let stored = if name == "telemetries.telemetry.istio.io" { "v1alpha1" } else { "v1" };
        let versions = definition["spec"]["versions"].as_array().unwrap();
        let stored = if versions.len() == 1 { versions[0]["name"].as_str().unwrap() } else { stored };
        assert_eq!(status["storedVersions"], json!([stored]), "{name}");
    }
    for names in ["vs,dr,gw,se,we,wg,pa,ra,ap,telemetry", "istio-io", "security-istio-io"] {
        cluster.kubectl(&["get", names]).unwrap();
    }
    let explained = cluster.kubectl(&["explain", "virtualservice.spec.http.retries.attempts"]).unwrap();
    assert!(explained.contains("How often; 0 switches retries off"), "{explained}");
}

/// What kubectl says of an object that is not kept: whether it would be taken, and why not.
fn asked(cluster: &Cluster, object: &Value) -> Result<(), String> {
    let mut command = cluster.kubectl_command();
    command.args(["create", "--dry-run=server", "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

/// The objects of `objects.yaml`; the same are put before the rules of the kinds in the tests of xtask.
fn objects_are_judged(cluster: &Cluster) {
    let objects = documents(include_str!("objects.yaml"), None).unwrap().remove(0).value;
    let (mut taken, mut refused) = (0, 0);
    for entry in objects.as_array().unwrap() {
        let name = entry["kind"].as_str().unwrap();
        let kind = Kind::ALL.iter().find(|kind| kind.name() == name && kind.definition().is_some()).unwrap();
        let object = |spec: Option<&Value>, version: &str| {
            let mut object = json!({
                "apiVersion": format!("{}/{version}", kind.group()),
                "kind": name,
                "metadata": { "name": "a", "namespace": "default" },
            });
            if let Some(spec) = spec {
                object["spec"] = spec.clone();
            }
            object
        };
        for spec in entry["taken"].as_array().unwrap() {
            for version in kind.versions() {
                asked(cluster, &object(Some(spec), version)).unwrap_or_else(|why| panic!("{name} {spec}: {why}"));
                taken += 1;
            }
        }
        for each in entry["refused"].as_array().unwrap() {
            let why = asked(cluster, &object(each.get("spec"), kind.versions()[0]));
            let why = why.expect_err(&format!("{name} {each} was taken"));
            // A field that is not there comes from the decoder and not from the schema.
            assert!(why.contains(each["why"].as_str().unwrap()), "{name} {each}: {why}");
            refused += 1;
        }
    }
    assert!(taken > 50 && refused > 80, "{taken} taken, {refused} refused");
}

fn an_object_is_the_same_at_each_version(cluster: &Cluster) {
    let meta = json!({ "name": "a", "namespace": "default" });
    let spec = json!({ "host": "a", "trafficPolicy": { "loadBalancer": { "simple": "RANDOM" } } });
    let written = json!({
        "apiVersion": "networking.istio.io/v1alpha3", "kind": "DestinationRule", "metadata": meta, "spec": spec,
    });
    cluster.apply(&written.to_string()).unwrap();
    let read = |what: &str| -> Value {
        serde_json::from_str(&cluster.kubectl(&["get", what, "a", "-o", "json"]).unwrap()).unwrap()
    };
    for version in ["v1", "v1beta1", "v1alpha3"] {
        let found = read(&format!("destinationrules.{version}.networking.istio.io"));
        assert_eq!(found["apiVersion"], format!("networking.istio.io/{version}"));
        assert_eq!(found["spec"], spec);
    }
    let table = cluster.kubectl(&["get", "dr"]).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "HOST", "AGE"]);
    assert_eq!(lines[1][..2], ["a", "a"]);

    let spec = json!({ "accessLogging": [{ "disabled": true }] });
    let written = json!({ "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": meta, "spec": spec });
    cluster.apply(&written.to_string()).unwrap();
    assert_eq!(read("telemetries.v1alpha1.telemetry.istio.io")["spec"], spec);
}

/// Whoever writes status does not change the object, and may say more than Istio does.
fn status_is_apart_and_open(cluster: &Cluster) {
    let patch = json!({
        "spec": { "host": "b" },
        "status": { "observedGeneration": "1", "conditions": [{ "type": "Reconciled", "status": "True" }], "more": 1 },
    });
    let patch = patch.to_string();
    let arguments = ["patch", "dr", "a", "--type=merge", "--subresource=status", "-o", "json", "-p", &patch];
    let patched: Value = serde_json::from_str(&cluster.kubectl(&arguments).unwrap()).unwrap();
    assert_eq!(patched["spec"]["host"], "a");
    assert_eq!((&patched["status"]["more"], &patched["status"]["observedGeneration"]), (&json!(1), &json!("1")));
    assert_eq!(patched["metadata"]["generation"], 1);
}
