//! What stands around a real Envoy on loopback: ports, an application behind it, and what it is to be as a gateway.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use bed::app::App;
use bed::envoy::Spec;

/// A port that is free now.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// An application that says its name and version; its port.
#[must_use]
pub fn app(name: &str, version: &str) -> u16 {
    let port = free_port();
    let app = App { name: name.to_owned(), version: version.to_owned(), calls: Vec::new() };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(app.serve((Ipv4Addr::LOCALHOST, port).into()))
    });
    port
}

/// A gateway in the control plane's namespace, labelled with its name.
#[must_use]
pub fn router(pod: &str, xds: SocketAddr) -> Spec {
    Spec {
        pod: pod.to_owned(),
        namespace: "istio-system".to_owned(),
        kind: "router",
        address: Ipv4Addr::LOCALHOST.into(),
        labels: vec![("app".to_owned(), pod.to_owned())],
        interception: "REDIRECT",
        xds,
        delta: true,
        admin: (Ipv4Addr::LOCALHOST, free_port()).into(),
    }
}
