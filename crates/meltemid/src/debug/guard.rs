//! Who may see the debug pages: this machine itself, where port-forwards come from too; identities of the control plane's namespace; and others
//! what is about proxies of their own namespace (`istio: pilot/pkg/xds/debug.go`).

use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use tokio::net::TcpListener;

use super::{Args, Pages};
use crate::callers::Peer;

/// Pages about one proxy, which its namespace may see.
const OWN: [&str; 2] = ["/debug/config_dump", "/debug/why"];

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    peer: SocketAddr,
    here: Option<SocketAddr>,
}

impl Ends {
    #[cfg(test)]
    pub(super) fn new(peer: SocketAddr, here: SocketAddr) -> Self {
        Self { peer, here: Some(here) }
    }

    /// Whether the other side is on this machine: it comes over loopback, or from the very address that it asked.
    fn is_local(self) -> bool {
        let peer = self.peer.ip().to_canonical();
        peer.is_loopback() || self.here.is_some_and(|here| here.ip().to_canonical() == peer)
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Ends {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self { peer: *stream.remote_addr(), here: stream.io().local_addr().ok() }
    }
}

/// Lets a request pass, or says why not.
pub(super) async fn guard(
    State(pages): State<Pages>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    Query(args): Args,
    request: Request,
    next: Next,
) -> Response {
    if ends.is_local() {
        return next.run(request).await;
    }
    let Some(secure) = &pages.secure else {
        let why = "debug pages are for this machine: without an authority nobody else has an identity\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    };
    let Some(view) = pages.control.view() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the configuration was not read yet\n").into_response();
    };
    // The port speaks no TLS, so there is no certificate to go by.
    let peer = Peer { certified: Vec::new(), address: Some(ends.peer.ip().to_canonical()) };
    let headers = request.headers().clone();
    let proven = secure.callers.authenticate(&peer, &headers, &view.mesh.trust_domain()).await;
    let Ok(proven) = proven else {
        return (StatusCode::UNAUTHORIZED, "show a token of a service account: Authorization: Bearer …\n")
            .into_response();
    };
    let root = &view.mesh.base().root_namespace;
    let path = request.uri().path().to_owned();
    let own = |namespace: &str| {
        let about = args.get("proxyID").and_then(|proxy| proxy.split_once('.')).map(|(_, of)| of);
        OWN.contains(&path.as_str()) && about == Some(namespace)
    };
    if proven.identities.iter().any(|identity| identity.namespace == *root || own(&identity.namespace)) {
        return next.run(request).await;
    }
    let why =
        format!("only identities of {root} may see this; others {} of proxies in their namespace\n", OWN.join(", "));
    (StatusCode::FORBIDDEN, why).into_response()
}
