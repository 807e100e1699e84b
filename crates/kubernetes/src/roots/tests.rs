use serde_json::Value;

use super::*;

const OURS: &str = "-----BEGIN CERTIFICATE-----\nQUFB\n-----END CERTIFICATE-----\n";
const THEIRS: &str = "-----BEGIN CERTIFICATE-----\nQkJC\n-----END CERTIFICATE-----\n";

/// A ConfigMap, written by these, of whom the last wrote the roots.
fn written(holds: &str, managers: &[&str]) -> ConfigMap {
    let last = managers.len().saturating_sub(1);
    let managed: Vec<Value> = managers
        .iter()
        .enumerate()
        .map(|(at, manager)| {
            let fields = match at == last {
                true => json!({ "f:data": { "f:root-cert.pem": {} } }),
                false => json!({ "f:metadata": { "f:labels": {} } }),
            };
            json!({ "manager": manager, "operation": "Update", "fieldsV1": fields })
        })
        .collect();
    let written = json!({
        "metadata": { "name": NAME, "namespace": "shop", "managedFields": managed }, "data": { KEY: holds },
    });
    serde_json::from_value(written).unwrap()
}

/// A namespace that is there.
fn shop() -> PartialObjectMeta<Namespace> {
    let namespace = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": { "name": "shop" },
    });
    serde_json::from_value(namespace).unwrap()
}

fn foreign_in(places: &BTreeMap<String, Place>) -> bool {
    places["shop"].is_foreign(&certificates(OURS))
}

fn foreign(holds: &str, managers: &[&str]) -> bool {
    let mut places = BTreeMap::new();
    namespace(watcher::Event::Apply(shop()), &mut places);
    map(watcher::Event::Apply(written(holds, managers)), &mut places);
    foreign_in(&places)
}

#[test]
fn what_is_listed_again_is_there_until_the_list_ends_without_it() {
    let mut places = BTreeMap::new();
    namespace(watcher::Event::Apply(shop()), &mut places);
    map(watcher::Event::Apply(written(THEIRS, &["pilot-discovery"])), &mut places);
    map(watcher::Event::Init, &mut places);
    namespace(watcher::Event::Init, &mut places);
    assert!(foreign_in(&places), "nothing is written there meanwhile");
    namespace(watcher::Event::InitApply(shop()), &mut places);
    namespace(watcher::Event::InitDone, &mut places);
    map(watcher::Event::InitApply(written(THEIRS, &["pilot-discovery"])), &mut places);
    map(watcher::Event::InitDone, &mut places);
    assert!(foreign_in(&places));
    map(watcher::Event::Init, &mut places);
    map(watcher::Event::InitDone, &mut places);
    assert!(!foreign_in(&places) && places["shop"].there);
    namespace(watcher::Event::Init, &mut places);
    namespace(watcher::Event::InitDone, &mut places);
    assert!(!places["shop"].there);
}

#[test]
fn the_root_of_another_control_plane_is_told_from_what_was_spoilt() {
    assert!(foreign(THEIRS, &["pilot-discovery"]));
    assert!(foreign(THEIRS, &["cert-manager-istio-csr"]));
    assert!(foreign(THEIRS, &[MANAGER, "pilot-discovery"]), "one that came after us");
    assert!(foreign(THEIRS, &["kubectl-create"]), "somebody brought it");
    assert!(!foreign(THEIRS, &[MANAGER]), "a root of ours that was replaced");
    assert!(!foreign(THEIRS, &[MANAGER, "kubectl-edit"]), "by hand, over ours");
    assert!(!foreign("another", &["pilot-discovery"]));
    assert!(!foreign(&[THEIRS, OURS].concat(), &["pilot-discovery"]), "ours is in it");
}

#[test]
fn it_is_the_certificates_that_count_and_not_how_they_are_written() {
    let other = OURS.replace("QUFB", "QU\nFB").replace('\n', "\r\n");
    assert_eq!(certificates(&other), certificates(OURS));
    assert_eq!(certificates(&[OURS, THEIRS].concat()), ["QUFB", "QkJC"]);
}
