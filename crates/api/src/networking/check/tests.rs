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
        (", fault: {delay: {percentage: {value: 1}}}", "warning spec.http[0].fault.delay"),
        (", fault: {delay: {exponentialDelay: 1s}}", "error spec.http[0].fault.delay.exponentialDelay"),
        (", fault: {delay: {fixedDelay: 1s, exponentialDelay: 1s}}", "error spec.http[0].fault.delay"),
        (", fault: {abort: {grpcStatus: NO_SUCH}}", "error spec.http[0].fault.abort.grpcStatus"),
        (", fault: {abort: {grpcStatus: OK, httpStatus: 500}}", "error spec.http[0].fault.abort"),
        (", mirror: {host: b}, mirrorPercentage: {value: 1}, mirrors: []", ""),
        (", corsPolicy: {allowOrigins: [{exact: ''}]}", "error spec.http[0].corsPolicy.allowOrigins[0]"),
        (", corsPolicy: {allowOrigins: [{exact: a, prefix: b}]}", "error spec.http[0].corsPolicy.allowOrigins[0]"),
        (", corsPolicy: {allowHeaders: ['*', x-a]}", ""),
        (", corsPolicy: {allowHeaders: ['a b']}", "error spec.http[0].corsPolicy.allowHeaders[0]"),
        (", rewrite: {uriRegexRewrite: {match: a}}", "error spec.http[0].rewrite.uriRegexRewrite.rewrite"),
        (", retries: {attempts: 0, retryRemoteLocalities: true}", "error spec.http[0].retries.attempts"),
        (", match: [{headers: {':path': {exact: x}}}]", ""),
        (", match: [{headers: {':other': {exact: x}}}]", "error spec.http[0].match[0].headers"),
        (
            ", match: [{headers: {'@request.auth.claims.a': {exact: x}}}]",
            "error spec.http[0].match[0].headers.@request.auth.claims.a",
        ),
        (", match: [{gateways: ['a/b/c']}]", "error spec.http[0].match[0].gateways[0]"),
        (", fault: {abort: {httpStatus: 100, percentage: {value: 1}}}", "error spec.http[0].fault.abort.httpStatus"),
        (", corsPolicy: {allowMethods: [FETCH]}", "error spec.http[0].corsPolicy.allowMethods[0]"),
        (", corsPolicy: {maxAge: 1500ms}", "error spec.http[0].corsPolicy.maxAge"),
        (", match: [{headers: {'a b': {exact: x}}}]", "error spec.http[0].match[0].headers"),
        (", match: [{uri: {regex: '('}}]", "error spec.http[0].match[0].uri"),
        (", match: [{uri: {exact: a, prefix: b}}]", "error spec.http[0].match[0].uri"),
        (", redirect: {uri: /x}", "error spec.http[0]"),
        (", mirror: {host: b}, mirrors: [{destination: {host: c}}]", "error spec.http[0].mirrors"),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(route(more), wanted, "{more}");
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
        (format!("{{hosts: ['*.a.test', b.a.test], {http}}}"), vec!["error spec.hosts[1]"]),
        (format!("{{hosts: [10.0.0.1], {http}}}"), vec![]),
        (format!("{{hosts: [a.1], {http}}}"), vec!["error spec.hosts[0]"]),
        (format!("{{hosts: ['a.test.'], {http}}}"), vec![]),
        (format!("{{hosts: [a], exportTo: ['~'], {http}}}"), vec!["error spec.exportTo[0]"]),
        (format!("{{hosts: [a], exportTo: ['.', shop], {http}}}"), vec!["error spec.exportTo[1]"]),
        (format!("{{hosts: [a], gateways: [edge.shop], {http}}}"), vec!["warning spec.gateways[0]"]),
        (format!("{{hosts: [a], gateways: ['shop/'], {http}}}"), vec!["error spec.gateways[0]"]),
        (
            "{hosts: [a.test], tls: [{match: [{sniHosts: [b.test]}], route: [{destination: {host: a}}]}]}".to_owned(),
            vec!["error spec.tls[0].match[0].sniHosts[0]"],
        ),
        (
            "{hosts: ['*.test'], tls: [{match: [{sniHosts: [b.test]}], route: [{destination: {host: a}}]}]}".to_owned(),
            vec![],
        ),
        (
            "{hosts: [a], tcp: [{match: [{destinationSubnets: [10.0.0.0/99]}], route: [{destination: {host: a}}]}]}"
                .to_owned(),
            vec!["error spec.tcp[0].match[0].destinationSubnets[0]"],
        ),
        ("{hosts: [a], tcp: [{match: [{port: 1}, {port: 1}], route: [{destination: {host: a}}]}]}".to_owned(), vec![]),
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
            "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: a}]}}}",
            "error spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0]",
        ),
        (
            "{outlierDetection: {maxEjectionPercent: 101}}",
            "error spec.trafficPolicy.outlierDetection.maxEjectionPercent",
        ),
        ("{tls: {mode: MUTUAL}}", "error spec.trafficPolicy.tls"),
        ("{retryBudget: {percent: 101}}", "error spec.trafficPolicy.retryBudget.percent"),
        ("{tunnel: {targetHost: a.test, targetPort: 0}}", "error spec.trafficPolicy.tunnel.targetPort"),
        ("{tunnel: {targetHost: '*.test', targetPort: 1}}", "error spec.trafficPolicy.tunnel.targetHost"),
        (
            "{connectionPool: {tcp: {tcpKeepalive: {time: 0s}}}}",
            "error spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time",
        ),
        ("{loadBalancer: {warmup: {}}}", "error spec.trafficPolicy.loadBalancer.warmup.duration"),
        (
            "{loadBalancer: {warmup: {duration: 1s, aggression: 0}}}",
            "error spec.trafficPolicy.loadBalancer.warmup.aggression",
        ),
        (
            "{loadBalancer: {localityLbSetting: {distribute: [{from: a/*, to: {b/*: 100}}, {from: a/b, to: {c: 100}}]}}}",
            "error spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1].from",
        ),
        (
            "{outlierDetection: {consecutiveLocalOriginFailures: 3}}",
            "error spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures",
        ),
        ("{portLevelSettings: [{port: {number: 80}}]}", "error spec.trafficPolicy.portLevelSettings[0]"),
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
        ["error spec.servers[0].tls.serverCertificate", "error spec.servers[0].tls.privateKey"]
    );
    let entry = |more: &str| said("ServiceEntry", &format!("{{ports: [{{number: 80, name: http}}], {more}}}"));
    assert_eq!(entry("hosts: [a.test], resolution: DNS"), [""; 0]);
    assert_eq!(entry("hosts: ['*.a.test'], resolution: DNS"), ["error spec.hosts"]);
    assert_eq!(entry("hosts: [a.test], endpoints: [{address: 1.2.3.4}]"), ["error spec.endpoints"]);
    assert_eq!(entry("hosts: [a.test], resolution: DNS, addresses: [10.0.0.0/8]"), ["error spec.addresses[0]"]);
    for (more, wanted) in [
        ("hosts: ['*b.test'], resolution: NONE", "warning spec.hosts[0]"),
        ("hosts: [a.test], exportTo: ['~'], resolution: DNS", ""),
        ("hosts: [a.test], resolution: STATIC, endpoints: [{address: a.test}]", "error spec.endpoints[0].address"),
        (
            "hosts: [a.test], resolution: DNS, endpoints: [{address: b.test, ports: {other: 1}}]",
            "error spec.endpoints[0].ports.other",
        ),
        ("hosts: [a.test, b.test], resolution: DNS", "error spec.ports[0].protocol"),
        ("hosts: [a.test, b.test], resolution: NONE", ""),
        ("hosts: [a.test], resolution: NONE, workloadSelector: {labels: {a: b}}", "warning spec.workloadSelector"),
        (
            "hosts: [a.test], resolution: STATIC, endpoints: [{address: 'unix://relative'}]",
            "error spec.endpoints[0].address",
        ),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(entry(more), wanted, "{more}");
    }
    for (server, wanted) in [
        ("{port: {number: 80, name: a, protocol: HTTP}, hosts: [web]}", "error spec.servers[0].hosts[0]"),
        ("{port: {number: 80, name: a, protocol: HTTP}, hosts: ['~/a.b']}", "error spec.servers[0].hosts[0]"),
        ("{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*a.b']}", "error spec.servers[0].hosts[0]"),
        (
            "{port: {number: 80, name: a, protocol: TCP}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: x}}",
            "error spec.servers[0].tls",
        ),
        ("{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}", ""),
        (
            "{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: ISTIO_MUTUAL, credentialName: x}}",
            "error spec.servers[0].tls",
        ),
        (
            "{port: {number: 443, name: a, protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH, credentialName: x}}",
            "warning spec.servers[0].tls",
        ),
        ("{port: {number: 80, name: a, protocol: HTTP}, bind: a.test, hosts: ['*']}", "error spec.servers[0].bind"),
        ("{port: {number: 80, protocol: HTTP}, hosts: ['*']}", "error spec.servers[0].port.name"),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said("Gateway", &format!("{{servers: [{server}]}}")), wanted, "{server}");
    }
    for (spec, wanted) in [
        ("{ingress: [{port: {number: 80, protocol: HTTP}, defaultEndpoint: '127.0.0.1:8080'}]}", ""),
        (
            "{ingress: [{port: {number: 80, protocol: HTTP}, defaultEndpoint: '10.0.0.1:8080'}]}",
            "error spec.ingress[0].defaultEndpoint",
        ),
        ("{ingress: [{port: {number: 80, protocol: GOPHER}}]}", "error spec.ingress[0].port.protocol"),
        ("{ingress: [{port: {number: 80}}, {port: {number: 80}}]}", "error spec.ingress[1].port.number"),
        ("{egress: [{hosts: ['~shop/a.test', '~/*', './*']}]}", ""),
        ("{egress: [{hosts: ['*/web']}]}", "error spec.egress[0].hosts[0]"),
        ("{egress: [{bind: 127.0.0.1, hosts: ['*/*']}]}", "warning spec.egress[0].bind"),
        ("{egress: [{port: {number: 0}, hosts: ['*/*']}]}", "error spec.egress[0].port.number"),
        ("{egress: [{hosts: ['*/*']}, {hosts: ['./*']}]}", "error spec.egress[0]"),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said("Sidecar", spec), wanted, "{spec}");
    }
    assert_eq!(said("Sidecar", "{}"), ["error spec"]);
    assert_eq!(said("Sidecar", "{egress: [{hosts: [web]}]}"), ["error spec.egress[0].hosts[0]"]);
}

