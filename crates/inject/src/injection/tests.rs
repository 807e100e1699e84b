//! What a pod becomes, behaviour by behaviour. Whole pods are in the command's golden cases.

use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::settings::{Injector, Mesh, Values};
use crate::{ProxyConfigResource, patch};

mod properties;

/// Settings of texts, each of which may be empty.
fn settings(values: &str, mesh: &str, injector: &str) -> Settings {
    let values = Values::from_yaml(values).unwrap();
    let injector = if injector.is_empty() { Injector::from_values(&values) } else { Injector::from_yaml(injector) };
    Settings { mesh: Mesh::from_yaml(mesh).unwrap(), values, injector: injector.unwrap(), ..Settings::default() }
}

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

fn inputs(settings: &Settings) -> Inputs<'_> {
    Inputs {
        settings,
        namespace: "shop",
        workload: None,
        native_sidecars: false,
        proxy_configs: &[],
        environment: &NO_VARIABLES,
        openshift: None,
    }
}

/// A pod with one container; annotations as pairs.
fn pod(annotations: &[(&str, &str)]) -> Value {
    let annotations: Map<String, Value> =
        annotations.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({"metadata": {"name": "web", "annotations": annotations, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}})
}

fn injected(pod: &Value, settings: &Settings) -> Value {
    inject(pod, &inputs(settings)).unwrap().pod
}

fn default(annotations: &[(&str, &str)]) -> Value {
    injected(&pod(annotations), &Settings::default())
}

fn names(pod: &Value, list: &str) -> Vec<String> {
    pod::items(&pod["spec"][list]).iter().map(|each| pod::name(each).to_owned()).collect()
}

