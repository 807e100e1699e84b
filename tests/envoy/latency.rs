//! From the edit of a file to the last ack of four real Envoys.

use super::*;

const ENVOYS: usize = 4;
const EDITS: usize = 100;

fn mesh(ports: &[u16], seconds: usize, app: u16) -> String {
    let mut text = service("web", "shop", 10, "http", &[("127.0.0.1", app, "v1")]);
    for (number, port) in ports.iter().enumerate() {
        text += &format!(
            "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge-{number}, namespace: shop}}
spec: {{selector: {{app: ingress-{number}}}, servers: [{{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ['*']}}]}}
---
"
        );
    }
    let gateways: Vec<String> = (0..ports.len()).map(|number| format!("edge-{number}")).collect();
    text + &format!(
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec: {{hosts: [web.test], gateways: [{}], http: [{{timeout: {seconds}s, route: [{{destination: {{host: web}}}}]}}]}}
",
        gateways.join(", ")
    )
}

#[test]
fn an_edit_is_live_on_four_envoys_within_milliseconds() {
    let Ok(binary) = envoy().map_err(|why| need("latency", Some(why))) else { return };
    let ports: Vec<u16> = (0..ENVOYS).map(|_| free_port()).collect();
    let app = app("web", "v1");
    let plane = Plane::start(&[("mesh.yaml", &mesh(&ports, 1, app))], &[]).unwrap();
    let mut envoys = Vec::new();
    for number in 0..ENVOYS {
        let spec = router(&format!("ingress-{number}"), plane.xds());
        envoys.push(Envoy::start(&binary, &spec, &Place::here(), &folder()).unwrap());
    }
    envoys.iter_mut().for_each(|envoy| envoy.wait_live(Duration::from_secs(20)).unwrap());
    let mut took = Vec::new();
    for round in 0..EDITS {
        let before = plane.revision().unwrap();
        let text = mesh(&ports, round + 2, app);
        let started = std::time::Instant::now();
        plane.write("mesh.yaml", &text).unwrap();
        plane.live(ENVOYS, before).unwrap();
        took.push(started.elapsed());
    }
    took.sort();
    // The second worst of a hundred: the worst is what the machine does beside.
    let (half, last) = (took[EDITS / 2], took[EDITS * 99 / 100 - 1]);
    eprintln!("edit to last ack of {ENVOYS} Envoys: p50 {half:?}, p99 {last:?} of {EDITS} edits");
    assert!(last < Duration::from_secs(1), "{took:?}");
}
