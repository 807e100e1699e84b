//! Clients that are slow, that stop, and that refuse.

use std::time::Duration;

use anyhow::ensure;
use bed::process::eventually;
use serde_json::{Value, json};
use tests::plane::Plane;

use crate::program::Program;
use crate::{edit, plane};

/// What the control plane knows of some clients.
fn known(plane: &Plane, from: usize) -> Vec<Value> {
    let number = |proxy: &Value| {
        let name = proxy["proxy"].as_str()?.split('.').next()?;
        name.strip_prefix("app-")?.parse::<usize>().ok()
    };
    plane.proxies().unwrap().into_iter().filter(|proxy| number(proxy) >= Some(from)).collect()
}

#[test]
fn frozen_clients_take_nothing_and_hold_nobody_up() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    program.post("/connect", &json!({"count": 5, "from": 100, "kind": "frozen"})).unwrap();
    let report = program.complete(&json!({"count": 5})).unwrap();
    let frozen = eventually("them to be frozen", Duration::from_secs(10), || {
        let report = program.get("/report")?;
        ensure!(report["clients"]["frozen"] == 5, "{report}");
        Ok(report)
    });
    assert_eq!(frozen.unwrap()["clients"]["complete"], 5, "{report}");

    program.post("/mark", &Value::Null).unwrap();
    edit(&plane, "7s");
    let report = program.post("/wait", &json!({"for": "touched", "clients": 5})).unwrap();
    assert_eq!((&report["touched"], &report["acks"]), (&json!(5), &json!(5)), "{report}");
    let frozen = known(&plane, 100);
    assert_eq!(frozen.len(), 5, "their connections are open");
    for proxy in frozen {
        let types = proxy["types"].as_object().unwrap();
        assert!(types["cds"]["sent"].as_u64() > Some(0), "{proxy}");
        assert!(types.values().all(|status| status["acked"] == 0), "{proxy}");
    }
}

#[test]
fn a_refusal_reaches_the_server_and_changes_nothing() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    program.post("/connect", &json!({"count": 1, "from": 100, "kind": "nacking"})).unwrap();
    program.complete(&json!({"count": 2})).unwrap();
    let before = program.get("/config?client=100").unwrap();
    program.post("/mark", &Value::Null).unwrap();
    edit(&plane, "8s");
    let report = program.post("/wait", &json!({"for": "touched", "clients": 3})).unwrap();
    assert_eq!((&report["nacks"], &report["acks"], &report["unacked"]), (&json!(1), &json!(2), &json!(1)), "{report}");
    assert_eq!(program.get("/config?client=100").unwrap(), before);
    assert_ne!(program.get("/config?client=0").unwrap()["vhds"], before["vhds"]);
    let seen = eventually("the server to know", Duration::from_secs(10), || {
        let seen = known(&plane, 100);
        ensure!(seen[0]["types"]["vhds"]["lastError"] == "refused, as this client does", "{seen:?}");
        Ok(seen)
    });
    assert_eq!(seen.unwrap().len(), 1);
}

#[test]
fn slow_clients_ack_late() {
    let plane = plane();
    let program = Program::start(plane.xds(), &["--namespaces", "4"]).unwrap();
    let slow = json!({"count": 2, "kind": "slow", "delay_ms": 150});
    program.complete(&slow).unwrap();
    program.post("/mark", &Value::Null).unwrap();
    edit(&plane, "9s");
    let report = program.post("/wait", &json!({"for": "touched", "clients": 2, "quiet_ms": 300})).unwrap();
    assert_eq!((&report["acks"], &report["unacked"]), (&json!(2), &json!(0)), "{report}");
    let waited = (report["last_ns"].as_u64().unwrap() - report["first_ns"].as_u64().unwrap()) / 1_000_000;
    assert!(waited >= 150, "{report}");
}
