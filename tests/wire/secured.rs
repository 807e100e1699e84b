//! The secured port: certificates for those who prove who they are, discovery for those who are who they say, secrets for nobody else.

use anyhow::ensure;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use proto::envoy::config::core::v3::Node;
use proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use proto::istio::mesh::v1alpha1::ProxyConfig;
use proto::istio::v1::auth::IstioCertificateRequest;
use tests::secured::{Identity, Refused, Secured, Talk};

use super::*;

pub(crate) const WEB: &str = "token-of-web-0123456789";
pub(crate) const GATEWAY: &str = "token-of-gateway-0123456789";
const DELTA: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const SECRETS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

/// A control plane with an authority of its own and two tokens.
pub(crate) fn plane(files: &[(&str, &str)], flags: &[&str]) -> anyhow::Result<Plane> {
    let folder = tests::plane::folder();
    let beside = folder.with_extension("ca");
    std::fs::create_dir_all(&beside)?;
    let tokens = beside.join("tokens");
    std::fs::write(&tokens, format!("{WEB} shop/web\n{GATEWAY} istio-system/ingress\n"))?;
    let [ca, tokens] = [beside.join("ca"), tokens].map(|path| path.display().to_string());
    let own = ["--ca-dir", &ca, "--secure-address", "127.0.0.1:0", "--token-file", &tokens];
    Plane::at("127.0.0.1:0", folder, files, &[&own, flags].concat())
}

pub(crate) fn roots(plane: &Plane) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(plane.folder().with_extension("ca").join("ca/root-cert.pem"))?)
}

pub(crate) async fn connect(plane: &Plane, identity: Option<&Identity>) -> anyhow::Result<Secured> {
    Secured::connect(plane.secure().context("there is a secured port")?, &roots(plane)?, identity).await
}

/// A key, and a request that asks to be somebody else.
pub(crate) fn request() -> anyhow::Result<(String, IstioCertificateRequest)> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(vec![])?;
    params.subject_alt_names.push(rcgen::SanType::URI("spiffe://cluster.local/ns/evil/sa/evil".try_into()?));
    let csr = params.serialize_request(&key)?.pem()?;
    Ok((key.serialize_pem(), IstioCertificateRequest { csr, ..IstioCertificateRequest::default() }))
}

pub(crate) async fn identity(plane: &Plane) -> anyhow::Result<Identity> {
    lasting(plane, 0).await
}

/// A certificate for so many seconds, or as long as is usual.
async fn lasting(plane: &Plane, validity_duration: i64) -> anyhow::Result<Identity> {
    let (key, request) = request()?;
    let request = IstioCertificateRequest { validity_duration, ..request };
    let chain = connect(plane, None).await?.with_token(WEB).certificate(&request).await?;
    let chain = chain.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    ensure!(chain.len() >= 2, "agents refuse fewer than two");
    Ok((chain[..chain.len() - 1].concat(), key))
}

pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, Refused>) -> i32 {
    answer.map_or_else(|Refused(code, _)| code, |_| 0)
}

pub(crate) fn node(id: &str, account: &str) -> Node {
    let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let labels = Struct { fields: [("app".to_owned(), text("ingress"))].into() };
    let labels = Value { kind: Some(Kind::StructValue(labels)) };
    let fields = [("SERVICE_ACCOUNT".to_owned(), text(account)), ("LABELS".to_owned(), labels)].into();
    Node { id: id.to_owned(), metadata: Some(Struct { fields }), ..Node::default() }
}

fn ask(node: Node, url: &str, names: &[&str]) -> DeltaDiscoveryRequest {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    DeltaDiscoveryRequest {
        node: Some(node),
        type_url: url.to_owned(),
        resource_names_subscribe: names,
        ..Default::default()
    }
}

#[test]
fn a_token_gives_a_certificate_and_a_certificate_the_next() {
    run(async {
        let plane = plane(&[], &[])?;
        let own = identity(&plane).await?;
        let leaf = pem_of(&own.0)?;
        ensure!(ca::uris_of(&leaf) == ["spiffe://cluster.local/ns/shop/sa/web"], "{:?}", ca::uris_of(&leaf));
        let renewed = connect(&plane, Some(&own)).await?.certificate(&request()?.1).await?;
        let renewed = renewed.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        ensure!(ca::uris_of(&pem_of(&renewed[0])?) == ["spiffe://cluster.local/ns/shop/sa/web"], "not as before");
        let metrics = plane.page("/metrics")?.body;
        ensure!(metrics.contains("citadel_server_success_cert_issuance_count 2"), "{metrics}");
        Ok(())
    });
}

#[test]
fn the_trust_domain_counts_before_anybody_is_connected() {
    run(async {
        let settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n\
             data: {mesh: 'trustDomain: other.test'}\n";
        let plane = plane(&[("settings.yaml", settings)], &[])?;
        let uris = ca::uris_of(&pem_of(&identity(&plane).await?.0)?);
        ensure!(uris == ["spiffe://other.test/ns/shop/sa/web"], "{uris:?}");
        Ok(())
    });
}

