//! Bad days of an API server: absent, held, silent behind a half-open connection, and one that has forgotten where our watches were. A
//! proxy that is connected keeps what it has, is told nothing wrong, and gets what changed afterwards.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::cluster::{Cluster, Options, Part};
use bed::process::eventually;
use serde_json::Value;
use tests::between::Between;
use tests::client::sidecar;
use tests::follower::{Follower, Told};
use tests::need;
use tests::plane::Plane;

use super::tools;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long watches last here, so that a silent one is found out soon.
const TURN: &str = "5";

/// A Service as YAML.
pub(super) fn service(name: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: default}}, spec: {{ports: [{{name: http, port: 80}}]}}}}\n---\n"
    )
}

/// A cluster with two Services, the address of its API server, and a proxy before that.
fn behind(api_server: &[SocketAddr]) -> anyhow::Result<(Cluster, SocketAddr, Between)> {
    let cluster = Cluster::start(Options::new(tools().map_err(anyhow::Error::msg)?))?;
    cluster.apply(&(service("one") + &service("two")))?;
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}")?;
    let config: Value = serde_json::from_slice(&std::fs::read(cluster.kubeconfig())?)?;
    let url = config["clusters"][0]["cluster"]["server"].as_str().context("a server")?;
    let address = url.trim_start_matches("https://").parse()?;
    let between = Between::start(api_server)?;
    Ok((cluster, address, between))
}

/// The administrator's kubeconfig, by way of a proxy.
fn by_way_of(cluster: &Cluster, between: &Between) -> anyhow::Result<PathBuf> {
    let mut config: Value = serde_json::from_slice(&std::fs::read(cluster.kubeconfig())?)?;
    config["clusters"][0]["cluster"]["server"] = format!("https://{}", between.address()).into();
    let path = cluster.folder().join("between.kubeconfig");
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

/// For how many seconds nothing was heard of Services.
fn silence(plane: &Plane) -> anyhow::Result<f64> {
    let page = plane.page("/metrics")?.body;
    let line = page.lines().find_map(|line| line.strip_prefix("meltemi_watch_silence_seconds{kind=\"Service\"} "));
    Ok(line.context("no metric of silence")?.parse()?)
}

/// The sum of a metric over its labels.
pub(super) fn metric(plane: &Plane, name: &str) -> anyhow::Result<u64> {
    let page = plane.page("/metrics")?.body;
    let values = page.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit(' ').next());
    Ok(values.filter_map(|value| value.parse::<u64>().ok()).sum())
}

/// What the only proxy was told, once it has everything and has taken all that was sent.
pub(super) fn steady(plane: &Plane, follower: &Follower) -> anyhow::Result<Told> {
    eventually("the proxy to be current", PATIENCE, || {
        plane.live(1, 0)?;
        let (sent, told) = (metric(plane, "pilot_xds_pushes")?, follower.told());
        ensure!(sent == told.responses, "{sent} were sent, {} were taken", told.responses);
        Ok(told)
    })
}

/// It was told nothing since, and is connected.
pub(super) fn unchanged(follower: &Follower, since: &Told) {
    assert_eq!(&follower.told(), since, "it was told something");
}

pub(super) fn clusters_of(name: &str) -> Vec<String> {
    vec![format!("outbound|80||{name}.default.svc.cluster.local")]
}

