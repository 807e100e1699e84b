//! Connections that end and come back, with and without what clients have.

use serde_json::{Value, json};
use tests::plane::Plane;

use crate::program::Program;
use crate::{SERVICES, plane};

const COMPLETE: &str = r#"{"for": "complete", "timeout_s": 60, "quiet_ms": 20}"#;

fn complete(program: &Program) -> Value {
    program.post("/wait", &serde_json::from_str(COMPLETE).unwrap()).unwrap()
}

#[test]
fn who_offers_what_it_has_is_sent_nothing_and_who_has_nothing_everything() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    let first = program.complete(&json!({"count": 12})).unwrap();
    let before = program.get("/config?client=5").unwrap();

    program.post("/mark", &Value::Null).unwrap();
    program.post("/drop", &json!({"keep": true})).unwrap();
    let report = complete(&program);
    assert_eq!((&report["reconnects"], &report["errors"]), (&json!(12), &json!(0)), "{report}");
    assert_eq!((&report["resources"], &report["touched"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(report["clients"]["complete"], 12, "{report}");
    assert!(report["empty"]["messages"].as_u64() >= Some(5 * 12), "each type that was offered is answered: {report}");
    assert_eq!(program.get("/config?client=5").unwrap(), before);

    program.post("/mark", &Value::Null).unwrap();
    program.post("/drop", &json!({"keep": false, "backoff": true})).unwrap();
    let report = complete(&program);
    assert_eq!((&report["reconnects"], &report["touched"]), (&json!(12), &json!(12)), "{report}");
    assert_eq!(report["resources"], first["resources"], "{report}");
    assert_eq!(program.get("/config?client=5").unwrap(), before);

    program.post("/mark", &Value::Null).unwrap();
    program.post("/drop", &json!({"clients": 3})).unwrap();
    let report = complete(&program);
    let all = 12 * report["resources"].as_u64().unwrap();
    assert_eq!((&report["reconnects"], Some(all)), (&json!(3), first["resources"].as_u64().map(|all| all * 3)));
}

#[test]
fn the_state_of_the_world_is_sent_again() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4", "--mode", "sotw"]).unwrap();
    program.complete(&json!({"count": 3})).unwrap();
    let before = program.get("/config?client=1").unwrap();
    program.post("/mark", &Value::Null).unwrap();
    program.post("/drop", &json!({"keep": true})).unwrap();
    let report = complete(&program);
    assert_eq!((&report["reconnects"], &report["clients"]["complete"]), (&json!(3), &json!(3)), "{report}");
    assert!(report["by_type"]["cds"]["resources"].as_u64() >= Some(3 * SERVICES as u64), "{report}");
    assert_eq!(program.get("/config?client=1").unwrap(), before);
}

#[test]
fn clients_come_back_to_a_server_that_was_away() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    program.complete(&json!({"count": 6})).unwrap();
    program.post("/mark", &Value::Null).unwrap();
    let (address, folder) = (plane.xds().to_string(), plane.folder().clone());
    drop(plane);
    let (status, late) =
        program.ask("POST", "/wait", &json!({"for": "touched", "clients": 1, "timeout_s": 1})).unwrap();
    assert_eq!((status, &late["clients"]["connected"]), (504, &json!(0)), "{late}");
    assert!(late["errors"].as_u64() >= Some(6) && late["missing"]["0"] == "a stream", "{late}");
    let _plane = Plane::at(&address, folder, &[], &[]).unwrap();
    let report = complete(&program);
    assert_eq!((&report["reconnects"], &report["resources"]), (&json!(6), &json!(0)), "{report}");
}
