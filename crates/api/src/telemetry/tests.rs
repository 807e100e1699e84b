//! One line for each rule of the kinds that select workloads: what is written, and what is said of it.

use names::Name;

use crate::yaml::documents;
use crate::{Mode, Severity, decode};

fn said(kind: &str, spec: &str) -> Vec<String> {
    let group = match kind {
        "Telemetry" => "telemetry.istio.io/v1",
        "WasmPlugin" | "TrafficExtension" => "extensions.istio.io/v1alpha1",
        "EnvoyFilter" => "networking.istio.io/v1alpha3",
        "ProxyConfig" => "networking.istio.io/v1beta1",
        "WorkloadGroup" => "networking.istio.io/v1",
        _ => "security.istio.io/v1",
    };
    let text = format!("apiVersion: {group}\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\nspec: {spec}\n");
    let document = documents(&text, Some(&Name::from("t"))).unwrap().remove(0);
    let (_, issues) = decode(&document, Mode::Strict);
    issues.iter().filter(|issue| issue.severity == Severity::Error).map(|issue| issue.path.clone()).collect()
}

fn check(kind: &str, lines: &[(&str, &str)]) {
    for (spec, wanted) in lines {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said(kind, spec), wanted, "{kind} {spec}");
    }
}

#[test]
fn authorization_policies() {
    check(
        "AuthorizationPolicy",
        &[
            ("{}", ""),
            ("{rules: [{}]}", ""),
            ("{action: DENY}", "spec.rules"),
            ("{action: DENY, rules: [{}]}", ""),
            ("{action: CUSTOM, rules: [{}]}", "spec.provider"),
            ("{action: CUSTOM, provider: {name: x}, rules: [{to: [{operation: {paths: [/a]}}]}]}", ""),
            (
                "{action: CUSTOM, provider: {name: x}, rules: [{from: [{source: {principals: [a]}}]}]}",
                "spec.rules[0].from[0].source.principals",
            ),
            ("{provider: {name: x}, rules: [{}]}", "spec.provider"),
            ("{rules: [{from: []}]}", "spec.rules[0].from"),
            ("{rules: [{from: [{}]}]}", "spec.rules[0].from[0].source"),
            ("{rules: [{from: [{source: {}}]}]}", "spec.rules[0].from[0].source"),
            ("{rules: [{to: [{operation: {}}]}]}", "spec.rules[0].to[0].operation"),
            ("{rules: [{from: [{source: {principals: ['']}}]}]}", "spec.rules[0].from[0].source.principals[0]"),
            ("{rules: [{from: [{source: {ipBlocks: [10.0.0.0/8, ::1]}}]}]}", ""),
            ("{rules: [{from: [{source: {ipBlocks: [ten]}}]}]}", "spec.rules[0].from[0].source.ipBlocks[0]"),
            (
                "{rules: [{from: [{source: {notRemoteIpBlocks: [10.0.0.0/33]}}]}]}",
                "spec.rules[0].from[0].source.notRemoteIpBlocks[0]",
            ),
            (
                "{rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]}",
                "spec.rules[0].from[0].source.serviceAccounts[0]",
            ),
            (
                "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}",
                "spec.rules[0].from[0].source.serviceAccounts",
            ),
            ("{rules: [{to: [{operation: {ports: ['80']}}]}]}", ""),
            ("{rules: [{to: [{operation: {ports: [80]}}]}]}", "spec.rules[0].to[0].operation.ports[0]"),
            ("{rules: [{to: [{operation: {ports: [http]}}]}]}", "spec.rules[0].to[0].operation.ports[0]"),
            ("{rules: [{to: [{operation: {paths: ['/a/{*}/b/{**}']}}]}]}", ""),
            ("{rules: [{to: [{operation: {paths: ['/{**}/{*}']}}]}]}", "spec.rules[0].to[0].operation.paths[0]"),
            ("{rules: [{to: [{operation: {paths: ['/a{*}']}}]}]}", "spec.rules[0].to[0].operation.paths[0]"),
            ("{rules: [{when: [{key: 'request.headers[x]', values: [a]}]}]}", ""),
            ("{rules: [{when: [{key: 'request.headers', values: [a]}]}]}", "spec.rules[0].when[0].key"),
            ("{rules: [{when: [{key: source.ip, values: [a]}]}]}", "spec.rules[0].when[0].values[0]"),
            ("{rules: [{when: [{key: source.ip}]}]}", "spec.rules[0].when[0]"),
            ("{rules: [{source: {}}]}", "spec.rules[0].source"),
            ("{selector: {matchLabels: {app: 'a*'}}}", "spec.selector.matchLabels"),
            ("{selector: {matchLabels: {app: a}}, targetRefs: [{kind: Service, name: a}]}", "spec"),
            ("{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: a}]}", ""),
            ("{targetRefs: [{kind: Pod, name: a}]}", "spec.targetRefs[0].kind"),
            ("{targetRefs: [{kind: Service, name: a, namespace: b}]}", "spec.targetRefs[0].namespace"),
        ],
    );
}

