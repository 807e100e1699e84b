//! Forged identities get nothing.

use clap::Parser;
use http::HeaderValue;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::authority::now;

const AUDIENCE: &str = "istio-ca";
const ISSUER: &str = "https://issuer.test";

/// An issuer: its key, and what it publishes of it.
struct Issuer {
    key: EncodingKey,
    jwks: Value,
}

impl Issuer {
    fn new() -> Self {
        let (_, pem) = ca::self_signed("test", now()).unwrap();
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).unwrap();
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        public.common.key_id = Some("k".to_owned());
        Self { key, jwks: json!({ "keys": [public] }) }
    }

    fn token(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("k".to_owned());
        encode(&header, claims, &self.key).unwrap()
    }
}

/// How callers are known by settings, which may make no sense.
fn callers(flags: &[&str]) -> anyhow::Result<Callers> {
    let fixed = ["meltemid", "--config-dir", "/nowhere", "--ca-dir", "/nowhere"];
    Callers::new(&Settings::try_parse_from(fixed.iter().chain(flags))?, None)
}

/// How they are known by the tokens of an issuer.
fn trusting(jwks: &Value) -> Callers {
    let rule = json!({ "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": jwks.to_string() });
    callers(&["--jwt-rule", &rule.to_string()]).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": [AUDIENCE], "exp": now() + 600, "sub": "system:serviceaccount:shop:web" })
}

fn shown(callers: &Callers, bearer: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap());
    proven(callers, &Peer::default(), &headers).map(|proven| proven.identities[0].to_string())
}

fn proven(callers: &Callers, peer: &Peer, headers: &HeaderMap) -> Option<Proven> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(callers.authenticate(peer, headers, &Name::from("td"))).ok()
}

#[test]
fn a_token_of_the_issuer_says_who_calls() {
    let issuer = Issuer::new();
    let callers = trusting(&issuer.jwks);
    assert_eq!(shown(&callers, &issuer.token(&claims())).as_deref(), Some("spiffe://td/ns/shop/sa/web"));
}

