use serde_json::json;

use super::*;

fn laid(pod: Value, part: &Value) -> Value {
    let mut pod = pod;
    lay(&mut pod, part).unwrap();
    pod
}

#[test]
fn containers_variables_ports_and_mounts_are_merged_by_what_makes_them() {
    let pod = json!({"spec": {"containers": [
        {"name": "a", "env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80, "name": "http"}],
         "volumeMounts": [{"mountPath": "/a", "name": "v"}], "args": ["old", "older"]},
        {"name": "b", "theirs": {"kept": true}},
    ], "volumes": [{"name": "v", "emptyDir": {}}]}});
    let part = json!({"spec": {"containers": [
        {"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}], "ports": [{"containerPort": 80, "protocol": "TCP"}],
         "volumeMounts": [{"mountPath": "/a", "readOnly": true}], "args": ["new"]},
        {"name": "c"},
    ], "volumes": [{"name": "w"}]}});
    let want = json!({"spec": {"containers": [
        {"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y", "value": "3"}],
         "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
         "volumeMounts": [{"mountPath": "/a", "name": "v", "readOnly": true}], "args": ["new"]},
        {"name": "c"},
        {"name": "b", "theirs": {"kept": true}},
    ], "volumes": [{"name": "w"}, {"name": "v", "emptyDir": {}}]}});
    assert_eq!(laid(pod, &part), want);
}

#[test]
fn a_null_takes_away_what_is_there_and_adds_nothing_that_is_not() {
    let pod = json!({"spec": {"nodeName": "n", "containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}});
    let part = json!({"spec": {"nodeName": null, "hostname": null, "containers": [{"name": "a", "resources": null}],
        "volumes": [{"name": "v", "emptyDir": null}]}});
    assert_eq!(laid(pod, &part), json!({"spec": {"containers": [{"name": "a"}], "volumes": [{"name": "v"}]}}));
}

#[test]
fn directives_delete_replace_retain_and_order() {
    let pod = json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        "volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {"runAsUser": 1}}});
    let part = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}, "spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [{"name": "b", "$patch": "delete"}],
        "volumes": [{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}],
        "securityContext": {"$patch": "replace", "runAsGroup": 2}}});
    let want = json!({"metadata": {"finalizers": ["b"]}, "spec": {"containers": [{"name": "c"}, {"name": "a"}],
        "volumes": [{"name": "v", "secret": {"secretName": "s"}}], "securityContext": {"runAsGroup": 2}}});
    assert_eq!(laid(pod.clone(), &part), want);
    let none = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}], "securityContext": {"$patch": "delete"}}});
    let spec = laid(pod, &none)["spec"].clone();
    assert_eq!(spec["containers"], json!([{"name": "z"}]));
    assert!(spec.get("securityContext").is_none());
}

#[test]
fn what_has_not_the_form_of_a_pod_is_told_with_its_place() {
    let part = json!({"spec": {"containers": [{"name": "a"}, {"image": "x"}]}});
    assert_eq!(lay(&mut json!({}), &part).unwrap_err(), "spec.containers[1]: name is needed");
    let part = json!({"spec": {"containers": ["x"]}});
    assert_eq!(lay(&mut json!({}), &part).unwrap_err(), "spec.containers[0]: a mapping is needed");
}

#[test]
fn new_items_come_before_what_was_not_named_and_the_others_keep_their_order() {
    let names = |names: &[&str]| Value::Array(names.iter().map(|name| json!({ "name": name })).collect());
    let volumes = |of: &[&str]| json!({"spec": {"volumes": names(of)}});
    let merged = |before: &[&str], part: &[&str]| laid(volumes(before), &volumes(part))["spec"]["volumes"].clone();
    assert_eq!(merged(&["a", "b"], &["x", "y"]), names(&["x", "y", "a", "b"]));
    assert_eq!(merged(&["a", "x", "b", "y", "c"], &["x", "y"]), names(&["a", "x", "b", "y", "c"]));
    assert_eq!(merged(&["a", "x", "b"], &["n", "x"]), names(&["n", "a", "x", "b"]));
    assert_eq!(merged(&["x", "y"], &["y", "x"]), names(&["y", "x"]));
}
