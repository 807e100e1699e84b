//! Callers with tokens of an issuer: its keys come over HTTPS and change; node agents ask for the workloads of their nodes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::ensure;
use http::Response;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use prost_types::value::Kind;
use prost_types::{Struct, Value as Field};
use proto::istio::v1::auth::IstioCertificateRequest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tests::secured::Secured;

use super::secured::{code, pem_of, plane, request, roots};
use super::*;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// A key of an issuer.
struct Key {
    id: String,
    private: EncodingKey,
}

impl Key {
    fn new(id: &str) -> anyhow::Result<Self> {
        let pem = rcgen::KeyPair::generate()?.serialize_pem();
        Ok(Self { id: id.to_owned(), private: EncodingKey::from_ec_pem(pem.as_bytes())? })
    }

    fn public(&self) -> anyhow::Result<String> {
        let mut public = Jwk::from_encoding_key(&self.private, Algorithm::ES256)?;
        public.common.key_id = Some(self.id.clone());
        Ok(json!({ "keys": [public] }).to_string())
    }

    fn token(&self, issuer: &str, account: &str, pod: Option<(&str, &str)>) -> anyhow::Result<String> {
        let pod = pod.map(|(name, uid)| json!({ "name": name, "uid": uid }));
        let claims = json!({
            "iss": issuer, "aud": ["istio-ca"], "exp": now() + 600, "sub": format!("system:serviceaccount:{account}"),
            "kubernetes.io": { "pod": pod },
        });
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        Ok(encode(&header, &claims, &self.private)?)
    }
}

/// An issuer's server over HTTPS: its address, what it publishes, how often it was asked, and the root that vouches for it.
struct Issuer {
    address: String,
    keys: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    root: String,
}

impl Issuer {
    async fn start(keys: String) -> anyhow::Result<Self> {
        let (root, key) = ca::self_signed("issuer", now())?;
        let (cert, key) = (root.as_bytes(), key.as_bytes());
        let plugged = ca::Plugged { cert, key, root: cert, chain: &[], crl: &[] };
        let authority = ca::Authority::load(&plugged, now()).map_err(|error| anyhow::anyhow!("{error}"))?;
        let (issued, key) = authority.serve(&["localhost".to_owned()], now())?;
        let chain = CertificateDer::pem_slice_iter(issued.chain[0].as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config =
            config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?;
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("https://localhost:{}", listener.local_addr()?.port());
        let made = Self { address, keys: Arc::new(Mutex::new(keys)), asked: Arc::default(), root };
        let (keys, asked, own) = (made.keys.clone(), made.asked.clone(), made.address.clone());
        #[expect(clippy::disallowed_methods, reason = "the server ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(socket).await else { continue };
                let (keys, asked, own) = (keys.clone(), asked.clone(), own.clone());
                let serve = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let body = match request.uri().path() {
                        "/.well-known/openid-configuration" => json!({ "jwks_uri": format!("{own}/keys") }).to_string(),
                        _ => {
                            asked.fetch_add(1, Ordering::Relaxed);
                            keys.lock().expect("no holder panics").clone()
                        }
                    };
                    async { Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::from(body)))) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        Ok(made)
    }
}

async fn ask(plane: &Plane, token: &str, request: &IstioCertificateRequest) -> anyhow::Result<Result<String, i32>> {
    let address = plane.secure().context("there is a secured port")?;
    let mut client = Secured::connect(address, &roots(plane)?, None).await?.with_token(token);
    let answer = client.certificate(request).await?;
    Ok(match answer {
        Ok(chain) => Ok(ca::uris_of(&pem_of(&chain[0])?).concat()),
        Err(refused) => Err(code::<()>(Err(refused))),
    })
}

