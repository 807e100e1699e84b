use api::networking::{ExecHealthCheck, TcpHealthCheck};
use http_body_util::BodyExt;
use prost::Message;
use proto::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use xds::{ResourceType, Variant};

use super::*;
use crate::aside::tests::{Pieces, delta};
use crate::status::Pages;

#[test]
fn an_opinion_changes_after_so_many_equal_findings() {
    let mut opinion = Opinion::new(2, 3);
    let findings = [true, false, true, true, true, false, false, true, false, false, false, false, true, true];
    let changed: Vec<usize> =
        findings.iter().enumerate().filter_map(|(at, well)| opinion.hear(*well).then_some(at)).collect();
    assert_eq!(changed, [3, 10, 13]);
    assert!(Opinion::new(1, 1).hear(false), "the first finding is told, whatever it is");
}

fn status() -> Arc<Status> {
    let (_, identity) = tokio::sync::watch::channel(None);
    let workload = std::net::Ipv4Addr::LOCALHOST.into();
    let pages = Pages { port: 15020, admin: None, workload, probers: None, scrape: None };
    Arc::new(Status::new(pages, identity, None).unwrap())
}

#[tokio::test]
async fn a_workload_is_asked_as_the_proxy_config_says() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = u32::from(listener.local_addr().unwrap().port());
    let status = status();
    let well = async |probe: ReadinessProbe| look(&probe, &status, Duration::from_secs(5)).await.is_ok();
    let socket =
        |port| ReadinessProbe { tcp_socket: Some(TcpHealthCheck { port, ..Default::default() }), ..Default::default() };
    assert!(well(socket(port)).await);
    assert!(!well(socket(1)).await && !well(socket(70_000)).await);
    let command = |words: &[&str]| {
        let command = words.iter().map(|word| (*word).into()).collect();
        ReadinessProbe { exec: Some(ExecHealthCheck { command }), ..Default::default() }
    };
    assert!(well(command(&["test", "1", "=", "1"])).await);
    assert!(!well(command(&["test", "1", "=", "2"])).await && !well(command(&[])).await);
    assert!(!well(ReadinessProbe::default()).await);
    status.orders.quit.cancel();
    assert!(!well(socket(port)).await, "a proxy that ends takes nothing any more");
}

#[tokio::test]
async fn a_change_is_said_once() {
    let (status, aside, stop) = (status(), Aside::new(None, None), CancellationToken::new());
    let (mut up, _down) = aside.join(Variant::Delta, Pieces::of(&[delta(ResourceType::Lds.url())], 100));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().into();
    let socket = TcpHealthCheck { port, ..Default::default() };
    let probe = ReadinessProbe { period_seconds: 1, tcp_socket: Some(socket), ..Default::default() };
    let watching = watch(Some(probe), status.clone(), aside.clone(), stop.clone());
    let hearing = async {
        let mut said = async || {
            let frame = up.frame().await.unwrap().unwrap().into_data().unwrap();
            let request = DeltaDiscoveryRequest::decode(&frame[5..]).unwrap();
            (request.type_url, request.error_detail.map(|error| error.message))
        };
        assert_eq!(said().await, (ResourceType::Lds.url().to_owned(), None));
        assert_eq!(said().await, (TYPE.to_owned(), None));
        status.orders.quit.cancel();
        let (url, why) = said().await;
        assert!(url == TYPE && why.as_ref().is_some_and(|why| why.contains("the proxy is ending")), "{why:?}");
        stop.cancel();
    };
    tokio::join!(watching, hearing);
}