fn env(pod: &Value, name: &str) -> Option<String> {
    let all = pod::items(&pod::sidecar(pod)?["env"]);
    let mut found = all.iter().filter(|each| pod::name(each) == name);
    let value = found.next()?["value"].as_str().map(str::to_owned);
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

/// What follows a flag of the container of capture.
fn after(pod: &Value, flag: &str) -> Option<String> {
    let capture =
        pod::items(&pod["spec"]["initContainers"]).iter().find(|each| pod::name(each).starts_with("istio-"))?;
    let mut arguments = pod::items(&capture["args"]).iter().skip_while(|argument| *argument != flag);
    arguments.next()?;
    arguments.next()?.as_str().map(str::to_owned)
}

#[test]
fn the_proxy_is_beside_the_application_or_stays_before_it() {
    let beside = default(&[]);
    assert_eq!(names(&beside, "containers"), ["web", "istio-proxy"]);
    assert_eq!(names(&beside, "initContainers"), ["istio-init"]);
    let native = default(&[("sidecar.istio.io/nativeSidecar", "true")]);
    assert_eq!(names(&native, "containers"), ["web"]);
    assert_eq!(names(&native, "initContainers"), ["istio-init", "istio-proxy"]);
    assert_eq!(pod::sidecar(&native).unwrap()["restartPolicy"], "Always");
    let settings = Settings::default();
    let cluster = Inputs { native_sidecars: true, ..inputs(&settings) };
    let by_cluster = inject(&pod(&[]), &cluster).unwrap().pod;
    assert_eq!(names(&by_cluster, "initContainers"), ["istio-init", "istio-proxy"]);
    let refused = inject(&pod(&[("sidecar.istio.io/nativeSidecar", "false")]), &cluster).unwrap().pod;
    assert_eq!(names(&refused, "containers"), ["web", "istio-proxy"]);
}

#[test]
fn init_containers_run_before_rules_without_a_proxy_and_behind_one_that_stays() {
    let mut with = pod(&[]);
    with["spec"]["initContainers"] = json!([{"name": "setup"}]);
    let settings = Settings::default();
    assert_eq!(names(&injected(&with, &settings), "initContainers"), ["setup", "istio-init"]);
    let native = inject(&with, &Inputs { native_sidecars: true, ..inputs(&settings) }).unwrap().pod;
    assert_eq!(names(&native, "initContainers"), ["istio-init", "istio-proxy", "setup"]);
    let cni = crate::injection::tests::settings("pilot: {cni: {enabled: true}}", "", "");
    assert_eq!(names(&injected(&with, &cni), "initContainers"), ["istio-validation", "setup"]);
}

#[test]
fn a_waiting_application_comes_behind_the_proxy_and_the_proxy_says_when_it_is_up() {
    let held = default(&[("proxy.istio.io/config", "holdApplicationUntilProxyStarts: true")]);
    assert_eq!(names(&held, "containers"), ["istio-proxy", "web"]);
    let command = &pod::sidecar(&held).unwrap()["lifecycle"]["postStart"]["exec"]["command"];
    assert_eq!(*command, json!(["pilot-agent", "wait"]));
    let native = default(&[
        ("proxy.istio.io/config", "holdApplicationUntilProxyStarts: true"),
        ("sidecar.istio.io/nativeSidecar", "true"),
    ]);
    assert_eq!(pod::sidecar(&native).unwrap()["lifecycle"]["preStop"]["exec"]["command"][4], "drain");
}

#[test]
fn the_proxy_has_no_rights_but_those_that_its_way_of_capture_needs() {
    let context = |pod: &Value| pod::sidecar(pod).unwrap()["securityContext"].clone();
    let plain = context(&default(&[]));
    let want = json!({"allowPrivilegeEscalation": false, "privileged": false, "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true, "runAsNonRoot": true, "runAsUser": 1337, "runAsGroup": 1337,
        "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(plain, want);
    let tproxy = context(&default(&[("sidecar.istio.io/interceptionMode", "TPROXY")]));
    assert_eq!((&tproxy["runAsUser"], &tproxy["capabilities"]["add"]), (&json!(0), &json!(["NET_ADMIN"])));
    let binds = context(&default(&[("sidecar.istio.io/capNetBindService", "true")]));
    assert_eq!((&binds["runAsUser"], &binds["capabilities"]["add"]), (&json!(0), &json!(["NET_BIND_SERVICE"])));
    let chart = settings("global: {proxy: {seccompProfile: {}}}", "", "");
    assert!(context(&injected(&pod(&[]), &chart)).get("seccompProfile").is_none(), "Istio's chart says none");
    let init = &default(&[])["spec"]["initContainers"][0]["securityContext"];
    assert_eq!(init["capabilities"], json!({"add": ["NET_ADMIN", "NET_RAW"], "drop": ["ALL"]}));
}

#[test]
fn with_a_plugin_nothing_in_the_pod_has_rights() {
    let cni = settings("pilot: {cni: {enabled: true, provider: multus}}", "", "");
    let pod = injected(&pod(&[("traffic.sidecar.istio.io/excludeInboundPorts", "9")]), &cni);
    let check = &pod["spec"]["initContainers"][0];
    assert_eq!((&check["name"], &check["securityContext"]["runAsUser"]), (&json!("istio-validation"), &json!(1337)));
    assert!(check["securityContext"]["capabilities"].get("add").is_none());
    assert!(pod::items(&check["args"]).contains(&json!("--run-validation")));
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(annotations["k8s.v1.cni.cncf.io/networks"], "default/istio-cni");
    assert_eq!(annotations["traffic.sidecar.istio.io/excludeInboundPorts"], "9,15020");
    assert_eq!(annotations["sidecar.istio.io/interceptionMode"], "REDIRECT");
}

#[test]
fn annotations_say_what_is_captured_and_the_values_where_they_do_not() {
    let annotated = default(&[
        ("traffic.sidecar.istio.io/includeOutboundIPRanges", "10.0.0.0/8"),
        ("traffic.sidecar.istio.io/excludeInboundPorts", "22, 15020"),
        ("traffic.sidecar.istio.io/includeOutboundPorts", ""),
        ("traffic.sidecar.istio.io/kubevirtInterfaces", "net1"),
        ("status.sidecar.istio.io/port", "15999"),
    ]);
    let of = |flag| after(&annotated, flag).unwrap_or_default();
    assert_eq!(
        (of("-i"), of("-d"), of("-k")),
        ("10.0.0.0/8".into(), "15090,15021,22,15020,15999".into(), "net1".into())
    );
    assert_eq!(after(&annotated, "-q"), Some(String::new()));
    let by_values = settings(
        "global: {proxy: {excludeOutboundPorts: '3306', includeInboundPorts: '80'}}",
        "proxyListenPort: 16001",
        "",
    );
    let pod = injected(&pod(&[]), &by_values);
    assert_eq!(
        (after(&pod, "-o"), after(&pod, "-b"), after(&pod, "-p")),
        (Some("3306".into()), Some("80".into()), Some("16001".into()))
    );
    assert_eq!(after(&pod, "-q"), None);
}

#[test]
fn without_capture_there_is_no_container_for_it() {
    let none = default(&[("sidecar.istio.io/interceptionMode", "NONE")]);
    assert_eq!(names(&none, "initContainers"), Vec::<String>::new());
    assert_eq!(env(&none, "ISTIO_META_INTERCEPTION_MODE").as_deref(), Some("NONE"));
}

#[test]
fn the_proxy_is_told_its_settings_where_they_are_not_the_usual() {
    let mesh = settings(
        "",
        "trustDomain: corp.test\ndefaultConfig: {concurrency: 2, proxyMetadata: {A: one}, tracing: {sampling: 5}}",
        "",
    );
    let told = injected(
        &pod(&[("proxy.istio.io/config", "{proxyMetadata: {B: two}, tracing: {zipkin: {address: 'z:1'}}}")]),
        &mesh,
    );
    let config: Value = serde_json::from_str(&env(&told, "PROXY_CONFIG").unwrap()).unwrap();
    let want =
        json!({"concurrency": 2, "proxyMetadata": {"A": "one", "B": "two"}, "tracing": {"zipkin": {"address": "z:1"}}});
    assert_eq!(config, want, "a field replaces another, metadata is merged");
    assert_eq!((env(&told, "A").as_deref(), env(&told, "B").as_deref()), (Some("one"), Some("two")));
    assert_eq!(env(&told, "TRUST_DOMAIN").as_deref(), Some("corp.test"));
    assert!(told.to_string().contains("\"name\":\"A\""), "capture is told too");
    assert_eq!(env(&default(&[]), "PROXY_CONFIG").as_deref(), Some("{}\n"));
}

#[test]
fn proxy_config_resources_rank_from_mesh_to_workload_and_the_annotation_stands_before_the_last() {
    let spec = |value: Value| serde_json::from_value::<api::ProxyConfig>(value).unwrap();
    let root = spec(json!({"concurrency": 1, "environmentVariables": {"LEVEL": "root"}}));
    let general = spec(json!({"concurrency": 2, "image": {"imageType": "debug"}}));
    let other = spec(json!({"selector": {"matchLabels": {"app": "other"}}, "concurrency": 9}));
    let mine = spec(json!({"selector": {"matchLabels": {"app": "web"}}, "environmentVariables": {"LEVEL": "mine"}}));
    let resource = |namespace, spec| ProxyConfigResource { namespace, spec };
    let all = [
        resource("istio-system", &root),
        resource("shop", &other),
        resource("shop", &general),
        resource("shop", &mine),
        resource("elsewhere", &other),
    ];
    let settings = Settings::default();
    let inputs = Inputs { proxy_configs: &all, ..inputs(&settings) };
    let annotated = pod(&[("proxy.istio.io/config", "{concurrency: 3, proxyMetadata: {LEVEL: pod}}")]);
    let pod = inject(&annotated, &inputs).unwrap().pod;
    let config: Value = serde_json::from_str(&env(&pod, "PROXY_CONFIG").unwrap()).unwrap();
    assert_eq!((&config["concurrency"], &config["proxyMetadata"]["LEVEL"]), (&json!(3), &json!("mine")));
    assert!(pod::sidecar(&pod).unwrap()["image"].as_str().unwrap().ends_with("-debug"));
}

#[test]
fn probes_go_through_the_agent_with_ports_as_numbers() {
    let mut probed = pod(&[]);
    probed["spec"]["containers"][0] = json!({"name": "web", "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/r", "port": "http", "scheme": "HTTPS", "httpHeaders": [{"name": "A", "value": "b"}]}, "timeoutSeconds": 3},
        "livenessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 7}, "startupProbe": {"grpc": {"port": 9000, "service": "s"}},
        "lifecycle": {"preStop": {"httpGet": {"path": "/bye", "port": 8080}}, "postStart": {"exec": {"command": ["x"]}}}});
    let pod = injected(&probed, &Settings::default());
    let web = &pod["spec"]["containers"][0];
    let at = |path: &str| json!({"path": format!("/{path}"), "port": 15020});
    let mut ready = at("app-health/web/readyz");
    ready["scheme"] = json!("HTTP");
    ready["httpHeaders"] = json!([{"name": "A", "value": "b"}]);
    assert_eq!(web["readinessProbe"], json!({"httpGet": ready, "timeoutSeconds": 3}));
    assert_eq!(web["livenessProbe"], json!({"httpGet": at("app-health/web/livez"), "periodSeconds": 7}));
    assert_eq!(web["startupProbe"], json!({"httpGet": at("app-health/web/startupz")}));
    assert_eq!(web["lifecycle"]["preStop"], json!({"httpGet": at("app-lifecycle/web/prestopz")}));
    assert_eq!(web["lifecycle"]["postStart"], json!({"exec": {"command": ["x"]}}));
    let told: Value = serde_json::from_str(&env(&pod, "ISTIO_KUBE_APP_PROBERS").unwrap()).unwrap();
    let http = json!({"path": "/r", "port": 8080, "scheme": "HTTPS", "httpHeaders": [{"name": "A", "value": "b"}]});
    assert_eq!(told["/app-health/web/readyz"], json!({"httpGet": http, "timeoutSeconds": 3}));
    assert_eq!(told["/app-health/web/startupz"], json!({"grpc": {"port": 9000, "service": "s"}}));
    assert_eq!(told["/app-lifecycle/web/prestopz"], json!({"httpGet": {"path": "/bye", "port": 8080}}));
}

#[test]
fn probes_stay_where_the_pod_or_the_values_say_so_or_the_agent_does_not_listen() {
    let mut probed = pod(&[]);
    let probe = json!({"httpGet": {"path": "/", "port": 80}});
    probed["spec"]["containers"][0]["livenessProbe"] = probe.clone();
    let kept = |annotation: &str, value: &str, settings: &Settings| {
        let mut pod = probed.clone();
        if !annotation.is_empty() {
            pod["metadata"]["annotations"][annotation] = json!(value);
        }
        injected(&pod, settings)["spec"]["containers"][0]["livenessProbe"] == probe
    };
    let off = settings("sidecarInjectorWebhook: {rewriteAppHTTPProbe: false}", "", "");
    assert!(kept("sidecar.istio.io/rewriteAppHTTPProbers", "false", &Settings::default()));
    assert!(kept("", "", &off) && !kept("sidecar.istio.io/rewriteAppHTTPProbers", "true", &off));
    assert!(kept("status.sidecar.istio.io/port", "0", &Settings::default()));
    let by_name = json!({"httpGet": {"path": "/", "port": "nobody"}});
    probed["spec"]["containers"][0]["livenessProbe"] = by_name.clone();
    let result = inject(&probed, &inputs(&off)).unwrap();
    assert!(result.warnings.is_empty());
    let settings = Settings::default();
    let result = inject(&probed, &inputs(&settings)).unwrap();
    assert_eq!(result.pod["spec"]["containers"][0]["livenessProbe"], by_name);
    assert!(result.warnings[0].contains("no port \"nobody\""), "{:?}", result.warnings);
}

#[test]
fn prometheus_is_sent_to_the_agent_which_is_told_what_the_pod_said() {
    let said = default(&[("prometheus.io/port", "9102"), ("prometheus-io/path", "/m")]);
    let annotations = &said["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/port"], "15020");
    assert_eq!(annotations["prometheus.io/path"], "/stats/prometheus");
    assert!(annotations.get("prometheus-io/path").is_none(), "to Prometheus it is the same name");
    let told: Value = serde_json::from_str(&env(&said, "ISTIO_PROMETHEUS_ANNOTATIONS").unwrap()).unwrap();
    assert_eq!(told, json!({"scrape": "", "path": "/m", "port": "9102"}));
    let several = default(&[("prometheus.istio.io/scrape-targets", "8080:/a, 9090")]);
    let told: Value = serde_json::from_str(&env(&several, "ISTIO_PROMETHEUS_ANNOTATIONS").unwrap()).unwrap();
    let targets = json!([{"port": "8080", "path": "/a"}, {"port": "9090", "path": "/metrics"}]);
    assert_eq!((&told["port"], &told["targets"]), (&json!("8080"), &targets));
    // Differs from Istio, whose agent listens where the annotation says and whose Prometheus asks 15020.
    assert_eq!(
        default(&[("status.sidecar.istio.io/port", "15999")])["metadata"]["annotations"]["prometheus.io/port"],
        "15999"
    );
}

