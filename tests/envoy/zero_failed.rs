//! No request fails while routes, subsets and endpoints change. The control run switches the order of pushes off and must fail, or the
//! test would prove nothing.

use super::*;

/// Edits during the load.
const EDITS: usize = 100;

fn mesh(port: u16, first: u16, second: u16, round: usize) -> String {
    // Each round routes to a subset of another name, and swaps which endpoint there is: cluster, endpoints and route all change.
    let subset = format!("s{round}");
    let (port_of, version) = if round.is_multiple_of(2) { (first, "v1") } else { (second, "v2") };
    let other = if round.is_multiple_of(2) { second } else { first };
    service("web", "shop", 10, "http2", &[("127.0.0.1", port_of, version), ("127.0.0.1", other, "other")])
        + &gateway(port)
        + &format!(
            "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec: {{host: web, subsets: [{{name: {subset}, labels: {{version: {version}}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [web.test]
  gateways: [edge]
  http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: web, subset: {subset}}}}}]}}]
"
        )
}

/// The failures under load while edits go on.
fn failures(binary: &std::path::Path, flags: &[&str], seconds: u64) -> anyhow::Result<bed::load::Outcome> {
    let (first, second, port) = (app("web", "v1"), app("web", "v2"), free_port());
    let bed = Bed::start(binary, &[("mesh.yaml", &mesh(port, first, second, 0))], port, true, flags)?;
    eventually("the first answer", Duration::from_secs(10), || bed.version("web.test", "/", &[]))?;
    let plan = bed::load::Plan {
        address: bed.gateway,
        host: "web.test".into(),
        rate: 100,
        time: Duration::from_secs(seconds),
    };
    let load = std::thread::spawn(move || bed::load::run(&plan));
    let pace = Duration::from_secs(seconds) / u32::try_from(EDITS + 5)?;
    for round in 1..=EDITS {
        let started = std::time::Instant::now();
        let before = bed.plane.revision()?;
        bed.plane.write("mesh.yaml", &mesh(port, first, second, round))?;
        bed.plane.live(1, before)?;
        std::thread::sleep(pace.saturating_sub(started.elapsed()));
    }
    load.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
}

/// How long load goes on: 20 s, or what `MELTEMI_LOAD_SECONDS` says.
pub(super) fn seconds() -> u64 {
    let asked = std::env::vars().find(|(name, _)| name == "MELTEMI_LOAD_SECONDS");
    asked.and_then(|(_, value)| value.parse().ok()).unwrap_or(20)
}

#[test]
fn zero_failed_requests_while_everything_changes() {
    let Ok(binary) = envoy().map_err(|why| need("zero failed", Some(why))) else { return };
    let seconds = seconds();
    let ordered = failures(&binary, &[], seconds).unwrap();
    eprintln!("ordered: {ordered:?}");
    let unordered = failures(&binary, &["--unordered"], seconds.min(20)).unwrap();
    eprintln!("unordered: {unordered:?}");
    assert_eq!(ordered.failures(), 0, "{:?}", ordered.failed);
    assert!(ordered.sent >= 200 * seconds, "{} requests in {seconds} s", ordered.sent);
    assert!(unordered.failures() > 0, "without the order nothing failed, so this test proves nothing");
}
