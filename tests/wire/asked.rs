//! Questions on a stream, as istioctl asks them: a stranger is told nothing, others what is theirs, the control plane's namespace everything;
//! and who asks is no proxy.

use anyhow::ensure;
use prost_types::Any;
use proto::envoy::admin::v3::{ListenersConfigDump, RoutesConfigDump};
use proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use proto::envoy::service::status::v3::{ClientConfig, ConfigStatus};
use serde_json::Value as Json;
use tests::secured::{Refused, Secured, config, handshake};

use super::secured::{GATEWAY, WEB, connect, identity, node, plane, roots};
use super::*;

const SOTW: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const PAGE: &str = "istio.io/debug";
const SYNC: &str = "istio.io/debug/syncz";
const DUMP: &str = "istio.io/debug/config_dump";
const NOT_HERE: &str = "Proxy not connected to this Pilot instance. It may be connected to another instance.";
const WEB_ID: &str = "sidecar~10.1.0.9~web-1.shop~shop.svc.cluster.local";

/// What istioctl sends: a node that is nobody's, and the time as nonce.
fn question(kind: &str, names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(node("sidecar~10.0.0.9~test-1.istio-system~istio-system.svc.cluster.local", "default")),
        type_url: kind.to_owned(),
        resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
        response_nonce: "2026-11-26 13:00:00.1 +0000 UTC m=+0.1".to_owned(),
        ..DiscoveryRequest::default()
    }
}

/// Answers to a question of somebody who shows a token.
async fn told(
    plane: &Plane,
    token: &str,
    (kind, names): (&str, &[&str]),
) -> anyhow::Result<Result<DiscoveryResponse, Refused>> {
    let mut client = connect(plane, None).await?;
    if !token.is_empty() {
        client = client.with_token(token);
    }
    client.first(SOTW, &question(kind, names)).await
}

async fn good(plane: &Plane, token: &str, asked: (&str, &[&str])) -> anyhow::Result<Vec<Any>> {
    let answer = told(plane, token, asked).await?.map_err(|refused| anyhow::anyhow!("{asked:?}: {refused:?}"))?;
    ensure!(answer.type_url == asked.0 && !answer.version_info.is_empty(), "{answer:?}");
    Ok(answer.resources)
}

async fn page(plane: &Plane, token: &str, name: &str) -> anyhow::Result<String> {
    let all = good(plane, token, (PAGE, &[name])).await?;
    let [Any { value, .. }] = all.as_slice() else { anyhow::bail!("one answer: {all:?}") };
    Ok(String::from_utf8(value.clone())?)
}

async fn refused(plane: &Plane, token: &str, asked: (&str, &[&str])) -> anyhow::Result<(i32, String)> {
    match told(plane, token, asked).await? {
        Ok(answer) => anyhow::bail!("{asked:?} is answered: {answer:?}"),
        Err(Refused(code, why)) => Ok((code, why)),
    }
}

/// What a proxy is to have, as the messages that istioctl is given.
pub(crate) async fn dump(plane: &Plane, token: &str, proxy: &str) -> anyhow::Result<Vec<u8>> {
    let messages = good(plane, token, (DUMP, &[proxy])).await?;
    Ok(messages.into_iter().flat_map(|any| any.value).collect())
}

/// The names of the proxies in an answer about all of them.
fn proxies(all: &[Any]) -> anyhow::Result<Vec<String>> {
    let configs = all.iter().map(|any| ClientConfig::decode(any.value.as_slice()).context("a ClientConfig"));
    let names = configs.map(|config| Ok(config?.node.context("a node")?.id));
    names.collect()
}

/// A proxy of shop with its certificate, and one of bank that nobody vouches for, with all that they are to have.
async fn mesh_with_proxies() -> anyhow::Result<(Plane, Client, Client)> {
    let plane = plane(&[("mesh.yaml", &mesh(&["a", "b"]))], &[])?;
    let own = identity(&plane).await?;
    let address = plane.secure().context("there is a secured port")?;
    let io = handshake(address, config(&roots(&plane)?, Some(&own))?).await?;
    let mut me = node(WEB_ID, "web");
    let text = |text: &str| prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(text.to_owned())) };
    me.metadata.get_or_insert_default().fields.insert("ISTIO_VERSION".to_owned(), text("1.32.0"));
    let mut shop = Client::over(io, me, BTreeMap::new()).await?;
    shop.begin().await?;
    shop.settle_all().await?;
    let mut bank = Client::connect(plane.xds(), sidecar(2, "bank"), BTreeMap::new()).await?;
    bank.settle_all().await?;
    Ok((plane, shop, bank))
}

