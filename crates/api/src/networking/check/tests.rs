//! One line for each rule: what is written, and what is said of it.

use names::Name;

use crate::yaml::documents;
use crate::{Mode, Severity, decode};

/// The paths and severities of what is said of a spec.
fn said(kind: &str, spec: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {spec}\n"
    );
    let document = documents(&text, Some(&Name::from("t"))).unwrap().remove(0);
    let (_, issues) = decode(&document, Mode::Strict);
    issues
        .iter()
        .filter(|issue| issue.severity > Severity::Info)
        .map(|issue| format!("{} {}", issue.severity, issue.path))
        .collect()
}

fn route(more: &str) -> Vec<String> {
    said("VirtualService", &format!("{{hosts: [a], http: [{{route: [{{destination: {{host: a}}}}]{more}}}]}}"))
}

#[test]
fn http_routes() {
    assert_eq!(route(""), [""; 0]);
    for (more, wanted) in [
        (", timeout: 10us", "error spec.http[0].timeout"),
        (", retries: {attempts: 0, retryOn: 5xx}", "error spec.http[0].retries.attempts"),
        (", retries: {attempts: 2, retryOn: 'sometimes'}", "error spec.http[0].retries.retryOn"),
        (", rewrite: {}", "error spec.http[0].rewrite"),
        (", rewrite: {authority: b}, headers: {request: {set: {host: c}}}", "error spec.http[0].rewrite.authority"),
        (", headers: {request: {set: {':path': x}}}", "error spec.http[0].headers.request.set"),
        (", headers: {response: {add: {x: '%WRONG'}}}", "error spec.http[0].headers.response.add.x"),
        (", headers: {request: {remove: [host]}}", "error spec.http[0].headers.request.remove[0]"),
        (", mirrorPercentage: {value: 101}", "error spec.http[0].mirrorPercentage"),
        (", fault: {delay: {percentage: {value: 1}}}", "error spec.http[0].fault.delay"),
        (", fault: {abort: {httpStatus: 100, percentage: {value: 1}}}", "error spec.http[0].fault.abort.httpStatus"),
        (", corsPolicy: {allowMethods: [FETCH]}", "error spec.http[0].corsPolicy.allowMethods[0]"),
        (", corsPolicy: {maxAge: 1500ms}", "error spec.http[0].corsPolicy.maxAge"),
        (", match: [{headers: {'a b': {exact: x}}}]", "error spec.http[0].match[0].headers"),
        (", match: [{uri: {regex: '('}}]", "error spec.http[0].match[0].uri"),
        (", match: [{uri: {exact: a, prefix: b}}]", "error spec.http[0].match[0].uri"),
        (", redirect: {uri: /x}", "error spec.http[0]"),
        (", mirror: {host: b}, mirrors: [{destination: {host: c}}]", "error spec.http[0].mirrors"),
    ] {
        assert_eq!(route(more), [wanted], "{more}");
    }
    assert_eq!(
        route(", headers: {request: {set: {x: '100%% of %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQ(X?Y):10%'}}}"),
        [""; 0]
    );
}

#[test]
fn redirects() {
    let redirect = |spec: &str| {
        said(
            "VirtualService",
            &format!("{{hosts: [a], http: [{{match: [{{uri: {{exact: /a}}}}], redirect: {spec}}}]}}"),
        )
    };
    assert_eq!(redirect("{uri: /b}"), [""; 0]);
    assert_eq!(redirect("{}"), ["error spec.http[0].redirect"]);
    assert_eq!(redirect("{scheme: ftp}"), ["error spec.http[0].redirect.scheme"]);
    assert_eq!(redirect("{port: 80, derivePort: FROM_REQUEST_PORT}"), ["error spec.http[0].redirect.derivePort"]);
    assert_eq!(redirect("{uri: /b, redirectCode: 200}"), ["error spec.http[0].redirect.redirectCode"]);
    assert_eq!(redirect("{prefixRewrite: /b}"), ["error spec.http[0].redirect.prefixRewrite"]);
}

