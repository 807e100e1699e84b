//! Who may see what.

use std::sync::Arc;
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
        let folder = std::env::temp_dir().join(format!("meltemi-test-pages-{}", std::process::id()));
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
        desks: Arc::new(Semaphore::new(DESKS)),
    }
}

/// What is answered to somebody at an address, with a token.
async fn status(pages: &Pages, address: [u8; 4], token: &str, path: &str) -> u16 {
    let (peer, here) = ((address, 40_000).into(), ([10, 0, 0, 1], 15_014).into());
    let at = MockConnectInfo(Ends::new(peer, here));
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    let answer = router(pages.clone()).layer(at).oneshot(request.body(Body::empty()).unwrap()).await;
    answer.unwrap().status().as_u16()
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