#[test]
fn metadata() {
    let said = |metadata: &str| {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {metadata}\nspec: {{egress: [{{hosts: ['*/*']}}]}}\n"
        );
        let document = documents(&text, None).unwrap().remove(0);
        decode(&document, Mode::Strict).1.into_iter().map(|issue| issue.path).collect::<Vec<_>>()
    };
    for (metadata, wanted) in [
        ("{name: a.b-c, namespace: d}", ""),
        ("{generateName: a-}", ""),
        ("{name: A}", "metadata.name"),
        ("{name: a, namespace: b.c}", "metadata.namespace"),
        ("{name: a, labels: {x: '-y'}}", "metadata.labels"),
        ("{name: a, labels: {x: 1}}", "metadata.labels.x"),
        ("{name: a, annotations: {istio.io/dry-run: 'true'}}", "metadata.annotations.istio.io/dry-run"),
        ("{}", "metadata.name"),
        ("[a]", "metadata"),
        ("{name: a, labels: [b]}", "metadata.labels"),
        ("{name: a, labels: {a.b/c: d, e: ''}, annotations: {A.b/C: d}}", ""),
        ("{name: a, labels: {a/b/c: d}}", "metadata.labels"),
        ("{name: a, annotations: {b: true}}", "metadata.annotations.b"),
        ("{name: a, annotations: {'b c': d}}", "metadata.annotations.b c"),
        ("{name: a, lables: {b: c}}", "metadata.lables"),
        ("{name: a, uid: u, ownerReferences: [], managedFields: [], creationTimestamp: null, finalizers: [b/c]}", ""),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said(metadata), wanted, "{metadata}");
    }
}

