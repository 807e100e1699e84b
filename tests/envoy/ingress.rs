//! Requests find their way by Ingresses: an exact path, a prefix by whole parts, and default backends; an Ingress of somebody else routes
//! nothing.

use std::net::Ipv4Addr;
use std::path::Path;

use bed::net;

use super::ground::{Ground, handshake};
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
        let labels = vec![("istio".into(), "ingressgateway".into())];
        let spec = Spec { address: GATEWAY.into(), labels, delta, ..router("edge", plane.xds()) };
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

const EDGE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 13);
const WEB: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 11);

/// A gateway in `shop`, and an Ingress in `yard` that names a Secret: there is one in each namespace.
fn secured(secrets: &[(&str, &str, &str)]) -> String {
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let secrets = secrets.iter().map(|(namespace, certificate, key)| {
        format!(
            "---
apiVersion: v1
kind: Secret
metadata: {{name: web, namespace: {namespace}}}
stringData:
  tls.crt: |
{}  tls.key: |
{}",
            indent(certificate),
            indent(key)
        )
    });
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: istio-ingressgateway, namespace: shop}}
spec: {{clusterIP: 10.96.0.2, selector: {{istio: ingressgateway}}, ports: [{{name: https, port: 443, targetPort: 8443}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: yard}}
spec: {{clusterIP: 10.96.0.10, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, namespace: yard, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
endpoints: [{{addresses: [{WEB}]}}]
ports: [{{name: http, port: 8080}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, namespace: yard, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  tls: [{{hosts: [web.shop], secretName: web}}]
  rules: [{{host: web.shop, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{name: http}}}}}}}}]}}}}]
{}",
        secrets.collect::<String>()
    )
}

#[test]
fn the_certificate_of_an_ingress_is_that_of_the_gateways_namespace() {
    if !need("TLS of Ingresses", envoy().err().or_else(net::obstacle)) {
        return;
    }
    let [shop, yard] = ["in-shop.test", "in-yard.test"].map(|name| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    });
    let mesh = secured(&[("shop", &shop.0, &shop.1), ("yard", &yard.0, &yard.1)]);
    let ground = Ground::start(&[("mesh.yaml", &mesh)], &[], "1h");
    let edge = ground.gateway(("edge-1", "other", EDGE), &[("istio", "ingressgateway")]);
    let place = ground.network.pod("web-1", WEB, false).unwrap();
    let _app = ground.app(&place, ("web", "v1"), (WEB, 8080).into());
    let said = eventually("an answer over TLS", Duration::from_secs(30), || {
        let openssl = ground.network.node().command(Path::new("openssl"));
        let said = handshake(openssl, (EDGE, 8443).into(), &["-servername", "web.shop"])?;
        ensure!(said.contains("HTTP/1.1 200"), "{said}\n{}", std::fs::read_to_string(&edge.log).unwrap_or_default());
        Ok(said)
    })
    .unwrap();
    assert!(said.contains("DNS:in-shop.test") && !said.contains("in-yard"), "{said}");
    let openssl = ground.network.node().command(Path::new("openssl"));
    assert!(
        handshake(openssl, (EDGE, 8443).into(), &["-servername", "other.shop"]).is_err(),
        "a host without certificate"
    );
}
