//! AuthorizationPolicy as users write it, and its rules (`istio: pkg/config/validation/validation.go ValidateAuthorizationPolicy`).

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{self, required};
use crate::selectors::{self, MatchSelector, PolicyTargetReference, one_target};
use crate::{Issues, ObjectMeta, rules};

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = one_target())]
pub struct AuthorizationPolicy {
    /// The workloads it is for; all of the namespace without.
    pub selector: Option<MatchSelector>,
    /// What it is attached to: the older form.
    pub target_ref: Option<PolicyTargetReference>,
    /// What it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// A request fits when any of these does; an ALLOW policy without them allows nothing.
    #[schemars(length(max = 512))]
    pub rules: Option<Vec<Rule>>,
    /// What happens to requests that a rule fits: ALLOW when unset.
    pub action: Option<Action>,
    /// The extension provider that is asked, for CUSTOM.
    pub provider: Option<ExtensionProvider>,
}

/// An entry of the mesh settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtensionProvider {
    /// Its name.
    pub name: Name,
}

/// Sources, operations and conditions: one of each kind has to fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// Who calls: any of these; everyone without.
    #[schemars(length(max = 512))]
    pub from: Option<Vec<From>>,
    /// What is called: any of these; everything without.
    pub to: Option<Vec<To>>,
    /// Further conditions: all of these.
    pub when: Vec<Condition>,
}

/// Who.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct From {
    /// The caller: each field that is set has to fit.
    pub source: Option<Source>,
}

/// What.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct To {
    /// The request: each field that is set has to fit.
    pub operation: Option<Operation>,
}

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = schema::Rule(
    "!(has(self.serviceAccounts) || has(self.notServiceAccounts)) || !(has(self.principals) \
     || has(self.notPrincipals) || has(self.namespaces) || has(self.notNamespaces))",
    "service accounts exclude principals and namespaces",
))]
pub struct Source {
    /// Identities of peers, such as cluster.local/ns/shop/sa/cart.
    pub principals: Vec<Name>,
    /// No identity of these.
    pub not_principals: Vec<Name>,
    /// Identities in tokens: `issuer/subject`.
    pub request_principals: Vec<Name>,
    /// No identity in tokens of these.
    pub not_request_principals: Vec<Name>,
    /// Namespaces of peers.
    pub namespaces: Vec<Name>,
    /// No namespace of these.
    pub not_namespaces: Vec<Name>,
    /// Service accounts of peers: name, or namespace/name.
    #[schemars(length(max = 16), inner(length(max = 320)))]
    pub service_accounts: Vec<Name>,
    /// No service account of these.
    #[schemars(length(max = 16), inner(length(max = 320)))]
    pub not_service_accounts: Vec<Name>,
    /// Addresses of peers, IPs or CIDRs.
    pub ip_blocks: Vec<Name>,
    /// No address of these.
    pub not_ip_blocks: Vec<Name>,
    /// Addresses of clients behind trusted proxies, IPs or CIDRs.
    pub remote_ip_blocks: Vec<Name>,
    /// No address of clients of these.
    pub not_remote_ip_blocks: Vec<Name>,
    /// Trust domains of peers.
    pub trust_domains: Vec<Name>,
    /// No trust domain of these.
    pub not_trust_domains: Vec<Name>,
}

/// What is called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// Hosts of requests.
    pub hosts: Vec<Name>,
    /// No host of these.
    pub not_hosts: Vec<Name>,
    /// Ports, as strings.
    pub ports: Vec<Name>,
    /// No port of these.
    pub not_ports: Vec<Name>,
    /// Methods of requests.
    pub methods: Vec<Name>,
    /// No method of these.
    pub not_methods: Vec<Name>,
    /// Paths of requests; `*` at an end, or segments `{*}` and `{**}`.
    pub paths: Vec<Name>,
    /// No path of these.
    pub not_paths: Vec<Name>,
}

/// A condition on an attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// An attribute of the request, such as `request.headers[x-user]`.
    #[schemars(transform = required)]
    pub key: Name,
    /// Its value is any of these.
    pub values: Vec<Name>,
    /// Its value is none of these.
    pub not_values: Vec<Name>,
}

