//! Clients get everything, as the client of the other tests does, and what changes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::client::{Client, sidecar};
use tests::plane::Plane;

use crate::program::Program;
use crate::{SERVICES, edit, files, plane};

type Names = Vec<(String, BTreeSet<String>)>;

fn names(config: &Value) -> Names {
    let kinds = config.as_object().unwrap().iter();
    kinds.map(|(kind, all)| (kind.clone(), all.as_object().unwrap().keys().cloned().collect())).collect()
}

/// What the client of the other tests has.
fn expected(plane: &Plane) -> Names {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = runtime.block_on(async {
        let mut other = Client::connect(plane.xds(), sidecar(7, "ns-3"), Default::default()).await.unwrap();
        other.settle_all().await.unwrap();
        other
    });
    let of = |kind: &str| other.has.iter().find(|(of, _)| of.short() == kind).map(|(_, has)| has.clone());
    let kinds = ["cds", "eds", "lds", "rds", "sds", "vhds"].map(str::to_owned);
    kinds.map(|kind| (kind.clone(), of(&kind).unwrap_or_default().into_keys().collect())).to_vec()
}

#[test]
fn clients_have_what_the_client_of_the_other_tests_has() {
    let plane = plane();
    for metadata in ["short", "full"] {
        let program = Program::start(plane.xds(), &["--namespaces", "4", "--metadata", metadata]).unwrap();
        let report = program.complete(&json!({"count": 10})).unwrap();
        assert_eq!(report["clients"], json!({"connected": 10, "complete": 10, "frozen": 0}));
        let config = program.get("/config?client=7").unwrap();
        assert_eq!(names(&config), expected(&plane));
        assert_eq!(config["vhds"].as_object().unwrap().len(), SERVICES);
        assert_eq!(config, program.get("/config?client=3").unwrap(), "of the same namespace");
    }
}

#[test]
fn with_the_state_of_the_world_it_is_the_same_with_whole_tables() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4", "--mode", "sotw"]).unwrap();
    program.complete(&json!({"count": 4})).unwrap();
    let mut expected = expected(&plane);
    expected.last_mut().unwrap().1.clear();
    assert_eq!(names(&program.get("/config?client=3").unwrap()), expected);

    program.post("/mark", &Value::Null).unwrap();
    edit(&plane, "6s");
    let report = program.post("/wait", &json!({"for": "touched", "clients": 4})).unwrap();
    assert_eq!(report["by_type"]["rds"]["messages"], 4, "{report}");
    assert_eq!(report["unacked"], 0);
}

#[test]
fn an_edit_is_counted_at_each_client() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    program.complete(&json!({"count": 8})).unwrap();
    let before = program.get("/config?client=0").unwrap();
    let marked = program.post("/mark", &Value::Null).unwrap()["unix_ns"].as_u64().unwrap();
    assert_eq!(program.get("/report").unwrap()["touched"], 0);
    edit(&plane, "6s");
    let report = program.post("/wait", &json!({"for": "touched", "clients": 8})).unwrap();
    let of = |kind: &str| report["by_type"][kind]["resources"].as_u64().unwrap();
    assert_eq!(["cds", "eds", "sds", "lds", "rds", "vhds"].map(of), [0, 0, 0, 0, 0, 8]);
    assert_eq!((&report["resources"], &report["messages"]), (&json!(8), &json!(8)));
    assert_eq!((&report["acks"], &report["unacked"]), (&json!(8), &json!(0)));
    let times = ["first_ns", "last_ns"].map(|key| report[key].as_u64().unwrap());
    assert!(marked < times[0] && times[0] <= times[1], "{marked} {times:?}");
    let took = ["p50", "p99", "max"].map(|key| report["last_ack_us"][key].as_u64().unwrap());
    assert!(0 < took[0] && took[0] <= took[1] && took[1] == took[2], "{took:?}");
    assert_eq!(took[2], (times[1] - marked) / 1000, "the last ack is the slowest client's");

    let after = program.get("/config?client=0").unwrap();
    let changed = |kind: &str| {
        let (before, after) = (before[kind].as_object().unwrap(), after[kind].as_object().unwrap());
        after.iter().filter(|(name, hash)| before.get(*name) != Some(hash)).count()
    };
    assert_eq!(["cds", "eds", "lds", "rds", "vhds"].map(changed), [0, 0, 0, 0, 1]);
}

#[test]
fn clusters_that_change_are_acked_with_their_endpoints_and_deleted_services_are_gone() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    program.complete(&json!({"count": 4})).unwrap();
    program.post("/mark", &Value::Null).unwrap();
    let (name, text) = &files()[8];
    plane.write(name, &text.replace("maxConnections: 100", "maxConnections: 200")).unwrap();
    let report = program.post("/wait", &json!({"for": "touched", "clients": 4})).unwrap();
    let of = |kind: &str| report["by_type"][kind]["resources"].as_u64().unwrap();
    assert_eq!((of("cds"), of("eds"), &report["unacked"]), (4, 4, &json!(0)), "{report}");

    program.post("/mark", &Value::Null).unwrap();
    std::fs::remove_file(plane.folder().join(name)).unwrap();
    let gone = "outbound|80||svc-8.ns-0.svc.cluster.local";
    let left = bed::process::eventually("the cluster to be gone", std::time::Duration::from_secs(20), || {
        let config = program.get("/config?client=2")?;
        anyhow::ensure!(config["cds"].get(gone).is_none() && config["eds"].get(gone).is_none(), "{config}");
        Ok(config)
    });
    assert_eq!(left.unwrap()["cds"].as_object().unwrap().len(), SERVICES - 1 + 3);
}