/// Each spec with what is said of it; nothing is an empty text.
fn each(kind: &str, table: &[(&str, &str)]) {
    for (spec, wanted) in table {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said(kind, spec), wanted, "{spec}");
    }
}

#[test]
fn routes_at_their_edges() {
    for (more, wanted) in [
        (", timeout: 0s", "error spec.http[0].timeout"),
        (", timeout: 1ms", ""),
        (", retries: {attempts: 1, perTryTimeout: 0s}", "error spec.http[0].retries.perTryTimeout"),
        (", retries: {attempts: 1, retryOn: '5xx,503,reset'}", ""),
        (", retries: {attempts: 1, retryOn: '5xx, reset'}", "error spec.http[0].retries.retryOn"),
        (", retries: {attempts: 1, retryOn: '5xx,'}", "error spec.http[0].retries.retryOn"),
        (", retries: {attempts: 1, retryOn: '599'}", "error spec.http[0].retries.retryOn"),
        (", retries: {attempts: 1, retryOn: unknown}", "error spec.http[0].retries.retryOn"),
        (", match: [{port: 0}]", ""),
        (", match: [{port: 65536}]", "error spec.http[0].match[0].port"),
        (", match: [{sourceNamespace: a.b}]", "error spec.http[0].match[0].sourceNamespace"),
        (", match: [{sourceNamespace: a-b}]", ""),
        (", match: [{withoutHeaders: {a: {regex: '*'}}}]", ""),
        (", match: [{withoutHeaders: {a: {regex: '**'}}}]", "error spec.http[0].match[0].withoutHeaders.a"),
        (", match: [{headers: {a: {regex: '*'}}}]", "error spec.http[0].match[0].headers.a"),
        (", match: [{headers: {a: {}}}]", ""),
        (", headers: {request: {set: {host: a}, add: {':authority': b}}}", "error spec.http[0].headers.request"),
        (", headers: {request: {set: {host: a}}}", ""),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(route(more), wanted, "{more}");
    }
    let redirect = |matched: &str, spec: &str| {
        said("VirtualService", &format!("{{hosts: [a], http: [{{match: [{matched}], redirect: {spec}}}]}}"))
    };
    assert_eq!(redirect("{port: 1}", "{prefixRewrite: /b}"), [""; 0]);
    assert_eq!(redirect("{uri: {prefix: /a}}", "{prefixRewrite: /b, port: 0}"), [""; 0]);
    assert_eq!(redirect("{uri: {regex: a}}", "{prefixRewrite: /b}"), ["error spec.http[0].redirect.prefixRewrite"]);
    let answer = |body: &str| {
        said("VirtualService", &format!("{{hosts: [a], http: [{{directResponse: {{status: 200, body: {body}}}}}]}}"))
    };
    for bytes in ["YWJj", "YWI=", "+/8="] {
        assert_eq!(answer(&format!("{{bytes: {bytes}}}")), [""; 0], "{bytes}");
    }
    for bytes in ["'###'", "YWJjZ", "'Y==='", "YWI", "_-8=", "''"] {
        assert_eq!(answer(&format!("{{bytes: {bytes}}}")), ["error spec.http[0].directResponse.body.bytes"], "{bytes}");
    }
    let by_name = |name: &str, gateway: &str| {
        let matched = format!("{{match: [{{sniHosts: ['{name}']}}], route: [{{destination: {{host: a}}}}]}}");
        said("VirtualService", &format!("{{hosts: ['{name}'], gateways: [{gateway}], tls: [{matched}]}}"))
    };
    let wrong = ["error spec.hosts[0]", "error spec.tls[0].match[0].sniHosts[0]"];
    assert_eq!(by_name("outbound_.80_._.a.shop.svc", "edge"), [""; 0]);
    assert_eq!(by_name("outbound_.80_._.a.shop.svc", "mesh"), wrong);
    assert_eq!(by_name("outbound_.x_._.a.shop.svc", "edge"), wrong);
}

