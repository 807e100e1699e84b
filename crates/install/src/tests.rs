use super::*;

fn kinds(objects: &[Value]) -> Vec<&str> {
    objects.iter().filter_map(|object| object["kind"].as_str()).collect()
}

fn find<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let is = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is).unwrap_or_else(|| panic!("{kind} {name}"))
}

#[test]
fn what_others_refer_to_comes_before_them() {
    let objects = objects(&Values::profile("default").unwrap());
    let at = |kind: &str| kinds(&objects).iter().position(|found| *found == kind).unwrap();
    let order = [
        "Namespace",
        "CustomResourceDefinition",
        "ServiceAccount",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "MutatingWebhookConfiguration",
    ];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{:?}", kinds(&objects));
    assert_eq!(objects.last().unwrap()["metadata"]["name"], "istio-ingressgateway");
    assert_eq!(kinds(&objects).iter().filter(|kind| **kind == "CustomResourceDefinition").count(), 15);
}

#[test]
fn settings_reach_what_they_are_about() {
    let mut values = Values::profile("minimal").unwrap();
    for set in [
        "revision=canary",
        "global.hub=registry.example/mesh",
        "global.tag=1.2",
        "pilot.replicaCount=1",
        "pilot.env.PILOT_X=true",
        "meshConfig.accessLogFile=/dev/stdout",
        "meshConfig.defaultConfig.proxyMetadata.A\\.B=c",
        "pilot.tolerations={}",
        "global.proxy.autoInject=disabled",
        "global.proxy.clusterDomain=example.org",
        "global.logging.level=default:debug",
    ] {
        values.set(set).unwrap();
    }
    let objects = objects(&values);
    let pod = &find(&objects, "Deployment", "istiod-canary")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.example/mesh/meltemid:1.2");
    let environment = pod["containers"][0]["env"].as_array().unwrap();
    assert!(environment.contains(&json!({ "name": "PILOT_X", "value": "true" })), "{environment:?}");
    assert!(environment.contains(&json!({ "name": "RUST_LOG", "value": "debug" })), "{environment:?}");
    assert_eq!(pod["containers"][0]["args"][4], "example.org");
    let mesh = find(&objects, "ConfigMap", "istio-canary")["data"]["mesh"].as_str().unwrap();
    assert!(mesh.contains("accessLogFile: /dev/stdout") && mesh.contains("A.B: c"), "{mesh}");
    assert!(mesh.contains("istiod-canary.istio-system.svc:15012"), "{mesh}");
    let injector = find(&objects, "ConfigMap", "istio-sidecar-injector-canary")["data"]["config"].as_str().unwrap();
    assert!(injector.contains("policy: disabled"), "{injector}");
    let hooks = find(&objects, "MutatingWebhookConfiguration", "istio-sidecar-injector-canary");
    assert_eq!(hooks["webhooks"].as_array().map(Vec::len), Some(2), "only the default revision has the old labels");
    assert!(!kinds(&objects).contains(&"PodDisruptionBudget"), "one replica cannot be spared");
}

#[test]
fn what_nobody_reads_is_a_mistake() {
    let mut values = Values::profile("default").unwrap();
    let unknown = values.set("pilot.hub=x").unwrap_err().to_string();
    assert_eq!(unknown, "there is no setting pilot.hub; did you mean global.hub?");
    assert_eq!(
        values.set("pilot.replicaCount=many").unwrap_err().to_string(),
        "pilot.replicaCount: a number is needed, not \"many\""
    );
    assert!(values.set("x").is_err());
    assert!(values.merge(&json!({ "global": { "hub": "h", "typo": 1 } })).is_err());
    assert!(Values::profile("demos").is_err());
}