#[test]
fn a_half_open_watch_is_found_out_and_a_compacted_store_takes_nothing_away() {
    if !need("half-open watches", tools().err()) {
        return;
    }
    let (mut cluster, api_server, between) = behind(&[]).unwrap();
    between.lead_to(&[api_server]);
    let config = by_way_of(&cluster, &between).unwrap();
    let plane = Plane::on(&config, &["--webhook-address", "127.0.0.1:0", "--watch-seconds", TURN]).unwrap();
    plane.ready(PATIENCE).unwrap();
    let follower = Follower::start(plane.xds(), sidecar(1, "default"), Default::default());
    follower.wait("two.default", true, PATIENCE).unwrap();
    let steady = steady(&plane, &follower).unwrap();

    // Nothing comes any more and nothing ends: the silence is seen, and then ended.
    between.silence();
    let began = Instant::now();
    cluster.apply(&service("late")).unwrap();
    eventually("the silence to be seen", PATIENCE, || {
        let heard = silence(&plane)?;
        ensure!(heard > 5.5, "silent for {heard} s");
        Ok(())
    })
    .unwrap();
    unchanged(&follower, &steady);
    assert_eq!(plane.page("/ready").unwrap().status, 200, "what is known is served");
    follower.wait("late.default", true, PATIENCE).unwrap();
    eprintln!("a half-open watch of {TURN} s was found out after {:.1?}", began.elapsed());
    let told = self::steady(&plane, &follower).unwrap();
    assert!(told.lost.is_empty(), "{:?}", told.lost);
    assert!(silence(&plane).unwrap() < 5.5);

    // It goes away, and when it is back it knows no more of what was before.
    let old = cluster
        .kubectl(&["get", "service/late", "-n", "default", "-o", "jsonpath={.metadata.resourceVersion}"])
        .unwrap();
    between.lead_to(&[]);
    between.cut();
    cluster.kubectl(&["delete", "service/two", "-n", "default"]).unwrap();
    cluster.apply(&service("three")).unwrap();
    cluster.compact().unwrap();
    cluster.restart(Part::ApiServer).unwrap();
    let from = format!("/api/v1/services?watch=true&timeoutSeconds=1&resourceVersion={old}");
    let refused = cluster.kubectl(&["get", "--raw", &from]).unwrap_or_else(|error| error.to_string());
    assert!(refused.contains("too old resource version") || refused.contains("compacted"), "{refused}");
    unchanged(&follower, &told);
    between.lead_to(&[api_server]);
    follower.wait("three.default", true, PATIENCE).unwrap();
    let told = follower.wait("two.default", false, PATIENCE).unwrap();
    assert_eq!(Vec::from_iter(told.lost), clusters_of("two"), "only what is gone was taken away");
}

/// How long the API server is held: 12 s, or what `MELTEMI_HELD_SECONDS` says.
fn held() -> Duration {
    let asked = std::env::vars().find(|(name, _)| name == "MELTEMI_HELD_SECONDS");
    Duration::from_secs(asked.and_then(|(_, value)| value.parse().ok()).unwrap_or(12))
}

#[test]
fn an_api_server_that_is_absent_is_waited_for_and_one_that_is_held_is_outlived() {
    if !need("an absent API server", tools().err()) {
        return;
    }
    let (mut cluster, api_server, between) = behind(&[]).unwrap();
    let config = by_way_of(&cluster, &between).unwrap();
    cluster.kill(Part::ApiServer);
    between.lead_to(&[api_server]);
    let flags = ["--webhook-address", "127.0.0.1:0", "--watch-seconds", TURN];
    let starting = std::thread::spawn(move || Plane::on(&config, &flags));
    eventually("attempts", PATIENCE, || {
        ensure!(between.accepted() >= 3, "{} connections", between.accepted());
        Ok(())
    })
    .unwrap();
    assert!(!starting.is_finished(), "it waits");
    cluster.restart(Part::ApiServer).unwrap();
    let there = Instant::now();
    let plane = starting.join().unwrap().unwrap();
    plane.ready(PATIENCE).unwrap();
    eprintln!("ready {:.1?} after the API server", there.elapsed());
    assert!(there.elapsed() < Duration::from_secs(10), "ready after {:?}", there.elapsed());

    let follower = Follower::start(plane.xds(), sidecar(1, "default"), Default::default());
    follower.wait("two.default", true, PATIENCE).unwrap();
    let steady = steady(&plane, &follower).unwrap();
    cluster.hold(Part::ApiServer).unwrap();
    let (began, held) = (Instant::now(), held());
    let mut newcomers = 0;
    while began.elapsed() < held {
        // Proxies come and are served what is known.
        newcomers += 1;
        let newcomer = Follower::start(plane.xds(), sidecar(1 + newcomers, "default"), Default::default());
        newcomer.wait("two.default", true, PATIENCE).unwrap();
        assert_eq!(plane.page("/ready").unwrap().status, 200);
        unchanged(&follower, &steady);
        std::thread::sleep(Duration::from_secs(1));
    }
    let silent = silence(&plane).unwrap();
    assert!(silent > held.as_secs_f64() - 6.0, "silent for {silent} s of {held:?}");
    cluster.release(Part::ApiServer).unwrap();
    // Also the API server needs its time to find itself again.
    eventually("a change", PATIENCE, || {
        cluster.kubectl(&["delete", "service/two", "-n", "default", "--ignore-not-found"])
    })
    .unwrap();
    let told = follower.wait("two.default", false, PATIENCE).unwrap();
    assert_eq!(Vec::from_iter(told.lost), clusters_of("two"), "only what is gone was taken away");
    eprintln!("held for {held:?}; {newcomers} proxies came meanwhile");
}