#[test]
fn metrics_stay_where_pod_mesh_or_a_switched_off_agent_say_so() {
    let port = |pod: &Value| pod["metadata"]["annotations"]["prometheus.io/port"].clone();
    let app = ("prometheus.io/port", "9102");
    for more in [
        ("prometheus.io/scrape", "false"),
        ("prometheus.istio.io/merge-metrics", "false"),
        ("status.sidecar.istio.io/port", "0"),
    ] {
        assert_eq!(port(&default(&[app, more])), "9102", "{more:?}");
    }
    let off = settings("", "enablePrometheusMerge: false", "");
    assert_eq!(port(&injected(&pod(&[app]), &off)), "9102");
    assert_eq!(port(&injected(&pod(&[app, ("prometheus.istio.io/merge-metrics", "true")]), &off)), "15020");
    let error = inject(&pod(&[("prometheus.io/port", "15090")]), &inputs(&Settings::default())).unwrap_err();
    assert!(
        error.to_string().starts_with("metadata.annotations.prometheus.io/port: port 15090 is reserved"),
        "{error}"
    );
}

#[test]
fn a_users_proxy_container_wins_and_the_rules_follow_its_user() {
    let mut own = pod(&[]);
    let container = json!({"name": "istio-proxy", "image": "auto", "securityContext": {"runAsUser": 4321},
        "env": [{"name": "MINE", "value": "kept"}, {"name": "TRUST_DOMAIN", "value": "mine"}], "resources": {"requests": {"cpu": "77m"}}});
    own["spec"]["containers"].as_array_mut().unwrap().push(container);
    for native in [false, true] {
        let settings = Settings::default();
        let pod = inject(&own, &Inputs { native_sidecars: native, ..inputs(&settings) }).unwrap().pod;
        let proxy = pod::sidecar(&pod).unwrap();
        assert_eq!(
            (&proxy["securityContext"]["runAsUser"], &proxy["securityContext"]["runAsGroup"]),
            (&json!(4321), &json!(1337))
        );
        assert_eq!(proxy["resources"]["requests"], json!({"cpu": "77m", "memory": "128Mi"}));
        assert!(proxy["image"].as_str().unwrap().contains("/proxyv2:"), "auto stands for the injected image");
        assert_eq!((env(&pod, "MINE").as_deref(), env(&pod, "TRUST_DOMAIN").as_deref()), (Some("kept"), Some("mine")));
        assert_eq!(after(&pod, "-u").as_deref(), Some("4321"));
        assert_eq!(names(&pod, "containers").contains(&"istio-proxy".to_owned()), !native);
        assert!(pod["metadata"]["annotations"]["proxy.istio.io/overrides"].as_str().unwrap().contains("MINE"));
    }
    let tproxy = settings("", "defaultConfig: {interceptionMode: TPROXY}", "");
    assert_eq!(pod::sidecar(&injected(&own, &tproxy)).unwrap()["securityContext"]["runAsUser"], 0, "it has to be root");
}