#[test]
fn request_authentications() {
    check(
        "RequestAuthentication",
        &[
            ("{jwtRules: [{issuer: a, jwksUri: 'https://a.test/keys'}]}", ""),
            ("{jwtRules: [{issuer: a, jwks_uri: 'https://a.test/keys'}]}", ""),
            ("{jwtRules: [{jwksUri: 'https://a.test/keys'}]}", ""),
            ("{jwtRules: [{audiences: [a]}]}", "spec.jwtRules[0].issuer"),
            ("{jwtRules: [{issuer: a, jwksUri: 'ftp://a.test/keys'}]}", "spec.jwtRules[0].jwksUri"),
            ("{jwtRules: [{issuer: a, jwks: '{\"keys\": []}'}]}", ""),
            ("{jwtRules: [{issuer: a, jwks: nothing}]}", "spec.jwtRules[0].jwks"),
            ("{jwtRules: [{issuer: a, fromHeaders: [{prefix: x}]}]}", "spec.jwtRules[0].fromHeaders[0].name"),
            (
                "{jwtRules: [{issuer: a, outputClaimToHeaders: [{header: 'a b', claim: c}]}]}",
                "spec.jwtRules[0].outputClaimToHeaders[0].header",
            ),
            ("{jwtRules: [{issuer: a, audiences: ['']}]}", "spec.jwtRules[0].audiences[0]"),
            ("{jwtRules: [{issuer: a, timeout: 0s}]}", "spec.jwtRules[0].timeout"),
        ],
    );
}

#[test]
fn telemetries() {
    check(
        "Telemetry",
        &[
            ("{tracing: [{randomSamplingPercentage: 10}]}", ""),
            ("{tracing: [{randomSamplingPercentage: 101}]}", "spec.tracing[0].randomSamplingPercentage"),
            ("{tracing: [{customTags: {a: {literal: {value: b}}}}]}", ""),
            ("{tracing: [{customTags: {a: {}}}]}", ""),
            (
                "{tracing: [{customTags: {a: {literal: {value: b}, header: {name: c}}}}]}",
                "spec.tracing[0].customTags.a",
            ),
            ("{tracing: [{customTags: {a: {header: {}}}}]}", "spec.tracing[0].customTags.a.header.name"),
            ("{metrics: [{overrides: [{tagOverrides: {a: {value: b}}}]}]}", ""),
            (
                "{metrics: [{overrides: [{tagOverrides: {a: {}}}]}]}",
                "spec.metrics[0].overrides[0].tagOverrides.a.value",
            ),
            (
                "{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE, value: b}}}]}]}",
                "spec.metrics[0].overrides[0].tagOverrides.a.value",
            ),
            ("{accessLogging: [{providers: [{}]}]}", "spec.accessLogging[0].providers[0].name"),
            ("{accessLogging: [{match: {mode: SIDEWAYS}}]}", "spec.accessLogging[0].match.mode"),
        ],
    );
}

