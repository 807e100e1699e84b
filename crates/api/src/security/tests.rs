//! One line for each rule: what is written, and what is said of it.

use names::Name;

use crate::yaml::documents;
use crate::{Mode, Severity, decode};

fn said(spec: &str) -> Vec<String> {
    errors("PeerAuthentication", spec)
}

fn errors(kind: &str, spec: &str) -> Vec<String> {
    told(kind, spec, Severity::Error)
}

fn told(kind: &str, spec: &str, severity: Severity) -> Vec<String> {
    let head = format!("apiVersion: security.istio.io/v1\nkind: {kind}\nmetadata: {{name: x, namespace: shop}}\n");
    let document = documents(&format!("{head}spec: {spec}\n"), Some(&Name::from("t"))).unwrap().remove(0);
    let (_, issues) = decode(&document, Mode::Strict);
    issues.iter().filter(|issue| issue.severity == severity).map(|issue| issue.path.clone()).collect()
}

#[test]
fn peer_authentications() {
    for (spec, wanted) in [
        ("{mtls: {mode: STRICT}}", ""),
        ("{}", ""),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: DISABLE}}}", ""),
        ("{portLevelMtls: {8080: {mode: DISABLE}}}", "spec.portLevelMtls"),
        ("{selector: {matchLabels: {}}, portLevelMtls: {8080: {mode: DISABLE}}}", "spec.portLevelMtls"),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {0: {mode: DISABLE}}}", "spec.portLevelMtls.0"),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {70000: {mode: DISABLE}}}", "spec.portLevelMtls.70000"),
        ("{mtls: {mode: MAYBE}}", "spec.mtls.mode"),
        ("{mode: STRICT}", "spec.mode"),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {}}", "spec.portLevelMtls"),
        ("{selector: {matchLabels: {app: a}}, portLevelMtls: {http: {mode: STRICT}}}", "spec.portLevelMtls"),
    ] {
        let wanted: Vec<&str> = if wanted.is_empty() { Vec::new() } else { vec![wanted] };
        assert_eq!(said(spec), wanted, "{spec}");
    }
}

#[test]
fn sources_paths_and_conditions() {
    let rule = |rule: &str| errors("AuthorizationPolicy", &format!("{{rules: [{rule}]}}"));
    for (text, wanted) in [
        ("from: [{source: {trustDomains: ['*.test', 'a*', '*']}}]", ""),
        ("from: [{source: {trustDomains: ['a*b']}}]", "from[0].source.trustDomains[0]"),
        ("from: [{source: {notTrustDomains: ['a/b']}}]", "from[0].source.notTrustDomains[0]"),
        ("from: [{source: {serviceAccounts: [shop/web, web]}}]", ""),
        ("from: [{source: {serviceAccounts: [a/b/c]}}]", "from[0].source.serviceAccounts[0]"),
        ("to: [{operation: {paths: ['/a/{*}/b/{**}/', '/plain*']}}]", ""),
        ("to: [{operation: {paths: ['/{**}/{*}']}}]", "to[0].operation.paths[0]"),
        ("to: [{operation: {paths: ['/a{*}']}}]", "to[0].operation.paths[0]"),
        ("to: [{operation: {paths: ['/a b/{*}']}}]", "to[0].operation.paths[0]"),
        ("to: [{operation: {paths: ['/a//{*}']}}]", "to[0].operation.paths[0]"),
        ("when: [{key: source.serviceAccount, values: [shop/web]}]", ""),
        ("when: [{key: source.serviceAccount, values: ['web*']}]", "when[0].values[0]"),
        ("when: [{key: source.trustDomain, notValues: ['*a*']}]", "when[0].notValues[0]"),
    ] {
        let wanted: Vec<String> = if wanted.is_empty() { Vec::new() } else { vec![format!("spec.rules[0].{wanted}")] };
        assert_eq!(rule(&format!("{{{text}}}")), wanted, "{text}");
    }
}

#[test]
fn a_denial_by_http_alone_is_worth_a_warning() {
    let warned = |action: &str, rule: &str| {
        let spec = format!("{{action: {action}, rules: [{{{rule}}}]}}");
        !told("AuthorizationPolicy", &spec, Severity::Warning).is_empty()
    };
    assert!(warned("DENY", "to: [{operation: {paths: [/a]}}]"));
    assert!(warned("DENY", "from: [{source: {requestPrincipals: ['*']}}]"));
    assert!(!warned("DENY", "to: [{operation: {paths: [/a], ports: ['80']}}]"));
    assert!(!warned("DENY", "from: [{source: {namespaces: [a]}}]"));
    assert!(!warned("ALLOW", "to: [{operation: {paths: [/a]}}]"));
}

