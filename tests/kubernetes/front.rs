//! An API server that answers, and not with what is asked for: too busy, as when its flow control is exhausted; not there behind a balancer
//! that is; and one of several which lags behind another.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bed::cluster::{Cluster, Options};
use bed::process::eventually;
use tests::client::sidecar;
use tests::follower::Follower;
use tests::front::{Answer, Front};
use tests::need;
use tests::plane::Plane;

use super::badday::{clusters_of, service, steady, unchanged};
use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long watches last here, in seconds.
const TURN: &str = "5";
const SERVICES: &str = "/api/v1/services?";

/// A cluster with two Services, and what stands before it.
fn before_a_cluster() -> anyhow::Result<(Cluster, Front, std::path::PathBuf)> {
    let cluster = Cluster::start(Options::new(tools().map_err(anyhow::Error::msg)?))?;
    cluster.apply(&(service("one") + &service("two")))?;
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}")?;
    let front = Front::start(cluster.kubeconfig())?;
    let config = front.kubeconfig(cluster.folder())?;
    Ok((cluster, front, config))
}

#[test]
fn an_api_server_that_is_too_busy_is_asked_when_it_says_and_one_that_is_back_is_found_soon() {
    if !need("a busy API server", tools().err()) {
        return;
    }
    let (cluster, front, config) = before_a_cluster().unwrap();
    // From the beginning: nothing can be listed for some time.
    let began = Instant::now();
    front.answer(
        move |_| if began.elapsed() < Duration::from_secs(8) { Answer::Status(503, None) } else { Answer::Through },
    );
    let plane = Plane::on(&config, &["--webhook-address", "127.0.0.1:0", "--watch-seconds", TURN]).unwrap();
    plane.ready(PATIENCE).unwrap();
    let late = began.elapsed().saturating_sub(Duration::from_secs(8));
    eprintln!("ready {late:.1?} after the API server was back");
    assert!(late < Duration::from_secs(5), "ready {late:?} after the API server was back");
    let follower = Follower::start(plane.xds(), sidecar(1, "default"), Default::default());
    follower.wait("two.default", true, PATIENCE).unwrap();
    let told = steady(&plane, &follower).unwrap();

    // Services cannot be had, and it says when to come again; other kinds can.
    let (busy, after) = (Instant::now(), 3);
    front.answer(
        move |what| if what.starts_with(SERVICES) { Answer::Status(429, Some(after)) } else { Answer::Through },
    );
    front.cut();
    cluster.apply(&service("late")).unwrap();
    eventually("four attempts", PATIENCE, || {
        let asked = front.asked(SERVICES, busy);
        ensure!(asked.len() >= 4, "{asked:?}");
        Ok(())
    })
    .unwrap();
    let asked = front.asked(SERVICES, busy);
    for pair in asked.windows(2) {
        let between = pair[1].at - pair[0].at;
        assert!(between > Duration::from_millis(after * 1000 - 100), "it came again after {between:?}: {asked:?}");
    }
    let others = front.asked("/api/v1/endpoints", busy).len() + front.asked("/endpointslices?", busy).len();
    assert!(others >= 1, "the watches of other kinds go on");
    unchanged(&follower, &told);
    assert_eq!(plane.page("/ready").unwrap().status, 200, "what is known is served");
    front.answer(|_| Answer::Through);
    let told = follower.wait("late.default", true, PATIENCE).unwrap();
    assert!(told.lost.is_empty(), "{:?}", told.lost);

    // A balancer without an API server behind it.
    front.answer(|_| Answer::Status(503, None));
    front.cut();
    let gone = Instant::now();
    cluster.apply(&service("later")).unwrap();
    eventually("many attempts", PATIENCE, || {
        let passed = gone.elapsed();
        ensure!(passed > Duration::from_secs(16), "{passed:?}");
        Ok(())
    })
    .unwrap();
    let asked = front.asked(SERVICES, gone);
    let gaps = asked.windows(2).map(|pair| pair[1].at - pair[0].at).max();
    assert!(gaps.is_some_and(|longest| longest < Duration::from_secs(4)), "{asked:?}");
    assert!(asked.len() < 40, "it asks too often: {asked:?}");
    front.answer(|_| Answer::Through);
    let back = Instant::now();
    let told = follower.wait("later.default", true, PATIENCE).unwrap();
    eprintln!("a Service was there {:.1?} after the API server was back", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(4), "{:?} after the API server was back", back.elapsed());
    assert!(told.lost.is_empty(), "{:?}", told.lost);
}

#[test]
fn an_api_server_that_lags_behind_another_takes_nothing_back() {
    if !need("an API server that lags", tools().err()) {
        return;
    }
    let (cluster, front, config) = before_a_cluster().unwrap();
    let plane = Plane::on(&config, &["--webhook-address", "127.0.0.1:0", "--watch-seconds", TURN]).unwrap();
    plane.ready(PATIENCE).unwrap();
    let follower = Follower::start(plane.xds(), sidecar(1, "default"), Default::default());
    follower.wait("two.default", true, PATIENCE).unwrap();

    // What another API server still believes when this one is ahead of it.
    let list = "/api/v1/services?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1";
    let old = cluster.kubectl(&["get", "--raw", list]).unwrap();
    assert!(old.contains("k8s.io/initial-events-end") && old.contains("\"two\""), "{old}");
    cluster.kubectl(&["delete", "service/two", "-n", "default"]).unwrap();
    cluster.apply(&service("three")).unwrap();
    follower.wait("three.default", true, PATIENCE).unwrap();
    follower.wait("two.default", false, PATIENCE).unwrap();
    let told = steady(&plane, &follower).unwrap();

    // The one that lags does not know the version to go on from, and shows what it has.
    let lagging = Instant::now();
    front.answer(move |what| match what.starts_with(SERVICES) {
        true if what.contains("sendInitialEvents=true") => Answer::Recorded(old.clone()),
        true => Answer::Status(410, None),
        false => Answer::Through,
    });
    front.cut();
    eventually("its list, several times", PATIENCE, || {
        let asked = front.asked("sendInitialEvents=true", lagging);
        let lists = asked.iter().filter(|asked| asked.what.starts_with(SERVICES)).count();
        ensure!(lists >= 3, "{asked:?}");
        Ok(())
    })
    .unwrap();
    unchanged(&follower, &told);
    assert_eq!(plane.page("/ready").unwrap().status, 200, "what is known is served");
    cluster.apply(&service("four")).unwrap();
    front.answer(|_| Answer::Through);
    follower.wait("four.default", true, PATIENCE).unwrap();
    let told = steady(&plane, &follower).unwrap();
    assert_eq!(Vec::from_iter(told.lost), clusters_of("two"), "only what is gone was taken away, and once");
    assert!(told.has.values().all(|has| !has.keys().any(|name| name.contains("two.default"))), "{:?}", told.has);
}
