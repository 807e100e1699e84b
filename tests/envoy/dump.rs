//! What a proxy is to have, as the control plane shows it, is what its Envoy shows that it has: so `istioctl proxy-status POD` compares them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use prost_types::Any;
use proto::envoy::admin::v3::{ClustersConfigDump, EndpointsConfigDump, ListenersConfigDump, RoutesConfigDump};
use serde_json::Value;

use super::ground::{Capture, Ground, pods};
use super::*;

/// A part of a dump.
fn section<M: prost::Message + prost::Name + Default>(dump: &Value) -> anyhow::Result<M> {
    let of = M::type_url();
    let part = dump["configs"].as_array().into_iter().flatten().find(|part| part["@type"] == *of);
    proto::from_json(part.with_context(|| format!("there is no {of}"))?).map_err(|error| anyhow::anyhow!("{error}"))
}

/// Resources by name.
fn by_name(all: impl IntoIterator<Item = Option<Any>>) -> BTreeMap<String, Value> {
    let read = all.into_iter().flatten().map(|any| {
        let value = proto::to_json(&any);
        let name = value.get("name").or_else(|| value.get("clusterName")).and_then(Value::as_str);
        (name.unwrap_or_default().to_owned(), value)
    });
    read.collect()
}

/// Listeners, clusters, routes and endpoints that came by discovery.
fn resources(dump: &Value) -> anyhow::Result<[BTreeMap<String, Value>; 4]> {
    let listeners = section::<ListenersConfigDump>(dump)?.dynamic_listeners.into_iter();
    let clusters = section::<ClustersConfigDump>(dump)?.dynamic_active_clusters.into_iter();
    let routes = section::<RoutesConfigDump>(dump)?.dynamic_route_configs.into_iter();
    let endpoints = section::<EndpointsConfigDump>(dump)?.dynamic_endpoint_configs.into_iter();
    let mut endpoints = by_name(endpoints.map(|endpoints| endpoints.endpoint_config));
    // Envoy shows those of clusters that bring their own, or have none, too.
    endpoints.retain(|name, _| name.starts_with("outbound|"));
    Ok([
        by_name(listeners.map(|listener| listener.active_state.and_then(|state| state.listener))),
        by_name(clusters.map(|cluster| cluster.cluster)),
        by_name(routes.map(|table| table.route_config)),
        endpoints,
    ])
}

fn same(ours: &str, envoys: &str) -> anyhow::Result<()> {
    let [ours, envoys] = [ours, envoys].map(|text| serde_json::from_str::<Value>(text).map(|dump| resources(&dump)));
    let (ours, envoys) = (ours??, envoys??);
    for (kind, (ours, envoys)) in ["listeners", "clusters", "routes", "endpoints"].iter().zip(ours.iter().zip(&envoys))
    {
        let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<Vec<_>>();
        ensure!(names(ours) == names(envoys), "{kind}: {:?} and {:?}", names(ours), names(envoys));
        // Envoy writes endpoints as it uses them, not as they came: weights and health are filled in.
        for (name, own) in ours.iter().filter(|_| *kind != "endpoints") {
            ensure!(*own == envoys[name], "{kind} {name}: {own:#}\nand\n{:#}", envoys[name]);
        }
    }
    let counts = ours.map(|all| all.len());
    ensure!(counts.iter().all(|count| *count > 0), "nothing is compared: {counts:?}");
    Ok(())
}

#[test]
fn a_gateway_has_what_the_control_plane_shows() {
    let Ok(binary) = envoy().map_err(|why| need("dumps", Some(why))) else { return };
    for delta in [true, false] {
        let port = free_port();
        let mesh = service("web", "shop", 10, "http", &[("127.0.0.1", 8080, "v1")])
            + &service("b", "shop", 11, "http", &[("127.0.0.1", 8081, "v1")])
            + &gateway(port);
        let rules = ["b", "web"].map(|name| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: shop}}\n\
                 spec: {{hosts: [{name}.test], gateways: [edge], http: [{{route: [{{destination: {{host: \
                 {name}.shop.svc.cluster.local}}}}]}}]}}\n---\n"
            )
        });
        let files = [("mesh.yaml", mesh.as_str()), ("rules.yaml", &rules.concat())];
        let bed = Bed::start(&binary, &files, port, delta, &[]).unwrap();
        eventually("the dumps to be equal", Duration::from_secs(20), || {
            let ours = bed.plane.page("/debug/config_dump?proxyID=ingress.istio-system&include_eds")?.body;
            same(&ours, &bed.envoy.admin("/config_dump?include_eds")?.body).with_context(|| format!("delta {delta}"))
        })
        .unwrap();
    }
}

#[test]
fn a_sidecar_has_what_the_control_plane_shows() {
    if !need("dumps of a sidecar", envoy().err().or_else(bed::net::obstacle)) {
        return;
    }
    let address = Ipv4Addr::new(10, 78, 0, 21);
    let pod = ("web-1", "web", "v1", address);
    let mesh = service("web", "shop", 10, "http", &[("10.78.0.21", 8080, "v1")])
        + &service("b", "shop", 11, "http", &[("10.78.0.29", 8081, "v1")])
        + &pods(&[pod]);
    let ground = Ground::start(&[("mesh.yaml", &mesh)], &[], "24h");
    let (envoy, _place) = ground.sidecar(pod, Capture::Bed);
    eventually("the dumps to be equal", Duration::from_secs(30), || {
        let ours = ground.page("/debug/config_dump?proxyID=web-1.shop&include_eds")?;
        same(&ours, &envoy.admin("/config_dump?include_eds")?.body)
    })
    .unwrap();
}
