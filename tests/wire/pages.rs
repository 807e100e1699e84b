//! The debug pages say what is there, in the fields in which those who read istiod's look for it.

use anyhow::ensure;
use bed::process::eventually;
use serde_json::{Value as Json, json};

use super::secured::node;
use super::*;

const POLICIES: &str = "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow, namespace: shop}
spec: {rules: [{}]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: istio-system}
spec: {accessLogging: [{disabled: true}]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: logs, namespace: bank}
spec: {accessLogging: [{disabled: true}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: 'connectTimeout: 3s'}
";

fn page(plane: &Plane, name: &str) -> anyhow::Result<Json> {
    let answer = plane.page(&format!("/debug/{name}"))?;
    ensure!(answer.status == 200, "{name}: {} {}", answer.status, answer.body);
    serde_json::from_str(&answer.body).with_context(|| format!("{name}: {}", answer.body))
}

fn expect(found: &Json, expected: &Json) -> anyhow::Result<()> {
    ensure!(found == expected, "{found:#}\nbut expected {expected:#}");
    Ok(())
}

fn plane() -> anyhow::Result<Plane> {
    let files = [("mesh.yaml", &*mesh(&["a", "b"])), ("rule.yaml", &*timeout_rule(1)), ("policies.yaml", POLICIES)];
    Plane::start(&files, &[])
}

#[test]
fn services_and_objects_are_shown_also_when_nobody_is_connected() {
    run(async {
        let plane = plane()?;
        let services = page(&plane, "registryz")?;
        let host = |at: usize| services[at]["hostname"].clone();
        expect(&json!([host(0), host(1)]), &json!(["a.shop.svc.cluster.local", "b.shop.svc.cluster.local"]))?;
        expect(&services[1]["ports"], &json!([{ "name": "http", "port": 80, "protocol": "HTTP" }]))?;
        expect(&services[1]["clusterVIPs"]["Addresses"]["Kubernetes"], &json!(["10.96.0.2"]))?;
        for name in ["endpointShardz", "endpointz"] {
            let shards = page(&plane, name)?;
            let found = &shards["a.shop.svc.cluster.local"]["shop"]["Shards"]["Kubernetes/Kubernetes"];
            expect(&found[0]["Addresses"], &json!(["10.1.0.1"]))?;
            let told = ["EndpointPort", "ServicePortName", "HealthStatus", "TLSMode"].map(|key| found[0][key].clone());
            expect(&json!(told), &json!([8080, "http", 1, "disabled"]))?;
        }
        let objects = page(&plane, "configz")?;
        let of = |kind: &str| objects.as_array().into_iter().flatten().find(|object| object["kind"] == kind);
        let rule = of("VirtualService").context("the rule")?;
        expect(&rule["apiVersion"], &json!("networking.istio.io/v1"))?;
        expect(&json!([rule["metadata"]["name"], rule["spec"]["http"][0]["timeout"]]), &json!(["a", "1s"]))?;
        ensure!(of("ConfigMap").is_none() && of("PeerAuthentication").is_some(), "{objects:#}");
        let policies = page(&plane, "authorizationz")?;
        let policy = &policies["authorization_policies"]["namespace_to_policies"]["shop"][0];
        expect(&json!([policy["name"], policy["spec"]["rules"]]), &json!(["allow", [{}]]))?;
        let telemetries = page(&plane, "telemetryz")?["telemetries"]["namespace_to_telemetries"].clone();
        ensure!(telemetries["bank"][0]["name"] == "logs" && telemetries["istio-system"][0]["name"] == "logs");
        let settings = page(&plane, "mesh")?;
        expect(
            &json!([settings["connectTimeout"], settings["rootNamespace"], settings["trustDomain"]]),
            &json!(["3s", "istio-system", "cluster.local"]),
        )?;
        let kinds = page(&plane, "resourcesz")?;
        let gateway = json!({ "group": "networking.istio.io", "version": "v1", "kind": "Gateway" });
        ensure!(kinds.as_array().is_some_and(|kinds| kinds.contains(&gateway)), "{kinds}");
        expect(&page(&plane, "clusterz")?[0]["id"], &json!("Kubernetes"))?;
        for (name, none) in
            [("networkz", json!([])), ("mcsz", json!([])), ("instancesz", json!({})), ("syncz", json!([]))]
        {
            expect(&page(&plane, name)?, &none)?;
        }
        // Looking at them left nothing behind.
        expect(&page(&plane, "cachez")?, &json!({}))?;
        Ok(())
    });
}

#[test]
fn a_proxy_is_shown_with_what_it_serves_and_may_call() {
    run(async {
        let plane = plane()?;
        let me = node("sidecar~10.1.0.1~a-1.shop~shop.svc.cluster.local", "a");
        let mut client = Client::connect(plane.xds(), me, BTreeMap::new()).await?;
        client.settle_all().await?;
        let served = &page(&plane, "instancesz")?["a-1.shop"];
        let first =
            json!([served[0]["Service"]["hostname"], served[0]["Port"]["port"], served[0]["Port"]["TargetPort"]]);
        expect(&first, &json!(["a.shop.svc.cluster.local", 80, 8080]))?;
        let scope = page(&plane, "sidecarz?proxyID=a-1.shop")?;
        expect(&scope["services"], &json!(["a.shop.svc.cluster.local", "b.shop.svc.cluster.local"]))?;
        expect(&scope["virtualServices"], &json!(["shop/a"]))?;
        expect(&scope["outboundTrafficPolicy"]["mode"], &json!("ALLOW_ANY"))?;
        let cached = page(&plane, "cachez")?;
        let cluster = json!("outbound|80||a.shop.svc.cluster.local");
        ensure!(cached[Cds.url()].as_array().is_some_and(|names| names.contains(&cluster)), "{cached}");
        ensure!(
            page(&plane, "cachez?sizes")?["total"].as_str().is_some_and(|size| size.ends_with('B') && size != "0B")
        );
        let own = page(&plane, "telemetryz?proxyID=a-1.shop")?["telemetries"]["namespace_to_telemetries"].clone();
        ensure!(own["istio-system"].is_array() && own["bank"].is_null(), "{own}");

        // Part of a name will do, and a connection is named by its number.
        for name in ["adsz?proxyID=a-1", "adsz", "connections"] {
            let clients = page(&plane, name)?;
            let id = clients["clients"][0]["connectionId"].as_str().unwrap_or_default();
            ensure!(clients["totalClients"] == 1 && id.starts_with("a-1.shop-"), "{name}: {clients}");
        }
        let watches = &page(&plane, "adsz")?["clients"][0]["watches"];
        expect(&watches["type.googleapis.com/envoy.config.route.v3.RouteConfiguration"], &json!(["80"]))?;
        let endpoints = page(&plane, "edsz?proxyID=a-1.shop")?;
        ensure!(endpoints["configs"][0]["clusterName"] == "outbound|80||a.shop.svc.cluster.local", "{endpoints}");
        expect(&page(&plane, "ecdsz?proxyID=a-1.shop")?, &json!({ "configs": [] }))?;
        for name in ["adsz", "sidecarz", "telemetryz", "config_dump", "edsz", "why"] {
            let answer = plane.page(&format!("/debug/{name}?proxyID=gone.shop"))?;
            ensure!(
                answer.status == 404 && answer.body.contains("not connected to this Pilot"),
                "{name}: {}",
                answer.body
            );
        }
        ensure!(plane.page("/debug/adsz?push=true")?.status == 400);
        ensure!(plane.page("/debug/syncz?pretty")?.body.contains("\n"), "in lines");
        ensure!(plane.page("/debug")?.body.contains("/debug/config_dump"), "a browser sees what there is");
        Ok(())
    });
}

#[test]
fn what_a_proxy_refuses_and_lacks_is_shown_with_what_conflicts() {
    run(async {
        let beside = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: b, namespace: shop}\n\
                      spec: {hosts: [a], http: [{route: [{destination: {host: b}}]}]}\n";
        let files = [("mesh.yaml", &*mesh(&["a", "b"])), ("rule.yaml", &*timeout_rule(1)), ("z.yaml", beside)];
        let plane = Plane::start(&files, &[])?;
        let me = node("sidecar~10.1.0.1~a-1.shop~shop.svc.cluster.local", "a");
        let mut client = Client::connect(plane.xds(), me, BTreeMap::new()).await?;
        client.settle_all().await?;
        let quiet = page(&plane, "push_status")?;
        ensure!(quiet["meltemi_push"]["revision"]["message"].as_str() > Some("0"), "{quiet:#}");
        ensure!(quiet["meltemi_left_out"].as_object().is_some_and(|all| !all.is_empty()), "{quiet:#}");
        ensure!(quiet.get("pilot_xds_vhds_reject").is_none(), "{quiet:#}");
        plane.write("rule.yaml", &timeout_rule(2))?;
        let response = client.next().await?;
        client.answer(&response.type_url, &response.nonce, Some("80/a.shop.svc.cluster.local:80: it is ugly")).await?;
        eventually("the refusal", std::time::Duration::from_secs(10), || {
            let status = page(&plane, "push_status")?;
            let refused = status["pilot_xds_vhds_reject"].as_object().context("a refusal")?;
            let (about, said) = refused.iter().next().context("one")?;
            ensure!(about.starts_with("a-1.shop-") && about.ends_with(" 80/a.shop.svc.cluster.local:80"), "{about}");
            ensure!(said["proxy"] == "a-1.shop" && said["message"].as_str().is_some_and(|why| why.ends_with("ugly")));
            let lacks = status["meltemi_not_live"].as_object().context("what it lacks")?;
            ensure!(lacks.keys().all(|about| about.ends_with(" vhds")), "{status:#}");
            Ok(())
        })
    });
}