pub(crate) fn pem_of(chain: &str) -> anyhow::Result<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    Ok(CertificateDer::from_pem_slice(chain.as_bytes())?.to_vec())
}

#[test]
fn who_proves_nothing_gets_nothing() {
    run(async {
        let plane = plane(&[], &["--max-workload-cert-ttl", "48h"])?;
        let (_, request) = request()?;
        ensure!(code(connect(&plane, None).await?.certificate(&request).await?) == 16, "without a token");
        let mut guessed = connect(&plane, None).await?.with_token("token-of-web-0123456788");
        ensure!(code(guessed.certificate(&request).await?) == 16, "with another token");
        let mut known = connect(&plane, None).await?.with_token(WEB);
        let with = |csr: &str, validity_duration| IstioCertificateRequest {
            csr: csr.to_owned(),
            validity_duration,
            metadata: None,
        };
        ensure!(code(known.certificate(&with("junk", 0)).await?) == 3, "no request");
        ensure!(code(known.certificate(&with(&request.csr, 49 * 3600)).await?) == 3, "too long");
        ensure!(code(known.certificate(&with(&"x".repeat(70_000), 0)).await?) == 8, "too large");
        let wish = Value { kind: Some(Kind::StringValue("spiffe://cluster.local/ns/a/sa/b".to_owned())) };
        let metadata = Some(Struct { fields: [("ImpersonatedIdentity".to_owned(), wish)].into() });
        ensure!(
            code(known.certificate(&IstioCertificateRequest { metadata, ..request.clone() }).await?) == 7,
            "for another"
        );
        // A certificate that somebody else made is no proof; the handshake ends.
        let (cert, key) = ca::self_signed("x", 1_700_000_000)?;
        let stranger = match connect(&plane, Some(&(cert, key))).await {
            Ok(mut client) => client.certificate(&request).await.map(code),
            Err(error) => Err(error),
        };
        ensure!(stranger.is_err(), "{stranger:?}");
        Ok(())
    });
}

#[test]
fn a_certificate_that_has_ended_opens_nothing() {
    run(async {
        let plane = plane(&[], &[])?;
        let (brief, usual) = (lasting(&plane, 2).await?, lasting(&plane, 0).await?);
        let asked = async |own: &Identity| connect(&plane, Some(own)).await?.certificate(&request()?.1).await.map(code);
        ensure!(asked(&brief).await? == 0, "it holds at first");
        // The two differ in nothing but their end, at which the handshake fails.
        while let Ok(code) = asked(&brief).await {
            ensure!(code == 0, "refused for something else: {code}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        ensure!(asked(&usual).await? == 0, "the other one holds still");
        Ok(())
    });
}

#[test]
fn a_proxy_is_who_its_certificate_says() {
    run(async {
        let plane = plane(&[], &[])?;
        let own = identity(&plane).await?;
        for (id, account, expected) in [
            ("sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local", "web", 0),
            ("sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local", "", 0),
            ("sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local", "admin", 7),
            ("sidecar~10.1.0.9~web-1.bank~bank.svc.cluster.local", "web", 7),
        ] {
            let mut client = connect(&plane, Some(&own)).await?;
            let answer =
                client.first::<_, DeltaDiscoveryResponse>(DELTA, &ask(node(id, account), Cds.url(), &[])).await?;
            ensure!(code(answer) == expected, "{id} {account}");
        }
        let request = ask(node("sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local", "web"), Cds.url(), &[]);
        let nobody = connect(&plane, None).await?.first::<_, DeltaDiscoveryResponse>(DELTA, &request).await?;
        ensure!(code(nobody) == 16, "without a credential");
        Ok(())
    });
}

#[test]
fn a_gateways_key_goes_to_the_gateway_alone() {
    let (cert, key) = ca::self_signed("shop.example", 1_700_000_000).unwrap();
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let files = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: shop-tls, namespace: istio-system}}\ntype: kubernetes.io/tls\n\
         stringData:\n  tls.crt: |\n{}  tls.key: |\n{}---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: g, \
         namespace: istio-system}}\nspec:\n  selector: {{app: ingress}}\n  servers:\n  - port: {{number: 443, name: https, protocol: \
         HTTPS}}\n    hosts: [shop.example]\n    tls: {{mode: SIMPLE, credentialName: shop-tls}}\n",
        indent(&cert),
        indent(&key)
    );
    run(async move {
        let plane = plane(&[("gateway.yaml", &files)], &[])?;
        let gateway = || node("router~10.1.0.8~ingress-1.istio-system~istio-system.svc.cluster.local", "ingress");
        let request = ask(gateway(), SECRETS, &["kubernetes://shop-tls"]);
        let mut client = connect(&plane, None).await?.with_token(GATEWAY);
        let mut talk = client.talk(DELTA, &request).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let answer: DeltaDiscoveryResponse = talk.next().await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        ensure!(answer.resources.len() == 1 && answer.resources[0].name == "kubernetes://shop-tls", "{answer:?}");
        let line = key.lines().nth(1).context("a key has lines")?;
        let sent = &answer.resources[0].resource.as_ref().context("a secret has a body")?.value;
        ensure!(String::from_utf8_lossy(sent).contains(line), "the key is not in it");
        // Who may see all that it has is shown that there is a key, and the certificate.
        let dump = plane.page("/debug/config_dump?proxyID=ingress-1.istio-system&types=sds")?.body;
        let dump: serde_json::Value = serde_json::from_str(&dump)?;
        let pair = &dump["configs"][0]["tlsCertificate"];
        ensure!(pair["privateKey"]["inlineBytes"] == "W3JlZGFjdGVkXQ==", "{dump}");
        ensure!(pair["certificateChain"]["inlineBytes"].as_str().is_some_and(|chain| chain.len() > 100), "{dump}");
        let dump = asked::dump(&plane, GATEWAY, "ingress-1.istio-system").await?;
        let text = String::from_utf8_lossy(&dump);
        ensure!(
            text.contains("kubernetes://shop-tls") && text.contains("[redacted]") && !text.contains(line),
            "{text}"
        );
        drop(talk);
        // The same node without a credential.
        let mut plain = Client::connect(plane.xds(), gateway(), BTreeMap::new()).await?;
        plain.settle_all().await?;
        plain.ask(ResourceType::Sds, &["kubernetes://shop-tls".to_owned()]).await?;
        let (kind, resources) = plain.step().await?;
        ensure!(kind == ResourceType::Sds && resources == 0, "{kind:?} {resources}");
        for page in ["/debug/config_dump?proxyID=ingress-1.istio-system", "/debug/syncz", "/debug/ledger", "/metrics"] {
            ensure!(!plane.page(page)?.body.contains(line), "{page} shows the key");
        }
        Ok(())
    });
}

