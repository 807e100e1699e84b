//! Kubernetes Ingress and IngressClass. An Ingress has all of its fields, and is checked as the API server does
//! (`k8s.io/kubernetes: pkg/apis/networking/validation`); of an IngressClass only the controller counts.

use names::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scalars::keywords;
use crate::{ApiKind, Body, Issues, Kind, ObjectMeta, rules};

/// Names the class of an Ingress, as was done before there were IngressClasses.
pub const CLASS: &str = "kubernetes.io/ingress.class";

/// Hosts and paths, and the Services behind them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ingress {
    /// The IngressClass, whose controller serves it.
    pub ingress_class_name: Option<Name>,
    /// Where requests go that no rule takes.
    pub default_backend: Option<IngressBackend>,
    /// Certificates, by host.
    pub tls: Vec<IngressTls>,
    /// Paths, by host.
    pub rules: Vec<IngressRule>,
    /// Where it can be reached, as its status says (`status.loadBalancer.ingress`), in that order.
    #[serde(skip)]
    pub reached_at: Vec<ReachedAt>,
}

/// Where something can be reached from outside: an address or a name. Their order is that in which a status has them: addresses first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct ReachedAt {
    /// A name.
    pub hostname: Name,
    /// An address.
    pub ip: Name,
}

/// A certificate and the hosts it is for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// The hosts; all when there are none.
    pub hosts: Vec<Name>,
    /// The Secret, in the namespace of the gateway.
    pub secret_name: Name,
}

/// A host and what is served on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressRule {
    /// The host, or a wildcard; empty for all.
    pub host: Name,
    /// Its paths.
    pub http: Option<HttpIngressRuleValue>,
}

/// Paths of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpIngressRuleValue {
    /// The paths.
    pub paths: Vec<HttpIngressPath>,
}

/// A path and where it leads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpIngressPath {
    /// The path.
    pub path: Name,
    /// How it is compared.
    pub path_type: Option<PathType>,
    /// Where it leads.
    pub backend: IngressBackend,
}

keywords! {
    /// How paths are compared: as the control plane likes, whole, or part by part between slashes.
    pub enum PathType { ImplementationSpecific = "ImplementationSpecific", Exact = "Exact", Prefix = "Prefix" }
}

/// Where requests go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressBackend {
    /// A Service of the namespace.
    pub service: Option<IngressServiceBackend>,
    /// Something else, which is not served.
    pub resource: Option<TypedLocalObjectReference>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressServiceBackend {
    /// The Service.
    pub name: Name,
    /// The port.
    pub port: ServiceBackendPort,
}

/// A port by name or by number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceBackendPort {
    /// Its name; empty where the number is given.
    pub name: Name,
    /// Its number; 0 where the name is given.
    pub number: u32,
}

/// An object of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TypedLocalObjectReference {
    /// Its group.
    pub api_group: Option<Name>,
    /// Its kind.
    pub kind: Name,
    /// Its name.
    pub name: Name,
}

/// A kind of Ingresses, and who serves them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressClass {
    /// What it is.
    pub spec: IngressClassSpec,
}

/// What an IngressClass is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressClassSpec {
    /// Who serves it.
    pub controller: Name,
}

const GROUP: &str = "networking.k8s.io";

impl ApiKind for Ingress {
    const KIND: Kind = Kind::Ingress;
    const GROUP: &'static str = GROUP;
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "ingresses";
    const NAMESPACED: bool = true;
    const BODY: Body = Body::Spec;

    fn observe(&mut self, status: &Value) {
        let listed = status["loadBalancer"]["ingress"].as_array().into_iter().flatten();
        let text = |value: &Value| Name::from(value.as_str().unwrap_or_default());
        let read = listed.map(|each| ReachedAt { hostname: text(&each["hostname"]), ip: text(&each["ip"]) });
        self.reached_at = read.collect();
    }

    fn check(&self, meta: &ObjectMeta, issues: &mut Issues) {
        if self.rules.is_empty() && self.default_backend.is_none() {
            issues.error("spec", "one of defaultBackend and rules is needed");
        }
        if let Some(class) = &self.ingress_class_name {
            if !subdomain(class) {
                issues.error("spec.ingressClassName", format!("{class:?} is not the name of an IngressClass"));
            }
            if meta.annotations.contains_key(CLASS) {
                let message = "the annotation counts and the class does not; the API server makes no such Ingress";
                issues.warning(format!("metadata.annotations.{CLASS}"), message);
            }
        }
        if let Some(default) = &self.default_backend {
            backend("spec.defaultBackend", default, issues);
        }
        self.tls.iter().enumerate().for_each(|(at, each)| tls(&format!("spec.tls[{at}]"), each, issues));
        self.rules.iter().enumerate().for_each(|(at, each)| rule(&format!("spec.rules[{at}]"), each, issues));
    }
}

