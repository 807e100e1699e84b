//! Figures over the network: 1,000 clients that behave like Envoy in another process.

use std::time::Instant;

use tests::plane::Plane;

use crate::clients::Clients;
use crate::{ENDPOINTS, Figure, NAMESPACES, PROXIES, SERVICES};

fn number(answer: &serde_json::Value, key: &str) -> f64 {
    answer[key].as_f64().unwrap_or(f64::NAN)
}

pub(crate) fn all() -> anyhow::Result<Vec<Figure>> {
    let files = tests::mesh::scale(SERVICES, ENDPOINTS, NAMESPACES);
    let listed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let plane = Plane::start(&listed, &[])?;
    let address = plane.xds();
    let mut clients = Clients::start("clients", &[address.to_string(), PROXIES.to_string()])?;
    let started = Instant::now();
    let first = clients.ask("connect")?;
    let (sent, bytes) = (number(&first, "received"), number(&first, "bytes"));
    eprintln!(
        "{PROXIES} clients have everything after {:.1} s: {sent} resources, {:.0} MB",
        started.elapsed().as_secs_f64(),
        bytes / 1e6
    );

    let before = plane.revision()?;
    let started = Instant::now();
    plane.write(&files[7].0, &files[7].1.replace("timeout: 5s", "timeout: 6s"))?;
    let edit = clients.ask("step")?;
    plane.live(PROXIES, before)?;
    eprintln!("a route edit is live on {PROXIES} clients after {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);

    let started = Instant::now();
    let again = clients.ask("reconnect")?;
    eprintln!("{PROXIES} clients are back after {:.1} s", started.elapsed().as_secs_f64());
    let folder = plane.folder().clone();
    drop(plane);
    let plane = Plane::at(&address.to_string(), folder, &[], &[])?;
    let restarted = clients.ask("reconnect")?;
    drop(plane);
    Ok(vec![
        Figure::at_most("route edit: bytes on the wire to a proxy", number(&edit, "most"), 4096.0),
        Figure::at_most("route edit: resources to all proxies", number(&edit, "received"), PROXIES as f64),
        Figure::at_most("reconnect: resources sent", number(&again, "received"), 0.0),
        Figure::at_most("reconnect after a restart: resources sent", number(&restarted, "received"), 0.0),
    ])
}
