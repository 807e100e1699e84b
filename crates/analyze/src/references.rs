//! What an object refers to and is not there: hosts, ports, subsets, gateways, workloads; and hosts that an older rule has already
//! (`istio: pkg/config/analysis/analyzers/virtualservice`, `gateway`, `authz`).

use api::ingress::IngressServiceBackend;
use api::networking::{Destination, VirtualService};
use api::{AnyObject, Gateway, Ingress, Issue, Kind, MatchSelector, ObjectId, ObjectMeta, Severity};
use model::ingress::Claim;
use model::services::{EntriesByHost, kubernetes_service};
use model::{Age, Id, Mesh, Objects};
use names::{Hostname, Labels, Name, Namespace};

use crate::known::{Known, SIDECARS, of_sidecars};

/// A reference to something that is not there.
const MISSING: &str = "IST0101";
/// Two rules for one host.
const CONFLICT: &str = "IST0109";
/// A destination that leaves open which port.
const PORT: &str = "IST0112";
/// A selector without workloads.
const NOBODY: &str = "IST0127";
/// A host that no gateway of the rule serves.
const UNSERVED: &str = "IST0132";

/// What is wrong with an object beside others, as of a snapshot. The object itself need not be in it.
#[must_use]
pub fn references(mesh: &Mesh, object: &AnyObject) -> Vec<Issue> {
    let known = Known::new(mesh);
    let mut found = Found { known: &known, object: object.id(), issues: Vec::new() };
    match object {
        AnyObject::VirtualService(rule) => found.virtual_service(rule.meta(), rule.spec()),
        AnyObject::DestinationRule(rule) => found.host("spec.host", &rule.spec().host, &rule.meta().namespace),
        AnyObject::Gateway(gateway) => found.gateway(gateway.spec()),
        AnyObject::Ingress(ingress) => found.ingress(ingress.meta(), ingress.spec()),
        AnyObject::AuthorizationPolicy(policy) => found.workloads(policy.meta(), policy.spec().selector.as_ref()),
        AnyObject::PeerAuthentication(policy) => found.workloads(policy.meta(), policy.spec().selector.as_ref()),
        AnyObject::RequestAuthentication(policy) => found.workloads(policy.meta(), policy.spec().selector.as_ref()),
        _ => {}
    }
    found.issues
}

/// What is wrong with all objects of a snapshot.
#[must_use]
pub fn all(mesh: &Mesh) -> Vec<Issue> {
    let known = Known::new(mesh);
    let mut issues = Vec::new();
    macro_rules! each {
        ($($kind:ident: |$found:ident, $meta:ident, $spec:ident| $look:expr;)*) => {
            $(for (id, row) in mesh.db().inputs::<Objects<api::$kind>>() {
                let object =
                    ObjectId { kind: Kind::$kind, namespace: id.namespace.clone(), name: id.name.clone() };
                let mut $found = Found { known: &known, object, issues: std::mem::take(&mut issues) };
                let ($meta, $spec) = (&*row.meta, &*row.spec);
                $look;
                issues = $found.issues;
            })*
        };
    }
    each! {
        VirtualService: |found, meta, spec| found.virtual_service(meta, spec);
        DestinationRule: |found, meta, spec| found.host("spec.host", &spec.host, &meta.namespace);
        Gateway: |found, _meta, spec| found.gateway(spec);
        Ingress: |found, meta, spec| found.ingress(meta, spec);
        AuthorizationPolicy: |found, meta, spec| found.workloads(meta, spec.selector.as_ref());
        PeerAuthentication: |found, meta, spec| found.workloads(meta, spec.selector.as_ref());
        RequestAuthentication: |found, meta, spec| found.workloads(meta, spec.selector.as_ref());
    }
    issues
}

/// A service as far as destinations need to know it.
struct Ports(Vec<u16>);

struct Found<'m> {
    known: &'m Known<'m>,
    object: ObjectId,
    issues: Vec<Issue>,
}

