//! What holds for any pod: nothing of the user's is lost, injecting again changes nothing, and the patch says it all.

use super::*;

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "x y", "", "1"]).prop_map(str::to_owned)
}

/// Fields that this program knows nothing of.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9i64..9).prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(vec!["p", "q", "r"]), inner, 0..3)
                .prop_map(|map| json!(map)),
        ]
    })
}

fn probe() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"httpGet": {"path": "/h", "port": "http"}, "timeoutSeconds": 2})),
        Just(json!({"httpGet": {"path": "/s", "port": 8443, "scheme": "HTTPS"}})),
        Just(json!({"tcpSocket": {"port": 8080}, "periodSeconds": 5})),
        Just(json!({"grpc": {"port": 9000}})),
        Just(json!({"exec": {"command": ["true"]}})),
        Just(json!({"httpGet": {"path": "/", "port": "nobody"}})),
    ]
}

fn container(name: String) -> impl Strategy<Value = Value> {
    let field =
        |key: &'static str, value: BoxedStrategy<Value>| prop::option::of(value).prop_map(move |value| (key, value));
    let fields = (
        field(
            "ports",
            Just(json!([{"name": "http", "containerPort": 8080}, {"containerPort": 8080, "protocol": "UDP"}])).boxed(),
        ),
        field("env", text().prop_map(|value| json!([{"name": "E", "value": value}])).boxed()),
        field("livenessProbe", probe().boxed()),
        field("readinessProbe", probe().boxed()),
        field("startupProbe", probe().boxed()),
        field("lifecycle", Just(json!({"preStop": {"httpGet": {"port": 8080}}})).boxed()),
        field("volumeMounts", Just(json!([{"name": "v", "mountPath": "/v"}])).boxed()),
        field("securityContext", (0i64..3).prop_map(|user| json!({"runAsUser": user})).boxed()),
        field("fromTomorrow", anything().boxed()),
    );
    fields.prop_map(move |(a, b, c, d, e, f, g, h, i)| {
        let mut container = json!({"name": name, "image": format!("{name}:1")});
        for (key, value) in [a, b, c, d, e, f, g, h, i] {
            value.into_iter().for_each(|value| container[key] = value);
        }
        container
    })
}

