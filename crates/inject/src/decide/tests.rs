use serde_json::json;

use super::*;
use crate::settings::Injector;

fn settings(text: &str) -> Settings {
    Settings { injector: Injector::from_yaml(text).unwrap(), ..Settings::default() }
}

fn decided(pod: &Value, text: &str) -> (bool, Reason) {
    let decision = decide(pod, "shop", &settings(text));
    (decision.inject, decision.reason)
}

#[test]
fn the_host_network_and_namespaces_of_the_cluster_are_left_alone() {
    let asks = json!({"metadata": {"labels": {INJECT: "true"}}, "spec": {"hostNetwork": true}});
    assert_eq!(decided(&asks, "policy: enabled"), (false, Reason::HostNetwork));
    let pod = json!({"metadata": {"labels": {INJECT: "true"}}, "spec": {}});
    let decision = decide(&pod, "kube-system", &Settings::default());
    assert_eq!((decision.inject, decision.reason), (false, Reason::SystemNamespace("kube-system".to_owned())));
}

#[test]
fn the_label_wins_over_the_annotation_and_both_over_the_rest() {
    let pod =
        |label: Value, annotation: Value| json!({"metadata": {"labels": label, "annotations": annotation}, "spec": {}});
    let (yes, no) = (json!({INJECT: "true"}), json!({INJECT: "false"}));
    assert_eq!(decided(&pod(yes.clone(), no.clone()), "policy: disabled"), (true, Reason::Label));
    assert_eq!(decided(&pod(no.clone(), yes.clone()), "policy: enabled"), (false, Reason::Label));
    assert_eq!(decided(&pod(json!({}), no), "policy: enabled"), (false, Reason::Annotation));
    let always = "policy: enabled\nneverInjectSelector: [{matchLabels: {sidecar.istio.io/inject: 'true'}}]";
    assert_eq!(decided(&pod(yes, json!({})), always), (true, Reason::Label));
}

#[test]
fn selectors_come_before_the_policy_and_never_before_always() {
    let text = "policy: disabled\n\
                neverInjectSelector: [{}, {matchLabels: {app: batch}}]\n\
                alwaysInjectSelector: [{matchExpressions: [{key: app, operator: Exists}]}]";
    let app = |name: &str| json!({"metadata": {"labels": {"app": name}}, "spec": {}});
    assert_eq!(decided(&app("batch"), text), (false, Reason::Never(1)));
    assert_eq!(decided(&app("web"), text), (true, Reason::Always(0)));
    assert_eq!(decided(&json!({"spec": {}}), text), (false, Reason::Policy(Policy::Disabled)));
    assert_eq!(decided(&json!({"spec": {}}), "policy: enabled"), (true, Reason::Policy(Policy::Enabled)));
}

#[test]
fn what_is_neither_true_nor_false_is_told_and_says_nothing() {
    let pod = json!({"metadata": {"labels": {INJECT: "yes"}}, "spec": {}});
    let decision = decide(&pod, "shop", &settings("policy: disabled"));
    assert_eq!((decision.inject, decision.reason), (false, Reason::Policy(Policy::Disabled)));
    assert!(decision.ignored.unwrap().contains("\"yes\""));
}