impl Found<'_> {
    fn say(&mut self, code: &'static str, path: &str, message: String) {
        let object = Some(self.object.clone());
        let severity = Severity::Warning;
        self.issues.push(Issue { code, severity, object, path: path.to_owned(), message, place: None });
    }

    fn resolved(&self, written: &str, namespace: &str) -> Hostname {
        Hostname::resolve(written, namespace, &self.known.mesh.base().domain)
    }

    fn virtual_service(&mut self, meta: &ObjectMeta, rule: &VirtualService) {
        let gateways = self.gateways(meta, rule);
        let of_sidecars = of_sidecars(rule);
        for (at, host) in rule.hosts.iter().enumerate() {
            let path = format!("spec.hosts[{at}]");
            let host = self.resolved(host, &meta.namespace);
            if of_sidecars {
                self.conflict(&path, &host, meta);
            } else if !gateways.is_empty() && !gateways.iter().any(|gateway| serves(gateway, &host)) {
                self.say(UNSERVED, &path, format!("no server of the rule's gateways has the host {}", host.as_str()));
            }
        }
        for (path, destination) in destinations(rule) {
            self.destination(&path, destination, &meta.namespace);
        }
    }

    /// The rule's gateways that there are.
    fn gateways(&mut self, meta: &ObjectMeta, rule: &VirtualService) -> Vec<std::sync::Arc<model::Row<Gateway>>> {
        let mut found = Vec::new();
        for (at, written) in rule.gateways.iter().enumerate().filter(|(_, written)| **written != SIDECARS) {
            let (namespace, name) = match written.split_once('/') {
                Some((namespace, name)) => (Namespace::from(namespace), Name::from(name)),
                None => (meta.namespace.clone(), written.split('.').next().map(Name::from).unwrap_or_default()),
            };
            let id = Id {
                cluster: self.known.mesh.base().cluster.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
            };
            match self.known.mesh.db().input::<Objects<Gateway>>(&id) {
                Some(gateway) => found.push(gateway),
                None => self.say(
                    MISSING,
                    &format!("spec.gateways[{at}]"),
                    format!("there is no Gateway {namespace}/{name}"),
                ),
            }
        }
        found
    }

    /// A host that an older rule of the sidecars has: that one wins.
    fn conflict(&mut self, path: &str, host: &Hostname, meta: &ObjectMeta) {
        if let Some(winner) = self.known.older(host, &Age::of(meta)) {
            let message = format!(
                "VirtualService {winner} is older and has the host {} too: its routes come first",
                host.as_str()
            );
            self.say(CONFLICT, path, message);
        }
    }

    fn destination(&mut self, path: &str, destination: &Destination, namespace: &Namespace) {
        let host = self.resolved(&destination.host, namespace);
        let Some(Ports(ports)) = self.service(&host) else {
            return self.absent(&format!("{path}.host"), &host);
        };
        match destination.port.as_ref().map(|port| port.number) {
            Some(port) if !ports.contains(&port) => {
                let message = format!("{} has no port {port}; it has {}", host.as_str(), listed(&ports));
                self.say(MISSING, &format!("{path}.port"), message);
            }
            None if ports.len() > 1 => {
                let message = format!("{} has the ports {}: say which one", host.as_str(), listed(&ports));
                self.say(PORT, &format!("{path}.port"), message);
            }
            _ => {}
        }
        if !destination.subset.is_empty() && !self.known.subset(&host, &destination.subset) {
            let message = format!("no DestinationRule of {} has the subset {}", host.as_str(), destination.subset);
            self.say(MISSING, &format!("{path}.subset"), message);
        }
    }

    fn host(&mut self, path: &str, written: &str, namespace: &Namespace) {
        let host = self.resolved(written, namespace);
        if !host.is_wildcard() && self.service(&host).is_none() {
            self.absent(path, &host);
        }
    }

    fn absent(&mut self, path: &str, host: &Hostname) {
        let message = format!("there is neither a Service nor a ServiceEntry with the host {}", host.as_str());
        self.say(MISSING, path, message);
    }

    /// The ports of a host; none when nothing has it.
    fn service(&self, host: &Hostname) -> Option<Ports> {
        let (base, db) = (self.known.mesh.base(), self.known.mesh.db());
        let kubernetes = kubernetes_service(host, base).and_then(|id| db.input::<Objects<api::Service>>(&id));
        if let Some(service) = kubernetes {
            return Some(Ports(service.spec.spec.ports.iter().map(|port| port.port).collect()));
        }
        let mut covers = vec![host.clone()];
        let mut rest = host.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            covers.push(Hostname::new(&format!("*.{parent}")));
            rest = parent;
        }
        let found: Vec<_> = covers.iter().map(|host| db.bucket::<EntriesByHost>(host)).collect();
        let mut ports = Vec::new();
        for (_, row) in found.iter().flatten() {
            ports.extend(row.spec.ports.iter().map(|port| port.number));
        }
        ports.sort_unstable();
        ports.dedup();
        found.iter().any(|entries| !entries.is_empty()).then_some(Ports(ports))
    }

    /// The Services behind an Ingress, where it is ours to serve.
    fn ingress(&mut self, meta: &ObjectMeta, ingress: &Ingress) {
        let mesh = self.known.mesh;
        if !Claim::new(meta, ingress).is_ours(self.known.settings(), mesh.db()) {
            return;
        }
        for (path, service) in backends(ingress) {
            let host = Hostname::of_service(&service.name, &meta.namespace, &mesh.base().domain);
            let id = kubernetes_service(&host, mesh.base());
            let row = id.and_then(|id| mesh.db().input::<Objects<api::Service>>(&id));
            let Some(row) = row else {
                // A ServiceEntry may have the host, and has no names of ports that count here.
                if service.port.number == 0 || self.service(&host).is_none() {
                    self.absent(&format!("{path}.name"), &host);
                }
                continue;
            };
            let ports = &row.spec.spec.ports;
            let asked = &service.port;
            if !ports
                .iter()
                .any(|port| u32::from(port.port) == asked.number || port.name == asked.name && asked.number == 0)
            {
                let wanted = if asked.number == 0 { asked.name.to_string() } else { asked.number.to_string() };
                let has: Vec<String> = ports.iter().map(|port| format!("{} {}", port.port, port.name)).collect();
                let message = format!("{} has no port {wanted}; it has {}", host.as_str(), has.join(", "));
                self.say(MISSING, &format!("{path}.port"), message);
            }
        }
    }

    fn gateway(&mut self, gateway: &Gateway) {
        if gateway.selector.is_empty() || self.known.selects(None, &gateway.selector) {
            return;
        }
        self.say(MISSING, "spec.selector", format!("no pod has the labels {}", shown(&gateway.selector)));
    }

    fn workloads(&mut self, meta: &ObjectMeta, selector: Option<&MatchSelector>) {
        let labels = selector.map(|selector| &selector.match_labels);
        let Some(selector) = labels.filter(|labels| !labels.is_empty()) else { return };
        let within = Some(&meta.namespace).filter(|namespace| **namespace != self.known.mesh.base().root_namespace);
        if !self.known.selects(within, selector) {
            self.say(NOBODY, "spec.selector", format!("no pod has the labels {}", shown(selector)));
        }
    }
}