#[test]
fn a_stranger_is_told_nothing() {
    run(async {
        let (plane, _shop, _bank) = mesh_with_proxies().await?;
        for asked in [(SYNC, &[][..]), (PAGE, &["list"][..]), (DUMP, &["web-1.shop"][..])] {
            ensure!(refused(&plane, "", asked).await?.0 == 16, "{asked:?} without a token");
            ensure!(refused(&plane, "no-token-of-anybody-0", asked).await?.0 == 16, "{asked:?} with a guess");
            // The port without TLS knows nobody.
            let socket = tokio::net::TcpStream::connect(plane.xds()).await?;
            let mut plain = Secured::over(socket).await?.with_token(GATEWAY);
            let answer: Result<DiscoveryResponse, Refused> = plain.first(SOTW, &question(asked.0, asked.1)).await?;
            let Err(Refused(code, why)) = answer else { anyhow::bail!("{asked:?} is answered in plain text") };
            ensure!(code == 16 && why == "authentication required", "{code} {why}");
        }
        Ok(())
    });
}

#[test]
fn another_namespace_is_told_of_its_own_proxies_alone() {
    run(async {
        let (plane, _shop, _bank) = mesh_with_proxies().await?;
        ensure!(proxies(&good(&plane, WEB, (SYNC, &[])).await?)? == ["web-1.shop"], "more than its own");
        ensure!(page(&plane, WEB, "config_dump?proxyID=web-1.shop").await?.contains("dynamicListeners"));
        for page_name in ["config_dump", "edsz", "ndsz"] {
            let of_other = page(&plane, WEB, &format!("{page_name}?proxyID=app-2.bank")).await?;
            ensure!(of_other.trim() == NOT_HERE, "{page_name}: {of_other}");
        }
        let none = good(&plane, WEB, (DUMP, &["app-2.bank"])).await?;
        ensure!(none.len() == 1 && String::from_utf8_lossy(&none[0].value).contains(NOT_HERE), "{none:?}");
        for name in ["syncz", "adsz", "ledger", "why?proxyID=web-1.shop&resource=x", "no-such-page", "list"] {
            let (code, why) = refused(&plane, WEB, (PAGE, &[name])).await?;
            ensure!(code == 7 && why.contains("not available") && why.contains("/ns/shop/"), "{name}: {code} {why}");
        }
        Ok(())
    });
}

#[test]
fn the_control_planes_namespace_is_told_everything_and_is_no_proxy() {
    run(async {
        let (plane, _shop, _bank) = mesh_with_proxies().await?;
        let mut client = connect(&plane, None).await?.with_token(GATEWAY);
        let mut talk =
            client.talk(SOTW, &question(SYNC, &[])).await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        let answer: DiscoveryResponse = talk.next().await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        ensure!(proxies(&answer.resources)? == ["web-1.shop", "app-2.bank"], "{:?}", proxies(&answer.resources)?);
        let who: Json = serde_json::from_str(&answer.control_plane.context("who answers")?.identifier)?;
        ensure!(who["Component"] == "istiod" && who["ID"].as_str().is_some_and(|id| !id.is_empty()), "{who}");
        ensure!(who["Info"]["version"].as_str().is_some_and(|version| !version.is_empty()), "{who}");
        let config = ClientConfig::decode(answer.resources[0].value.as_slice())?;
        let metadata = config.node.and_then(|node| node.metadata).context("metadata")?.fields;
        let said = |key: &str| metadata.get(key).and_then(|value| value.kind.clone());
        for (key, value) in [("CLUSTER_ID", "Kubernetes"), ("NAMESPACE", "shop"), ("ISTIO_VERSION", "1.32.0")] {
            ensure!(
                said(key) == Some(prost_types::value::Kind::StringValue(value.to_owned())),
                "{key}: {:?}",
                said(key)
            );
        }
        let clusters = config.generic_xds_configs.iter().find(|of| of.type_url == Cds.url()).context("clusters")?;
        ensure!(
            clusters.config_status == ConfigStatus::Synced as i32 && clusters.last_updated.is_some(),
            "{clusters:?}"
        );

        // The stream is open, and asks on: its own acknowledgement has no answer, the next question has.
        talk.say(&DiscoveryRequest { response_nonce: answer.nonce, ..question(SYNC, &[]) }).await?;
        talk.say(&question(PAGE, &["syncz"])).await?;
        let answer: DiscoveryResponse = talk.next().await?.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
        ensure!(answer.type_url == PAGE, "{answer:?}");
        let rows: Vec<Json> = serde_json::from_slice(&answer.resources[0].value)?;
        let row = |name: &str| rows.iter().find(|row| row["proxy"] == name).context("no such row");
        ensure!(rows.len() == 2, "who asks is no proxy: {rows:?}");
        ensure!(row("web-1.shop")?["istio_version"] == "1.32.0" && row("web-1.shop")?["cluster_id"] == "Kubernetes");
        ensure!(row("app-2.bank")?["istio_version"].is_null(), "it said none");
        let clusters = &row("web-1.shop")?["resources"][Cds.url()];
        ensure!(clusters["sent"] == clusters["acked"] && clusters["sentTime"].as_str().is_some(), "{clusters}");
        ensure!(plane.proxies()?.len() == 2, "nor over HTTP");
        let adsz: Json = serde_json::from_str(&page(&plane, GATEWAY, "adsz").await?)?;
        ensure!(adsz["totalClients"] == 2, "{adsz}");
        Ok(())
    });
}

