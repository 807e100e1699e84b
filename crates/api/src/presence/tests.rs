use crate::yaml::documents;
use crate::{Mode, Severity, decode};

/// Paths of the errors of a spec.
fn errors(kind: &str, spec: &str, mode: Mode) -> Vec<String> {
    let group = match kind {
        "AuthorizationPolicy" | "RequestAuthentication" => "security.istio.io/v1",
        "Telemetry" => "telemetry.istio.io/v1",
        "WasmPlugin" => "extensions.istio.io/v1alpha1",
        _ => "networking.istio.io/v1",
    };
    let text = format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: a, namespace: shop}}\nspec: {spec}\n");
    let (_, issues) = decode(&documents(&text, None).unwrap()[0], mode);
    issues.into_iter().filter(|issue| issue.severity == Severity::Error).map(|issue| issue.path).collect()
}

#[test]
fn what_is_empty_is_there() {
    let socket = "address: 'unix:///a', ports: {}";
    for (kind, spec, wanted) in [
        ("AuthorizationPolicy", "{selector: {}, targetRefs: []}".to_owned(), "spec.selector"),
        ("AuthorizationPolicy", "{selector: {matchLabels: {a: b}}, targetRefs: []}".to_owned(), "spec.targetRefs"),
        (
            "AuthorizationPolicy",
            "{rules: [{from: [{source: {serviceAccounts: [a], notPrincipals: []}}]}]}".to_owned(),
            "spec.rules[0].from[0].source.notPrincipals",
        ),
        ("ServiceEntry", "{hosts: [a.b], endpoints: []}".to_owned(), "spec.endpoints"),
        ("WorkloadEntry", format!("{{{socket}}}"), "spec.ports"),
        ("WorkloadGroup", format!("{{template: {{{socket}}}}}"), "spec.template.ports"),
        ("RequestAuthentication", "{jwtRules: [{issuer: a, jwksUri: ''}]}".to_owned(), "spec.jwtRules[0].jwksUri"),
        (
            "Telemetry",
            "{metrics: [{overrides: [{tagOverrides: {x: {operation: REMOVE, value: ''}}}]}]}".to_owned(),
            "spec.metrics[0].overrides[0].tagOverrides.x.value",
        ),
        (
            "WasmPlugin",
            "{url: a, vmConfig: {env: [{name: x, valueFrom: HOST, value: ''}]}}".to_owned(),
            "spec.vmConfig.env[0].value",
        ),
    ] {
        assert_eq!(errors(kind, &spec, Mode::Strict), [wanted], "{kind} {spec}");
        assert_eq!(errors(kind, &spec, Mode::Lenient), [""; 0], "{kind} {spec}");
    }
}

#[test]
fn what_may_stand_alone_may_be_empty() {
    for (kind, spec) in [
        ("AuthorizationPolicy", "{targetRefs: []}"),
        ("ServiceEntry", "{hosts: [a.b], resolution: STATIC, endpoints: []}"),
        ("WorkloadEntry", "{address: 10.0.0.1, ports: {}}"),
        ("WasmPlugin", "{url: a, vmConfig: {env: [{name: x, valueFrom: INLINE, value: ''}]}}"),
    ] {
        assert_eq!(errors(kind, spec, Mode::Strict), [""; 0], "{kind} {spec}");
    }
}