fn serves(gateway: &model::Row<Gateway>, host: &Hostname) -> bool {
    gateway.spec.servers.iter().flat_map(|server| &server.hosts).any(|written| {
        let served = written.split_once('/').map_or(written.as_str(), |(_, served)| served);
        let served = Hostname::new(served);
        served.as_str() == "*" || served.overlaps(host)
    })
}

/// Every destination of a rule, and where it stands.
fn destinations(rule: &VirtualService) -> Vec<(String, &Destination)> {
    let mut found = Vec::new();
    for (at, route) in rule.http.iter().enumerate() {
        for (number, weighted) in route.route.iter().enumerate() {
            found.extend(
                weighted.destination.as_ref().map(|to| (format!("spec.http[{at}].route[{number}].destination"), to)),
            );
        }
        found.extend(route.mirror.as_ref().map(|to| (format!("spec.http[{at}].mirror"), to)));
        for (number, mirror) in route.mirrors.iter().enumerate() {
            found.extend(
                mirror.destination.as_ref().map(|to| (format!("spec.http[{at}].mirrors[{number}].destination"), to)),
            );
        }
    }
    let tcp = rule.tcp.iter().enumerate().map(|(at, route)| (format!("spec.tcp[{at}]"), &route.route));
    let tls = rule.tls.iter().enumerate().map(|(at, route)| (format!("spec.tls[{at}]"), &route.route));
    for (path, routes) in tcp.chain(tls) {
        for (number, weighted) in routes.iter().enumerate() {
            found.extend(weighted.destination.as_ref().map(|to| (format!("{path}.route[{number}].destination"), to)));
        }
    }
    found
}

/// Every Service that an Ingress names, and where.
fn backends(ingress: &Ingress) -> Vec<(String, &IngressServiceBackend)> {
    let default = ingress.default_backend.iter().map(|backend| ("spec.defaultBackend".to_owned(), backend));
    let rules = ingress.rules.iter().enumerate().flat_map(|(at, rule)| {
        let paths = rule.http.iter().flat_map(|http| &http.paths).enumerate();
        paths.map(move |(number, path)| (format!("spec.rules[{at}].http.paths[{number}].backend"), &path.backend))
    });
    let all = default.chain(rules);
    all.filter_map(|(path, backend)| Some((format!("{path}.service"), backend.service.as_ref()?))).collect()
}

fn listed(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

fn shown(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