#[test]
fn policies_at_their_edges() {
    let policy = |policy: &str| said("DestinationRule", &format!("{{host: a, trafficPolicy: {policy}}}"));
    let balancer = "error spec.trafficPolicy.loadBalancer";
    for (text, wanted) in [
        ("{retryBudget: {percent: 20}}", String::new()),
        ("{loadBalancer: {warmup: {duration: 1s, aggression: 0.5}}}", String::new()),
        ("{loadBalancer: {warmupDurationSecs: 0s}}", format!("{balancer}.warmupDurationSecs")),
        ("{loadBalancer: {warmupDurationSecs: 30s}}", String::new()),
        (
            "{outlierDetection: {}, loadBalancer: {zoneAwareLbSetting: {minClusterSize: 4294967296}}}",
            format!("{balancer}.zoneAwareLbSetting.minClusterSize"),
        ),
        (
            "{loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, to: b}]}}}",
            "warning spec.trafficPolicy.loadBalancer.zoneAwareLbSetting".to_owned(),
        ),
        (
            "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [topology.kubernetes.io/zone]}}}",
            format!("{balancer}.localityLbSetting.failoverPriority"),
        ),
        (
            "{outlierDetection: {}, loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}], failoverPriority: [version]}}}",
            String::new(),
        ),
        (
            "{connectionPool: {http: {http2KeepAlive: {interval: 1us, timeout: 1s}}}}",
            "error spec.trafficPolicy.connectionPool.http.http2KeepAlive.interval".to_owned(),
        ),
        ("{tls: {mode: SIMPLE, insecureSkipVerify: true}}", String::new()),
        (
            "{tls: {mode: SIMPLE, insecureSkipVerify: true, credentialName: a}}",
            "error spec.trafficPolicy.tls".to_owned(),
        ),
        ("{tls: {mode: MUTUAL, insecureSkipVerify: true, credentialName: a}}", String::new()),
        ("{tls: {mode: MUTUAL, credentialName: a, caCrl: b}}", "error spec.trafficPolicy.tls".to_owned()),
        ("{tls: {mode: ISTIO_MUTUAL, caCertificates: b}}", "warning spec.trafficPolicy.tls".to_owned()),
        ("{tls: {mode: ISTIO_MUTUAL, sni: b}}", String::new()),
    ] {
        let wanted: Vec<String> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(policy(text), wanted, "{text}");
    }
    each(
        "DestinationRule",
        &[
            ("{host: a, workloadSelector: {matchLabels: {app: a}}}", ""),
            ("{host: a, workloadSelector: {matchLabels: {app: '*'}}}", "error spec.workloadSelector.matchLabels"),
            ("{host: a, workloadSelector: {matchLabels: {app: a}}, exportTo: ['.']}", ""),
            ("{host: a, workloadSelector: {matchLabels: {app: a}}, exportTo: ['*']}", "error spec.exportTo"),
        ],
    );
    assert_eq!(
        said("DestinationRule", "{host: a, workloadSelector: {labels: {app: a}}}"),
        ["error spec.workloadSelector.labels", "warning spec.workloadSelector.matchLabels"],
        "this kind has the selector of the policies"
    );
}