#[test]
fn an_issuers_keys_are_found_and_followed_and_strangers_do_not_make_it_busy() {
    run(async {
        let (first, second, stranger) = (Key::new("first")?, Key::new("second")?, Key::new("stranger")?);
        let issuer = Issuer::start(first.public()?).await?;
        let beside = tests::plane::folder();
        let file = beside.join("issuer.pem");
        std::fs::write(&file, &issuer.root)?;
        let rule = json!({ "issuer": issuer.address, "audiences": ["istio-ca"] }).to_string();
        let plane = plane(&[], &["--jwt-rule", &rule, "--jwks-roots", &file.display().to_string()])?;
        let (_, request) = request()?;
        let web = || Ok("spiffe://cluster.local/ns/shop/sa/web".to_owned());
        let of = |key: &Key| key.token(&issuer.address, "shop:web", None);
        ensure!(ask(&plane, &of(&first)?, &request).await? == web(), "a token of the issuer");
        for _ in 0..50 {
            ensure!(ask(&plane, &of(&stranger)?, &request).await? == Err(16), "a token of somebody else");
        }
        ensure!(issuer.asked.load(Ordering::Relaxed) == 1, "asked {} times", issuer.asked.load(Ordering::Relaxed));
        *issuer.keys.lock().expect("no holder panics") = second.public()?;
        while ask(&plane, &of(&second)?, &request).await? != web() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        ensure!(ask(&plane, &of(&first)?, &request).await? == Err(16), "a key that the issuer no longer has");
        ensure!(issuer.asked.load(Ordering::Relaxed) == 2, "asked {} times", issuer.asked.load(Ordering::Relaxed));
        std::fs::remove_dir_all(beside)?;
        Ok(())
    });
}

fn pod(namespace: &str, name: &str, account: &str, node: &str, phase: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": namespace, "name": name, "uid": format!("uid-{name}") },
        "spec": { "serviceAccountName": account, "nodeName": node }, "status": { "phase": phase },
    })
}

#[test]
fn a_node_agent_gets_the_certificates_of_its_nodes_workloads_and_no_others() {
    run(async {
        let key = Key::new("k")?;
        let pods = [
            pod("istio-system", "ztunnel-1", "ztunnel", "one", "Running"),
            pod("istio-system", "ztunnel-2", "ztunnel", "two", "Running"),
            pod("shop", "web-1", "web", "one", "Pending"),
            pod("shop", "db-1", "db", "two", "Running"),
            pod("shop", "old-1", "old", "one", "Failed"),
        ];
        let pods = pods.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
        let rule = json!({ "issuer": "https://i", "audiences": ["istio-ca"], "jwks": key.public()? }).to_string();
        let flags = ["--jwt-rule", &rule, "--trusted-node-accounts", "istio-system/ztunnel"];
        let plane = plane(&[("pods.yaml", &pods)], &flags)?;
        let (_, own) = request()?;
        let wish = |identity: &str| {
            let wish = Field { kind: Some(Kind::StringValue(identity.to_owned())) };
            let metadata = Some(Struct { fields: [("ImpersonatedIdentity".to_owned(), wish)].into() });
            IstioCertificateRequest { metadata, ..own.clone() }
        };
        let agent = |pod| key.token("https://i", "istio-system:ztunnel", pod);
        let (web, db) = ("spiffe://cluster.local/ns/shop/sa/web", "spiffe://cluster.local/ns/shop/sa/db");
        let first = agent(Some(("ztunnel-1", "uid-ztunnel-1")))?;
        ensure!(ask(&plane, &first, &wish(web)).await? == Ok(web.to_owned()), "a workload of its node");
        let itself = "spiffe://cluster.local/ns/istio-system/sa/ztunnel";
        ensure!(ask(&plane, &first, &own).await? == Ok(itself.to_owned()), "its own");
        let refused = [
            ("a workload of another node", first.clone(), db),
            ("a workload that failed", first.clone(), "spiffe://cluster.local/ns/shop/sa/old"),
            ("a workload of nowhere", first.clone(), "spiffe://cluster.local/ns/shop/sa/none"),
            ("another mesh", first.clone(), "spiffe://other/ns/shop/sa/web"),
            ("no identity", first, "web"),
            ("an agent whose pod is another by now", agent(Some(("ztunnel-1", "uid-before")))?, web),
            ("an agent of no pod", agent(None)?, web),
            ("an agent of a pod that is not there", agent(Some(("ztunnel-9", "uid-ztunnel-9")))?, web),
            ("an agent that shows another's pod", agent(Some(("web-1", "uid-web-1")))?, web),
            ("a workload", key.token("https://i", "shop:web", Some(("web-1", "uid-web-1")))?, web),
            ("the same for another", key.token("https://i", "shop:web", Some(("web-1", "uid-web-1")))?, db),
        ];
        for (what, token, wanted) in refused {
            ensure!(ask(&plane, &token, &wish(wanted)).await? == Err(7), "{what}");
        }
        Ok(())
    });
}
