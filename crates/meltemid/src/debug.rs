//! Readiness, metrics and debug pages, and which of them are at which port.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use names::Name;
use tokio::sync::Semaphore;
use xds::Server;

use crate::control::Control;
use crate::metrics::{self, Measured};
use crate::start::Start;

mod asked;
mod clients;
mod dump;
mod guard;
mod injector;
mod inquiries;
mod ledger;
mod objects;
mod pages;
mod push;
mod registry;
mod state;
mod sync;
mod why;

pub(crate) use guard::Ends;
pub(crate) use inquiries::Entrance;

use asked::Args;

/// What the pages show.
#[derive(Clone)]
pub struct Pages {
    /// The mesh.
    pub control: Control,
    /// The streams.
    pub server: Server,
    /// The secured port, if there is one.
    pub(crate) secure: Option<crate::secure::Secure>,
    /// What answers webhooks, if something does.
    pub(crate) admission: Option<crate::admission::Admission>,
    /// What has to be so before it is ready, where a cluster is served.
    pub(crate) start: Option<crate::start::Start>,
    /// When each kind was last heard of there.
    pub(crate) heard: Option<kubernetes::Heard>,
    /// Which replica this is.
    pub(crate) replica: Arc<str>,
    /// Namespaces whose identities see everything, besides the control plane's.
    pub(crate) seers: Arc<[Name]>,
    /// There are pages that do something.
    pub(crate) unsafe_pages: bool,
    /// Putting a page together is work, and may take memory: only some are at a time.
    pub(crate) desks: Arc<Semaphore>,
}

/// Debug pages that are put together at a time.
pub(crate) const DESKS: usize = 2;

impl Pages {
    /// Does what a page takes, away from the streams.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
        let _desk = self.desks.acquire().await?;
        Ok(tokio::task::spawn_blocking(work).await?)
    }
}

/// All pages. Those about the mesh are not for everybody.
pub fn router(pages: Pages) -> Router {
    let counted = Router::new().route("/metrics", get(prometheus)).route("/version", get(|| async { VERSION }));
    counted.with_state(pages.clone()).merge(beside(pages))
}

/// Readiness, and the pages about the mesh by the same rule (`istio: pilot/pkg/bootstrap/server.go initIstiodAdminServer`).
pub fn beside(pages: Pages) -> Router {
    Router::new()
        .route("/ready", get(ready))
        .route("/debug", get(index))
        .route("/debug/", get(index))
        .route("/debug/{*page}", get(page))
        .with_state(pages)
}

/// The version, as it is in everything that names it.
const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// What stands where Istio has its commit.
const COMMIT: &str = "meltemi";
/// In the form in which Kiali reads it: version, commit, state of the checkout.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-meltemi-Clean\n");

/// A debug page.
async fn page(
    State(pages): State<Pages>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    (Path(name), Query(args)): (Path<String>, Query<Args>),
    headers: HeaderMap,
) -> Response {
    let sight = match guard::sight(&pages, ends, &headers).await {
        Ok(sight) => sight,
        Err(refusal) => return refusal,
    };
    let shown = pages.clone();
    match pages.work(move || pages::ask(&shown, &sight, &name, &args)).await {
        Ok((status, kind, body)) => (status, [(CONTENT_TYPE, kind)], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

/// What there is, for a browser.
async fn index(
    State(pages): State<Pages>,
    ConnectInfo(ends): ConnectInfo<Ends>,
    headers: HeaderMap,
) -> Result<Html<String>, Response> {
    guard::sight(&pages, ends, &headers).await.map(|_| Html(pages::index(&pages)))
}

async fn ready(State(pages): State<Pages>) -> Response {
    let start = pages.start.as_ref();
    let obstacle = match pages.control.view() {
        Some(_) => start.and_then(Start::obstacle),
        None => {
            let what = start.and_then(Start::awaited).map(|awaited| format!(": {awaited}")).unwrap_or_default();
            Some(format!("the configuration was not read yet{what}"))
        }
    };
    match obstacle {
        None => (StatusCode::OK, format!("ready\n{}", degraded(start))).into_response(),
        Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, format!("{obstacle}\n")).into_response(),
    }
}

/// Kinds that stay as they were last seen, a line each.
fn degraded(start: Option<&Start>) -> String {
    let trouble = start.map(Start::trouble).unwrap_or_default();
    trouble.iter().map(|(kind, why)| format!("{} is not seen now: {why}\n", kind.name())).collect()
}

async fn prometheus(State(pages): State<Pages>) -> Response {
    let measured = Measured {
        control: &pages.control,
        server: &pages.server,
        secure: pages.secure.as_ref(),
        admission: pages.admission.as_ref(),
        start: pages.start.as_ref(),
        heard: pages.heard.as_ref(),
    };
    match metrics::text(&measured) {
        Ok(text) => text.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests;
