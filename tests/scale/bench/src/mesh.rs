//! A mesh of a shape, made of a seed: the same seed gives the same objects. Its objects are in files, so that an edit writes one small file.

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::Value;

use crate::draw::Seed;
use crate::objects::{self, ROOT};
use crate::shape::Shape;

/// A file and the objects in it.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its path in the directory.
    pub path: String,
    /// What is in it, in this order.
    pub objects: Vec<Value>,
}

impl File {
    /// Its text.
    ///
    /// # Errors
    /// When an object cannot be written as YAML.
    pub fn yaml(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for object in &self.objects {
            text += "---\n";
            text += &serde_saphyr::to_string(object).with_context(|| format!("writing {}", self.path))?;
        }
        Ok(text)
    }
}

/// A mesh.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// How many of what it has.
    pub shape: Shape,
    seed: Seed,
    routed: BTreeSet<u32>,
    ruled: BTreeSet<u32>,
    guarded: BTreeSet<u32>,
}

impl Mesh {
    /// The mesh of a seed.
    #[must_use]
    pub fn new(shape: Shape, seed: u64) -> Self {
        let seed = Seed(seed);
        let some = |what: &str, count: u32| (0..count).map(|at| seed.pick(what, at, shape.services)).collect();
        let (routed, ruled, guarded) =
            (some("route", shape.routes), some("rule", shape.rules), some("policy", shape.policies));
        Self { shape, seed, routed, ruled, guarded }
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = File> + '_ {
        let services = (0..self.shape.services).flat_map(|number| self.service(number));
        let gateways = (0..self.shape.gateways).map(|number| self.gateway(number));
        let routes = (0..self.shape.http_routes).map(|number| self.http_route(number));
        self.shared().into_iter().chain(services).chain(gateways).chain(routes)
    }

    /// Namespaces, what they see, and what counts everywhere.
    fn shared(&self) -> Vec<File> {
        let names: Vec<String> = (0..self.shape.namespaces).map(|number| format!("ns-{number}")).collect();
        let all = names.iter().map(String::as_str).chain([ROOT]).map(objects::namespace).collect();
        let mut files = vec![File { path: "namespaces.yaml".to_owned(), objects: all }, self.peers(false)];
        if self.shape.scoped {
            let scopes = names.iter().map(|name| objects::scope(name)).collect();
            files.push(File { path: "sidecars.yaml".to_owned(), objects: scopes });
        }
        if self.shape.http_routes > 0 {
            files.push(File { path: format!("{ROOT}/edge.yaml"), objects: vec![objects::edge()] });
        }
        files
    }

    fn service(&self, number: u32) -> Vec<File> {
        let mut files = vec![self.service_alone(number), self.pods(number), self.endpoints(number, true)];
        files.extend(self.route(number, 0));
        files.extend(self.rule(number, 0));
        files.extend(self.policy(number));
        files.extend(self.peers_of(number, false));
        files
    }

    /// A service without what belongs to it.
    pub(crate) fn service_alone(&self, number: u32) -> File {
        let (name, namespace) = self.name(number);
        let (high, low) = (number / 250, number % 250 + 1);
        let address = format!("10.{}.{}.{low}", 96 + high / 250, high % 250);
        let objects = vec![objects::service(&name, &namespace, &address)];
        File { path: format!("{namespace}/{name}.yaml"), objects }
    }

    fn gateway(&self, number: u32) -> File {
        let (service, _) = self.name(number % self.shape.services);
        let namespace = format!("ns-{}", number % self.shape.services % self.shape.namespaces);
        let objects = objects::gateway(number, &namespace, &service).to_vec();
        File { path: format!("{namespace}/gw-{number}.yaml"), objects }
    }

    fn http_route(&self, number: u32) -> File {
        let (service, namespace) = self.name(number % self.shape.services);
        let seconds = 1 + self.seed.draw("request timeout", number, 30);
        let objects = vec![objects::http_route(number, &namespace, &service, seconds)];
        File { path: format!("{namespace}/http-{number}.yaml"), objects }
    }

    fn pods(&self, number: u32) -> File {
        let (name, namespace) = self.name(number);
        let pod = |at| objects::pod(&name, &namespace, at, &self.address(number, at));
        let objects = (0..self.shape.endpoints_of(number)).map(pod).collect();
        File { path: format!("{namespace}/{name}.pods.yaml"), objects }
    }

    /// Name and namespace of a service.
    #[must_use]
    pub fn name(&self, service: u32) -> (String, String) {
        (format!("svc-{service}"), format!("ns-{}", service % self.shape.namespaces))
    }

