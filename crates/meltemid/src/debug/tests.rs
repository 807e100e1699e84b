//! Who may see what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::Request;
use clap::Parser;
use model::Mesh;
use tower::ServiceExt;
use xds::{Limits, Ordering, Publisher};

use super::*;
use crate::Settings;
use crate::admission::Admission;
use crate::control::Command;
use crate::discovery::Discovery;
use crate::secure::Secure;

const TOKENS: &str = "admin-token-0123456789 istio-system/kiali\nshop-token-0123456789 shop/web\n\
    watchers-token-0123456789 watchers/eye\n";

/// Pages with two accounts, or with nobody who has an identity.
fn pages(secured: bool) -> Pages {
    let publisher = Publisher::new();
    let mesh = Mesh::new(translate::schema(), model::settings::Base::new());
    let control = Control::start(mesh, publisher.clone(), Duration::ZERO).unwrap();
    control.send(Command::Config(api::Changes::default()));
    while control.view().is_none() {
        std::thread::yield_now();
    }
    let source = Arc::new(Discovery::new(control.clone(), false, None));
    let server = Server::new(publisher, source, Ordering::Off, Limits::default());
    let secure = secured.then(|| {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let folder = std::env::temp_dir().join(format!("meltemi-test-pages-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tokens"), TOKENS).unwrap();
        let (ca, tokens) = (folder.join("ca"), folder.join("tokens"));
        let flags = ["--ca-dir".as_ref(), ca.as_os_str(), "--token-file".as_ref(), tokens.as_os_str()];
        let fixed = ["meltemid".as_ref(), "--config-dir".as_ref(), folder.as_os_str()];
        let settings = Settings::try_parse_from(fixed.into_iter().chain(flags)).unwrap();
        let opened = Secure::open(&settings, &ca, None, control.clone()).unwrap().0;
        std::fs::remove_dir_all(&folder).unwrap();
        opened
    });
    Pages {
        control,
        server,
        secure,
        admission: None,
        start: None,
        heard: None,
        replica: "istiod-1".into(),
        seers: Arc::new(["watchers".into()]),
        unsafe_pages: false,
        desks: Arc::new(Semaphore::new(DESKS)),
    }
}

/// What is answered to somebody at an address, with a token.
async fn status(pages: &Pages, address: [u8; 4], token: &str, path: &str) -> u16 {
    answer(router(pages.clone()), address, token, path).await.status().as_u16()
}

