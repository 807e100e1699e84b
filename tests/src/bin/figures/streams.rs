//! Figures over the network: 1,000 clients that behave like Envoy in another process.

use std::time::{Duration, Instant};

use tests::plane::Plane;

use crate::{ENDPOINTS, Figure, NAMESPACES, PROXIES, SERVICES, load};

/// Who was not reached by then, was missed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn all() -> anyhow::Result<Vec<Figure>> {
    let files = tests::mesh::scale(SERVICES, ENDPOINTS, NAMESPACES);
    let listed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let plane = Plane::start(&listed, &[])?;
    let (address, proxies) = (plane.xds(), u32::try_from(PROXIES)?);
    let load = load(address)?;
    let started = Instant::now();
    load.connect(proxies, 0, "reader")?;
    let first = load.complete(proxies)?;
    eprintln!(
        "{PROXIES} clients have everything after {:.1} s: {} resources, {:.0} MB",
        started.elapsed().as_secs_f64(),
        first.resources,
        first.bytes as f64 / 1e6
    );

    let before = plane.revision()?;
    load.mark()?;
    let started = Instant::now();
    plane.write(&files[7].0, &files[7].1.replace("timeout: 5s", "timeout: 6s"))?;
    plane.live(PROXIES, before)?;
    eprintln!("a route edit is live on {PROXIES} clients after {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);
    let edit = load.touched(proxies, PATIENCE)?;

    let started = Instant::now();
    load.mark()?;
    load.drop_all(false)?;
    let again = load.back(proxies)?;
    eprintln!("{PROXIES} clients are back after {:.1} s", started.elapsed().as_secs_f64());
    let folder = plane.folder().clone();
    load.mark()?;
    drop(plane);
    let plane = Plane::at(&address.to_string(), folder, &[], &[])?;
    let restarted = load.back(proxies)?;
    drop(plane);
    let sent = |report: &bench::load::Report| (report.resources + report.removed) as f64;
    Ok(vec![
        Figure::at_most(
            "route edit: bytes on the wire to a proxy",
            edit.bytes as f64 / f64::from(edit.touched),
            4096.0,
        ),
        Figure::at_most("route edit: resources to all proxies", sent(&edit), PROXIES as f64),
        Figure::at_most("reconnect: resources sent", sent(&again), 0.0),
        Figure::at_most("reconnect after a restart: resources sent", sent(&restarted), 0.0),
    ])
}
