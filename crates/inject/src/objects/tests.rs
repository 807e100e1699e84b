use std::collections::BTreeMap;

use super::*;
use crate::decide::Reason;
use crate::settings::Settings;

fn injected(object: &mut Value) -> (Vec<Outcome>, Vec<Refused>) {
    let (settings, environment) = (Settings::default(), BTreeMap::new());
    let inputs = Inputs {
        settings: &settings,
        namespace: "",
        workload: None,
        native_sidecars: false,
        proxy_configs: &[],
        environment: &environment,
        openshift: None,
    };
    inject_object(object, &inputs)
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}})
}

fn owner(template: &Value) -> String {
    let all = template.to_string();
    let at = all.find("kubernetes://apis/").unwrap();
    all[at..].split('"').next().unwrap().to_owned()
}

#[test]
fn every_kind_that_makes_pods_is_injected_where_its_pod_is() {
    for (group, kind, pointer) in KINDS.iter().filter(|(_, _, pointer)| *pointer == "/spec/template") {
        let version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"replicas": 2, "template": template()}, "status": {"kept": 1}});
        let (outcomes, _) = injected(&mut object);
        assert!(outcomes[0].decision.inject, "{kind}");
        assert_eq!(
            (outcomes[0].path.as_str(), outcomes[0].whose.as_str()),
            ("spec.template", &*format!("{kind} shop/web"))
        );
        assert_eq!(object.pointer(pointer).unwrap()["spec"]["containers"][1]["name"], "istio-proxy");
        assert_eq!((&object["spec"]["replicas"], &object["status"]["kept"]), (&json!(2), &json!(1)));
        let want = format!("kubernetes://apis/{version}/namespaces/shop/{}s/web", kind.to_lowercase());
        assert_eq!(owner(&object), want);
    }
}

#[test]
fn a_cron_job_is_injected_in_its_pod_and_not_in_its_job() {
    let mut object = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
        "spec": {"jobTemplate": {"spec": {"template": template()}}}});
    let (outcomes, _) = injected(&mut object);
    assert_eq!(outcomes[0].path, "spec.jobTemplate.spec.template");
    let pod = &object["spec"]["jobTemplate"]["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["service.istio.io/canonical-name"], "web");
    assert!(object["spec"]["jobTemplate"].get("metadata").is_none());
    assert_eq!(owner(pod), "kubernetes://apis/batch/v1/namespaces/default/cronjobs/nightly");
}

#[test]
fn a_list_is_injected_item_by_item_and_the_others_stay() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}});
    let foreign = json!({"apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template()}});
    let host = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "host"}, "spec": {"hostNetwork": true}});
    let broken = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad", "annotations": {"status.sidecar.istio.io/port": "x"}}, "spec": {}});
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}});
    let mut list = json!({"apiVersion": "v1", "kind": "List", "items": [service, foreign, host, broken, pod]});
    let (outcomes, refused) = injected(&mut list);
    assert_eq!((&list["items"][0], &list["items"][1], &list["items"][2]), (&service, &foreign, &host));
    assert_eq!((outcomes[0].path.as_str(), &outcomes[0].decision.reason), ("items[2]", &Reason::HostNetwork));
    assert_eq!((outcomes[1].path.as_str(), outcomes[1].decision.inject), ("items[4]", true));
    assert_eq!((refused[0].path.as_str(), refused[0].whose.as_str()), ("items[3]", "Pod bad"));
    assert_eq!(refused[0].error.faults()[0].path, "metadata.annotations.status.sidecar.istio.io/port");
}

#[test]
fn the_objects_namespace_decides_and_not_the_templates() {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "dns", "namespace": "kube-system"},
        "spec": {"template": template()}});
    let before = object.clone();
    let (outcomes, _) = injected(&mut object);
    assert_eq!(outcomes[0].decision.reason, Reason::SystemNamespace("kube-system".to_owned()));
    assert_eq!(object, before);
}

#[test]
fn a_workload_without_a_pod_is_refused() {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {}});
    let (_, refused) = injected(&mut object);
    assert_eq!(refused[0].error.faults()[0].path, "spec");
}

#[test]
fn a_name_that_yaml_takes_for_something_else_is_refused() {
    let mut object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": false}, "spec": {"template": template()}});
    let (_, refused) = injected(&mut object);
    assert_eq!(
        (refused[0].path.as_str(), refused[0].error.to_string().as_str()),
        ("", "metadata.name: a string is needed, not false; quotes make it one")
    );
}

#[test]
fn nodes_are_found_alone_and_in_lists() {
    let text = "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nstatus: {nodeInfo: {kubeletVersion: v1.30.0}}\n---\n\
                apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Node, metadata: {name: b}}]\n";
    let found = nodes(&api::yaml::documents(text, None).unwrap());
    assert_eq!(found, [("a".to_owned(), "v1.30.0".to_owned()), ("b".to_owned(), String::new())]);
}