async fn answer(router: Router, address: [u8; 4], token: &str, path: &str) -> Response {
    let (peer, here) = ((address, 40_000).into(), ([10, 0, 0, 1], 15_014).into());
    let at = MockConnectInfo(Ends::new(peer, here));
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    router.layer(at).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn this_machine_sees_everything_and_others_what_their_identity_gives() {
    let pages = pages(true);
    let (here, there) = ([127, 0, 0, 1], [10, 0, 0, 7]);
    for own in [here, [10, 0, 0, 1]] {
        assert_eq!(status(&pages, own, "", "/debug/syncz").await, 200);
    }
    for (token, path, expected) in [
        ("", "/debug/syncz", 401),
        ("no-token-of-anybody", "/debug/syncz", 401),
        ("admin-token-0123456789", "/debug/syncz", 200),
        ("shop-token-0123456789", "/debug/syncz", 403),
        // Nobody is connected, but the question may be asked.
        ("shop-token-0123456789", "/debug/config_dump?proxyID=web-1.shop", 404),
        ("shop-token-0123456789", "/debug/config_dump?proxyID=web-1.bank", 404),
        ("shop-token-0123456789", "/debug/config_dump", 400),
        ("shop-token-0123456789", "/debug/edsz?proxyID=web-1.shop", 404),
        ("shop-token-0123456789", "/debug/ndsz?proxyID=web-1.shop", 404),
        ("shop-token-0123456789", "/debug/why?proxyID=web-1.shop", 403),
        ("shop-token-0123456789", "/debug/ledger?proxyID=web-1.shop", 403),
        ("shop-token-0123456789", "/debug/no-such-page", 403),
        ("watchers-token-0123456789", "/debug/syncz", 200),
        ("admin-token-0123456789", "/debug/no-such-page", 404),
        ("admin-token-0123456789", "/debug/config_dump?proxyID=x&types=none", 400),
        ("", "/ready", 200),
        ("", "/metrics", 200),
        ("", "/version", 200),
    ] {
        assert_eq!(status(&pages, there, token, path).await, expected, "{token:?} {path}");
    }
}

#[tokio::test]
async fn without_an_authority_nobody_else_sees_anything() {
    let pages = pages(false);
    assert_eq!(status(&pages, [10, 0, 0, 7], "admin-token-0123456789", "/debug/syncz").await, 403);
    assert_eq!(status(&pages, [127, 0, 0, 1], "", "/debug/list").await, 200);
}

#[tokio::test]
async fn beside_readiness_the_pages_are_for_the_same() {
    let pages = pages(true);
    for (address, token, path, expected) in [
        ([127, 0, 0, 1], "", "/debug/syncz", 200),
        ([10, 0, 0, 7], "", "/debug/syncz", 401),
        ([10, 0, 0, 7], "", "/debug", 401),
        ([10, 0, 0, 7], "shop-token-0123456789", "/debug/syncz", 403),
        ([10, 0, 0, 7], "admin-token-0123456789", "/debug/syncz", 200),
        ([10, 0, 0, 7], "", "/ready", 200),
        ([127, 0, 0, 1], "", "/metrics", 404),
    ] {
        let answer = answer(beside(pages.clone()), address, token, path).await;
        assert_eq!(answer.status().as_u16(), expected, "{address:?} {token:?} {path}");
    }
}

async fn text(pages: &Pages, path: &str) -> (u16, String) {
    let answer = answer(router(pages.clone()), [127, 0, 0, 1], "", path).await;
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn what_is_not_there_is_said_and_what_does_something_is_there_when_asked_for() {
    let mut pages = pages(false);
    let (status, profile) = text(&pages, "/debug/pprof/heap").await;
    assert!(status == 404 && profile.contains("perf record"), "{status} {profile}");
    let (status, injector) = text(&pages, "/debug/inject").await;
    assert!(status == 404 && injector.contains("nothing is injected here"), "{status} {injector}");
    let path = "/debug/force_disconnect?proxyID=web-1.shop";
    let (status, absent) = text(&pages, path).await;
    assert!(status == 404 && absent.starts_with("404 page not found"), "{status} {absent}");
    assert!(!text(&pages, "/debug/list").await.1.contains("force_disconnect"));
    pages.unsafe_pages = true;
    let (status, nobody) = text(&pages, path).await;
    assert!(status == 404 && nobody.contains("Proxy not connected"), "{status} {nobody}");
    assert_eq!(text(&pages, "/debug/force_disconnect").await.0, 400);
    let names: Vec<String> = serde_json::from_str(&text(&pages, "/debug/list").await.1).unwrap();
    assert!(names.is_sorted() && names.iter().any(|name| name == "force_disconnect"), "{names:?}");
}

/// The injector's settings with a template of a user.
const INJECTOR: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: istio-sidecar-injector, namespace: istio-system}
data:
  config: 'templates: {mine: \"metadata: {labels: {mine: {{ .ProxyConfig.statusPort }}}}\"}'
  values: '{\"global\": {\"hub\": \"registry.test\"}}'
";

#[tokio::test]
async fn the_injector_shows_the_templates_and_values_that_it_works_with() {
    let mut pages = pages(false);
    pages.admission = Some(Admission::new(pages.control.clone(), inject::NativeSidecars::Auto));
    let (status, missing) = text(&pages, "/debug/inject").await;
    assert!(status == 500 && missing.contains("istio-sidecar-injector"), "{status} {missing}");
    let documents = api::yaml::documents(INJECTOR, None).unwrap();
    let upserts = api::decode(&documents[0], api::Mode::Strict).0;
    pages.control.send(Command::Config(api::Changes { upserts, ..api::Changes::default() }));
    let taken = async {
        while pages.control.view().unwrap().commits < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), taken).await.expect("the templates are taken");
    let templates: serde_json::Value = serde_json::from_str(&text(&pages, "/debug/inject").await.1).unwrap();
    let of = |name: &str| templates[name].as_str().unwrap_or_default();
    assert_eq!(of("mine"), "metadata: {labels: {mine: {{ .ProxyConfig.statusPort }}}}");
    assert!(
        of("sidecar").starts_with("# built in") && of("sidecar").contains("image: registry.test/"),
        "{templates:#}"
    );
    let all: Vec<&String> = templates.as_object().unwrap().keys().collect();
    assert_eq!(all, ["gateway", "grpc-agent", "grpc-simple", "mine", "sidecar"]);
    let values: serde_json::Value = serde_json::from_str(&text(&pages, "/debug/inject?values").await.1).unwrap();
    assert_eq!(
        (&values["global"]["hub"], &values["global"]["proxy"]["image"]),
        (&"registry.test".into(), &"proxyv2".into())
    );
}
