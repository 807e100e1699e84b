//! Forged identities get nothing.

use http::HeaderValue;
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

fn rule(jwks: &Value) -> JwtRule {
    let jwks = jwks.to_string();
    JwtRule { issuer: ISSUER.to_owned(), audiences: vec![AUDIENCE.to_owned()], jwks, jwks_uri: String::new() }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": [AUDIENCE], "exp": now() + 600, "sub": "system:serviceaccount:shop:web" })
}

fn shown(callers: &Callers, bearer: &str) -> Option<String> {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {bearer}")).unwrap());
    match callers.authenticate(&[], &headers, &Name::from("td")) {
        Ok(Caller::Known(ids)) => Some(ids[0].to_string()),
        Ok(Caller::Anonymous) => panic!("nobody is anonymous here"),
        Err(_) => None,
    }
}

#[test]
fn a_token_of_the_issuer_says_who_calls() {
    let issuer = Issuer::new();
    let callers = Callers::new(None, Some(&rule(&issuer.jwks))).unwrap();
    assert_eq!(shown(&callers, &issuer.token(&claims())).as_deref(), Some("spiffe://td/ns/shop/sa/web"));
}

#[test]
fn forged_tokens_get_nothing() {
    let issuer = Issuer::new();
    let callers = Callers::new(None, Some(&rule(&issuer.jwks))).unwrap();
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
    let callers = Callers::new(None, Some(&rule(&shared))).unwrap();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k".to_owned());
    let token = encode(&header, &claims(), &EncodingKey::from_secret(b"secret-secret-secret-secret-secret")).unwrap();
    assert_eq!(shown(&callers, &token), None, "a shared secret signs nothing");
}

#[test]
fn settings_that_would_let_strangers_in_are_refused() {
    let issuer = Issuer::new();
    let mut anybody = rule(&issuer.jwks);
    anybody.audiences.clear();
    assert!(Callers::new(None, Some(&anybody)).is_err());
    let mut remote = rule(&issuer.jwks);
    remote.jwks_uri = "https://issuer.test/keys".to_owned();
    assert!(Callers::new(None, Some(&remote)).is_err());
    let file = std::env::temp_dir().join(format!("meltemi-tokens-{}", std::process::id()));
    for (text, fine) in
        [("0123456789abcdef shop/web\n", true), ("short shop/web", false), ("0123456789abcdef shop", false)]
    {
        std::fs::write(&file, text).unwrap();
        let callers = Callers::new(Some(&file), None);
        assert_eq!(callers.is_ok(), fine, "{text}");
        if let Ok(callers) = callers {
            assert_eq!(shown(&callers, "0123456789abcdef").as_deref(), Some("spiffe://td/ns/shop/sa/web"));
            assert_eq!(shown(&callers, "0123456789abcdee"), None);
        }
    }
    std::fs::remove_file(file).unwrap();
}

proptest::proptest! {
    /// Whatever is shown as a token, it ends and proves nothing, unless it is the token itself.
    #[test]
    fn damaged_tokens_get_nothing(at: usize, byte in 33_u8..127, junk in "[ -~]{0,300}") {
        use std::sync::OnceLock;
        static GOOD: OnceLock<(Callers, String)> = OnceLock::new();
        let (callers, token) = GOOD.get_or_init(|| {
            let issuer = Issuer::new();
            (Callers::new(None, Some(&rule(&issuer.jwks))).unwrap(), issuer.token(&claims()))
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
