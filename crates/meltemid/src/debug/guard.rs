//! Who may see the debug pages: this machine itself, where port-forwards come from; identities of the control plane's namespace; and others
//! what is about proxies of their own namespace (`istio: pilot/pkg/xds/debug.go`).

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Args, Pages};
use crate::callers::Peer;

/// Pages about one proxy, which its namespace may see.
const OWN: [&str; 2] = ["/debug/config_dump", "/debug/why"];

/// Lets a request pass, or says why not.
pub(super) async fn guard(
    State(pages): State<Pages>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    Query(args): Args,
    request: Request,
    next: Next,
) -> Response {
    let here = address.ip().to_canonical();
    if here.is_loopback() {
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
    let peer = Peer { certified: Vec::new(), address: Some(here) };
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
