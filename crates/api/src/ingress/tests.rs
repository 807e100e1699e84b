//! What of an Ingress is a mistake, and what is left of it.

use crate::{AnyObject, Mode, decode, yaml};

/// Codes of severity and paths, and the paths that are left.
fn read(spec: &str, mode: Mode) -> (Vec<String>, Option<Vec<String>>) {
    let text = format!("{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: in}}, spec: {spec}}}");
    let document = yaml::documents(&text, None).unwrap().remove(0);
    let (objects, issues) = decode(&document, mode);
    let left = objects.into_iter().next().map(|object| {
        let AnyObject::Ingress(ingress) = object else { panic!("an Ingress") };
        let paths = ingress.spec().rules.iter().filter_map(|rule| rule.http.as_ref()).flat_map(|http| &http.paths);
        paths.map(|path| path.path.to_string()).collect()
    });
    (issues.iter().map(|issue| format!("{} {}", issue.severity, issue.path)).collect(), left)
}

fn with_path(path: &str) -> String {
    format!(
        "{{rules: [{{http: {{paths: [{{path: {path}, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}]}}"
    )
}

fn with_backend(backend: &str) -> String {
    format!("{{defaultBackend: {backend}}}")
}

#[test]
fn mistakes_are_those_of_the_api_server() {
    let of_path = |path: &str| format!("{path}, pathType: Prefix");
    for (spec, issue) in [
        ("{}".to_owned(), "error spec"),
        (with_path(&of_path("/a")), ""),
        (with_path(&of_path("a")), "error spec.rules[0].http.paths[0].path"),
        (with_path(&of_path("/a//b")), "error spec.rules[0].http.paths[0].path"),
        (with_path(&of_path("/a/..")), "error spec.rules[0].http.paths[0].path"),
        (with_path("/a//b, pathType: ImplementationSpecific"), ""),
        (with_path("'', pathType: ImplementationSpecific"), ""),
        (with_path("/a"), "error spec.rules[0].http.paths[0].pathType"),
        (with_path("/a, pathType: Regex"), "error spec.rules[0].http.paths[0].pathType"),
        (with_path("/a, pathType: Exact, weight: 3"), "error spec.rules[0].http.paths[0].weight"),
        ("{rules: [{host: a.test}]}".to_owned(), "warning spec.rules[0]"),
        ("{rules: [{host: 10.0.0.1}]}".to_owned(), "error spec.rules[0].host"),
        ("{rules: [{host: a.*.test}]}".to_owned(), "error spec.rules[0].host"),
        ("{rules: [{http: {paths: []}}]}".to_owned(), "error spec.rules[0].http.paths"),
        (with_backend("{service: {name: a, port: {name: http}}}"), ""),
        (
            with_backend("{service: {name: a, port: {name: http, number: 80}}}"),
            "error spec.defaultBackend.service.port",
        ),
        (with_backend("{service: {name: a}}"), "error spec.defaultBackend.service.port"),
        (with_backend("{service: {name: a, port: {number: 70000}}}"), "error spec.defaultBackend.service.port.number"),
        (with_backend("{resource: {kind: Bucket, name: a}}"), "warning spec.defaultBackend.resource"),
        (with_backend("{}"), "error spec.defaultBackend"),
    ] {
        let (issues, _) = read(&spec, Mode::Strict);
        assert_eq!(issues.first().map_or("", String::as_str), issue, "{spec}");
    }
    let tls = |tls: &str| format!("{{defaultBackend: {{service: {{name: a, port: {{number: 80}}}}}}, tls: [{tls}]}}");
    for (written, issue) in [
        ("{hosts: ['*.a.test'], secretName: a}", ""),
        ("{hosts: [a.test]}", "warning spec.tls[0].secretName"),
        ("{secretName: kubernetes://other/secret}", "error spec.tls[0].secretName"),
        ("{hosts: [A.test], secretName: a}", "error spec.tls[0].hosts[0]"),
    ] {
        let (issues, _) = read(&tls(written), Mode::Strict);
        assert_eq!(issues.first().map_or("", String::as_str), issue, "{written}");
    }
}

#[test]
fn a_mistake_drops_its_path_and_no_other() {
    let spec = "{rules: [{http: {paths: [
        {path: /a, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}},
        {path: b, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}},
    ]}}]}";
    let (issues, left) = read(spec, Mode::Lenient);
    assert_eq!(left, Some(vec!["/a".to_owned()]), "{issues:?}");
}
