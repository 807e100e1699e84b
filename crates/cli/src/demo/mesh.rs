//! The demo's mesh: which workloads there are, and the YAML that describes them.

use std::net::{Ipv4Addr, SocketAddr};

use super::LOOPBACK;

pub(super) const NAMESPACE: &str = "demo";
/// What clients outside call.
pub(super) const HOST: &str = "shop.demo.test";

/// One workload.
pub(super) struct Workload {
    pub(super) pod: String,
    pub(super) app: String,
    pub(super) version: String,
    pub(super) address: Ipv4Addr,
    /// Where the application listens; none for the gateway.
    pub(super) port: Option<u16>,
    pub(super) calls: Vec<String>,
}

impl Workload {
    /// Its pod and its endpoint.
    fn objects(&self, mutual: bool) -> String {
        // What injection writes where there is a sidecar.
        let speaks = if mutual { ", security.istio.io/tlsMode: istio" } else { "" };
        let (pod, app, version, address) = (&self.pod, &self.app, &self.version, self.address);
        let port = self.port.unwrap_or_default();
        format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: {pod}, namespace: {NAMESPACE}, labels: {{app: {app}, version: {version}{speaks}}}}}
spec: {{serviceAccountName: {app}}}
status: {{podIP: {address}, phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {pod}, namespace: {NAMESPACE}, labels: {{kubernetes.io/service-name: {app}}}}}
addressType: IPv4
endpoints: [{{addresses: [{address}], conditions: {{ready: true}}, targetRef: {{kind: Pod, name: {pod}}}}}]
ports: [{{name: http, port: {port}}}]
---
"
        )
    }

    pub(super) fn is_gateway(&self) -> bool {
        self.port.is_none()
    }
}

/// Addresses and ports.
pub(super) struct Layout {
    pub(super) control: Ipv4Addr,
    pub(super) xds_port: u16,
    pub(super) secure_port: u16,
    pub(super) pages_port: u16,
    namespaces: bool,
}

const GATEWAY_PORT: u16 = 8080;
const APP_PORT: u16 = 9080;

impl Layout {
    /// Each workload in a namespace.
    pub(super) fn namespaces() -> Self {
        Self {
            control: Ipv4Addr::new(10, 77, 0, 1),
            xds_port: 15010,
            secure_port: 15012,
            pages_port: 15014,
            namespaces: true,
        }
    }

    /// Everything on loopback, on ports that are unlikely to be taken.
    pub(super) fn loopback() -> Self {
        Self { control: LOOPBACK, xds_port: 25010, secure_port: 25012, pages_port: 25014, namespaces: false }
    }

    /// Where the gateway listens.
    pub(super) fn gateway(&self) -> SocketAddr {
        if self.namespaces { (Ipv4Addr::new(10, 77, 0, 2), GATEWAY_PORT).into() } else { (LOOPBACK, 28080).into() }
    }

    /// Where the gateway's admin page is on loopback.
    pub(super) fn admin(&self) -> SocketAddr {
        (LOOPBACK, 25000).into()
    }

    pub(super) fn workloads(&self) -> Vec<Workload> {
        let workload = |app: &str, version: &str, last: u8, calls: &[&str]| Workload {
            pod: if version.is_empty() { app.to_owned() } else { format!("{app}-{version}") },
            app: app.to_owned(),
            version: version.to_owned(),
            address: if self.namespaces { Ipv4Addr::new(10, 77, 0, last) } else { LOOPBACK },
            port: Some(if self.namespaces { APP_PORT } else { 29000 + u16::from(last) }),
            calls: calls.iter().map(ToString::to_string).collect(),
        };
        let gateway = Workload { port: None, ..workload("ingress", "", 2, &[]) };
        if !self.namespaces {
            return vec![workload("reviews", "v1", 21, &[]), workload("reviews", "v2", 22, &[]), gateway];
        }
        vec![
            workload("front", "v1", 11, &["reviews:9080=10.96.0.12:9080"]),
            workload("reviews", "v1", 21, &["ratings:9080=10.96.0.13:9080"]),
            workload("reviews", "v2", 22, &["ratings:9080=10.96.0.13:9080"]),
            workload("ratings", "v1", 31, &[]),
            gateway,
        ]
    }

    /// Services, endpoints, gateway, subsets: everything but the canary.
    pub(super) fn services(&self) -> String {
        let mut text = String::new();
        for (app, vip) in [("front", 11), ("reviews", 12), ("ratings", 13)] {
            text += &format!(
                "apiVersion: v1
kind: Service
metadata: {{name: {app}, namespace: {NAMESPACE}}}
spec: {{clusterIP: 10.96.0.{vip}, selector: {{app: {app}}}, ports: [{{name: http, port: {APP_PORT}}}]}}
---
"
            );
        }
        self.workloads()
            .iter()
            .filter(|workload| !workload.is_gateway())
            .for_each(|workload| text += &workload.objects(self.namespaces));
        text + &self.rules()
    }

    /// Gateway, subsets, and what the gateway routes.
    fn rules(&self) -> String {
        let mut text = String::new();
        let gateway_port = self.gateway().port();
        // On loopback there are no sidecars, so there is nobody to speak mutual TLS with.
        let mode = if self.namespaces { "STRICT" } else { "DISABLE" };
        let (entry, destination) = if self.namespaces { ("front", "front") } else { ("", "") };
        text += &format!(
            "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: {NAMESPACE}}}
spec:
  selector: {{app: ingress}}
  servers: [{{port: {{number: {gateway_port}, name: http, protocol: HTTP}}, hosts: [{HOST}]}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec: {{mtls: {{mode: {mode}}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: {NAMESPACE}}}
spec:
  host: reviews
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
"
        );
        if !entry.is_empty() {
            text += &format!(
                "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {entry}, namespace: {NAMESPACE}}}
spec:
  hosts: [{HOST}]
  gateways: [edge]
  http: [{{route: [{{destination: {{host: {destination}}}}}]}}]
"
            );
        }
        text
    }

    /// A workload that takes mutual TLS only; none on loopback.
    pub(super) fn protected(&self) -> Option<SocketAddr> {
        let reviews = |workload: &Workload| workload.app == "reviews";
        let found = self.workloads().into_iter().find(reviews).filter(|_| self.namespaces)?;
        Some((found.address, found.port?).into())
    }

    /// What the token of a workload's service account is.
    pub(super) fn token(app: &str) -> String {
        format!("token-of-the-demo-for-{app}")
    }

    /// The proxy and the virtual host in which the canary is seen.
    pub(super) fn asked(&self) -> (String, String) {
        if self.namespaces {
            (format!("front-v1.{NAMESPACE}"), format!("{APP_PORT}/reviews.{NAMESPACE}.svc.cluster.local:{APP_PORT}"))
        } else {
            let port = self.gateway().port();
            (format!("ingress.{NAMESPACE}"), format!("http.{port}/{HOST}:{port}"))
        }
    }

    /// The canary: the one file that is edited.
    pub(super) fn canary(&self, v1: u32, v2: u32) -> String {
        let bound = if self.namespaces {
            "hosts: [reviews]".to_owned()
        } else {
            format!("hosts: [{HOST}]\n  gateways: [edge]")
        };
        format!(
            "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: {NAMESPACE}}}
spec:
  {bound}
  http:
  - route:
    - destination: {{host: reviews, subset: v1}}
      weight: {v1}
    - destination: {{host: reviews, subset: v2}}
      weight: {v2}
"
        )
    }
}
