//! What the API server's answers prove. The answers are written here; that a real one gives them is for tests with a cluster.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use clap::Parser;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

/// A reviewer whose API server gives this answer, and what it was asked.
fn reviewer(flags: &[&str], answer: &Value) -> (Reviewer, Arc<Mutex<Vec<Value>>>) {
    let fixed = ["meltemid", "--config-dir", "/nowhere", "--ca-dir", "/nowhere", "--kubeconfig", "/nowhere"];
    let settings = Settings::try_parse_from(fixed.iter().chain(flags)).unwrap();
    let (asked, status) = (Arc::new(Mutex::new(Vec::new())), answer.clone());
    let heard = asked.clone();
    let serve = move |request: Request<Body>| {
        let (heard, status) = (heard.clone(), status.clone());
        async move {
            assert_eq!(request.uri().path(), "/apis/authentication.k8s.io/v1/tokenreviews");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut review: Value = serde_json::from_slice(&body).unwrap();
            heard.lock().unwrap().push(review["spec"].clone());
            let (code, answer) = match status.get("code") {
                Some(code) => (
                    code.as_u64().unwrap(),
                    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "no", "reason": "Forbidden" }),
                ),
                None => {
                    review["status"] = status;
                    (201, review)
                }
            };
            let code = u16::try_from(code).unwrap();
            Ok::<_, std::convert::Infallible>(
                Response::builder().status(code).body(Full::new(Bytes::from(answer.to_string()))).unwrap(),
            )
        }
    };
    let api = Cluster::from(Client::new(tower::service_fn(serve), "default"));
    (Reviewer::new(&settings, api).unwrap(), asked)
}

fn good() -> Value {
    json!({
        "authenticated": true, "audiences": ["istio-ca"],
        "user": {
            "username": "system:serviceaccount:shop:web", "groups": ["system:serviceaccounts", "system:authenticated"],
            "extra": { "authentication.kubernetes.io/pod-name": ["web-1"], "authentication.kubernetes.io/pod-uid": ["u-1"] },
        },
    })
}

/// A token that says this of itself. Who signed it the API server knows.
fn token(audience: &str, ends: i64) -> String {
    let claims = json!({ "aud": [audience], "exp": ends, "sub": "system:serviceaccount:shop:web" });
    let key = jsonwebtoken::EncodingKey::from_secret(b"any");
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

fn good_token() -> String {
    token("istio-ca", now() + 600)
}

async fn judged(flags: &[&str], answer: &Value) -> Result<Proven, Fault> {
    reviewer(flags, answer).0.review(&good_token(), &HeaderMap::new(), &Name::from("td")).await
}

#[tokio::test]
async fn a_good_token_says_who_and_in_which_pod() {
    let (reviewer, asked) = reviewer(&[], &good());
    let shown = good_token();
    let proven = reviewer.review(&shown, &HeaderMap::new(), &Name::from("td")).await.unwrap();
    assert_eq!(proven.identities[0].to_string(), "spiffe://td/ns/shop/sa/web");
    assert_eq!(proven.pod, Some(PodRef { name: "web-1".into(), uid: "u-1".into() }));
    assert_eq!(*asked.lock().unwrap(), [json!({ "token": shown, "audiences": ["istio-ca"] })]);
}

#[tokio::test]
async fn answers_that_prove_nothing_are_refusals() {
    let with = |pointer: &str, value: Value| {
        let mut answer = good();
        *answer.pointer_mut(pointer).unwrap() = value;
        answer
    };
    for answer in [
        with("/authenticated", json!(false)),
        with("/audiences", json!(["other"])),
        with("/audiences", json!(null)),
        with("/user/username", json!("admin")),
        with("/user/username", json!("system:serviceaccount:shop")),
        with("/user/username", json!("system:serviceaccount:shop:we/b")),
        with("/user/groups", json!(["system:authenticated"])),
        with("/user", json!(null)),
        json!({ "authenticated": true, "error": "expired" }),
        json!({}),
    ] {
        let judged = judged(&[], &answer).await;
        assert!(matches!(judged, Err(Fault::Refused(_))), "{answer}: {judged:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_refuses_nobody() {
    for code in [403, 500] {
        let judged = judged(&[], &json!({ "code": code })).await;
        assert!(matches!(judged, Err(Fault::Unknown(_))), "{judged:?}");
    }
}

#[tokio::test]
async fn tokens_of_other_clusters_are_not_shown_to_this_one() {
    let (reviewer, asked) = reviewer(&["--clusterID", "east"], &good());
    for (cluster, fine) in [("east", true), ("", true), ("west", false)] {
        let mut headers = HeaderMap::new();
        headers.insert("clusterid", HeaderValue::from_static(cluster));
        let judged = reviewer.review(&good_token(), &headers, &Name::from("td")).await;
        assert_eq!(judged.is_ok(), fine, "{cluster}");
    }
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn tokens_that_cannot_be_good_are_not_shown_to_the_server() {
    let (reviewer, asked) = reviewer(&[], &good());
    for shown in ["junk".to_owned(), "a.b.c".to_owned(), token("vault", now() + 600), token("istio-ca", now() - 1)] {
        let judged = reviewer.review(&shown, &HeaderMap::new(), &Name::from("td")).await;
        assert!(matches!(judged, Err(Fault::Refused(_))), "{shown}: {judged:?}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn first_party_tokens_are_of_no_audience() {
    let (reviewer, asked) = reviewer(&["--jwt-policy", "first-party-jwt"], &good());
    reviewer.review("token", &HeaderMap::new(), &Name::from("td")).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [json!({ "token": "token" })]);
}

#[tokio::test]
async fn without_audiences_tokens_for_anybody_would_be_taken() {
    let settings = Settings::try_parse_from(["meltemid", "--kubeconfig", "/nowhere", "--token-audiences", ""]).unwrap();
    let nobody =
        tower::service_fn(|_: Request<Body>| async { Err::<Response<Full<Bytes>>, _>(std::io::Error::other("")) });
    assert!(Reviewer::new(&settings, Cluster::from(Client::new(nobody, "default"))).is_err());
}