#[test]
fn extensions() {
    check(
        "WasmPlugin",
        &[
            ("{url: oci://a/b}", ""),
            ("{url: a/b, pluginConfig: {any: [thing]}, phase: AUTHN}", ""),
            ("{}", "spec.url"),
            ("{url: 'ftp://a'}", "spec.url"),
            ("{url: a, sha256: abc}", "spec.sha256"),
            ("{url: a, vmConfig: {env: [{name: x, valueFrom: HOST, value: y}]}}", "spec.vmConfig.env[0].value"),
            ("{url: a, unknown: 1}", "spec.unknown"),
            ("{url: 'ghcr.io/a/b:v1'}", ""),
            ("{url: 'localhost:5000/a'}", "spec.url"),
            ("{url: 'a b'}", "spec.url"),
            ("{url: 'a%41/b'}", "spec.url"),
            ("{url: '127.0.0.1:5000/a'}", ""),
            ("{url: '127.0.0.1:x/a'}", "spec.url"),
            ("{url: a, match: [{mode: UNDEFINED, ports: [{number: 80}, {number: 81}]}]}", ""),
            ("{url: a, match: [{ports: [{number: 80}, {number: 80}]}]}", "spec.match[0].ports[1].number"),
            ("{url: 'a/%zz'}", "spec.url"),
            ("{url: 'a/%20'}", ""),
            ("{url: a, pluginConfig: x}", "spec.pluginConfig"),
            ("{url: a, pluginName: ''}", "spec.pluginName"),
            ("{url: a, pluginName: b, imagePullSecret: c}", ""),
            ("{url: a, imagePullSecret: ''}", "spec.imagePullSecret"),
        ],
    );
    check("TrafficExtension", &[("{lua: {inlineCode: x}}", ""), ("{}", "spec"), ("{lua: {}}", "spec.lua.inlineCode")]);
}

#[test]
fn envoy_filters_proxy_configs_and_workload_groups() {
    check(
        "EnvoyFilter",
        &[
            (
                "{configPatches: [{applyTo: CLUSTER, match: {cluster: {service: a}}, patch: {operation: MERGE, value: {}}}]}",
                "",
            ),
            ("{configPatches: [{patch: {operation: REMOVE}}]}", "spec.configPatches[0].applyTo"),
            ("{configPatches: [{applyTo: CLUSTER}]}", "spec.configPatches[0].patch"),
            ("{configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE}}]}", "spec.configPatches[0].patch.value"),
            ("{configPatches: [{applyTo: CLUSTER, patch: {operation: REPLACE, value: {}}}]}", ""),
            (
                "{configPatches: [{applyTo: CLUSTER, match: {listener: {}}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match.listener",
            ),
            (
                "{configPatches: [{applyTo: HTTP_FILTER, match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: a}}}}}, patch: {operation: REMOVE}}]}",
                "",
            ),
            (
                "{configPatches: [{applyTo: HTTP_FILTER, match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {}}}}}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match.listener.filterChain.filter.subFilter.name",
            ),
            (
                "{configPatches: [{applyTo: HTTP_FILTER, match: {listener: {filterChain: {filter: {name: other, subFilter: {name: a}}}}}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match.listener.filterChain.filter.name",
            ),
            (
                "{configPatches: [{applyTo: NETWORK_FILTER, match: {listener: {filterChain: {filter: {}}}}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match.listener.filterChain.filter.name",
            ),
            (
                "{configPatches: [{applyTo: NETWORK_FILTER, match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: a}}}}}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match.listener.filterChain.filter.subFilter",
            ),
            (
                "{configPatches: [{applyTo: CLUSTER, match: {waypoint: {}}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match",
            ),
            (
                "{configPatches: [{applyTo: CLUSTER, match: {context: WAYPOINT}, patch: {operation: REMOVE}}]}",
                "spec.configPatches[0].match",
            ),
            (
                "{configPatches: [{applyTo: CLUSTER, match: {context: WAYPOINT, waypoint: {portNumber: 80}}, patch: {operation: REMOVE}}]}",
                "",
            ),
            (
                "{configPatches: [{applyTo: CLUSTER, match: {context: WAYPOINT, waypoint: {portNumber: 65536}}}]}",
                "spec.configPatches[0].match.waypoint.portNumber",
            ),
        ],
    );
    check("ProxyConfig", &[("{concurrency: 0}", ""), ("{concurrency: -1}", "spec.concurrency")]);
    check(
        "WorkloadGroup",
        &[
            ("{template: {serviceAccount: a}}", ""),
            ("{}", "spec.template"),
            ("{template: {}, probe: {}}", "spec.probe"),
            ("{template: {}, probe: {httpGet: {port: 0}}}", "spec.probe.httpGet.port"),
        ],
    );
}