    /// Where a pod of a service is. Proxy `n` of the bench is beside pod `n / services` of service `n mod services`, at 10.200.x.x.
    #[must_use]
    pub fn address(&self, service: u32, pod: u32) -> String {
        let number = pod * self.shape.services + service;
        if number < self.shape.proxies {
            return format!("10.200.{}.{}", number / 250, number % 250 + 1);
        }
        // The seed moves all of them, so that they stay different.
        let number = number + self.seed.draw("addresses", 0, 250);
        format!("10.{}.{}.{}", 16 + number / 62_500, number / 250 % 250, number % 250 + 1)
    }

    /// The endpoints of a service; the last one may not be ready.
    pub(crate) fn endpoints(&self, number: u32, last_is_ready: bool) -> File {
        let (name, namespace) = self.name(number);
        let addresses: Vec<String> = (0..self.shape.endpoints_of(number)).map(|at| self.address(number, at)).collect();
        let objects = vec![objects::slice(&name, &namespace, &addresses, last_is_ready)];
        File { path: format!("{namespace}/{name}.endpoints.yaml"), objects }
    }

    /// The `edit`-th version of a service's route, if it has one.
    pub(crate) fn route(&self, number: u32, edit: u32) -> Option<File> {
        let (name, namespace) = self.routed.contains(&number).then(|| self.name(number))?;
        let second = self.versions(number).then(|| (self.seed.draw("share", number, 50) + edit) % 100);
        let seconds = 1 + self.seed.draw("timeout", number, 30) + edit;
        let objects = vec![objects::route(&name, &namespace, seconds, second)];
        Some(File { path: format!("{namespace}/{name}.route.yaml"), objects })
    }

    /// The `edit`-th version of a service's rule, if it has one.
    pub(crate) fn rule(&self, number: u32, edit: u32) -> Option<File> {
        let (name, namespace) = self.ruled.contains(&number).then(|| self.name(number))?;
        let connections = 100 + self.seed.draw("connections", number, 900) + edit;
        let objects = vec![objects::rule(&name, &namespace, connections, self.versions(number))];
        Some(File { path: format!("{namespace}/{name}.rule.yaml"), objects })
    }

    /// Who may call a service, if it has a policy.
    fn policy(&self, number: u32) -> Option<File> {
        let (name, namespace) = self.guarded.contains(&number).then(|| self.name(number))?;
        let objects = vec![objects::policy(&name, &namespace)];
        Some(File { path: format!("{namespace}/{name}.policy.yaml"), objects })
    }

    /// How a service is called, if it has a policy: by mutual TLS only, or in plain text only.
    pub(crate) fn peers_of(&self, number: u32, plain: bool) -> Option<File> {
        let (name, namespace) = self.guarded.contains(&number).then(|| self.name(number))?;
        let objects = vec![objects::peers_of(&name, &namespace, plain)];
        Some(File { path: format!("{namespace}/{name}.peers.yaml"), objects })
    }

    /// Whether all of the mesh refuses plain text.
    pub(crate) fn peers(&self, strict: bool) -> File {
        File { path: format!("{ROOT}/peers.yaml"), objects: vec![objects::peers(strict)] }
    }

    /// A service that the mesh does not have at first, with its endpoints; it is in namespace `number mod namespaces`.
    pub(crate) fn another(&self, number: u32) -> File {
        let (name, namespace) = (format!("new-{number}"), format!("ns-{}", number % self.shape.namespaces));
        let at = |net: &str, number: u32| format!("{net}.{}.{}", number / 250 % 250, number % 250 + 1);
        let addresses: Vec<String> =
            (0..self.shape.endpoints).map(|pod| at("172.16", number * self.shape.endpoints + pod)).collect();
        let service = objects::service(&name, &namespace, &at("10.111", number));
        let objects = vec![service, objects::slice(&name, &namespace, &addresses, true)];
        File { path: format!("{namespace}/{name}.yaml"), objects }
    }

    /// Services that have a route, a rule, a policy.
    pub(crate) fn with_route(&self) -> &BTreeSet<u32> {
        &self.routed
    }

    pub(crate) fn with_rule(&self) -> &BTreeSet<u32> {
        &self.ruled
    }

    pub(crate) fn with_policy(&self) -> &BTreeSet<u32> {
        &self.guarded
    }

    /// One of some services, a different one for each round until all had their turn.
    pub(crate) fn turn(&self, of: &BTreeSet<u32>, what: &str, round: u32) -> Option<u32> {
        let count = u32::try_from(of.len()).ok().filter(|count| *count > 0)?;
        of.iter().nth(self.seed.pick(what, round, count) as usize).copied()
    }

    /// One of all services, as [`Self::turn`].
    pub(crate) fn pick(&self, what: &str, round: u32) -> u32 {
        self.seed.pick(what, round, self.shape.services)
    }

    /// One of five services with a rule has versions, of which its route, if it has one, takes both.
    fn versions(&self, number: u32) -> bool {
        self.ruled.contains(&number) && self.seed.draw("versions", number, 5) == 0
    }
}

#[cfg(test)]
mod tests;
