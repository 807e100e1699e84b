//! Requests find their way by Ingresses: an exact path, a prefix by whole parts, and default backends; an Ingress of somebody else routes
//! nothing.

use super::*;

const GATEWAY: [u8; 4] = [127, 0, 0, 5];

/// A prefix and an exact path lead to `paid`, everything else to `rest`; other Ingresses of the host are of this class.
fn ingresses(class: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: mesh}}
spec: {{controller: istio.io/ingress-controller}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop, namespace: shop}}
spec:
  ingressClassName: mesh
  defaultBackend: {{service: {{name: rest, port: {{number: 80}}}}}}
  rules:
  - host: shop.test
    http:
      paths:
      - {{path: /pay/, pathType: Prefix, backend: {{service: {{name: paid, port: {{name: http}}}}}}}}
      - {{path: /card, pathType: Exact, backend: {{service: {{name: paid, port: {{number: 80}}}}}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: inner, namespace: shop, annotations: {{kubernetes.io/ingress.class: {class}}}}}
spec:
  rules:
  - host: shop.test
    http:
      paths:
      - {{path: /pay/later, pathType: Prefix, backend: {{service: {{name: rest, port: {{number: 80}}}}}}}}
"
    )
}

#[test]
fn exact_paths_prefixes_and_default_backends_lead_where_ingresses_say() {
    let Ok(binary) = envoy().map_err(|why| need("Ingresses", Some(why))) else { return };
    for delta in [true, false] {
        let port = free_port();
        let to = |name: &str, last| service(name, "shop", last, "http", &[("127.0.0.1", app(name, name), "v1")]);
        let front = service("istio-ingressgateway", "istio-system", 2, "http", &[("127.0.0.5", port, "v1")]);
        let mesh = front + &to("paid", 10) + &to("rest", 11);
        let plane = Plane::start(&[("mesh.yaml", &mesh), ("ingresses.yaml", &ingresses("istio"))], &[]).unwrap();
        let spec = Spec {
            pod: "edge".into(),
            namespace: "istio-system".into(),
            kind: "router",
            address: GATEWAY.into(),
            labels: vec![("istio".into(), "ingressgateway".into())],
            interception: "REDIRECT",
            xds: plane.xds(),
            delta,
            admin: ([127, 0, 0, 1], free_port()).into(),
        };
        let mut envoy = Envoy::start(&binary, &spec, &Place::here(), &folder()).unwrap();
        envoy.wait_live(Duration::from_secs(20)).unwrap();
        let bed = Bed { plane, envoy, gateway: ([127, 0, 0, 1], port).into() };
        let by = |host: &str, path: &str| bed.version(host, path, &[]).unwrap();
        eventually("an answer", Duration::from_secs(20), || bed.version("shop.test", "/", &[])).unwrap();
        for (host, path, who) in [
            ("shop.test", "/", "rest"),
            ("shop.test", "/pay", "paid"),
            ("shop.test", "/pay/now?a=b", "paid"),
            ("shop.test", "/pay/later", "rest"),
            ("shop.test", "/pay/later/on", "rest"),
            ("shop.test", "/pay/lately", "paid"),
            ("shop.test", "/payment", "rest"),
            ("shop.test", "/card", "paid"),
            ("shop.test", "/card/", "rest"),
            ("other.test", "/card", "rest"),
        ] {
            assert_eq!(by(host, path), who, "{host}{path}, delta {delta}");
        }
        let before = bed.plane.revision().unwrap();
        bed.plane.write("ingresses.yaml", &ingresses("other")).unwrap();
        bed.plane.live(1, before).unwrap();
        assert_eq!(by("shop.test", "/pay/later"), "paid", "an acked edit is live");
        let before = bed.plane.revision().unwrap();
        bed.plane.write("ingresses.yaml", &ingresses("other").replace("istio.io/", "example.com/")).unwrap();
        bed.plane.live(1, before).unwrap();
        eventually("the port to be closed", Duration::from_secs(20), || {
            ensure!(bed.get("shop.test", "/", &[]).is_err(), "somebody answers");
            Ok(())
        })
        .unwrap();
        assert_eq!(bed.envoy.stat("listener_manager.lds.update_rejected").unwrap(), 0);
    }
}