crate::scalars::keywords! {
    /// What happens to what a rule fits.
    pub enum Action { Allow = "ALLOW", Deny = "DENY", Audit = "AUDIT", Custom = "CUSTOM" }
}

/// Switches a policy to trial: it says what it would do.
const DRY_RUN: &str = "istio.io/dry-run";

pub(super) fn check(spec: &AuthorizationPolicy, meta: &ObjectMeta, issues: &mut Issues) {
    selectors::check(spec.selector.as_ref(), spec.target_ref.as_ref(), &spec.target_refs, issues);
    let action = spec.action.unwrap_or_default();
    match (&spec.provider, action) {
        (None, Action::Custom) => issues.error("spec.provider", "CUSTOM needs a provider"),
        (Some(provider), Action::Custom) if provider.name.is_empty() => {
            issues.error("spec.provider.name", "a provider needs a name");
        }
        (Some(_), Action::Allow | Action::Deny | Action::Audit) => {
            issues.error("spec.provider", "a provider is only for CUSTOM");
        }
        (Some(_), Action::Custom) | (None, Action::Allow | Action::Deny | Action::Audit) => {}
    }
    if matches!(action, Action::Deny | Action::Custom) && spec.rules.is_none() {
        issues.error("spec.rules", "without rules it fits no request; write [{}] to fit every one");
    }
    if let Some(value) = meta.annotations.get(DRY_RUN) {
        let path = format!("metadata.annotations.{DRY_RUN}");
        if !["true", "false", "1", "0", "t", "f", "T", "F", "TRUE", "FALSE", "True", "False"].contains(&value.as_str())
        {
            issues.error(path, format!("{value:?} is neither true nor false"));
        } else if !matches!(action, Action::Allow | Action::Deny) {
            issues.error(path, "only ALLOW and DENY can be tried");
        }
    }
    let written = spec.rules.as_deref().unwrap_or_default();
    if written.len() > 512 {
        issues.error("spec.rules", "at most 512 rules");
    }
    for (at, each) in written.iter().enumerate() {
        rule(&format!("spec.rules[{at}]"), each, action, issues);
    }
}

fn rule(path: &str, rule: &Rule, action: Action, issues: &mut Issues) {
    for (name, empty) in
        [("from", rule.from.as_ref().is_some_and(Vec::is_empty)), ("to", rule.to.as_ref().is_some_and(Vec::is_empty))]
    {
        if empty {
            issues.error(format!("{path}.{name}"), "an empty list fits nothing; leave it out to fit everything");
        }
    }
    if rule.from.as_ref().is_some_and(|from| from.len() > 512) {
        issues.error(format!("{path}.from"), "at most 512 sources");
    }
    for (at, from) in rule.from.iter().flatten().enumerate() {
        let path = format!("{path}.from[{at}].source");
        match &from.source {
            None => issues.error(path, "a source is needed"),
            Some(source) if *source == Source::default() => issues.error(path, "a source must say something"),
            Some(said) => source(&path, said, action, issues),
        }
    }
    for (at, to) in rule.to.iter().flatten().enumerate() {
        let path = format!("{path}.to[{at}].operation");
        match &to.operation {
            None => issues.error(path, "an operation is needed"),
            Some(operation) if *operation == Operation::default() => {
                issues.error(path, "an operation must say something");
            }
            Some(said) => operation(&path, said, issues),
        }
    }
    opaque_traffic(path, rule, action, issues);
    for (at, each) in rule.when.iter().enumerate() {
        condition(&format!("{path}.when[{at}]"), each, action, issues);
    }
}