impl ApiKind for IngressClass {
    const KIND: Kind = Kind::IngressClass;
    const GROUP: &'static str = GROUP;
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "ingressclasses";
    const NAMESPACED: bool = false;
    const BODY: Body = Body::Document;

    fn check(&self, _: &ObjectMeta, _: &mut Issues) {}
}

fn tls(path: &str, written: &IngressTls, issues: &mut Issues) {
    for (at, host) in written.hosts.iter().enumerate() {
        hostname(&format!("{path}.hosts[{at}]"), host, issues);
    }
    // As a credential a name could say more than which Secret it is.
    if !written.secret_name.is_empty() && !subdomain(&written.secret_name) {
        issues.error(format!("{path}.secretName"), format!("{:?} is not the name of a Secret", written.secret_name));
    } else if written.secret_name.is_empty() {
        issues.warning(format!("{path}.secretName"), "without a Secret nothing is served by TLS");
    }
}

fn rule(path: &str, written: &IngressRule, issues: &mut Issues) {
    if !written.host.is_empty() {
        hostname(&format!("{path}.host"), &written.host, issues);
    }
    let Some(http) = &written.http else {
        return issues.warning(path, "without paths the rule says nothing");
    };
    if http.paths.is_empty() {
        issues.error(format!("{path}.http.paths"), "at least one path is needed");
    }
    for (at, each) in http.paths.iter().enumerate() {
        let path = format!("{path}.http.paths[{at}]");
        one_path(&path, each, issues);
        backend(&format!("{path}.backend"), &each.backend, issues);
    }
}

/// What no exact path and no prefix may hold, and may not end in: those that mean another path.
const WITHIN: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const ENDS: [&str; 2] = ["/..", "/."];

fn one_path(path: &str, written: &HttpIngressPath, issues: &mut Issues) {
    let text = &written.path;
    let Some(of) = written.path_type else {
        return issues.error(format!("{path}.pathType"), "needed: Exact, Prefix or ImplementationSpecific");
    };
    let path = format!("{path}.path");
    let is_path = text.starts_with('/') || text.is_empty() && of == PathType::ImplementationSpecific;
    if !is_path {
        return issues.error(path, format!("{text:?} does not begin with /"));
    }
    if of == PathType::ImplementationSpecific {
        return;
    }
    for part in WITHIN.iter().filter(|part| text.contains(**part)) {
        issues.error(path.as_str(), format!("{text:?} must not hold {part}"));
    }
    for end in ENDS.iter().filter(|end| text.ends_with(**end)) {
        issues.error(path.as_str(), format!("{text:?} must not end in {end}"));
    }
}

fn backend(path: &str, written: &IngressBackend, issues: &mut Issues) {
    let service = match (&written.service, &written.resource) {
        (Some(service), None) => service,
        (None, Some(_)) => return issues.warning(format!("{path}.resource"), "not served: only Services are"),
        (None, None) => return issues.error(path, "a service is needed"),
        (Some(_), Some(_)) => return issues.error(path, "service and resource exclude each other"),
    };
    if !rules::dns_label(&service.name) {
        issues.error(format!("{path}.service.name"), format!("{:?} is not the name of a Service", service.name));
    }
    let port = format!("{path}.service.port");
    match (service.port.name.is_empty(), service.port.number) {
        (true, 0) => issues.error(port, "a name or a number is needed"),
        (true, number) => rules::port(&format!("{port}.number"), number, issues),
        (false, 0) => {}
        (false, _) => issues.error(port, "name and number exclude each other"),
    }
}

/// A name, or one whose first label is `*`; no address.
fn hostname(path: &str, host: &str, issues: &mut Issues) {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return issues.error(path, format!("{host} is an address; a host is a name"));
    }
    if !subdomain(host.strip_prefix("*.").unwrap_or(host)) {
        issues.error(path, format!("{host:?} is not a host name, nor a wildcard of one such as *.example.com"));
    }
}

/// A name of lower-case labels.
fn subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(rules::dns_label) && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests;
