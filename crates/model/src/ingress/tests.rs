//! Which Ingresses count, and for which gateways.

use api::mesh::MeshConfig;

use super::*;

fn mesh(text: &str) -> MeshConfig {
    let (mesh, issues) = MeshConfig::from_yaml(text);
    assert!(issues.is_empty(), "{issues:?}");
    mesh
}

#[test]
fn the_annotation_counts_first_and_the_mode_decides_on_those_without_class() {
    let (off, default, strict) = ("OFF", "DEFAULT", "STRICT");
    let (ours, others) = (Some(CONTROLLER), Some("example.com/other"));
    for (mode, annotated, class, counts) in [
        (strict, None, None, false),
        (strict, None, Some(ours), true),
        (strict, None, Some(others), false),
        (strict, None, Some(None), false),
        (strict, Some("istio"), Some(others), true),
        (strict, Some("other"), Some(ours), false),
        (default, None, None, true),
        (default, None, Some(others), false),
        (default, None, Some(None), true),
        (default, Some("other"), None, false),
        (default, Some(""), None, false),
        (off, None, Some(ours), false),
        (off, Some("istio"), None, false),
        ("UNSPECIFIED", Some("istio"), None, false),
        ("UNSPECIFIED", None, Some(ours), true),
    ] {
        let claim = Claim { annotated: annotated.map(Name::from), class: class.map(|_| Name::from("class")) };
        let mesh = mesh(&format!("ingressControllerMode: '{mode}'"));
        let controller = |_: &Name| class.flatten().map(Name::from);
        assert_eq!(claim.counts(&mesh, controller), counts, "{mode} {annotated:?} {class:?}");
    }
    let own = Claim { annotated: Some("edge".into()), class: None };
    assert!(own.counts(&mesh("ingressClass: edge"), |_| None));
}

#[test]
fn gateways_are_chosen_by_the_selector_else_by_the_service() {
    for (text, value) in [
        ("", "ingressgateway"),
        ("ingressService: istio-ingressgateway", "ingressgateway"),
        ("ingressService: ''", "ingressgateway"),
        ("ingressService: edge", "edge"),
        ("{ingressService: edge, ingressSelector: gate}", "gate"),
    ] {
        assert_eq!(selector(&mesh(text)), [("istio", value)].into_iter().collect(), "{text}");
    }
}
