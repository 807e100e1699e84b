use serde_json::Value;

use super::*;

const OURS: &str = "-----BEGIN CERTIFICATE-----\nQUFB\n-----END CERTIFICATE-----\n";
const THEIRS: &str = "-----BEGIN CERTIFICATE-----\nQkJC\n-----END CERTIFICATE-----\n";

/// A ConfigMap in a namespace, written by these, of whom the last wrote the roots.
fn place(holds: &str, managers: &[&str]) -> Place {
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
    let mut places = BTreeMap::from([("shop".to_owned(), Place { there: true, ..Place::default() })]);
    map(watcher::Event::Apply(serde_json::from_value(written).unwrap()), &mut places);
    places.remove("shop").unwrap()
}

fn foreign(holds: &str, managers: &[&str]) -> bool {
    place(holds, managers).is_foreign(&certificates(OURS))
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