#[test]
fn forged_tokens_get_nothing() {
    let issuer = Issuer::new();
    let callers = trusting(&issuer.jwks);
    let with = |key: &str, value: Value| {
        let mut claims = claims();
        claims[key] = value;
        issuer.token(&claims)
    };
    let without = |key: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(key);
        issuer.token(&claims)
    };
    let good = issuer.token(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let public = issuer.jwks["keys"][0].to_string();
    let hmac = |header: Header| encode(&header, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
    let mut named = Header::new(Algorithm::HS256);
    named.kid = Some("k".to_owned());
    let cases = [
        ("another audience", with("aud", json!(["other"]))),
        ("no audience", without("aud")),
        ("another issuer", with("iss", json!("https://other.test"))),
        ("expired", with("exp", json!(now() - 3600))),
        ("no end", without("exp")),
        ("not yet", with("nbf", json!(now() + 3600))),
        ("no account", with("sub", json!("shop:web"))),
        ("an account that is none", with("sub", json!("system:serviceaccount:shop:we/b"))),
        ("another key", Issuer::new().token(&claims())),
        ("the public key as a shared secret", hmac(named)),
        ("the same without a name", hmac(Header::new(Algorithm::HS256))),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        // {"alg":"none"}
        ("no algorithm", format!("eyJhbGciOiJub25lIn0.{}.", parts[1])),
        (
            "another's claims",
            format!(
                "{}.{}.{}",
                parts[0],
                with("sub", json!("system:serviceaccount:a:b")).split('.').nth(1).unwrap(),
                parts[2]
            ),
        ),
        ("junk", "a.b.c".to_owned()),
        ("very long junk", "a".repeat(100_000)),
        ("nothing", String::new()),
    ];
    for (what, token) in cases {
        assert_eq!(shown(&callers, &token), None, "{what}");
    }
    let shared =
        json!({ "keys": [{ "kty": "oct", "kid": "k", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA" }] });
    let callers = trusting(&shared);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k".to_owned());
    let token = encode(&header, &claims(), &EncodingKey::from_secret(b"secret-secret-secret-secret-secret")).unwrap();
    assert_eq!(shown(&callers, &token), None, "a shared secret signs nothing");
}

#[test]
fn settings_that_would_let_strangers_in_are_refused() {
    for rule in [
        json!({ "issuer": ISSUER, "jwks": "{\"keys\": []}" }),
        json!({ "issuer": ISSUER, "audiences": [AUDIENCE], "jwks": "no keys" }),
        json!({ "issuer": ISSUER, "audiences": [AUDIENCE], "jwksUri": "http://issuer.test/keys" }),
        json!({ "issuer": "http://issuer.test", "audiences": [AUDIENCE] }),
        json!({ "issuer": ISSUER, "audiences": [AUDIENCE], "keys": "misspelt" }),
    ] {
        assert!(callers(&["--jwt-rule", &rule.to_string()]).is_err(), "{rule}");
    }
    assert!(callers(&["--trusted-gateway-cidr", "10.0.0.1"]).is_err(), "no network");
    assert!(callers(&["--trusted-node-accounts", "ztunnel"]).is_err(), "no namespace");
    let file = std::env::temp_dir().join(format!("meltemi-tokens-{}", std::process::id()));
    for (text, fine) in
        [("0123456789abcdef shop/web\n", true), ("short shop/web", false), ("0123456789abcdef shop", false)]
    {
        std::fs::write(&file, text).unwrap();
        let callers = callers(&["--token-file", file.to_str().unwrap()]);
        assert_eq!(callers.is_ok(), fine, "{text}");
        if let Ok(callers) = callers {
            assert_eq!(shown(&callers, "0123456789abcdef").as_deref(), Some("spiffe://td/ns/shop/sa/web"));
            assert_eq!(shown(&callers, "0123456789abcdee"), None);
        }
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_token_of_a_pod_says_which() {
    let issuer = Issuer::new();
    let callers = trusting(&issuer.jwks);
    let mut claims = claims();
    claims["kubernetes.io"] = json!({ "namespace": "shop", "pod": { "name": "web-1", "uid": "u-1" } });
    let mut headers = HeaderMap::new();
    let bearer = format!("Bearer {}", issuer.token(&claims));
    headers.insert("authorization", HeaderValue::from_str(&bearer).unwrap());
    let pod = proven(&callers, &Peer::default(), &headers).unwrap().pod;
    assert_eq!(pod, Some(PodRef { name: "web-1".into(), uid: "u-1".into() }));
}

#[test]
fn what_a_gateway_says_counts_when_it_is_trusted_and_saw_it_itself() {
    let callers = callers(&["--trusted-gateway-cidr", "10.1.0.0/16,fd00::/8"]).unwrap();
    let web = "spiffe://td/ns/shop/sa/web";
    let from = |address: &str, header: &str| {
        let peer = Peer { certified: Vec::new(), address: Some(address.parse().unwrap()) };
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-client-cert", HeaderValue::from_str(header).unwrap());
        proven(&callers, &peer, &headers)
            .map(|proven| proven.identities.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let one = format!("By=spiffe://td/ns/i/sa/gw;Hash=ab;Subject=\"O=a,CN=b;c\";URI={web}");
    assert_eq!(from("10.1.2.3", &one), Some(vec![web.to_owned()]));
    assert_eq!(from("fd00::1", &one), Some(vec![web.to_owned()]));
    for stranger in ["10.2.0.1", "127.0.0.1", "::1"] {
        assert_eq!(from(stranger, &one), None, "{stranger}");
    }
    // The caller wrote the first, the gateway the last.
    let hearsay = format!("URI=spiffe://td/ns/a/sa/admin,{one}");
    assert_eq!(from("10.1.2.3", &hearsay), Some(vec![web.to_owned()]));
    for nothing in [
        "",
        "Hash=ab",
        "URI=https://td/ns/shop/sa/web",
        "By=spiffe://td/ns/i/sa/gw",
        "Subject=\"URI=spiffe://td/ns/a/sa/admin;URI=spiffe://td/ns/a/sa/admin\"",
        "Subject=\"\\\";URI=spiffe://td/ns/a/sa/admin;\"",
        "URI=spiffe://td/ns/a/sa/admin,Hash=ab",
    ] {
        assert_eq!(from("10.1.2.3", nothing), None, "{nothing}");
    }
}

proptest::proptest! {
    /// Whatever stands in the header, it ends.
    #[test]
    fn any_word_of_a_gateway_is_read(header in "[ -~]{0,200}") {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-client-cert", HeaderValue::from_str(&header).unwrap());
        if let Some(found) = forwarded::identities(&headers) {
            proptest::prop_assert!(found.iter().all(|id| header.contains(&id.to_string())));
        }
    }

    /// Whatever is shown as a token, it ends and proves nothing, unless it is the token itself.
    #[test]
    fn damaged_tokens_get_nothing(at: usize, byte in 33_u8..127, junk in "[ -~]{0,300}") {
        use std::sync::OnceLock;
        static GOOD: OnceLock<(Callers, String)> = OnceLock::new();
        let (callers, token) = GOOD.get_or_init(|| {
            let issuer = Issuer::new();
            (trusting(&issuer.jwks), issuer.token(&claims()))
        });
        proptest::prop_assert_eq!(shown(callers, &junk), None);
        let mut damaged = token.clone().into_bytes();
        let at = at % damaged.len();
        damaged[at] = byte;
        let damaged = String::from_utf8(damaged).unwrap();
        // The last letter of a part has bits that mean nothing.
        let harmless = damaged == *token || token.as_bytes().get(at + 1).is_none_or(|next| *next == b'.');
        proptest::prop_assert!(harmless || shown(callers, &damaged).is_none());
    }
}
