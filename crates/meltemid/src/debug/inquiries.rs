//! The pages over discovery, as istioctl asks for them on the secured port: one of them by its name (`istio.io/debug`), the state of all
//! proxies (`istio.io/debug/syncz`), what one of them is to have (`istio.io/debug/config_dump`). Who may ask for what is the guard's rule, by
//! the identity of the caller alone. Source: istio: pilot/pkg/xds/debuggen.go, statusgen.go, xdsgen.go.

use axum::extract::Query;
use axum::http::{HeaderMap, Request, Uri};
use hyper::body::Incoming;
use prost_types::Any;
use serde_json::json;
use tokio::net::TcpStream;
use tonic::Status;
use xds::grpc::Answer;
use xds::{Caller, Door, Inquiry, Reply};

use super::asked::{Args, Asked, NOT_HERE};
use super::dump::Dump;
use super::guard::Sight;
use super::{Pages, pages, sync};
use crate::callers::Peer;
use crate::secure::Secure;

const PAGE: &str = "istio.io/debug";
const SYNC: &str = "istio.io/debug/syncz";
const DUMP: &str = "istio.io/debug/config_dump";

/// The secured port, at which callers may ask for pages too.
#[derive(Clone)]
pub(crate) struct Entrance {
    secure: Secure,
    pages: Pages,
}

impl Entrance {
    pub(crate) fn new(secure: Secure, pages: Pages) -> Self {
        Self { secure, pages }
    }
}

impl Door for Entrance {
    type Io = <Secure as Door>::Io;
    type Peer = Peer;

    async fn admit(&self, socket: TcpStream) -> Option<(Self::Io, Peer)> {
        self.secure.admit(socket).await
    }

    async fn caller(&self, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Status> {
        self.secure.caller(peer, headers).await
    }

    async fn told(&self, caller: &Caller, inquiry: Inquiry) -> Result<Reply, Status> {
        let Caller::Known(identities) = caller else {
            return Err(Status::unauthenticated("authentication required"));
        };
        let Some(view) = self.pages.control.view() else {
            return Err(Status::unavailable("the configuration was not read yet"));
        };
        let sight = Sight::of(identities, &view.mesh.base().root_namespace, &self.pages.seers);
        if inquiry.kind == PAGE
            && let [name] = inquiry.names.as_slice()
            && !sight.allows(page_of(name))
        {
            let all: Vec<String> = identities.iter().map(ToString::to_string).collect();
            let why = format!("the debug info is not available for current identity: {:?}", all.join(", "));
            return Err(Status::permission_denied(why));
        }
        let pages = self.pages.clone();
        let working = self.pages.work(move || reply(&pages, &sight, &inquiry));
        working.await.map_err(|_| Status::unavailable("shutting down"))?
    }

    async fn other(&self, peer: &Peer, request: Request<Incoming>) -> Answer {
        self.secure.other(peer, request).await
    }
}

/// The page of `page?argument=…`.
fn page_of(name: &str) -> &str {
    name.split_once('?').map_or(name, |(page, _)| page)
}

fn arguments(name: &str) -> Result<Args, Status> {
    let senseless = || Status::invalid_argument(format!("{name:?} is not PAGE?ARGUMENT=…"));
    let uri: Uri = format!("/debug/{name}").parse().map_err(|_| senseless())?;
    let Query(args) = Query::<Args>::try_from_uri(&uri).map_err(|_| senseless())?;
    Ok(args)
}

fn reply(pages: &Pages, sight: &Sight, inquiry: &Inquiry) -> Result<Reply, Status> {
    let one = || match inquiry.names.as_slice() {
        [name] => Ok(name),
        _ => Err(Status::invalid_argument("exactly one debug request is required")),
    };
    let none = Args::new();
    let resources = match inquiry.kind.as_str() {
        PAGE => {
            let name = one()?;
            let (_, _, body) = pages::ask(pages, sight, page_of(name), &arguments(name)?);
            vec![(name.clone(), Any { type_url: PAGE.to_owned(), value: body.into_bytes() })]
        }
        SYNC => {
            let proxies = Asked::new(pages, sight, &none).proxies();
            proxies.iter().map(|proxy| (proxy.name().to_owned(), proto::any(&sync::client_config(proxy)))).collect()
        }
        DUMP => {
            let name = one()?;
            match Asked::new(pages, sight, &none).named(name) {
                Some((connected, view)) => {
                    let messages = Dump::of(view, &connected, false).messages();
                    messages.into_iter().map(|any| (any.type_url.clone(), any)).collect()
                }
                // istiod sends nothing, after which istioctl asks no other replica.
                None => vec![(name.clone(), Any { type_url: PAGE.to_owned(), value: NOT_HERE.into() })],
            }
        }
        other => {
            let why = format!("there is no debug type {other:?}; there are {PAGE}, {SYNC}, {DUMP}");
            return Err(Status::invalid_argument(why));
        }
    };
    Ok(Reply { identifier: identifier(pages), resources })
}

/// Who answers (`istio: pilot/pkg/xds/xdsgen.go IstioControlPlaneInstance`). istiod says so for `syncz` alone; with it istioctl tells the
/// answers of replicas apart.
fn identifier(pages: &Pages) -> String {
    let info = json!({
        "version": super::RELEASE, "revision": super::COMMIT, "golang_version": "", "status": "Clean", "tag": super::RELEASE,
    });
    json!({ "Component": "istiod", "ID": &*pages.replica, "Info": info }).to_string()
}