/// What Istio's documentation shows in its tasks and references of security, in our words.
const DOCUMENTED: &[(&str, &str)] = &[
    ("PeerAuthentication", "{mtls: {mode: STRICT}}"),
    ("PeerAuthentication", "{selector: {matchLabels: {app: store}}, mtls: {mode: PERMISSIVE}}"),
    (
        "PeerAuthentication",
        "{selector: {matchLabels: {app: store}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}",
    ),
    (
        "PeerAuthentication",
        "{selector: {matchLabels: {app: store}}, mtls: {mode: UNSET}, portLevelMtls: {'3000': {mode: DISABLE}}}",
    ),
    (
        "RequestAuthentication",
        "{selector: {matchLabels: {app: web}}, jwtRules: [{issuer: 'https://login.test', jwksUri: 'https://login.test/keys.json'}]}",
    ),
    (
        "RequestAuthentication",
        "{jwtRules: [{issuer: a@b.test, fromHeaders: [{name: x-jwt, prefix: 'Token '}], fromParams: [token], forwardOriginalToken: true}]}",
    ),
    (
        "RequestAuthentication",
        "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: edge}], jwtRules: [{issuer: a, outputClaimToHeaders: [{header: x-group, claim: nested.group}], outputPayloadToHeader: x-payload}]}",
    ),
    ("RequestAuthentication", "{jwtRules: [{issuer: a, jwks: '{\"keys\": []}', fromCookies: [session], timeout: 5s}]}"),
    ("AuthorizationPolicy", "{}"),
    ("AuthorizationPolicy", "{rules: [{}]}"),
    ("AuthorizationPolicy", "{action: DENY, rules: [{}]}"),
    (
        "AuthorizationPolicy",
        "{selector: {matchLabels: {app: store, version: v1}}, action: ALLOW, rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/client]}}, {source: {namespaces: [test]}}], to: [{operation: {methods: [GET]}}], when: [{key: 'request.auth.claims[iss]', values: ['https://login.test']}]}]}",
    ),
    (
        "AuthorizationPolicy",
        "{action: DENY, rules: [{from: [{source: {notNamespaces: [shop]}}], to: [{operation: {ports: ['8080'], notPaths: [/healthz]}}]}]}",
    ),
    (
        "AuthorizationPolicy",
        "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {paths: [/headers], ports: ['80']}}]}]}",
    ),
    (
        "AuthorizationPolicy",
        "{action: ALLOW, rules: [{from: [{source: {requestPrincipals: ['issuer@login.test/*']}}], when: [{key: 'request.auth.claims[groups]', values: [group1]}]}]}",
    ),
    (
        "AuthorizationPolicy",
        "{action: DENY, rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/8, '2001:db8::/32'], notIpBlocks: [10.1.2.3]}}]}]}",
    ),
    (
        "AuthorizationPolicy",
        "{action: CUSTOM, provider: {name: ask}, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}",
    ),
    ("AuthorizationPolicy", "{action: AUDIT, rules: [{to: [{operation: {paths: ['/user/profile/*']}}]}]}"),
    (
        "AuthorizationPolicy",
        "{targetRefs: [{kind: Service, group: '', name: store}], rules: [{from: [{source: {serviceAccounts: [shop/web]}}], to: [{operation: {paths: ['/{*}/orders/{**}']}}]}]}",
    ),
    ("AuthorizationPolicy", "{rules: [{to: [{operation: {hosts: ['*.shop.test', web.test]}}]}]}"),
    ("AuthorizationPolicy", "{rules: [{when: [{key: 'request.headers[User-Agent]', values: ['Mozilla/*']}]}]}"),
    (
        "AuthorizationPolicy",
        "{rules: [{when: [{key: connection.sni, values: [www.test]}, {key: destination.port, notValues: ['22']}]}]}",
    ),
];

#[test]
fn documented_policies_are_valid_and_unremarkable() {
    for (kind, spec) in DOCUMENTED {
        assert_eq!(errors(kind, spec), [""; 0], "{spec}");
        assert_eq!(told(kind, spec, Severity::Warning), [""; 0], "{spec}");
    }
}