const TRUST: &str = "type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig";

/// The next roots that a stream is told, and the nonce.
async fn told(talk: &mut Talk) -> anyhow::Result<(Vec<String>, String)> {
    let answer: DeltaDiscoveryResponse = talk.next().await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    let resource = answer.resources.first().and_then(|resource| resource.resource.as_ref());
    let config = ProxyConfig::decode(resource.context("roots are told")?.value.as_slice())?;
    Ok((config.ca_certificates_pem, answer.nonce))
}

fn take(nonce: String) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { response_nonce: nonce, type_url: TRUST.to_owned(), ..Default::default() }
}

/// The last element of a new certificate's chain.
async fn bundle(plane: &Plane, client: &mut Secured) -> anyhow::Result<String> {
    let chain = client.certificate(&request()?.1).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    ensure!(chain.len() == 2 && plane.secure().is_some(), "{chain:?}");
    Ok(chain[1].clone())
}

#[test]
fn a_new_authority_is_known_to_all_before_it_signs_and_the_old_one_goes_last() {
    run(async {
        let plane = plane(&[], &["--workload-cert-ttl", "8s", "--max-workload-cert-ttl", "8s", "--root-settle", "1s"])?;
        let old = roots(&plane)?;
        let ca = plane.folder().with_extension("ca").join("ca");
        let address = plane.secure().context("there is a secured port")?;
        let mut client = Secured::connect(address, &old, None).await?.with_token(WEB);
        let first = ask(node("sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", "web"), TRUST, &[]);
        let mut talk = client.talk(DELTA, &first).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let (told_first, nonce) = told(&mut talk).await?;
        ensure!(told_first == [old.clone()], "{told_first:?}");
        talk.say(&take(nonce)).await?;

        // A certificate without its key is not looked at twice; the key makes the set whole.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let (cert, key) = ca::self_signed("next", i64::try_from(now)?)?;
        std::fs::write(ca.join("ca-cert.pem"), &cert)?;
        std::fs::write(ca.join("root-cert.pem"), &cert)?;
        for _ in 0..30 {
            ensure!(bundle(&plane, &mut client).await? == old, "half an authority was taken");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::fs::write(ca.join("ca-key.pem"), &key)?;
        let (both, nonce) = told(&mut talk).await?;
        ensure!(both == [old.clone(), cert.clone()], "{both:?}");
        let before = bundle(&plane, &mut client).await?;
        ensure!(before == format!("{old}{cert}"), "the old one signs while the new one is made known");
        // Nothing is signed below the new root while this stream has not taken it.
        for _ in 0..40 {
            ensure!(bundle(&plane, &mut client).await? == before, "it was not waited for");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        talk.say(&take(nonce)).await?;
        let (turned, nonce) = told(&mut talk).await?;
        ensure!(turned == [cert.clone(), old.clone()], "{turned:?}");
        talk.say(&take(nonce)).await?;
        ensure!(bundle(&plane, &mut client).await? == format!("{cert}{old}"), "the new one signs");
        Secured::connect(address, &old, None).await.context("who has the old root only was dropped at once")?;
        let (last, _) = told(&mut talk).await?;
        ensure!(last == [cert.clone()], "{last:?}");
        Secured::connect(address, &cert, None).await.context("the new root names the control plane")?;
        ensure!(Secured::connect(address, &old, None).await.is_err(), "the old root still does");
        Ok(())
    });
}