#[test]
fn servers_and_listeners_at_their_edges() {
    let server = |hosts: &str, more: &str| {
        let port = "{number: 443, name: a, protocol: HTTPS}";
        said("Gateway", &format!("{{servers: [{{port: {port}, hosts: [{hosts}], tls: {{{more}}}}}]}}"))
    };
    let simple = "mode: SIMPLE, credentialName: x";
    for (hosts, more, wanted) in [
        ("a.b", simple, ""),
        ("shop/a.b", simple, ""),
        ("/a.b", simple, "error spec.servers[0].hosts[0]"),
        ("10.0.0.1", simple, ""),
        ("a.b", "mode: MUTUAL, credentialName: x, caCrl: y", ""),
        ("a.b", "mode: SIMPLE, credentialNames: [a, b, c]", "error spec.servers[0].tls.credentialNames"),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(server(hosts, more), wanted, "{hosts} {more}");
    }
    let port = |name: &str| format!("{{name: s, port: {{number: 80, name: {name}, protocol: HTTP}}, hosts: ['*']}}");
    let two = |a: &str, b: &str| said("Gateway", &format!("{{servers: [{}, {}]}}", port(a), port(b)));
    assert_eq!(two("a", "b"), ["warning spec.servers[1].name"], "statistics only");
    each(
        "Sidecar",
        &[
            ("{egress: [{hosts: ['*/10.0.0.1']}]}", "error spec.egress[0].hosts[0]"),
            ("{egress: [{hosts: ['/a.b']}]}", "error spec.egress[0].hosts[0]"),
            ("{egress: [{hosts: ['~/a.b']}]}", ""),
            ("{egress: [{port: {number: 80}, bind: 'unix:///a', hosts: ['*/*']}]}", "error spec.egress[0].bind"),
            ("{egress: [{port: {number: 0}, bind: 'unix:///a', hosts: ['*/*']}]}", ""),
        ],
    );
}

