//! What the program is told wrongly, and how it ends.

use std::time::Duration;

use anyhow::Context;
use bed::process::eventually;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::plane;
use crate::program::Program;

#[test]
fn mistakes_are_answered_with_what_is_wrong() {
    let plane = plane();
    let program = Program::start(plane.xds(), &[]).unwrap();
    program.complete(&json!({"count": 2, "record": true})).unwrap();
    program.complete(&json!({"count": 1, "from": 2})).unwrap();
    let refused = |method: &str, path: &str, body: Value| {
        let (status, answer) = program.ask(method, path, &body).unwrap();
        (status, answer["error"].as_str().unwrap().to_owned())
    };
    let twice = refused("POST", "/connect", json!({"count": 1, "from": 1}));
    assert_eq!(twice, (400, "client 1 is there already".to_owned()));
    assert_eq!(refused("POST", "/connect", json!({"count": 1, "frm": 9})).0, 400);
    assert_eq!(refused("POST", "/connect", json!({"count": 1 << 20})).0, 400);
    assert_eq!(refused("GET", "/config?client=77", Value::Null), (404, "no client 77".to_owned()));
    assert_eq!(refused("GET", "/config?client=2&bodies=1", Value::Null).0, 400);

    let [bodies, hashes] =
        ["/config?client=1&bodies=1", "/config?client=1"].map(|path| program.get(path).unwrap()["cds"].clone());
    let body = bodies["BlackHoleCluster"].as_str().unwrap();
    let body = data_encoding::BASE64.decode(body.as_bytes()).unwrap();
    let cluster: proto::envoy::config::cluster::v3::Cluster = prost::Message::decode(&body[..]).unwrap();
    assert_eq!(cluster.name, "BlackHoleCluster");
    assert_ne!(bodies["BlackHoleCluster"], hashes["BlackHoleCluster"]);
    assert_eq!(hashes, program.get("/config?client=2").unwrap()["cds"], "who records has the same");
}

#[test]
fn it_ends_when_it_is_told_and_when_it_is_asked_by_a_signal() {
    let plane = plane();
    for signal in [None, Some(Signal::SIGTERM)] {
        let mut program = Program::start(plane.xds(), &[]).unwrap();
        program.complete(&json!({"count": 2})).unwrap();
        match signal {
            None => _ = program.post("/quit", &Value::Null).unwrap(),
            Some(signal) => program.process.signal(signal).unwrap(),
        }
        let limit = Duration::from_secs(10);
        let ended = eventually("its end", limit, || program.process.ended()?.context("it runs on")).unwrap();
        assert!(ended.success(), "{ended}");
    }
}
