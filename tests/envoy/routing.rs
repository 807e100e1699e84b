//! The same rules, sent host by host, as whole tables, and by the state-of-the-world variant: the same routing.

use super::*;

fn rules(weights: (u32, u32)) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: shop}}
spec: {{host: web, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [web.test, '*.wild.test']
  gateways: [edge]
  http:
  - {{match: [{{headers: {{x-user: {{exact: ada}}}}}}], route: [{{destination: {{host: web, subset: v2}}}}]}}
  - {{match: [{{uri: {{prefix: /old/}}}}], rewrite: {{uri: /new/}}, route: [{{destination: {{host: web, subset: v1}}}}]}}
  - {{match: [{{uri: {{exact: /moved}}}}], redirect: {{uri: /there, redirectCode: 308}}}}
  - {{match: [{{uri: {{prefix: /fault}}}}], fault: {{abort: {{httpStatus: 418, percentage: {{value: 100}}}}}}, route: [{{destination: {{host: web}}}}]}}
  - {{match: [{{uri: {{regex: '/v[0-9]+/pay'}}}}], rewrite: {{uri: /pay}}, headers: {{response: {{set: {{x-paid: 'yes'}}}}}}, route: [{{destination: {{host: web, subset: v1}}}}]}}
  - route:
    - {{destination: {{host: web, subset: v1}}, weight: {}}}
    - {{destination: {{host: web, subset: v2}}, weight: {}}}
",
        weights.0, weights.1
    )
}

fn check(bed: &Bed) -> anyhow::Result<()> {
    eventually("the first answer", Duration::from_secs(10), || bed.version("web.test", "/", &[]))?;
    for _ in 0..20 {
        assert_eq!(bed.version("web.test", "/", &[])?, "v1", "all weight is on v1");
        assert_eq!(bed.version("deep.wild.test", "/", &[])?, "v1");
    }
    assert_eq!(bed.version("web.test", "/", &[("x-user", "ada")])?, "v2");
    let old = bed.get("web.test", "/old/a?b=1", &[])?;
    assert_eq!(serde_json::from_str::<Answer>(&old.body)?.path, "/new/a");
    let paid = bed.get("web.test", "/v12/pay", &[])?;
    assert_eq!(serde_json::from_str::<Answer>(&paid.body)?.path, "/pay", "a regular expression is replaced as a whole");
    assert!(paid.head.contains("x-paid: yes"), "{}", paid.head);
    let moved = bed.get("web.test", "/moved", &[])?;
    assert!(moved.status == 308 && moved.head.contains("location: http://web.test/there"), "{}", moved.head);
    assert_eq!(bed.get("web.test", "/fault", &[])?.status, 418);
    assert_eq!(bed.get("unknown.test", "/", &[])?.status, 404);
    Ok(())
}

#[test]
fn host_by_host_whole_tables_and_state_of_the_world_route_alike() {
    let Ok(binary) = envoy().map_err(|why| need("routing", Some(why))) else { return };
    let endpoints = [("127.0.0.1", app("web", "v1"), "v1"), ("127.0.0.2", app("web", "v2"), "v2")];
    // The second application is told apart by its address, so it has to be reached on 127.0.0.1 too: ports differ.
    let endpoints = [endpoints[0], ("127.0.0.1", endpoints[1].1, "v2")];
    for (delta, flags, hosts_apart) in
        [(true, &[][..], true), (true, &["--whole-route-tables"][..], false), (false, &[][..], false)]
    {
        let port = free_port();
        let mesh = service("web", "shop", 10, "http", &endpoints) + &gateway(port);
        let bed =
            Bed::start(&binary, &[("mesh.yaml", &mesh), ("rules.yaml", &rules((100, 0)))], port, delta, flags).unwrap();
        check(&bed).unwrap();
        let dump = bed.envoy.admin("/config_dump?resource=dynamic_route_configs").unwrap().body;
        assert_eq!(dump.contains("\"vhds\""), hosts_apart, "delta {delta} {flags:?}");

        let before = bed.plane.revision().unwrap();
        bed.plane.write("rules.yaml", &rules((0, 100))).unwrap();
        bed.plane.live(1, before).unwrap();
        for _ in 0..20 {
            assert_eq!(
                bed.version("web.test", "/", &[]).unwrap(),
                "v2",
                "delta {delta} {flags:?}: an acked edit is live"
            );
        }
        assert_eq!(bed.envoy.stat("cluster_manager.cds.update_rejected").unwrap(), 0);
        assert_eq!(bed.envoy.stat("listener_manager.lds.update_rejected").unwrap(), 0);
    }
}

#[test]
fn a_route_and_its_service_can_go_and_come_back() {
    let Ok(binary) = envoy().map_err(|why| need("removal", Some(why))) else { return };
    let port = free_port();
    let mesh = service("web", "shop", 10, "http", &[("127.0.0.1", app("web", "v1"), "v1")]) + &rules((100, 0));
    let bed = Bed::start(&binary, &[("gateway.yaml", &gateway(port)), ("mesh.yaml", &mesh)], port, true, &[]).unwrap();
    for _ in 0..3 {
        eventually("an answer", Duration::from_secs(10), || bed.version("web.test", "/", &[])).unwrap();
        let before = bed.plane.revision().unwrap();
        std::fs::remove_file(bed.plane.folder().join("mesh.yaml")).unwrap();
        bed.plane.live(1, before).unwrap();
        assert_eq!(bed.get("web.test", "/", &[]).unwrap().status, 404);
        eventually("the cluster to be gone", Duration::from_secs(10), || {
            let clusters = bed.envoy.admin("/clusters")?.body;
            ensure!(!clusters.contains("outbound|80||web"), "it is there");
            Ok(())
        })
        .unwrap();
        bed.plane.write("mesh.yaml", &mesh).unwrap();
    }
}