#[test]
fn entries_and_groups_at_their_edges() {
    let lots = |count: usize| (0..count).map(|at| format!("l{at}: x")).collect::<Vec<_>>().join(", ");
    let long = "a".repeat(2049);
    let entry = |more: &str| said("ServiceEntry", &format!("{{hosts: ['*.a.test'], resolution: DYNAMIC_DNS, {more}}}"));
    assert_eq!(entry("ports: [{number: 80, name: a, protocol: HTTP}]"), [""; 0]);
    assert_eq!(entry("location: MESH_INTERNAL, ports: [{number: 80, name: a, protocol: TLS}]"), [""; 0]);
    assert_eq!(entry("ports: [{number: 80, name: a, protocol: HTTPS}]"), ["error spec.ports[0].protocol"]);
    assert_eq!(
        entry("ports: [{number: 80, name: a, protocol: HTTP, targetPort: 0}]"),
        ["error spec.ports[0].targetPort"]
    );
    let all = format!("{{address: 1.2.3.4, labels: {{{}}}}}", lots(256));
    let more = format!("{{address: 1.2.3.4, labels: {{{}}}}}", lots(257));
    let network = format!("{{address: 1.2.3.4, network: {long}}}");
    each("WorkloadEntry", &[(&all, ""), (&more, "error spec"), (&network, "error spec.network")]);
    each(
        "WorkloadGroup",
        &[
            ("{template: {}}", ""),
            ("{template: {ports: {http: 0}}}", "error spec.template.ports.http"),
            ("{template: {ports: {'a*': 80}}}", "error spec.template.ports.a*"),
            ("{template: {address: 'unix://a'}}", "error spec.template.address"),
            (&format!("{{template: {{locality: {long}}}}}"), "error spec.template.locality"),
            (&format!("{{template: {{}}, metadata: {{annotations: {{{}}}}}}}", lots(257)), "error spec.metadata"),
        ],
    );
    let selected =
        |count| format!("{{egress: [{{hosts: ['*/*']}}], workloadSelector: {{labels: {{{}}}}}}}", lots(count));
    each("Sidecar", &[(&selected(256), ""), (&selected(257), "error spec.workloadSelector.labels")]);
}
