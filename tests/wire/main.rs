//! The real control plane on a socket, and clients that behave like Envoy (or do not).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use prost::Message;
use proto::istio::networking::nds::v1::NameTable;
use tests::client::{Client, sidecar};
use tests::mesh::service;
use tests::plane::Plane;
use xds::ResourceType::{self, Cds, Eds, Lds, Nds, Rds, Vhds};

mod asked;
mod pages;
mod secured;
mod tokens;

fn run(test: impl Future<Output = anyhow::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limited =
        async { tokio::time::timeout(Duration::from_secs(30), test).await.context("the test takes too long")? };
    runtime.block_on(limited).unwrap();
}

fn mesh(names: &[&str]) -> String {
    names.iter().zip(1..).map(|(name, last)| service(name, "shop", last, "http", &[("10.1.0.1", 8080, "v1")])).collect()
}

fn timeout_rule(seconds: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a, namespace: shop}}\n\
         spec: {{hosts: [a], http: [{{timeout: {seconds}s, route: [{{destination: {{host: a}}}}]}}]}}\n"
    )
}

async fn settled(plane: &Plane) -> anyhow::Result<Client> {
    let mut client = Client::connect(plane.xds(), sidecar(1, "shop"), BTreeMap::new()).await?;
    client.settle_all().await?;
    Ok(client)
}

/// The types and numbers of resources that come until the client has answered so many responses.
async fn steps(client: &mut Client, count: usize) -> anyhow::Result<BTreeMap<ResourceType, usize>> {
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let (kind, resources) = client.step().await?;
        *seen.entry(kind).or_default() += resources;
    }
    Ok(seen)
}

#[test]
fn an_edit_of_a_route_is_one_virtual_host() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a", "b"])), ("rule.yaml", &timeout_rule(1))], &[])?;
        let mut client = settled(&plane).await?;
        plane.write("rule.yaml", &timeout_rule(2))?;
        let response = client.next().await?;
        assert_eq!(response.type_url, Vhds.url());
        let names: Vec<&str> = response.resources.iter().map(|resource| resource.name.as_str()).collect();
        assert_eq!(names, ["80/a.shop.svc.cluster.local:80"]);
        Ok(())
    });
}

/// The next name table, what else comes being taken.
async fn names(client: &mut Client) -> anyhow::Result<NameTable> {
    loop {
        let response = client.next().await?;
        client.answer(&response.type_url, &response.nonce, None).await?;
        if response.type_url == Nds.url() {
            let [resource] = response.resources.as_slice() else { anyhow::bail!("one resource: {response:?}") };
            assert_eq!(resource.name, "");
            return Ok(NameTable::decode(resource.resource.clone().context("a body")?.value.as_slice())?);
        }
    }
}

#[test]
fn names_are_for_those_who_ask_and_follow_edits() {
    run(async {
        let text = mesh(&["a", "b"]);
        let plane = Plane::start(&[("mesh.yaml", &text)], &[])?;
        let mut client = settled(&plane).await?;
        client.ask(Nds, &[]).await?;
        let table = names(&mut client).await?.table;
        assert_eq!(table.keys().collect::<Vec<_>>(), ["a.shop.svc.cluster.local", "b.shop.svc.cluster.local"]);
        let of_b = &table["b.shop.svc.cluster.local"];
        assert_eq!(
            (of_b.shortname.as_str(), of_b.namespace.as_str(), of_b.registry.as_str()),
            ("b", "shop", "Kubernetes")
        );
        assert_eq!(of_b.ips, ["10.96.0.2"]);
        plane.write("mesh.yaml", &text.replace("10.96.0.2", "10.96.0.9"))?;
        assert_eq!(names(&mut client).await?.table["b.shop.svc.cluster.local"].ips, ["10.96.0.9"]);
        Ok(())
    });
}

