use std::collections::VecDeque;

use http_body_util::BodyExt;
use proto::envoy::service::discovery::v3::Resource;
use proto::istio::networking::nds::v1::name_table::NameInfo;
use xds::grpc::framed;

use super::*;
use crate::dns::Home;
use crate::identity::{Identity, now};

/// A body that comes in pieces of this size and then stays open.
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub(crate) fn of(messages: &[Bytes], size: usize) -> Self {
        Self(messages.concat().chunks(size).map(Bytes::copy_from_slice).collect())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.pop_front().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}

/// What comes of a body until it waits.
fn ready_now<B: Body<Data = Bytes, Error = Infallible> + Unpin>(body: &mut B) -> Vec<Bytes> {
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut all = Vec::new();
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut *body).poll_frame(&mut context) {
        all.push(frame.into_data().unwrap());
    }
    all
}

pub(crate) fn delta(url: &str) -> Bytes {
    framed(&DeltaDiscoveryRequest { type_url: url.to_owned(), ..Default::default() })
}

fn names() -> Arc<Known> {
    Known::new(Home::new("shop", "shop.svc.cluster.local", &[]))
}

fn response(url: &str, any: prost_types::Any, nonce: &str) -> Bytes {
    let resources = vec![Resource { resource: Some(any), ..Resource::default() }];
    framed(&DeltaDiscoveryResponse {
        type_url: url.to_owned(),
        nonce: nonce.to_owned(),
        resources,
        ..Default::default()
    })
}

fn table() -> prost_types::Any {
    let info = NameInfo { ips: vec!["10.0.0.1".into()], ..NameInfo::default() };
    proto::any(&NameTable { table: [("a.test".to_owned(), info)].into() })
}

#[test]
fn names_are_asked_for_after_the_first_listeners_however_the_bytes_are_cut() {
    let asked = [ResourceType::Cds, ResourceType::Lds, ResourceType::Lds].map(|kind| delta(kind.url()));
    for size in [1, 7, 1000] {
        let aside = Aside::new(Some(names()), None);
        let (mut up, _down) = aside.join(Variant::Delta, Pieces::of(&asked, size));
        let expected = [asked[0].clone(), asked[1].clone(), delta(ResourceType::Nds.url()), asked[2].clone()];
        assert_eq!(ready_now(&mut up), expected);
    }
    let (mut up, _down) = Aside::new(None, None).join(Variant::Delta, Pieces::of(&asked, 9));
    assert_eq!(ready_now(&mut up), asked, "nobody takes names");
}

#[test]
fn names_are_taken_and_answered_and_the_proxy_sees_the_rest() {
    let known = names();
    let aside = Aside::new(Some(known.clone()), None);
    let (mut up, down) = aside.join(Variant::Delta, Pieces::of(&[delta(ResourceType::Lds.url())], 10));
    assert_eq!(ready_now(&mut up).len(), 2);
    let nds = ResourceType::Nds.url();
    let listeners = response(ResourceType::Lds.url(), prost_types::Any::default(), "1");
    let broken = prost_types::Any { value: vec![0xff], ..table() };
    let empty = framed(&DeltaDiscoveryResponse { type_url: nds.to_owned(), ..Default::default() });
    let own = response("type.googleapis.com/meltemi.Secret", table(), "2");
    let all = [response(nds, table(), "3"), listeners.clone(), own, empty, response(nds, broken, "4")];
    let mut seen = down.of(Pieces::of(&all, 11));
    assert_eq!(ready_now(&mut seen), [listeners]);
    assert!(known.is_ready());
    assert_eq!(known.shown()["table"]["a.test"]["ips"][0], "10.0.0.1");
    let answers: Vec<_> =
        ready_now(&mut up).iter().map(|bytes| DeltaDiscoveryRequest::decode(&bytes[HEAD..]).unwrap()).collect();
    let shown: Vec<_> = answers.iter().map(|answer| (&*answer.response_nonce, answer.error_detail.is_some())).collect();
    assert_eq!(shown, [("3", false), ("4", true)]);
}