/// A DENY that only asks for what HTTP has denies everything else.
fn opaque_traffic(path: &str, rule: &Rule, action: Action, issues: &mut Issues) {
    let peer = |source: &Source| {
        let lists = [
            &source.principals,
            &source.not_principals,
            &source.namespaces,
            &source.not_namespaces,
            &source.service_accounts,
            &source.not_service_accounts,
            &source.ip_blocks,
            &source.not_ip_blocks,
            &source.remote_ip_blocks,
            &source.not_remote_ip_blocks,
        ];
        lists.iter().any(|list| !list.is_empty())
    };
    let mut sources = rule.from.iter().flatten().filter_map(|from| from.source.as_ref()).peekable();
    let mut operations = rule.to.iter().flatten().filter_map(|to| to.operation.as_ref()).peekable();
    let (asks_who, asks_what) = (sources.peek().is_some(), operations.peek().is_some());
    let by_port = operations.any(|operation| !operation.ports.is_empty() || !operation.not_ports.is_empty());
    let only_http = (asks_who && !asks_what && !sources.any(peer)) || (asks_what && !by_port);
    if action == Action::Deny && only_http {
        issues.warning(path, "asks only for what HTTP has, so it denies all other traffic; name the ports it is for");
    }
}

fn source(path: &str, source: &Source, action: Action, issues: &mut Issues) {
    let lists = [
        ("principals", &source.principals),
        ("notPrincipals", &source.not_principals),
        ("requestPrincipals", &source.request_principals),
        ("notRequestPrincipals", &source.not_request_principals),
        ("namespaces", &source.namespaces),
        ("notNamespaces", &source.not_namespaces),
        ("serviceAccounts", &source.service_accounts),
        ("notServiceAccounts", &source.not_service_accounts),
        ("ipBlocks", &source.ip_blocks),
        ("notIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks),
        ("trustDomains", &source.trust_domains),
        ("notTrustDomains", &source.not_trust_domains),
    ];
    for (name, list) in lists {
        filled(&format!("{path}.{name}"), list, issues);
        if name.to_ascii_lowercase().ends_with("ipblocks") {
            networks(&format!("{path}.{name}"), list, issues);
        }
        // Whoever is asked by CUSTOM is asked before the caller is known.
        let identity = !name.to_ascii_lowercase().ends_with("ipblocks");
        if action == Action::Custom && identity && !list.is_empty() {
            issues
                .error(format!("{path}.{name}"), "not with CUSTOM: the provider is asked before identities are known");
        }
    }
    let by_account = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let others = [&source.principals, &source.not_principals, &source.namespaces, &source.not_namespaces];
    if by_account && others.iter().any(|list| !list.is_empty()) {
        issues.error(format!("{path}.serviceAccounts"), "excludes principals and namespaces");
    }
    for (name, list) in
        [("serviceAccounts", &source.service_accounts), ("notServiceAccounts", &source.not_service_accounts)]
    {
        accounts(&format!("{path}.{name}"), list, issues);
    }
    trust_domains(&format!("{path}.trustDomains"), &source.trust_domains, false, issues);
    trust_domains(&format!("{path}.notTrustDomains"), &source.not_trust_domains, false, issues);
}

/// Trust domains of sources have `*` at one end, or are nothing else (`istio: pkg/config/security/security.go CheckWildcardValues`).
fn trust_domains(path: &str, list: &[Name], slashes: bool, issues: &mut Issues) {
    for (at, value) in list.iter().enumerate() {
        let inside = value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value);
        if inside.contains('*') || (!slashes && value.contains('/')) {
            issues.error(
                format!("{path}[{at}]"),
                format!("{value:?} is not a trust domain with at most one * at an end"),
            );
        }
    }
}

/// `name` or `namespace/name`.
fn accounts(path: &str, list: &[Name], issues: &mut Issues) {
    if list.len() > 16 {
        issues.error(path, "at most 16 service accounts");
    }
    for (at, account) in list.iter().enumerate() {
        let parts = account.split('/').count();
        if account.contains('*') || parts > 2 || account.len() > 320 || account.split('/').any(str::is_empty) {
            issues.error(format!("{path}[{at}]"), "write name or namespace/name, without wildcards");
        }
    }
}