#[test]
fn what_an_agent_tells_of_a_workloads_health_is_counted_without_an_answer() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a"]))], &[])?;
        let mut client = Client::open(plane.xds(), sidecar(1, "shop"), BTreeMap::new()).await?;
        let health = "type.googleapis.com/istio.v1.HealthInformation";
        client.answer(health, "", Some("it is ill")).await?;
        client.ask(Cds, &[]).await?;
        assert_eq!(client.step().await?.0, Cds);
        client.answer(health, "", None).await?;
        client.ask(Lds, &[]).await?;
        assert!(matches!(client.step().await?.0, Eds | Lds));
        let metrics = plane.page("/metrics")?.body;
        for line in ["{healthy=\"false\"} 1", "{healthy=\"true\"} 1"] {
            assert!(metrics.contains(&format!("meltemi_workload_health_reports{line}\n")), "{metrics}");
        }
        Ok(())
    });
}

#[test]
fn a_reconnect_gets_what_differs_and_no_more() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a", "b"])), ("rule.yaml", &timeout_rule(1))], &[])?;
        let has = settled(&plane).await?.has;
        let mut equal = Client::connect(plane.xds(), sidecar(1, "shop"), has.clone()).await?;
        let seen = steps(&mut equal, 5).await?;
        assert_eq!(seen, BTreeMap::from([(Cds, 0), (Eds, 0), (Lds, 0), (Rds, 0), (Vhds, 0)]));
        drop(equal);

        let mut stale = has.clone();
        let wrong = "0".repeat(32);
        stale
            .get_mut(&Cds)
            .and_then(|has| has.insert("outbound|80||a.shop.svc.cluster.local".into(), wrong))
            .context("it had it")?;
        stale.entry(Lds).or_default().insert("gone".into(), "1".into());
        let mut client = Client::connect(plane.xds(), sidecar(1, "shop"), stale).await?;
        let seen = steps(&mut client, 5).await?;
        assert_eq!(
            seen,
            BTreeMap::from([(Cds, 1), (Eds, 1), (Lds, 0), (Rds, 0), (Vhds, 0)]),
            "its endpoints follow the cluster"
        );
        assert_eq!(client.has, has);
        Ok(())
    });
}

#[test]
fn one_refused_cluster_of_ten_leaves_nine_live_until_it_is_repaired() {
    run(async {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a"]))], &[])?;
        let mut client = settled(&plane).await?;
        plane.write("mesh.yaml", &mesh(&names))?;
        let response = client.next().await?;
        assert_eq!((response.type_url.as_str(), response.resources.len()), (Cds.url(), 9));
        let bad = "outbound|80||d.shop.svc.cluster.local";
        client.answer(Cds.url(), &response.nonce, Some(&format!("Error adding/updating cluster(s) {bad}: no"))).await?;
        let response = client.next().await?;
        let sent: Vec<&str> = response.resources.iter().map(|resource| resource.name.as_str()).collect();
        assert_eq!((response.type_url.as_str(), sent.len(), sent.contains(&bad)), (Cds.url(), 8, false));
        client.answer(Cds.url(), &response.nonce, None).await?;
        let shown = plane.page("/debug/syncz")?.body;
        assert!(shown.contains(bad) && shown.contains("no"), "{shown}");

        let policy = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, namespace: shop}\n\
             spec: {host: d, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}\n";
        plane.write("repair.yaml", policy)?;
        loop {
            let response = client.next().await?;
            client.answer(&response.type_url, &response.nonce, None).await?;
            if response.resources.iter().any(|resource| resource.name == bad) {
                return Ok(());
            }
        }
    });
}

#[test]
fn a_cluster_that_cannot_warm_is_followed_by_its_repair() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a"]))], &[])?;
        let mut client = settled(&plane).await?;
        plane.write("mesh.yaml", &mesh(&["a", "b"]))?;
        let response = client.next().await?;
        assert_eq!(response.type_url, Cds.url());
        // It is never answered: the cluster warms for ever. What comes next must come all the same.
        let policy = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: b, namespace: shop}\n\
             spec: {host: b, trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}\n";
        plane.write("repair.yaml", policy)?;
        loop {
            let response = client.next().await?;
            if response.type_url == Cds.url() {
                assert_eq!(response.resources[0].name, "outbound|80||b.shop.svc.cluster.local");
                return Ok(());
            }
            client.answer(&response.type_url, &response.nonce, None).await?;
        }
    });
}

