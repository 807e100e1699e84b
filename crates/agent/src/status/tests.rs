use super::*;

/// Pages of a proxy and a workload on loopback.
pub(super) fn status(admin: Option<String>, probers: Option<&str>, scrape: Option<&str>) -> Arc<Status> {
    let (_, identity) = tokio::sync::watch::channel(None);
    let pages = Pages { port: 15020, admin, workload: std::net::Ipv4Addr::LOCALHOST.into(), probers, scrape };
    Arc::new(Status::new(pages, identity, None).unwrap())
}

/// Serves a router on a free port.
pub(super) async fn serving(router: Router) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

async fn answering(text: &'static str) -> String {
    format!("127.0.0.1:{}", serving(Router::new().fallback(move || async move { text })).await)
}

#[tokio::test]
async fn a_proxy_is_ready_when_it_is_live_and_has_heard_of_everything_once() {
    let live = "server.state: 0\nlistener_manager.workers_started: 1\n";
    let heard = "server.state: 0\nlistener_manager.workers_started: 1\ncluster_manager.cds.update_success: 1\nlistener_manager.lds.update_success: 2\n";
    for (text, expected) in [(heard, true), (live, false), ("server.state: 1\n", false), ("", false)] {
        let status = status(Some(answering(text).await), None, None);
        assert_eq!(status.ready().await.is_ok(), expected, "{text}");
        status.orders.quit.cancel();
        assert!(status.ready().await.is_err(), "it is ending");
    }
    assert!(status(None, None, None).ready().await.is_ok(), "there is no Envoy");
}

#[tokio::test]
async fn a_pod_whose_names_are_resolved_here_waits_for_them() {
    let (_, identity) = tokio::sync::watch::channel(None);
    let known = Known::new(crate::dns::Home::new("shop", "shop.svc.cluster.local", &[]));
    let workload = std::net::Ipv4Addr::LOCALHOST.into();
    let pages = Pages { port: 15020, admin: None, workload, probers: None, scrape: None };
    let status = Status::new(pages, identity, Some(known.clone())).unwrap();
    assert!(status.ready().await.is_err());
    known.take(proto::istio::networking::nds::v1::NameTable::default());
    assert!(status.ready().await.is_ok());
}