fn operation(path: &str, operation: &Operation, issues: &mut Issues) {
    for (name, list) in [
        ("hosts", &operation.hosts),
        ("notHosts", &operation.not_hosts),
        ("methods", &operation.methods),
        ("notMethods", &operation.not_methods),
        ("ports", &operation.ports),
        ("notPorts", &operation.not_ports),
        ("paths", &operation.paths),
        ("notPaths", &operation.not_paths),
    ] {
        filled(&format!("{path}.{name}"), list, issues);
        for (at, value) in list.iter().enumerate() {
            let path = format!("{path}.{name}[{at}]");
            match name {
                "ports" | "notPorts" if !is_port(value) => {
                    issues.error(path, format!("{value:?} is not a port in 1..65535"));
                }
                "paths" | "notPaths" => template(&path, value, issues),
                _ => {}
            }
        }
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|port| (1..=65535).contains(&port))
}

/// `{*}` is one segment and `{**}`, last, any number; they are not mixed with `*`
/// (`istio: pkg/config/security/security.go CheckValidPathTemplate`).
fn template(path: &str, value: &str, issues: &mut Issues) {
    if !value.contains('{') && !value.contains('}') {
        return;
    }
    // As RFC 3986 has it for a segment of a path.
    let literal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()+,;:@=".contains(&byte);
    let mut rest_taken = false;
    for segment in value.trim_matches('/').split('/') {
        match segment {
            "{*}" | "{**}" if rest_taken => return issues.error(path, "nothing variable may follow {**}"),
            "{*}" => {}
            "{**}" => rest_taken = true,
            other if other.is_empty() || !other.bytes().all(literal) => {
                return issues.error(path, format!("{value:?}: segments are fixed, {{*}} or {{**}}, not mixed with *"));
            }
            _ => {}
        }
    }
}

/// Attributes that conditions may ask for; those with `[` take an argument.
const ATTRIBUTES: [&str; 15] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.serviceAccount",
    "source.principal",
    "source.trustDomain",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "request.headers[",
    "request.auth.claims[",
    "experimental.envoy.filters.",
];

fn condition(path: &str, condition: &Condition, action: Action, issues: &mut Issues) {
    let key = condition.key.as_str();
    if key.is_empty() {
        return issues.error(format!("{path}.key"), "a key is needed");
    }
    let known = ATTRIBUTES.iter().any(|attribute| match attribute.ends_with(['[', '.']) {
        true => key.starts_with(attribute) && key.ends_with(']') && key.len() > attribute.len() + 1,
        false => key == *attribute,
    });
    if !known {
        issues.error(format!("{path}.key"), format!("{key:?} is not an attribute that conditions can ask for"));
    }
    if condition.values.is_empty() && condition.not_values.is_empty() {
        issues.error(path, "values or notValues are needed");
    }
    let identity = ["source.namespace", "source.serviceAccount", "source.principal", "source.trustDomain"];
    if action == Action::Custom && (identity.contains(&key) || key.starts_with("request.auth.")) {
        issues.error(format!("{path}.key"), "not with CUSTOM: the provider is asked before identities are known");
    }
    for (name, list) in [("values", &condition.values), ("notValues", &condition.not_values)] {
        let path = format!("{path}.{name}");
        filled(&path, list, issues);
        match key {
            "source.ip" | "remote.ip" | "destination.ip" => networks(&path, list, issues),
            "source.serviceAccount" => accounts(&path, list, issues),
            "source.trustDomain" => trust_domains(&path, list, true, issues),
            "destination.port" => {
                for (at, value) in list.iter().enumerate().filter(|(_, value)| !is_port(value)) {
                    issues.error(format!("{path}[{at}]"), format!("{value:?} is not a port in 1..65535"));
                }
            }
            _ => {}
        }
    }
}

fn filled(path: &str, list: &[Name], issues: &mut Issues) {
    for (at, _) in list.iter().enumerate().filter(|(_, value)| value.is_empty()) {
        issues.error(format!("{path}[{at}]"), "must not be empty");
    }
}

fn networks(path: &str, list: &[Name], issues: &mut Issues) {
    for (at, value) in list.iter().enumerate() {
        rules::network(&format!("{path}[{at}]"), value, issues);
    }
}
