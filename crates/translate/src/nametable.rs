//! The names that an agent resolves for its workload (NDS): the addresses of what its proxy can call, and nothing else. What DNS says
//! of one service is a row, encoded once for all who see it; a table is the concatenation of those in scope.
//! Source: istio: pkg/dns/server/name_table.go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bytes::Bytes;
use graph::{Derived, Reader};
use model::endpoints::{Endpoint, Endpoints, EndpointsKey, Health};
use model::scopes::{Catalogs, Egress, Entry};
use model::services::{Resolution, Service, ServiceId, Services};
use names::{Name, Protocol};
use prost::Message;
use proto::Encoded;
use proto::istio::networking::nds::v1::NameTable;
use proto::istio::networking::nds::v1::name_table::NameInfo;

use crate::keys::{NamesKey, Place};

/// What DNS says of one service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineKey {
    /// The service.
    pub service: ServiceId,
    /// For whom.
    pub place: Place,
}

/// The table of encoded lines: entries of a name table, tags and lengths included.
pub struct Lines;

impl Derived for Lines {
    type Key = LineKey;
    type Value = Bytes;
    const NAME: &'static str = "lines of name tables";
    const LEVEL: u8 = 4;

    fn build(key: &LineKey, read: &mut Reader<'_>) -> Option<Bytes> {
        let service = read.row::<Services>(&key.service)?;
        let addresses = virtual_addresses(&service, key);
        let table = if service.addresses.is_empty() && service.resolution == Resolution::Passthrough {
            of_endpoints(&service, &key.place, read)
        } else {
            BTreeMap::from([(service.id.host.to_string(), info(&service, addresses))])
        };
        let table: BTreeMap<_, _> = table.into_iter().filter(|(_, info)| !info.ips.is_empty()).collect();
        (!table.is_empty()).then(|| Bytes::from(NameTable { table }.encode_to_vec()))
    }
}

/// Addresses, not networks. Those of a Kubernetes Service only as far as the proxy can call them; those that somebody wrote into a
/// ServiceEntry are all meant, those that it was given need a proxy to take them.
fn virtual_addresses(service: &Service, key: &LineKey) -> Vec<String> {
    let usable = |address: &&Name| {
        let parsed = address.parse::<IpAddr>();
        parsed.is_ok_and(|address| !service.kubernetes || key.place.families.reach(address))
    };
    let given = service.allocated.iter().filter(|address| key.place.families.reach(**address));
    service.addresses.iter().filter(usable).map(Name::to_string).chain(given.map(IpAddr::to_string)).collect()
}

/// What is known of the service's own name. Agents make the short names of Kubernetes Services from it.
fn info(service: &Service, ips: Vec<String>) -> NameInfo {
    if !service.kubernetes {
        return NameInfo { ips, registry: "External".to_owned(), ..NameInfo::default() };
    }
    let (shortname, namespace) = (service.name.to_string(), service.id.namespace.to_string());
    NameInfo { ips, registry: "Kubernetes".to_owned(), shortname, namespace }
}

/// A service without virtual address is its ready endpoints, and each of them that has a name of its own is that name as well.
fn of_endpoints(service: &Service, place: &Place, read: &mut Reader<'_>) -> BTreeMap<String, NameInfo> {
    let mut all = Vec::new();
    let mut pods = BTreeMap::<Name, Vec<String>>::new();
    let mut seen = BTreeSet::new();
    for port in &service.ports {
        let key = EndpointsKey { service: service.id.clone(), port: port.number };
        let endpoints = read.row::<Endpoints>(&key);
        for endpoint in endpoints.iter().flat_map(|all| all.iter()) {
            if !called_directly(endpoint, place) || !seen.insert(endpoint.address.clone()) {
                continue;
            }
            all.push(endpoint.address.to_string());
            if !endpoint.dns.is_empty() {
                pods.entry(endpoint.dns.clone()).or_default().push(endpoint.address.to_string());
            }
        }
    }
    let mut table = BTreeMap::from([(service.id.host.to_string(), info(service, all))]);
    // `mysql-0.mysql` in the domain of the Service `mysql.default.svc.cluster.local`.
    let domain = service.id.host.as_str().split_once('.').map(|(_, domain)| domain).unwrap_or_default();
    for (pod, ips) in pods.into_iter().filter(|_| !domain.is_empty()) {
        let named = NameInfo { shortname: pod.to_string(), ..info(service, ips) };
        let namespace = service.id.namespace.to_string();
        table.insert(format!("{pod}.{domain}"), NameInfo { namespace, ..named });
    }
    table
}

/// Pods of other networks are not called by their addresses.
fn called_directly(endpoint: &Endpoint, place: &Place) -> bool {
    let near = endpoint.network.is_empty() || place.network.is_empty() || endpoint.network == place.network;
    near && endpoint.health == Health::Ready && endpoint.address.parse::<IpAddr>().is_ok()
}

/// The resource; it has no name.
pub(crate) fn encoded(key: &NamesKey, read: &mut Reader<'_>) -> Encoded {
    let mut body = Vec::new();
    if let Some(catalog) = read.row::<Catalogs>(&key.scope) {
        let listed = catalog.egress.iter().flat_map(|egress| {
            let services = egress.services.iter().filter(|at| listens(egress, &catalog.services[**at]));
            services.copied().collect::<Vec<usize>>()
        });
        // Each service once, in the order of hosts.
        for at in listed.collect::<BTreeSet<usize>>() {
            let service = catalog.services[at].resolved.service.clone();
            if let Some(line) = read.row::<Lines>(&LineKey { service, place: key.place.clone() }) {
                body.extend_from_slice(&line);
            }
        }
    }
    Encoded::from_body("", &<NameTable as prost::Name>::type_url(), &body)
}

/// An egress listener for one port is for services with that port only, unless it is an HTTP proxy.
fn listens(egress: &Egress, entry: &Entry) -> bool {
    match &egress.port {
        Some(port) if port.number > 0 && port.protocol != Protocol::HttpProxy => {
            entry.resolved.ports.iter().any(|other| other.number == port.number)
        }
        Some(_) | None => true,
    }
}
