//! Ingresses on a cluster: applied with kubectl they are served by a gateway, and their status says where.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use bed::cluster::{Cluster, Options};
use bed::envoy::{Envoy, Spec};
use bed::net::Place;
use bed::process::eventually;
use serde_json::{Value, json};
use tests::edge::{app, free_port, router};
use tests::need;
use tests::plane::{PLAIN, folder};

use super::replicas::version;
use super::rights::as_shipped;
use super::tools;
use super::writers::{object, plane, writes};

const PATIENCE: Duration = Duration::from_secs(60);

/// Two Ingresses of two classes; what is behind them is at a port of loopback, which only a ServiceEntry can say.
fn mesh(port: u16) -> String {
    format!(
        "{PLAIN}---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: web, namespace: default}}
spec:
  hosts: [web.default.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {port}}}}}]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: mesh}}
spec: {{controller: istio.io/ingress-controller}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: other}}
spec: {{controller: example.com/other}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: shop, namespace: default}}
spec:
  ingressClassName: mesh
  rules: [{{host: web.test, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: theirs, namespace: default}}
spec:
  ingressClassName: other
  defaultBackend: {{service: {{name: web, port: {{number: 80}}}}}}
"
    )
}

/// Gives the Service in front of the gateways a load balancer.
fn balance(cluster: &Cluster, places: &Value) {
    let status = json!({ "status": { "loadBalancer": { "ingress": places } } }).to_string();
    let patch = ["patch", "service/istio-ingressgateway", "-n", "istio-system", "--subresource=status"];
    cluster.kubectl(&[&patch[..], &["--type=merge", "-p", &status]].concat()).unwrap();
}

fn says(cluster: &Cluster, name: &str, wanted: &Value) {
    eventually(name, PATIENCE, || {
        let found = object(cluster, &format!("ingress/{name}"), "default")?;
        let said = &found["status"]["loadBalancer"]["ingress"];
        ensure!(said == wanted, "{said}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_ingress_is_served_and_says_where() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let envoy = bed::envoy::binary(Some(&root.join(".cache/envoy/envoy"))).map_err(|error| error.to_string());
    if !need("an Ingress on a cluster", tools().err().or(envoy.as_ref().err().cloned())) {
        return;
    }
    let cluster = Cluster::start(Options::new(tools().unwrap())).unwrap();
    let objects = install::objects(&install::Values::profile("default").unwrap());
    cluster.apply(&install::yaml(&objects).unwrap()).unwrap();
    let port = free_port();
    let ports = json!({ "spec": { "ports": [{ "name": "http2", "port": 80, "targetPort": port }] } }).to_string();
    let patch = ["patch", "service/istio-ingressgateway", "-n", "istio-system", "--type=merge", "-p", &ports];
    cluster.kubectl(&patch).unwrap();
    balance(&cluster, &json!([{ "ip": "192.0.2.7" }]));
    let config = as_shipped(&cluster).unwrap();
    let replicas = [plane(&config, "istiod-1", &[]), plane(&config, "istiod-2", &[])];
    replicas.iter().for_each(|replica| replica.ready(PATIENCE).unwrap());

    cluster.apply(&mesh(app("web", "v1"))).unwrap();
    says(&cluster, "shop", &json!([{ "ip": "192.0.2.7" }]));
    let found = object(&cluster, "ingress/shop", "default").unwrap();
    let managers = found["metadata"]["managedFields"].as_array().unwrap();
    let ours = managers.iter().find(|entry| entry["manager"] == "meltemi-ingress").unwrap();
    assert_eq!((&ours["operation"], &ours["subresource"]), (&json!("Apply"), &json!("status")));

    let gateway = SocketAddr::from(([127, 0, 0, 1], port));
    let labels = [("app", "istio-ingressgateway"), ("istio", "ingressgateway")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let spec = Spec { labels, ..router("edge", replicas[0].xds()) };
    let mut proxy = Envoy::start(&envoy.unwrap(), &spec, &Place::here(), &folder()).unwrap();
    proxy.wait_live(PATIENCE).unwrap();
    eventually("an answer over the Ingress", PATIENCE, || {
        let by = version(gateway)?;
        ensure!(by == "v1", "{by}");
        Ok(())
    })
    .unwrap();

    // Another load balancer, and then the Ingress is somebody else's.
    balance(&cluster, &json!([{ "hostname": "lb.example.com" }, { "ip": "192.0.2.8" }]));
    says(&cluster, "shop", &json!([{ "ip": "192.0.2.8" }, { "hostname": "lb.example.com" }]));
    let class = r#"{"spec":{"ingressClassName":"other"}}"#;
    cluster.kubectl(&["patch", "ingress/shop", "--type=merge", "-p", class]).unwrap();
    says(&cluster, "shop", &Value::Null);
    eventually("nothing to be served", PATIENCE, || {
        ensure!(bed::http::get(gateway, "web.test", "/", &[]).is_err(), "somebody answers");
        Ok(())
    })
    .unwrap();
    assert_eq!((writes(&cluster, "shop"), writes(&cluster, "theirs")), (3, 0), "each word once, by one replica");
}