fn annotations() -> impl Strategy<Value = Map<String, Value>> {
    let known = vec![
        ("sidecar.istio.io/interceptionMode", "TPROXY"),
        ("sidecar.istio.io/interceptionMode", "NONE"),
        ("sidecar.istio.io/nativeSidecar", "true"),
        ("status.sidecar.istio.io/port", "15999"),
        ("status.sidecar.istio.io/port", "0"),
        ("prometheus.io/port", "9102"),
        ("prometheus.io/scrape", "false"),
        ("proxy.istio.io/config", "{holdApplicationUntilProxyStarts: true, proxyMetadata: {A: b}}"),
        ("inject.istio.io/templates", "gateway"),
        ("inject.istio.io/templates", "grpc-agent"),
        ("inject.istio.io/templates", "grpc-simple"),
        ("sidecar.istio.io/bootstrapOverride", "mine"),
        ("sidecar.istio.io/userVolume", "{\"u\":{\"emptyDir\":{}}}"),
        ("sidecar.istio.io/userVolumeMount", "{\"u\":{\"mountPath\":\"/u\"}}"),
        ("example.com/own", "kept"),
    ];
    let pairs = prop::collection::vec(prop::sample::select(known), 0..5);
    pairs.prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

prop_compose! {
    fn any_pod()(
        apps in prop::collection::vec(container(String::new()), 1..3),
        inits in prop::collection::vec(container(String::new()), 0..2),
        proxy in prop::option::of(container("istio-proxy".to_owned())),
        annotations in annotations(),
        more in anything(),
        context in prop::option::of(Just(json!({"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}))),
    ) -> Value {
        let named = |prefix: &str, containers: Vec<Value>| -> Vec<Value> {
            let named = |(at, mut container): (usize, Value)| { container["name"] = json!(format!("{prefix}{at}")); container };
            containers.into_iter().enumerate().map(named).collect()
        };
        let mut containers = named("app", apps);
        containers.extend(proxy);
        let mut pod = json!({"metadata": {"name": "p", "labels": {"app": "p"}, "annotations": annotations, "fromTomorrow": more},
            "spec": {"containers": containers, "volumes": [{"name": "v", "emptyDir": {}}], "fromTomorrow": more},
            "status": {"phase": "Pending"}});
        if !inits.is_empty() {
            pod["spec"]["initContainers"] = json!(named("init", inits));
        }
        if let Some(context) = context {
            pod["spec"]["securityContext"] = context;
        }
        pod
    }
}

/// Whether one is in the other: the same values, and all items of lists, somewhere.
fn is_in(small: &Value, large: &Value) -> bool {
    match (small, large) {
        (Value::Object(small), Value::Object(large)) => {
            small.iter().all(|(key, value)| large.get(key).is_some_and(|large| is_in(value, large)))
        }
        (Value::Array(small), Value::Array(large)) => {
            small.iter().all(|item| large.iter().any(|large| is_in(item, large)))
        }
        _ => small == large,
    }
}

/// The container without what the agent takes over.
fn without_probes(container: &Value) -> Value {
    let mut container = container.clone();
    for key in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
        container.as_object_mut().unwrap().remove(key);
    }
    container
}

fn both_ways(native: bool, check: impl Fn(&Inputs<'_>) -> Result<(), TestCaseError>) -> Result<(), TestCaseError> {
    for values in ["", "pilot: {cni: {enabled: true}}"] {
        let settings = settings(values, "", "");
        check(&Inputs { native_sidecars: native, ..inputs(&settings) })?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_of_the_users_is_lost_or_changed_but_what_is_documented(pod in any_pod(), native: bool) {
        both_ways(native, |inputs| {
            let after = inject(&pod, inputs).unwrap().pod;
            for list in pod::LISTS {
                for own in pod::items(&pod["spec"][list]).iter().filter(|own| pod::name(own) != pod::PROXY) {
                    let kept = pod::find(&after, list, pod::name(own)).unwrap();
                    prop_assert!(is_in(&without_probes(own), kept), "{own}\nbecame {kept}");
                    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
                        prop_assert_eq!(own[key].is_null(), kept[key].is_null());
                        let through = kept[key]["httpGet"]["path"].as_str().is_some_and(|path| path.starts_with("/app-health/"));
                        prop_assert!(through || own[key] == kept[key]);
                    }
                }
            }
            if let Some(own) = pod::sidecar(&pod) {
                let tproxy = after.to_string().contains("TPROXY");
                let mut own = without_probes(own);
                if tproxy {
                    own.as_object_mut().unwrap().remove("securityContext");
                }
                if let Some(kept) = pod::sidecar(&after) {
                    prop_assert!(is_in(&own, kept), "{own}\nbecame {kept}");
                }
            }
            let mut rest = pod.clone();
            for list in pod::LISTS {
                rest["spec"].as_object_mut().unwrap().remove(list);
            }
            let metadata = rest["metadata"]["annotations"].as_object_mut().unwrap();
            metadata.retain(|name, _| !name.starts_with("prometheus.io/"));
            prop_assert!(is_in(&rest, &after), "{rest}\nis not in {after}");
            Ok(())
        })?;
    }

    #[test]
    fn an_injected_pod_stays_the_same(pod in any_pod(), native: bool) {
        both_ways(native, |inputs| {
            let once = inject(&pod, inputs).unwrap().pod;
            let twice = inject(&once, inputs).unwrap().pod;
            prop_assert_eq!(patch(&once, &twice).0, Vec::new());
            Ok(())
        })?;
    }

    #[test]
    fn the_patch_makes_the_one_of_the_other(pod in any_pod(), native: bool) {
        both_ways(native, |inputs| {
            let after = inject(&pod, inputs).unwrap().pod;
            let mut patched = pod.clone();
            json_patch::patch(&mut patched, &patch(&pod, &after)).unwrap();
            prop_assert_eq!(patched, after);
            Ok(())
        })?;
    }

    #[test]
    fn no_json_makes_it_panic(pod in anything(), spec in anything(), containers in prop::collection::vec(anything(), 0..3)) {
        let settings = Settings::default();
        for pod in [pod.clone(), json!({"metadata": pod, "spec": spec}), json!({"metadata": {"annotations": spec}, "spec": {"containers": containers}})] {
            let _ = inject(&pod, &inputs(&settings));
            let _ = crate::decide(&pod, "shop", &settings);
        }
    }
}
