//! The steps of the demo. Each asserts what it shows.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bed::process::eventually;
use serde_json::Value;

use super::{Demo, println};

/// Calls for each share that is measured.
const CALLS: u32 = 400;

/// All steps in order.
pub(super) fn all(demo: &Demo) -> anyhow::Result<()> {
    eventually("the first answer through the gateway", Duration::from_secs(10), || {
        demo.call().and_then(|answer| demo.version(&answer))
    })?;
    println("traffic flows: client -> gateway -> application");
    println("  canary of reviews    wanted v1/v2   observed v1/v2   live on every proxy after");
    share(demo, 90, 10, None)?;
    for (v1, v2) in [(50, 50), (0, 100)] {
        let took = edit(demo, v1, v2)?;
        share(demo, v1, v2, Some(took))?;
    }
    mutual(demo)?;
    why(demo)?;
    println("all steps passed");
    Ok(())
}

/// Writes the canary and waits until every proxy has taken it.
fn edit(demo: &Demo, v1: u32, v2: u32) -> anyhow::Result<Duration> {
    let before = revision(&proxies(demo)?);
    // Written beside and renamed, as editors and mounted ConfigMaps do.
    let path = demo.config.join("canary.yaml");
    let beside = demo.config.join(".canary.yaml.new");
    std::fs::write(&beside, demo.layout.canary(v1, v2)).with_context(|| format!("writing {}", beside.display()))?;
    let started = Instant::now();
    std::fs::rename(&beside, &path)?;
    eventually("the edit to be live on every proxy", Duration::from_secs(10), || {
        let proxies = proxies(demo)?;
        ensure!(proxies.len() == demo.envoys.len(), "{} of {} proxies are connected", proxies.len(), demo.envoys.len());
        ensure!(revision(&proxies) > before, "the edit was not read yet");
        ensure!(proxies.iter().all(live), "not every proxy has taken it");
        Ok(started.elapsed())
    })
}

fn proxies(demo: &Demo) -> anyhow::Result<Vec<Value>> {
    let answer = demo.page("/debug/syncz")?;
    serde_json::from_str(&answer.body).context("reading /debug/syncz")
}

fn revision(proxies: &[Value]) -> u64 {
    proxies.iter().filter_map(|proxy| proxy["revision"].as_u64()).max().unwrap_or(0)
}

fn live(proxy: &Value) -> bool {
    proxy["types"]
        .as_object()
        .is_some_and(|types| !types.is_empty() && types.values().all(|status| status["live"] == true))
}

/// Measures the shares and compares them with what is wanted: 4 standard deviations, and exactly none where none is wanted.
fn share(demo: &Demo, v1: u32, v2: u32, took: Option<Duration>) -> anyhow::Result<()> {
    let mut second = 0u32;
    for _ in 0..CALLS {
        let answer = demo.call()?;
        second += u32::from(demo.version(&answer)? == "v2");
    }
    let wanted = f64::from(v2) / f64::from(v1 + v2);
    let observed = f64::from(second) / f64::from(CALLS);
    let deviation = (wanted * (1.0 - wanted) / f64::from(CALLS)).sqrt();
    let live = took.map_or_else(|| "-".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1000.0));
    let percent = observed * 100.0;
    println(&format!(
        "  reviews              {v1:>3} / {v2:<3}      {:>5.1} / {percent:<5.1}    {live}",
        100.0 - percent
    ));
    ensure!((observed - wanted).abs() <= 4.0 * deviation, "observed {observed:.3} of v2, wanted {wanted:.3}");
    Ok(())
}

/// Calls a workload in plain text, which is refused, and goes on calling the mesh while certificates are renewed.
fn mutual(demo: &Demo) -> anyhow::Result<()> {
    let Some(reviews) = demo.layout.protected() else { return Ok(()) };
    let plain = demo.client.inside(move || bed::http::get(reviews, "reviews", "/", &[]));
    ensure!(plain.is_err(), "reviews took a call in plain text, and mutual TLS is STRICT");
    println("plain text to reviews, past the mesh: refused");
    let serials = || demo.envoys.iter().map(serial).collect::<anyhow::Result<Vec<_>>>();
    let (before, mut calls) = (serials()?, 0);
    let started = Instant::now();
    loop {
        for _ in 0..20 {
            demo.call().context("a call while certificates are renewed")?;
            calls += 1;
        }
        if serials()?.iter().zip(&before).all(|(now, before)| now != before) {
            break;
        }
        ensure!(started.elapsed() < Duration::from_secs(15), "certificates are not renewed in time");
    }
    println(&format!("certificates of {} proxies renewed under {calls} calls, none failed", before.len()));
    Ok(())
}

/// The serial number of an Envoy's certificate.
fn serial(envoy: &bed::envoy::Envoy) -> anyhow::Result<String> {
    let page: Value = serde_json::from_str(&envoy.admin("/certs")?.body)?;
    let certificates = page["certificates"].as_array().into_iter().flatten();
    let mut serials = certificates.filter_map(|each| each["cert_chain"][0]["serial_number"].as_str());
    Ok(serials.next().context("Envoy has no certificate")?.to_owned())
}

/// Asks the control plane why a route is as it is.
fn why(demo: &Demo) -> anyhow::Result<()> {
    let (proxy, resource) = demo.layout.asked();
    let answer = demo.page(&format!("/debug/why?proxyID={proxy}&resource={resource}"))?;
    ensure!(answer.status == 200, "{}", answer.body);
    let why: Value = serde_json::from_str(&answer.body)?;
    let sources = why["from"].as_array().context("no sources")?;
    let canary = sources
        .iter()
        .find(|source| source["object"] == "VirtualService demo/reviews")
        .context("the canary is no source")?;
    println(&format!("why does {proxy} route so? {} at {}:{}", canary["object"], canary["file"], canary["line"]));
    Ok(())
}

/// Goes on until Ctrl-C, showing what edits do.
pub(super) fn follow(demo: &Demo) -> anyhow::Result<()> {
    println(&format!("\nedit {} and watch; Ctrl-C ends", demo.config.join("canary.yaml").display()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    loop {
        let stop =
            runtime.block_on(async { tokio::time::timeout(Duration::from_secs(2), tokio::signal::ctrl_c()).await });
        if stop.is_ok() {
            return Ok(());
        }
        let mut seen = std::collections::BTreeMap::<String, u32>::new();
        for _ in 0..50 {
            let version =
                demo.call().and_then(|answer| demo.version(&answer)).unwrap_or_else(|error| format!("{error:#}"));
            *seen.entry(version).or_default() += 1;
        }
        println(&format!("  50 calls: {seen:?}"));
    }
}
