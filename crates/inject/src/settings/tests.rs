use serde_json::json;

use super::*;
use crate::Reason;

#[test]
fn values_that_nobody_gives_are_the_charts() {
    let values = Values::default();
    assert_eq!(
        (values.global.proxy.status_port.as_str(), values.global.istio_namespace.as_str()),
        ("15020", "istio-system")
    );
    assert_eq!(values.global.proxy.resources["limits"]["memory"], "1024Mi");
    assert!(values.sidecar_injector_webhook.rewrite_probes);
}

#[test]
fn values_are_laid_over_the_charts_and_lists_of_resources_are_taken_whole() {
    let text = "global:\n  tag: 1.30\n  network: null\n  proxy: {resources: {requests: {cpu: 1}}, startupProbe: null, statusPort: '0'}\n  own: kept\n";
    let values = Values::from_yaml(text).unwrap();
    assert_eq!((values.global.tag.as_str(), values.global.network.as_str()), ("1.3", ""));
    assert_eq!(values.global.proxy.resources, json!({"requests": {"cpu": 1}}));
    assert!(values.global.proxy.startup_probe.enabled, "a null says nothing");
    assert_eq!((values.global.proxy.status_port.as_str(), &values.whole()["global"]["own"]), ("0", &json!("kept")));
    assert_eq!(Values::from_yaml("{\"revision\": \"a\"}").unwrap().of_revision("b").revision, "a");
    assert_eq!(Values::from_yaml("").unwrap().of_revision("b").revision, "b");
}

#[test]
fn wrong_settings_are_told_with_their_path() {
    let values = |text: &str| Values::from_yaml(text).unwrap_err().to_string();
    assert_eq!(values("global: {hub: [a]}"), "values global.hub: a text is needed, not [\"a\"]");
    assert_eq!(values("global: {logAsJson: 7}"), "values global.logAsJson: true or false is needed, not 7");
    assert!(values("- a").contains("a mapping is needed"));
    let mesh = Mesh::from_yaml("defaultConfig: {interceptionMode: MAYBE}").unwrap_err().to_string();
    assert!(mesh.starts_with("mesh settings defaultConfig.interceptionMode: "), "{mesh}");
    let injector = Injector::from_yaml("policy: sometimes").unwrap_err().to_string();
    assert!(injector.starts_with("injector settings policy: "), "{injector}");
}

#[test]
fn the_injectors_settings_come_from_the_values_where_there_are_no_others() {
    let text = "global: {proxy: {autoInject: disabled}}\nsidecarInjectorWebhook:\n  neverInjectSelector: [{matchLabels: {app: x}}]\n  \
                defaultTemplates: [mine]\n  templates: {mine: 'metadata: {}'}\n";
    let injector = Injector::from_values(&Values::from_yaml(text).unwrap()).unwrap();
    assert_eq!((injector.policy, injector.defaults()), (Policy::Disabled, vec!["mine".to_owned()]));
    let settings = Settings { injector, ..Settings::default() };
    let decided =
        |app: &str| crate::decide(&json!({"metadata": {"labels": {"app": app}}, "spec": {}}), "shop", &settings).reason;
    assert_eq!((decided("x"), decided("y")), (Reason::Never(0), Reason::Policy(Policy::Disabled)));
}

#[test]
fn what_the_chart_leaves_empty_is_nothing_and_a_template_alone_is_the_sidecars() {
    let text = "policy: enabled\ndefaultTemplates: [sidecar]\nalwaysInjectSelector:\n  []\ninjectedAnnotations:\ntemplate: \"{{ Mismatched }}\"\n";
    let injector = Injector::from_yaml(text).unwrap();
    assert!(injector.templates.is_empty() && injector.injected_annotations.is_empty());
    for text in ["metadata: {labels: {a: b}}\nspec: {}\n", "{{ if true }}\nspec: {}\n{{ end }}"] {
        assert_eq!(Injector::from_yaml(text).unwrap().templates.keys().collect::<Vec<_>>(), ["sidecar"]);
    }
}