#[test]
fn the_state_of_the_world_is_answered_with_its_version() {
    let aside = Aside::new(Some(names()), None);
    let asked = framed(&DiscoveryRequest { type_url: ResourceType::Lds.url().to_owned(), ..Default::default() });
    let (mut up, down) = aside.join(Variant::Sotw, Pieces::of(&[asked], 10));
    assert_eq!(ready_now(&mut up).len(), 2);
    let response = DiscoveryResponse {
        version_info: "7".into(),
        type_url: ResourceType::Nds.url().into(),
        nonce: "n".into(),
        resources: vec![table()],
        ..Default::default()
    };
    assert!(ready_now(&mut down.of(Pieces::of(&[framed(&response)], 100))).is_empty());
    let answer = DiscoveryRequest::decode(&ready_now(&mut up)[0][HEAD..]).unwrap();
    assert_eq!((&*answer.version_info, &*answer.response_nonce, answer.error_detail), ("7", "n", None));
}

#[test]
fn a_word_goes_to_streams_that_are_there_and_the_last_one_to_those_that_come() {
    let aside = Aside::new(None, None);
    let asked = [delta(ResourceType::Lds.url())];
    let (mut first, _down) = aside.join(Variant::Delta, Pieces::of(&asked, 10));
    assert_eq!(ready_now(&mut first).len(), 1);
    aside.say("health", Some("it is down".into()));
    aside.say("health", None);
    let said =
        |bytes: &Bytes| DeltaDiscoveryRequest::decode(&bytes[HEAD..]).unwrap().error_detail.map(|error| error.message);
    assert_eq!(ready_now(&mut first).iter().map(said).collect::<Vec<_>>(), [Some("it is down".into()), None]);
    let (mut second, _down) = aside.join(Variant::Delta, Pieces::of(&asked, 10));
    assert_eq!(ready_now(&mut second)[1..].iter().map(said).collect::<Vec<_>>(), [None]);
    drop(first);
    aside.say("health", None);
    assert_eq!(ready_now(&mut second).len(), 1);
}

#[tokio::test]
async fn roots_are_answered_when_the_proxy_has_them() {
    let (trust, current) = Trust::new(std::time::Duration::ZERO);
    let (root, _) = ca::self_signed("old", now()).unwrap();
    let identity =
        |roots: &str| Identity { chain: String::new(), key: String::new(), roots: roots.into(), lifetime: (0, 1) };
    trust.renew(identity(&root), trust.told());
    let aside = Aside::new(None, Some(trust.clone()));
    let (mut up, down) = aside.join(Variant::Delta, Pieces::of(&[delta(ResourceType::Lds.url())], 10));
    let pcds = ResourceType::Pcds.url();
    assert_eq!(ready_now(&mut up)[1..], [delta(pcds)]);
    let slot = trust.taken().asked();
    let both = format!("{root}{}", ca::self_signed("new", now()).unwrap().0);
    let config = |roots: &str| proto::any(&ProxyConfig { ca_certificates_pem: vec![roots.to_owned()] });
    let all = [response(pcds, config("junk"), "1"), response(pcds, config(&both), "2")];
    assert!(ready_now(&mut down.of(Pieces::of(&all, 9))).is_empty(), "the proxy sees none of it");
    tokio::task::yield_now().await;
    let answers = |up: &mut _| -> Vec<(String, bool)> {
        let answers = ready_now(up);
        let answers = answers.iter().map(|bytes| DeltaDiscoveryRequest::decode(&bytes[HEAD..]).unwrap());
        answers.map(|answer| (answer.response_nonce, answer.error_detail.is_some())).collect()
    };
    assert_eq!(answers(&mut up), [("1".to_owned(), true)], "what is none is refused, the other waits for the proxy");
    assert_eq!(current.borrow().as_ref().unwrap().roots, both);
    slot.took(&both.as_str().into());
    while answers(&mut up) != [("2".to_owned(), false)] {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn trailers_pass() {
    let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), 14.into())]);
    let body = http_body_util::Full::new(delta("a")).with_trailers(std::future::ready(Some(Ok(trailers.clone()))));
    let (up, down) = Aside::new(Some(names()), None).join(Variant::Delta, Box::pin(body));
    drop(up);
    let response = response(ResourceType::Cds.url(), table(), "1");
    let body =
        http_body_util::Full::new(response.clone()).with_trailers(std::future::ready(Some(Ok(trailers.clone()))));
    let collected = down.of(Box::pin(body)).collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), response);
}
