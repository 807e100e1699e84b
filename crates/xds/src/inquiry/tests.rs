//! What counts as a question, and what an answer looks like.

use prost::Message;

use super::*;

fn request<'a>(type_url: &'a str, names: &[&'a str], nonce: &'a str) -> Request<'a> {
    Request { type_url, subscribe: names.to_vec(), nonce, ..Request::default() }
}

fn body(frame: &Bytes) -> Bytes {
    frame.slice(5..)
}

#[test]
fn types_below_the_prefix_are_questions() {
    for (url, expected) in [
        ("istio.io/debug", true),
        ("istio.io/debug/syncz", true),
        ("istio.io/debugger", false),
        ("istio.io", false),
        ("type.googleapis.com/istio.io/debug", false),
        ("", false),
    ] {
        assert_eq!(is_inquiry(url), expected, "{url}");
    }
}

#[test]
fn an_ack_is_no_question_and_a_foreign_nonce_is_no_ack() {
    let mut asker = Asker::new(Variant::Sotw);
    let asked = asker.asked(&request("istio.io/debug", &["list"], "2026-01-01 00:00:00 +0000 UTC")).unwrap();
    let inquiry = asked.expect("the time of a client is no nonce of ours");
    assert_eq!(inquiry, Inquiry { kind: "istio.io/debug".into(), names: vec!["list".into()] });
    let answer = DiscoveryResponse::decode(body(&asker.framed(&inquiry, Reply::text("no")))).unwrap();
    assert!(!answer.version_info.is_empty(), "clients wait for a version");
    assert_eq!((answer.type_url.as_str(), answer.resources[0].value.as_slice()), ("istio.io/debug", &b"no"[..]));
    asker.taken();
    assert_eq!(asker.asked(&request("istio.io/debug", &["list"], &answer.nonce)).unwrap(), None);
    let refused = Request { error: Some("no"), ..request("istio.io/debug", &["list"], "x") };
    assert_eq!(asker.asked(&refused).unwrap(), None);
    assert!(asker.asked(&request("istio.io/debug", &["list"], "")).unwrap().is_some());
}

#[test]
fn an_answer_in_delta_has_its_name_and_says_who_answers() {
    let mut asker = Asker::new(Variant::Delta);
    let inquiry = Inquiry { kind: "istio.io/debug/syncz".into(), names: Vec::new() };
    let any = prost_types::Any { type_url: "x".into(), value: vec![1] };
    let reply = Reply { identifier: "me".into(), resources: vec![("web-1.shop".into(), any)] };
    let answer = DeltaDiscoveryResponse::decode(body(&asker.framed(&inquiry, reply))).unwrap();
    assert_eq!(answer.resources[0].name, "web-1.shop");
    assert_eq!(answer.control_plane.unwrap().identifier, "me");
}

#[test]
fn who_asks_without_end_and_takes_nothing_is_refused() {
    let mut asker = Asker::new(Variant::Sotw);
    let inquiry = Inquiry { kind: "istio.io/debug".into(), names: Vec::new() };
    for _ in 0..MOST {
        assert!(asker.asked(&request("istio.io/debug", &["list"], "")).is_ok());
        asker.framed(&inquiry, Reply::default());
    }
    let code = |asker: &Asker, name: &str| asker.asked(&request("istio.io/debug", &[name], "")).map_err(|s| s.code());
    assert_eq!(code(&asker, "list"), Err(tonic::Code::ResourceExhausted));
    asker.taken();
    assert!(code(&asker, "list").is_ok());
    assert_eq!(code(&asker, &"x".repeat(LONGEST + 1)), Err(tonic::Code::InvalidArgument));
}
