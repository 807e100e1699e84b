//! One question to a page, by whomever and however it came; and what is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use model::proxies::{Proxies, Proxy};
use serde_json::Value;
use xds::ConnectionStatus;

use super::Pages;
use super::guard::Sight;
use crate::control::View;

/// Where a proxy is not: istioctl knows this text, and asks the next replica (`istio: istioctl/pkg/multixds/gather.go`).
pub(super) const NOT_HERE: &str =
    "Proxy not connected to this Pilot instance. It may be connected to another instance.\n";
/// No proxy is named: istioctl knows this too (`istio: istioctl/pkg/internaldebug/internal-debug.go`).
const UNNAMED: &str = "You must provide a proxyID in the query string\n";

/// What stands behind the `?` of a question.
pub(super) type Args = BTreeMap<String, String>;

/// A question.
pub(super) struct Asked<'a> {
    pub(super) pages: &'a Pages,
    pub(super) sight: &'a Sight,
    pub(super) args: &'a Args,
    /// The mesh; `None` before the configuration was read.
    pub(super) view: Option<View>,
}

/// A proxy that is connected.
pub(super) struct Connected {
    pub(super) status: ConnectionStatus,
    /// What the mesh knows of it; nothing yet where it has just come.
    pub(super) proxy: Option<Arc<Proxy>>,
}

impl Connected {
    /// `name.namespace`.
    pub(super) fn name(&self) -> &str {
        self.status.client.node.split('~').nth(2).unwrap_or_default()
    }

    /// What Istio calls a connection: its proxy and a number.
    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.name(), self.status.connection)
    }

    /// Its namespace, by which it was let in.
    pub(super) fn namespace(&self) -> &str {
        match &self.proxy {
            Some(proxy) => &proxy.namespace,
            None => self.name().split_once('.').map_or("", |(_, namespace)| namespace),
        }
    }
}

impl<'a> Asked<'a> {
    pub(super) fn new(pages: &'a Pages, sight: &'a Sight, args: &'a Args) -> Self {
        Self { pages, sight, args, view: pages.control.view() }
    }

    /// The proxies that the caller may see, oldest first.
    pub(super) fn proxies(&self) -> Vec<Connected> {
        let all = self.pages.server.connections().into_iter().map(|status| {
            let proxy = self.view.as_ref().and_then(|view| view.mesh.db().input::<Proxies>(&status.connection));
            Connected { status, proxy }
        });
        let seen = |connected: &Connected| {
            let known = connected.proxy.as_ref().is_some_and(|proxy| self.sight.sees(&proxy.namespace));
            known || *self.sight == Sight::All
        };
        all.filter(seen).collect()
    }

    /// The proxy with this name, the last that connected; else one whose connection's id has this text in it.
    pub(super) fn named(&self, name: &str) -> Option<(Connected, &View)> {
        let mut proxies = self.proxies();
        let exact = proxies.iter().rposition(|connected| connected.name() == name);
        let found = exact.or_else(|| proxies.iter().position(|connected| connected.id().contains(name)))?;
        Some((proxies.swap_remove(found), self.view.as_ref()?))
    }

    /// The proxy that `proxyID` names; or what is said in its place.
    pub(super) fn proxy(&self) -> Result<(Connected, &View), Said> {
        let unnamed = || Said::text(StatusCode::BAD_REQUEST, UNNAMED);
        let name = self.args.get("proxyID").filter(|name| !name.is_empty()).ok_or_else(unnamed)?;
        self.named(name).ok_or_else(|| Said::text(StatusCode::NOT_FOUND, NOT_HERE))
    }
}

/// What a page says.
pub(super) struct Said {
    status: StatusCode,
    content: Content,
}

enum Content {
    Text(String),
    Json(Value),
}

impl Said {
    pub(super) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, content: Content::Text(text.into()) }
    }

    /// Status, type and body.
    pub(super) fn rendered(self, pretty: bool) -> Rendered {
        match self.content {
            Content::Text(text) => (self.status, "text/plain; charset=utf-8", text),
            Content::Json(value) if pretty => (self.status, "application/json", format!("{value:#}")),
            Content::Json(value) => (self.status, "application/json", value.to_string()),
        }
    }
}

/// Status, content type and body.
pub(super) type Rendered = (StatusCode, &'static str, String);

impl From<Value> for Said {
    fn from(value: Value) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(value) }
    }
}

impl From<Result<Value, Self>> for Said {
    fn from(said: Result<Value, Self>) -> Self {
        said.map_or_else(|other| other, Self::from)
    }
}
