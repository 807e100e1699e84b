//! Who may see the debug pages, over HTTP and over discovery alike: this machine itself, where port-forwards come from too; identities of the
//! control plane's namespace; and others what is about proxies of their own namespace (`istio: pilot/pkg/xds/debug.go AuthorizeDebugRequest`).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::IncomingStream;
use names::{Name, SpiffeId};
use tokio::net::TcpListener;

use super::Pages;
use crate::callers::Peer;

/// Pages about one proxy, which its namespace may see (`istio: pilot/pkg/xds/debuggen.go activeNamespaceDebuggers`).
const OWN: [&str; 3] = ["config_dump", "edsz", "ndsz"];

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

/// What somebody may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// Everything.
    All,
    /// Some pages, and on them the proxies of these namespaces.
    Own(BTreeSet<Name>),
}

impl Sight {
    /// What these identities give.
    pub(super) fn of(identities: &[SpiffeId], root: &Name, seers: &[Name]) -> Self {
        if identities.iter().any(|identity| identity.namespace == *root || seers.contains(&identity.namespace)) {
            return Self::All;
        }
        Self::Own(identities.iter().map(|identity| identity.namespace.clone()).collect())
    }

    /// Whether a page may be asked for.
    pub(super) fn allows(&self, page: &str) -> bool {
        match self {
            Self::All => true,
            Self::Own(_) => OWN.contains(&page),
        }
    }

    /// Whether proxies of a namespace may be seen.
    pub(super) fn sees(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Own(namespaces) => namespaces.contains(namespace),
        }
    }
}

/// Why a page is refused.
pub(super) fn refusal(pages: &Pages) -> String {
    let root = pages.control.view().map(|view| view.mesh.base().root_namespace.clone()).unwrap_or_default();
    format!("only identities of {root} may see this; others {} of proxies in their namespace\n", OWN.join(", "))
}

/// What the caller of a page may see; or the answer in its place.
pub(super) async fn sight(pages: &Pages, ends: Ends, headers: &HeaderMap) -> Result<Sight, Response> {
    if ends.is_local() {
        return Ok(Sight::All);
    }
    let Some(secure) = &pages.secure else {
        let why = "debug pages are for this machine: without an authority nobody else has an identity\n";
        return Err((StatusCode::FORBIDDEN, why).into_response());
    };
    let Some(view) = pages.control.view() else {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "the configuration was not read yet\n").into_response());
    };
    // The port speaks no TLS, so there is no certificate to go by.
    let peer = Peer { certified: Vec::new(), address: Some(ends.peer.ip().to_canonical()) };
    match secure.callers.authenticate(&peer, headers, &view.mesh.trust_domain()).await {
        Ok(proven) => Ok(Sight::of(&proven.identities, &view.mesh.base().root_namespace, &pages.seers)),
        Err(_) => {
            let why = "show a token of a service account: Authorization: Bearer …\n";
            Err((StatusCode::UNAUTHORIZED, why).into_response())
        }
    }
}