#[test]
fn a_server_that_dies_between_clusters_and_endpoints_is_followed_by_one_that_sends_them() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a", "b"]))], &[])?;
        let mut client = Client::connect(plane.xds(), sidecar(1, "shop"), BTreeMap::new()).await?;
        let response = client.next().await?;
        assert_eq!(response.type_url, Cds.url());
        let clusters =
            response.resources.iter().map(|resource| (resource.name.clone(), resource.version.clone())).collect();
        let (address, folder) = (plane.xds().to_string(), plane.folder().clone());
        drop((client, plane));

        let plane = Plane::at(&address, folder, &[], &[])?;
        // Envoy keeps the clusters that it has not acked, and they are still warming: it asks for their endpoints.
        let mut client = Client::connect(plane.xds(), sidecar(1, "shop"), BTreeMap::from([(Cds, clusters)])).await?;
        client
            .ask(Eds, &["outbound|80||a.shop.svc.cluster.local".into(), "outbound|80||b.shop.svc.cluster.local".into()])
            .await?;
        let seen = steps(&mut client, 3).await?;
        assert_eq!((seen.get(&Cds), seen.get(&Eds)), (Some(&0), Some(&2)));
        Ok(())
    });
}

#[test]
fn a_stream_without_node_or_with_a_senseless_one_is_refused_in_words() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a"]))], &[])?;
        let nobody = proto::envoy::config::core::v3::Node { id: "pigeon~nowhere".into(), ..Default::default() };
        let mut client = Client::connect(plane.xds(), nobody, BTreeMap::new()).await?;
        assert!(client.next().await.is_err());
        assert!(plane.proxies()?.is_empty());
        let mut good = settled(&plane).await?;
        plane.write("rule.yaml", &timeout_rule(3))?;
        assert_eq!(good.step().await?.0, Vhds);
        Ok(())
    });
}

#[test]
fn at_shutdown_streams_are_told_and_one_that_hangs_holds_up_nobody() {
    run(async {
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a", "b"]))], &[])?;
        let mut told = settled(&plane).await?;
        // Never reads, never ends.
        let hanging = Client::connect(plane.xds(), sidecar(2, "shop"), BTreeMap::new()).await?;
        let address = plane.xds();
        let started = std::time::Instant::now();
        let ended = tokio::task::spawn_blocking(move || drop(plane));
        let why = told.next().await.expect_err("the stream ends").to_string();
        assert!(why.contains("14") && why.contains("shutting%20down"), "{why}");
        assert!(why.contains("transport%20is%20closing"), "what Istio's agents know for no error: {why}");
        ended.await?;
        // Its grace is 1 s.
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        assert!(Client::connect(address, sidecar(3, "shop"), BTreeMap::new()).await.is_err());
        drop(hanging);
        Ok(())
    });
}

#[test]
fn what_is_decided_against_what_was_written_is_in_the_ledger() {
    run(async {
        let rule = |name: &str, labels: &str, to: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                 metadata: {{name: {name}, namespace: shop, labels: {{{labels}}}}}\n\
                 spec: {{hosts: [a], http: [{{route: [{{destination: {{host: {to}}}}}]}}]}}\n---\n"
            )
        };
        let rules = rule("a", "", "nowhere") + &rule("b", "", "a") + &rule("c", "istio.io/rev: canary", "a");
        let plane = Plane::start(&[("mesh.yaml", &mesh(&["a"])), ("rules.yaml", &rules)], &[])?;
        let _client = settled(&plane).await?;
        let ledger: Vec<serde_json::Value> = serde_json::from_str(&plane.page("/debug/ledger")?.body)?;
        let told = |about: &str, what: &str| {
            let fits = |entry: &serde_json::Value| {
                entry["object"] == about && entry["message"].as_str().is_some_and(|message| message.contains(what))
            };
            assert!(ledger.iter().any(fits), "{about}: {what}: {ledger:?}");
        };
        told("VirtualService shop/a", "nowhere");
        told("VirtualService shop/b", "shop/a is older");
        told("VirtualService shop/c", "revision canary");
        Ok(())
    });
}