#[test]
fn virtual_services_as_a_whole() {
    let http = "http: [{route: [{destination: {host: a}}]}]";
    for (spec, wanted) in [
        (format!("{{hosts: ['*'], {http}}}"), vec!["error spec.hosts[0]"]),
        (format!("{{hosts: [a, a], {http}}}"), vec!["error spec.hosts[1]"]),
        (format!("{{hosts: ['a:80'], {http}}}"), vec!["error spec.hosts[0]"]),
        (format!("{{hosts: [a], exportTo: ['*', b], {http}}}"), vec!["error spec.exportTo[0]"]),
        ("{hosts: [a]}".to_owned(), vec!["error spec"]),
        (
            "{hosts: [a], http: [{route: [{destination: {host: a}}]}, {route: [{destination: {host: b}}]}]}".to_owned(),
            vec!["warning spec.http[1]"],
        ),
        (
            "{hosts: [a], http: [{route: [{destination: {host: a}, weight: -1}]}]}".to_owned(),
            vec!["error spec.http[0].route"],
        ),
        (
            "{hosts: [a], http: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]}".to_owned(),
            vec!["error spec.http[0].route"],
        ),
        ("{hosts: [a], tls: [{route: [{destination: {host: a}}]}]}".to_owned(), vec!["error spec.tls[0].match"]),
    ] {
        assert_eq!(said("VirtualService", &spec), wanted, "{spec}");
    }
}

#[test]
fn destination_rules() {
    let policy = |policy: &str| said("DestinationRule", &format!("{{host: a, trafficPolicy: {policy}}}"));
    assert_eq!(policy("{loadBalancer: {simple: RANDOM}}"), [""; 0]);
    for (text, wanted) in [
        ("{}", "error spec.trafficPolicy"),
        ("{connectionPool: {}}", "error spec.trafficPolicy.connectionPool"),
        ("{connectionPool: {http: {maxRetries: -1}}}", "error spec.trafficPolicy.connectionPool.http.maxRetries"),
        ("{loadBalancer: {consistentHash: {}}}", "error spec.trafficPolicy.loadBalancer.consistentHash"),
        (
            "{loadBalancer: {consistentHash: {httpHeaderName: x, maglev: {tableSize: 10}}}}",
            "error spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize",
        ),
        (
            "{loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {b/*: 90}}]}}}",
            "error spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to",
        ),
        (
            "{loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}}",
            "error spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0]",
        ),
        (
            "{outlierDetection: {maxEjectionPercent: 101}}",
            "error spec.trafficPolicy.outlierDetection.maxEjectionPercent",
        ),
        ("{tls: {mode: MUTUAL}}", "error spec.trafficPolicy.tls"),
        ("{portLevelSettings: [{tls: {mode: SIMPLE}}]}", "error spec.trafficPolicy.portLevelSettings[0].port"),
    ] {
        assert_eq!(policy(text), [wanted], "{text}");
    }
    assert_eq!(
        said("DestinationRule", "{host: a, subsets: [{name: v1}, {name: v1}, {name: 'V 2'}]}"),
        ["error spec.subsets[1].name", "error spec.subsets[2].name"]
    );
}

#[test]
fn gateways_entries_and_sidecars() {
    let server = |server: &str| said("Gateway", &format!("{{servers: [{server}]}}"));
    assert_eq!(server("{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*']}"), [""; 0]);
    assert_eq!(server("{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*']}"), ["error spec.servers[0].tls"]);
    assert_eq!(
        server("{port: {number: 80, name: a, protocol: HTTP}, hosts: [shop/web]}"),
        ["error spec.servers[0].hosts[0]"]
    );
    assert_eq!(
        server("{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.b], tls: {mode: SIMPLE}}"),
        ["error spec.servers[0].tls"]
    );
    let entry = |more: &str| said("ServiceEntry", &format!("{{ports: [{{number: 80, name: http}}], {more}}}"));
    assert_eq!(entry("hosts: [a.test], resolution: DNS"), [""; 0]);
    assert_eq!(entry("hosts: ['*.a.test'], resolution: DNS"), ["error spec.hosts"]);
    assert_eq!(entry("hosts: [a.test], endpoints: [{address: 1.2.3.4}]"), ["error spec.endpoints"]);
    assert_eq!(entry("hosts: [a.test], resolution: DNS, addresses: [10.0.0.0/8]"), ["error spec.addresses[0]"]);
    assert_eq!(said("Sidecar", "{}"), ["error spec"]);
    assert_eq!(said("Sidecar", "{egress: [{hosts: [web]}]}"), ["error spec.egress[0].hosts[0]"]);
}
