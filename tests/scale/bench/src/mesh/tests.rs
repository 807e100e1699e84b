use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::edits::{Change, Kind, Touches};
use crate::shape::Size;

const SIZES: [Size; 6] = [Size::S, Size::M, Size::Ms, Size::L, Size::G, Size::P];

fn files(size: Size, seed: u64) -> Vec<File> {
    Mesh::new(size.shape(), seed).files().collect()
}

#[test]
fn the_same_seed_gives_the_same_mesh_and_another_seed_another_one() {
    assert_eq!(files(Size::S, 7), files(Size::S, 7));
    assert_ne!(files(Size::S, 7), files(Size::S, 8));
}

#[test]
fn a_mesh_has_what_its_shape_says() {
    for size in [Size::S, Size::Ms, Size::G, Size::P] {
        let shape = size.shape();
        let mut kinds = BTreeMap::new();
        for object in files(size, 1).iter().flat_map(|file| &file.objects) {
            *kinds.entry(object["kind"].as_str().unwrap().to_owned()).or_insert(0u32) += 1;
        }
        let count = |kind: &str| kinds.get(kind).copied().unwrap_or_default();
        let pods = (0..shape.services).map(|service| shape.endpoints_of(service)).sum::<u32>();
        assert_eq!(count("Service"), shape.services, "{size:?}");
        assert_eq!(count("EndpointSlice"), shape.services, "{size:?}");
        assert_eq!(count("Pod"), pods, "{size:?}");
        assert_eq!(count("VirtualService"), shape.routes + shape.gateways, "{size:?}");
        assert_eq!(count("DestinationRule"), shape.rules, "{size:?}");
        assert_eq!(count("AuthorizationPolicy"), shape.policies, "{size:?}");
        assert_eq!(count("PeerAuthentication"), shape.policies + 1, "{size:?}");
        assert_eq!(count("Gateway"), shape.gateways + shape.http_routes.min(1), "{size:?}");
        assert_eq!(count("HTTPRoute"), shape.http_routes, "{size:?}");
        assert_eq!(count("Sidecar"), if shape.scoped { shape.namespaces } else { 0 }, "{size:?}");
        assert_eq!(count("Namespace"), shape.namespaces + 1, "{size:?}");
    }
}

#[test]
fn names_files_and_addresses_are_unique_also_with_new_services() {
    for (size, seed) in SIZES.into_iter().zip([1, 2, 3, 4, 5, 249]) {
        let mesh = Mesh::new(size.shape(), seed);
        let (mut paths, mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for file in mesh.files().chain((0..500).map(|number| mesh.another(number))) {
            assert!(paths.insert(file.path.clone()), "{} is there twice", file.path);
            for object in &file.objects {
                let metadata = &object["metadata"];
                let version = &object["apiVersion"];
                let name = format!("{version} {} {}/{}", object["kind"], metadata["namespace"], metadata["name"]);
                assert!(names.insert(name.clone()), "{name} is there twice");
                let endpoints = object["endpoints"].as_array().into_iter().flatten();
                let own = endpoints.map(|endpoint| &endpoint["addresses"][0]).chain([&object["spec"]["clusterIP"]]);
                for address in own.filter_map(|address| address.as_str()) {
                    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
                    assert!(addresses.insert(address.to_owned()), "{address} is there twice");
                }
            }
        }
    }
}

#[test]
fn endpoints_are_where_their_pods_are() {
    let mesh = Mesh::new(Size::S.shape(), 3);
    let (pods, slice) = (mesh.pods(42), mesh.endpoints(42, true));
    let pods: Vec<_> = pods.objects.iter().map(|pod| &pod["status"]["podIP"]).collect();
    let endpoints: Vec<_> =
        slice.objects[0]["endpoints"].as_array().unwrap().iter().map(|endpoint| &endpoint["addresses"][0]).collect();
    assert_eq!(pods, endpoints);
}

#[test]
fn an_edit_changes_what_is_there_and_the_next_one_something_else() {
    let mesh = Mesh::new(Size::Ms.shape(), 5);
    let there: BTreeMap<String, File> = mesh.files().map(|file| (file.path.clone(), file)).collect();
    for kind in Kind::ALL {
        let edits: Vec<_> = (0..50).map(|round| mesh.edit(kind, round).unwrap()).collect();
        let paths: BTreeSet<_> = edits
            .iter()
            .map(|edit| match &edit.change {
                Change::Put(file) | Change::Remove(file) => {
                    let known = there.get(&file.path);
                    assert_eq!(known.is_none(), matches!(kind, Kind::NewService | Kind::DeletedService), "{kind:?}");
                    // What is strict in round 0 is as it was in round 1.
                    if kind != Kind::MeshWide {
                        assert_ne!(known, Some(file), "{kind:?}");
                    }
                    &file.path
                }
            })
            .collect();
        assert_eq!(paths.len(), if kind == Kind::MeshWide { 1 } else { 50 }, "{kind:?}");
    }
    assert_ne!(mesh.edit(Kind::MeshWide, 0), mesh.edit(Kind::MeshWide, 1));
}

#[test]
fn scopes_say_who_is_touched() {
    let (scoped, open) = (Mesh::new(Size::Ms.shape(), 5), Mesh::new(Size::M.shape(), 5));
    let route = |mesh: &Mesh| mesh.edit(Kind::Route, 3).unwrap().touches;
    assert!(matches!(route(&scoped), Touches::Namespace(_)));
    assert_eq!(route(&scoped).proxies(&scoped.shape), 20);
    assert_eq!(route(&open), Touches::All);
    assert_eq!(open.edit(Kind::NoOp, 3).unwrap().touches.proxies(&open.shape), 0);
    assert_eq!(scoped.edit(Kind::Policy, 3).unwrap().touches.proxies(&scoped.shape), 20);
}

#[test]
fn a_mesh_without_rules_has_no_edits_of_them() {
    let mesh = Mesh::new(Size::P.shape(), 1);
    assert_eq!(mesh.edit(Kind::Route, 0), None);
    assert!(mesh.edit(Kind::Endpoint, 0).is_some());
}

#[test]
fn a_service_takes_plain_text_and_then_mutual_tls_again() {
    let mesh = Mesh::new(Size::S.shape(), 1);
    let policies = mesh.shape.policies;
    let edited = |round| match mesh.edit(Kind::Policy, round).unwrap().change {
        Change::Put(file) | Change::Remove(file) => file,
    };
    for round in 0..policies {
        let (first, second) = (edited(round), edited(round + policies));
        assert_eq!(first.path, second.path);
        assert_eq!(first.objects[0]["spec"]["portLevelMtls"]["8080"]["mode"], "DISABLE");
        assert!(mesh.files().any(|file| file == second), "{}", second.path);
    }
}

#[test]
fn every_route_of_the_gateway_api_belongs_to_its_gateway() {
    let files = files(Size::G, 1);
    let of = |kind| {
        let all = files.iter().flat_map(|file| &file.objects);
        all.filter(move |object| object["kind"] == kind && object["apiVersion"] == "gateway.networking.k8s.io/v1")
    };
    let edge: Vec<_> = of("Gateway").map(|gateway| &gateway["metadata"]).collect();
    let hosts: BTreeSet<_> = of("HTTPRoute").map(|route| route["spec"]["hostnames"][0].as_str().unwrap()).collect();
    assert_eq!((edge.len(), hosts.len()), (1, 5000));
    for route in of("HTTPRoute") {
        let parent = &route["spec"]["parentRefs"][0];
        assert_eq!((&parent["name"], &parent["namespace"]), (&edge[0]["name"], &edge[0]["namespace"]));
    }
}