#[test]
fn a_gateway_keeps_the_sysctls_of_its_pod() {
    let mut gateway = pod(&[("inject.istio.io/templates", "gateway")]);
    gateway["spec"]["containers"] = json!([{"name": "istio-proxy", "image": "auto"}]);
    gateway["spec"]["securityContext"] =
        json!({"fsGroup": 7, "sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]});
    let pod = injected(&gateway, &Settings::default());
    let low = json!({"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"});
    let want = json!({"fsGroup": 7, "sysctls": [{"name": "net.core.somaxconn", "value": "1024"}, low]});
    assert_eq!(pod["spec"]["securityContext"], want);
    assert_eq!(pod::sidecar(&pod).unwrap()["args"][1], "router");
    assert!(pod["spec"].get("initContainers").is_none());
}

#[test]
fn a_gateway_keeps_its_user_however_the_mesh_captures() {
    let mut gateway = pod(&[("inject.istio.io/templates", "gateway"), ("sidecar.istio.io/interceptionMode", "TPROXY")]);
    gateway["spec"]["containers"] =
        json!([{"name": "istio-proxy", "image": "auto", "securityContext": {"runAsUser": 7}}]);
    let pod = injected(&gateway, &Settings::default());
    assert_eq!(pod::sidecar(&pod).unwrap()["securityContext"]["runAsUser"], 7);
}

#[test]
fn grpc_applications_get_a_bootstrap() {
    let agent = default(&[("inject.istio.io/templates", "grpc-agent")]);
    assert_eq!(names(&agent, "containers"), ["web", "istio-proxy"]);
    assert_eq!(env(&agent, "DISABLE_ENVOY").as_deref(), Some("true"));
    assert_eq!(agent["spec"]["containers"][0]["env"][1]["value"], "/etc/istio/proxy/grpc-bootstrap.json");
    let simple = default(&[("inject.istio.io/templates", "grpc-simple")]);
    assert_eq!(names(&simple, "initContainers"), ["grpc-bootstrap-init"]);
    assert!(pod::sidecar(&simple).is_none());
}

#[test]
fn templates_of_users_are_laid_over_the_pod_in_their_order_and_may_replace_built_in_ones() {
    let injector = "defaultTemplates: [both]\naliases: {both: [sidecar, hello]}\ntemplates:\n  hello: |\n    metadata:\n      labels: {hello: {{ .ObjectMeta.Name }}}\n    \
                    spec:\n      containers:\n      - name: istio-proxy\n        env: [{name: EXTRA, value: \"{{ .Values.global.hub }}\"}]\n  gateway: |\n    metadata: {labels: {mine: \"yes\"}}\n";
    let custom = settings("global: {hub: h.test}", "", injector);
    let hello = injected(&pod(&[]), &custom);
    assert_eq!(hello["metadata"]["labels"]["hello"], "web");
    assert_eq!(env(&hello, "EXTRA").as_deref(), Some("h.test"));
    let mine = injected(&pod(&[("inject.istio.io/templates", "gateway")]), &custom);
    assert_eq!((&mine["metadata"]["labels"]["mine"], pod::sidecar(&mine)), (&json!("yes"), None));
}

#[test]
fn what_is_wrong_with_a_template_is_told_with_its_name_and_line() {
    let error = |injector: &str| inject(&pod(&[]), &inputs(&settings("", "", injector))).unwrap_err().to_string();
    assert!(error("templates: {sidecar: \"a\\n{{ .Spec.Nobody }}\"}").contains("sidecar:2:"));
    let gives = error("templates: {sidecar: \"metadata:\\n  labels: {a: 1\\n\"}");
    assert!(gives.contains("\"sidecar\"") && gives.contains("line "), "{gives}");
    assert!(
        error("templates: {sidecar: \"spec: {containers: [{image: x}]}\"}")
            .contains("spec.containers[0]: name is needed")
    );
    let unknown = error("defaultTemplates: [nobody]");
    assert_eq!(unknown, "there is no template \"nobody\"; there are gateway, grpc-agent, grpc-simple, sidecar");
    let unread = Injector::from_yaml("templates: {mine: \"{{ if }}\"}").unwrap_err().to_string();
    assert!(unread.contains("templates") && unread.contains("mine:1:"), "{unread}");
}

#[test]
fn cluster_and_network_come_from_the_path_and_a_label_of_the_pod_wins() {
    let variables = crate::path_environment("/inject/cluster/east/net/n1/my_var/v");
    let values = settings("global: {network: n0, multiCluster: {clusterName: west}}", "", "");
    let remote = Inputs { environment: &variables, ..inputs(&values) };
    let pod = inject(&pod(&[]), &remote).unwrap().pod;
    let of = |name: &str| env(&pod, name).unwrap_or_default();
    assert_eq!(
        (of("ISTIO_META_CLUSTER_ID"), of("ISTIO_META_NETWORK"), of("MY_VAR")),
        ("east".into(), "n1".into(), "v".into())
    );
    assert_eq!(pod["metadata"]["labels"]["topology.istio.io/network"], "n1");
    let mut labelled = super::tests::pod(&[]);
    labelled["metadata"]["labels"]["topology.istio.io/network"] = json!("n9");
    assert_eq!(env(&inject(&labelled, &remote).unwrap().pod, "ISTIO_META_NETWORK").as_deref(), Some("n9"));
    assert_eq!(env(&default(&[]), "ISTIO_META_CLUSTER_ID").as_deref(), Some("Kubernetes"));
}

#[test]
fn on_openshift_the_namespace_says_who_the_proxy_is() {
    let namespace = [("openshift.io/sa.scc.uid-range".to_owned(), "1000620000/10000".to_owned())].into();
    let settings = Settings::default();
    let openshift = Inputs { openshift: Some(&namespace), ..inputs(&settings) };
    let context = |pod: &Value| {
        pod::sidecar(&inject(pod, &openshift).unwrap().pod).unwrap()["securityContext"]["runAsUser"].clone()
    };
    assert_eq!(context(&pod(&[])), 1_000_629_999);
    // The platform gives all containers of a pod the same user before.
    let mut same = pod(&[]);
    let user = json!({"runAsUser": 1_000_620_000});
    same["spec"]["containers"] = json!([{"name": "web", "securityContext": user}, {"name": "istio-proxy", "image": "auto", "securityContext": user}]);
    assert_eq!(context(&same), 1_000_629_999);
    same["spec"]["containers"][1]["securityContext"]["runAsUser"] = json!(7);
    assert_eq!(context(&same), 7, "one that is meant stays");
}

#[test]
fn resources_are_of_the_annotations_or_of_the_values_and_nulls_say_nothing() {
    let resources = |pod: &Value| pod::sidecar(pod).unwrap().get("resources").cloned();
    let annotated = default(&[("sidecar.istio.io/proxyCPU", "1000m"), ("sidecar.istio.io/proxyMemoryLimit", "1024Mi")]);
    assert_eq!(resources(&annotated), Some(json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}})));
    let of = |values: &str| resources(&injected(&pod(&[]), &settings(values, "", "")));
    assert_eq!(of("global: {proxy: {resources: null}}"), None);
    assert_eq!(
        of("global: {proxy: {resources: {limits: null, requests: {cpu: 0.1}}}}"),
        Some(json!({"requests": {"cpu": "100m"}}))
    );
    assert_eq!(
        of("global: {}"),
        Some(json!({"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}}))
    );
}

#[test]
fn names_of_the_service_are_labels_that_kubernetes_takes() {
    let label = |labels: Value, name: &str| {
        let mut pod = pod(&[]);
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["labels"] = labels;
        let pod = injected(&pod, &Settings::default());
        let of = |name: &str| {
            pod["metadata"]["labels"][format!("service.istio.io/canonical-{name}")].as_str().unwrap().to_owned()
        };
        (of("name"), of("revision"))
    };
    let want = |name: &str, revision: &str| (name.to_owned(), revision.to_owned());
    assert_eq!(label(json!({}), "alone"), want("alone", "latest"));
    assert_eq!(label(json!({"app": "a", "version": "v1"}), "x"), want("a", "v1"));
    assert_eq!(
        label(json!({"app": "a", "app.kubernetes.io/name": "b", "app.kubernetes.io/version": "2"}), "x"),
        want("b", "2")
    );
    let long = format!("{}-{}", "a".repeat(62), "b");
    assert_eq!(label(json!({}), &long), want(&"a".repeat(62), "latest"));
}

#[test]
fn a_pod_of_another_form_is_refused_with_places() {
    let settings = Settings::default();
    let refused = |pod: Value| inject(&pod, &inputs(&settings)).unwrap_err().to_string();
    assert!(refused(json!({"metadata": {}})).starts_with("spec: "));
    let annotations = json!({"metadata": {"annotations": {"port": 80}}, "spec": {}});
    assert_eq!(refused(annotations), "metadata.annotations.port: a string is needed, not 80; quotes make it one");
    let containers =
        json!({"spec": {"containers": [{"image": "x"}, {"name": "y", "ports": [{"name": "p"}], "livenessProbe": 1}]}});
    let text = refused(containers);
    for path in
        ["spec.containers[0].name", "spec.containers[1].ports[0].containerPort", "spec.containers[1].livenessProbe"]
    {
        assert!(text.contains(path), "{path}: {text}");
    }
}

#[test]
fn what_the_proxy_cannot_work_with_is_told() {
    let mut elsewhere = pod(&[("sidecar.istio.io/proxyImage", "mine")]);
    elsewhere["spec"]["dnsPolicy"] = json!("Default");
    let settings = Settings::default();
    let told = inject(&elsewhere, &inputs(&settings)).unwrap().warnings;
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_proxy_that_moves_between_the_lists_is_there_once() {
    let settings = Settings::default();
    let beside = injected(&pod(&[]), &settings);
    let native = Inputs { native_sidecars: true, ..inputs(&settings) };
    let moved = inject(&beside, &native).unwrap().pod;
    assert_eq!(
        (names(&moved, "containers"), names(&moved, "initContainers")),
        (vec!["web".to_owned()], vec!["istio-init".into(), "istio-proxy".into()])
    );
    let back = injected(&moved, &settings);
    assert_eq!(back, beside);
}