#[test]
fn pages_over_a_stream_say_what_they_say_over_http() {
    run(async {
        let (plane, _shop, _bank) = mesh_with_proxies().await?;
        for name in ["list", "config_dump?proxyID=app-2.bank", "config_dump?proxyID=web-1.shop&include_eds", "ledger"] {
            let over_http = plane.page(&format!("/debug/{name}"))?.body;
            ensure!(page(&plane, GATEWAY, name).await? == over_http, "{name}");
        }
        let unknown = page(&plane, GATEWAY, "no-such-page").await?;
        ensure!(unknown.starts_with("404 page not found") && unknown.contains("syncz"), "{unknown}");
        ensure!(page(&plane, GATEWAY, "config_dump").await? == "You must provide a proxyID in the query string\n");
        ensure!(page(&plane, GATEWAY, "config_dump?proxyID=gone.shop").await?.trim() == NOT_HERE);
        for (asked, code) in
            [((PAGE, &[][..]), 3), ((PAGE, &["list", "syncz"][..]), 3), (("istio.io/debug/x", &[][..]), 3)]
        {
            ensure!(refused(&plane, GATEWAY, asked).await?.0 == code, "{asked:?}");
        }
        // As messages: what istioctl compares with what Envoy has.
        let messages = good(&plane, GATEWAY, (DUMP, &["web-1.shop"])).await?;
        let of = |name: &str| {
            messages.iter().find(|any| any.type_url.ends_with(&format!(".{name}"))).context("no such part")
        };
        let listeners = ListenersConfigDump::decode(of("ListenersConfigDump")?.value.as_slice())?;
        let names: Vec<&str> = listeners.dynamic_listeners.iter().map(|listener| listener.name.as_str()).collect();
        ensure!(names.contains(&"virtualOutbound"), "{names:?}");
        let routes = RoutesConfigDump::decode(of("RoutesConfigDump")?.value.as_slice())?;
        let asked = || plane.page("/debug/adsz").map(|answer| answer.body);
        ensure!(routes.dynamic_route_configs.len() == 1, "what it asked for: {routes:?} of {}", asked()?);
        Ok(())
    });
}

#[test]
fn a_question_on_a_proxys_stream_is_answered_beside_its_configuration() {
    run(async {
        let (plane, mut shop, _bank) = mesh_with_proxies().await?;
        shop.answer(SYNC, "", None).await?;
        let answer = shop.next().await?;
        let names: Vec<&str> = answer.resources.iter().map(|resource| resource.name.as_str()).collect();
        ensure!(answer.type_url == SYNC && names == ["web-1.shop"], "{answer:?}");
        shop.ask(Nds, &[]).await?;
        super::names(&mut shop).await?;
        let told = page(&plane, WEB, "ndsz?proxyID=web-1.shop").await?;
        ensure!(told.contains("\"b.shop.svc.cluster.local\""), "{told}");
        // A refusal is told, and ends nothing.
        shop.answer(PAGE, "", None).await?;
        let answer = shop.next().await?;
        let body = answer.resources[0].resource.as_ref().context("a body")?;
        ensure!(body.value == b"exactly one debug request is required", "{answer:?}");
        plane.write("rule.yaml", &timeout_rule(1))?;
        ensure!(shop.step().await?.0 == Vhds, "its configuration comes all the same");
        Ok(())
    });
}
