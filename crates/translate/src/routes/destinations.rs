//! From a destination as written to the cluster that it means for this client.

use graph::Reader;
use model::networking::{ConsistentHashLb, Destination};
use model::policy::{Policies, ResolutionKey, Resolutions};
use model::rules::Rule;
use model::settings::settings;
use names::{ClusterName, Hostname, Name};
use proto::envoy::config::route::v3::route_action::HashPolicy;
use proto::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, CookieAttribute, Header, PolicySpecifier, QueryParameter,
};

use super::Hashes;
use crate::keys::{HostKey, Target};
use crate::wire::duration;

/// The destinations of one route.
pub(super) struct Destinations<'a> {
    key: &'a HostKey,
    first: Option<ClusterName>,
}

impl<'a> Destinations<'a> {
    pub(super) fn new(key: &'a HostKey) -> Self {
        Self { key, first: None }
    }

    /// The cluster that was asked for first, for the name of spans.
    pub(super) fn first(&self) -> Option<ClusterName> {
        self.first.clone()
    }

    /// The cluster of a destination: its port, else the only port of its service, else the listener's port. A host that nobody knows keeps
    /// its name, and requests to it fail.
    pub(super) fn cluster(&mut self, rule: &Rule, destination: &Destination, read: &mut Reader<'_>) -> ClusterName {
        let host = rule.host(&destination.host);
        let subset = Some(&destination.subset).filter(|subset| !subset.is_empty());
        let port = match &destination.port {
            Some(port) => port.number,
            None => self.only_port(&host, read).unwrap_or(self.key.port),
        };
        if self.target(&host).is_none() {
            let message = format!("destination {host} is no service that clients of {} can see", self.key.name);
            read.note(rule.told(), message);
        }
        let cluster = ClusterName::outbound(port, subset, &host);
        self.first.get_or_insert_with(|| cluster.clone());
        cluster
    }

    fn target(&self, host: &Hostname) -> Option<&'a Target> {
        self.key.targets.iter().find(|target| target.host == *host)
    }

    fn only_port(&self, host: &Hostname, read: &mut Reader<'_>) -> Option<u16> {
        let target = self.target(host)?;
        let key = ResolutionKey { client: target.client.clone(), service: target.service.clone() };
        let resolved = read.row::<Resolutions>(&key)?;
        match resolved.ports.as_slice() {
            [only] => Some(only.number),
            _ => None,
        }
    }

    /// What requests to a cluster are hashed by, if its DestinationRule says so.
    pub(super) fn hash_policy(&mut self, cluster: &ClusterName, read: &mut Reader<'_>) -> Hashes {
        self.consistent_hash(cluster, read).map(|hash| policies(&hash)).unwrap_or_default()
    }

    fn consistent_hash(&self, cluster: &ClusterName, read: &mut Reader<'_>) -> Option<ConsistentHashLb> {
        let target = self.target(&Hostname::new(&cluster.host))?;
        let key = ResolutionKey { client: target.client.clone(), service: target.service.clone() };
        let resolved = read.row::<Resolutions>(&key)?;
        let settings = settings(read)?;
        let subset: Option<&Name> = cluster.subset.as_ref();
        let traffic = match resolved.rules.is_empty() {
            true => settings.mesh.default_traffic_policy.clone()?,
            false => read.row::<Policies>(&resolved.rules)?.effective(&settings.mesh, subset, cluster.port),
        };
        traffic.load_balancer?.consistent_hash
    }
}

fn policies(hash: &ConsistentHashLb) -> Hashes {
    let specifier = if let Some(name) = &hash.http_header_name {
        PolicySpecifier::Header(Header { header_name: name.to_string(), ..Header::default() })
    } else if let Some(cookie) = &hash.http_cookie {
        let attribute = |each: &model::networking::CookieAttribute| CookieAttribute {
            name: each.name.to_string(),
            value: each.value.to_string(),
        };
        PolicySpecifier::Cookie(Cookie {
            name: cookie.name.to_string(),
            path: cookie.path.to_string(),
            ttl: cookie.ttl.map(duration),
            attributes: cookie.attributes.iter().map(attribute).collect(),
        })
    } else if let Some(name) = &hash.http_query_parameter_name {
        PolicySpecifier::QueryParameter(QueryParameter { name: name.to_string() })
    } else if hash.use_source_ip == Some(true) {
        PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true })
    } else {
        return Vec::new();
    };
    vec![HashPolicy { policy_specifier: Some(specifier), terminal: false }]
}
