//! Clients get everything, as the client of the other tests does.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::client::{Client, sidecar};
use tests::plane::Plane;

use crate::program::Program;

fn files() -> Vec<(String, String)> {
    tests::mesh::scale(20, 2, 4)
}

/// A control plane with a small mesh.
pub(crate) fn plane() -> Plane {
    let files = files();
    let listed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Plane::start(&listed, &[]).unwrap()
}

fn names(config: &Value) -> Vec<(String, BTreeSet<String>)> {
    let kinds = config.as_object().unwrap().iter();
    kinds.map(|(kind, all)| (kind.clone(), all.as_object().unwrap().keys().cloned().collect())).collect()
}

#[test]
fn clients_have_what_the_client_of_the_other_tests_has() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    let report = program.complete(&json!({"count": 10})).unwrap();
    assert_eq!(report["clients"], json!({"connected": 10, "complete": 10, "frozen": 0}));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let other = runtime.block_on(async {
        let mut other = Client::connect(plane.xds(), sidecar(7, "ns-3"), Default::default()).await.unwrap();
        other.settle_all().await.unwrap();
        other
    });
    let config = program.get("/config?client=7").unwrap();
    let expected = ["cds", "eds", "lds", "rds", "sds", "vhds"].map(|kind| {
        let of = |other: &Client| other.has.iter().find(|(of, _)| of.short() == kind).map(|(_, has)| has.clone());
        (kind.to_owned(), of(&other).unwrap_or_default().into_keys().collect::<BTreeSet<_>>())
    });
    assert_eq!(names(&config), expected);
    assert!(config["vhds"].as_object().unwrap().len() == 20, "{config}");
}