#[test]
fn a_proxy_is_disconnected_by_hand_and_comes_back() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &*mesh(&["a"]))], &["--unsafe-pages=true"])?;
        let named = |name: &str| node(&format!("sidecar~10.1.0.1~{name}.shop~shop.svc.cluster.local"), "a");
        let mut other = Client::connect(plane.xds(), named("b-1"), BTreeMap::new()).await?;
        let mut client = Client::connect(plane.xds(), named("a-1"), BTreeMap::new()).await?;
        other.settle_all().await?;
        client.settle_all().await?;
        let answer = plane.page("/debug/force_disconnect?proxyID=a-1.shop")?;
        ensure!((answer.status, &*answer.body) == (200, "OK"), "{} {}", answer.status, answer.body);
        let ended = loop {
            match client.next().await {
                Ok(_) => {}
                Err(ended) => break ended.to_string(),
            }
        };
        ensure!(ended.contains("grpc-status") && ended.contains("\"0\""), "{ended}");
        eventually("it to be gone", std::time::Duration::from_secs(10), || {
            ensure!(plane.page("/debug/force_disconnect?proxyID=a-1.shop")?.status == 404);
            let rest = plane.proxies()?;
            ensure!(rest.len() == 1 && rest[0]["proxy"] == "b-1.shop", "{rest:?}");
            Ok(())
        })?;
        let mut again = Client::connect(plane.xds(), named("a-1"), client.has).await?;
        again.step().await?;
        ensure!(again.received == 0, "it has everything");
        plane.write("mesh.yaml", &mesh(&["a", "b"]))?;
        other.step().await.context("the other one stayed")?;
        Ok(())
    });
}
