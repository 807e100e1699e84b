//! Services, their endpoints, and which of them a proxy serves and may call (`istio: pilot/pkg/xds/debug.go registryz, endpointShardz,
//! instancesz, sidecarz`; names of fields as in `pilot/pkg/model/service.go`).

use std::collections::{BTreeMap, BTreeSet};

use graph::Inline;
use model::endpoints::{Endpoint, Endpoints, EndpointsKey, Health};
use model::mesh::Edit;
use model::proxies::{Facet, Facets};
use model::scopes::{Catalogs, Unknown};
use model::services::{Resolution, Service, ServiceId, ServicePort, Services};
use model::{Mesh, Objects};
use names::{Hostname, Protocol};
use serde_json::{Map, Value, json};

use super::asked::{Asked, Said};
use super::objects::unread;
use crate::control::View;

/// All services, whether a proxy calls them or not.
pub(super) fn registryz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let mesh = with_all(view);
    let mut services: Vec<&Service> = mesh.db().rows::<Services>().map(|(_, service)| service).collect();
    services.sort_by(|one, other| (&one.id.host, &one.id.namespace).cmp(&(&other.id.host, &other.id.namespace)));
    Value::Array(services.into_iter().map(|of| service(&mesh, of)).collect()).into()
}

/// All endpoints, by host, namespace, and where they were read from.
pub(super) fn endpoint_shardz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let mut mesh = with_all(view);
    let ports = mesh.db().rows::<Services>().flat_map(|(id, service)| {
        service.ports.iter().map(|port| EndpointsKey { service: id.clone(), port: port.number })
    });
    let mut edit = Edit::default();
    ports.collect::<Vec<_>>().into_iter().for_each(|key| edit.txn().demand::<Endpoints>(key));
    mesh.commit(edit, &Inline);
    let mut hosts = BTreeMap::<String, BTreeMap<String, Shards>>::new();
    for (key, found) in mesh.db().rows::<Endpoints>() {
        let Some(of) = mesh.db().row::<Services>(&key.service) else { continue };
        let Some(port) = of.port(key.port) else { continue };
        let namespaces = hosts.entry(key.service.host.to_string()).or_default();
        let shards = namespaces.entry(key.service.namespace.to_string()).or_default();
        for one in found {
            shards.add(&of, port, one);
        }
    }
    json!(hosts.into_iter().map(|(host, of)| (host, shown(of))).collect::<Map<String, Value>>()).into()
}

/// The endpoints of a service by registry and cluster, and the identities behind them.
#[derive(Default)]
struct Shards {
    endpoints: BTreeMap<String, Vec<Value>>,
    accounts: BTreeSet<String>,
}

impl Shards {
    fn add(&mut self, service: &Service, port: &ServicePort, one: &Endpoint) {
        let shard = format!("{}/{}", registry(service), one.cluster);
        if !one.workload.service_account.is_empty() {
            self.accounts.insert(one.workload.service_account.to_string());
        }
        self.endpoints.entry(shard).or_default().push(endpoint(port, one));
    }
}

fn shown(namespaces: BTreeMap<String, Shards>) -> Value {
    let each = namespaces.into_iter().map(|(namespace, Shards { endpoints, accounts })| {
        let accounts: Map<String, Value> = accounts.into_iter().map(|account| (account, json!({}))).collect();
        (namespace, json!({ "Shards": endpoints, "ServiceAccounts": accounts }))
    });
    Value::Object(each.collect())
}

/// By proxy the service ports that its workload serves.
pub(super) fn instancesz(asked: &Asked<'_>) -> Said {
    let Some(view) = &asked.view else { return unread() };
    let db = view.mesh.db();
    let each = asked.proxies().into_iter().filter_map(|connected| {
        let facet = db.row::<Facets>(&connected.status.connection)?;
        let served = facet.inbound.served.iter().map(|served| {
            let named = json!({ "hostname": served.service.host.to_string(), "Attributes": { "Namespace": served.service.namespace } });
            let port = json!({ "port": served.port, "protocol": protocol(served.protocol), "TargetPort": served.target });
            json!({ "Service": named, "Port": port })
        });
        Some((connected.name().to_owned(), Value::Array(served.collect())))
    });
    Value::Object(each.collect()).into()
}

/// What the proxy `?proxyID=` may call.
pub(super) fn sidecarz(asked: &Asked<'_>) -> Said {
    let (connected, view) = match asked.proxy() {
        Ok(found) => found,
        Err(said) => return said,
    };
    let facet = view.mesh.db().row::<Facets>(&connected.status.connection);
    facet.map_or_else(unread, |facet| scope(view, &facet).into())
}

fn scope(view: &View, facet: &Facet) -> Value {
    let Some(catalog) = view.mesh.db().row::<Catalogs>(&facet.scope) else { return json!({}) };
    let named = |at: &usize| catalog.services[*at].host.to_string();
    let services: Vec<String> = catalog.services.iter().map(|entry| entry.host.to_string()).collect();
    let listeners: Vec<Vec<String>> =
        catalog.egress.iter().map(|egress| egress.services.iter().map(named).collect()).collect();
    let id = |id: &model::Id| format!("{}/{}", id.namespace, id.name);
    let rules: BTreeMap<String, Vec<String>> = catalog
        .services
        .iter()
        .filter(|entry| !entry.resolved.rules.is_empty())
        .map(|entry| (entry.host.to_string(), entry.resolved.rules.iter().map(id).collect()))
        .collect();
    let unknown = match catalog.unknown {
        Unknown::PassThrough => "ALLOW_ANY",
        Unknown::Block | Unknown::Proxy(_) => "REGISTRY_ONLY",
    };
    json!({
        "name": facet.scope.sidecar.as_ref().map(|sidecar| sidecar.name.to_string()),
        "namespace": facet.scope.namespace,
        "outboundTrafficPolicy": { "mode": unknown },
        "services": services,
        "egressListenerServices": listeners,
        "virtualServices": catalog.rules.iter().map(|rule| id(&rule.id)).collect::<Vec<_>>(),
        "destinationRules": rules,
    })
}

/// A fork of the mesh in which all services are there, not those alone that some proxy may call.
fn with_all(view: &View) -> Mesh {
    let mut mesh = view.mesh.clone();
    let mut ids = BTreeSet::new();
    for (id, row) in mesh.db().inputs::<Objects<api::Service>>() {
        let host = Hostname::of_service(&id.name, &id.namespace, &row.domain);
        ids.insert(ServiceId { namespace: id.namespace.clone(), host });
    }
    for (id, row) in mesh.db().inputs::<Objects<api::ServiceEntry>>() {
        let hosts = row.spec.hosts.iter().map(|host| Hostname::new(host));
        ids.extend(hosts.map(|host| ServiceId { namespace: id.namespace.clone(), host }));
    }
    let mut edit = Edit::default();
    ids.into_iter().for_each(|id| edit.txn().demand::<Services>(id));
    mesh.commit(edit, &Inline);
    mesh
}

/// Who told of it.
fn registry(service: &Service) -> &'static str {
    if service.kubernetes { "Kubernetes" } else { "External" }
}

fn service(mesh: &Mesh, of: &Service) -> Value {
    let ports = of
        .ports
        .iter()
        .map(|port| json!({ "name": port.name, "port": port.number, "protocol": protocol(port.protocol) }));
    let attributes = json!({
        "ServiceRegistry": registry(of), "Name": of.name, "Namespace": of.id.namespace, "Labels": of.labels,
        "LabelSelectors": of.selector.as_ref().map(|selector| &selector.0),
    });
    json!({
        "Attributes": attributes,
        "ports": ports.collect::<Vec<_>>(),
        "hostname": of.id.host.to_string(),
        "clusterVIPs": { "Addresses": { mesh.base().cluster.as_str(): of.addresses } },
        "defaultAddress": of.addresses.first(),
        "Resolution": resolution(of),
        "MeshExternal": of.external,
    })
}

/// The numbers of `istio: pilot/pkg/model/service.go Resolution`.
fn resolution(of: &Service) -> u8 {
    match of.resolution {
        Resolution::Static if of.headless => 2,
        Resolution::Static => 0,
        Resolution::Dns => 1,
        Resolution::Passthrough => 2,
        Resolution::DnsRoundRobin => 3,
        Resolution::Alias => 4,
        Resolution::DynamicDns => 5,
    }
}

fn endpoint(port: &ServicePort, one: &Endpoint) -> Value {
    let (host, domain) = one.dns.split_once('.').unwrap_or((&one.dns, ""));
    let place = &one.locality;
    let place = [&place.region, &place.zone, &place.subzone];
    let label = place.iter().map(|part| part.as_str()).collect::<Vec<_>>().join("/");
    json!({
        "Labels": one.labels, "Addresses": [one.address], "ServicePortName": port.name,
        "ServiceAccount": one.workload.service_account, "Network": one.network,
        "Locality": { "Label": label.trim_end_matches('/'), "ClusterID": one.cluster },
        "EndpointPort": one.port, "LbWeight": one.weight, "TLSMode": if one.mtls { "istio" } else { "disabled" },
        "Namespace": one.workload.namespace, "WorkloadName": one.workload.name, "HostName": host, "SubDomain": domain,
        "HealthStatus": match one.health { Health::Ready => 1, Health::Unready => 2 },
        "NodeName": one.node,
    })
}

/// As Istio writes it (`istio: pkg/config/protocol/instance.go`).
fn protocol(of: Protocol) -> &'static str {
    match of {
        Protocol::Http => "HTTP",
        Protocol::Http2 => "HTTP2",
        Protocol::Grpc => "GRPC",
        Protocol::GrpcWeb => "GRPC-Web",
        Protocol::HttpProxy => "HTTP_PROXY",
        Protocol::Https => "HTTPS",
        Protocol::Tls => "TLS",
        Protocol::Tcp => "TCP",
        Protocol::Mongo => "Mongo",
        Protocol::Redis => "Redis",
        Protocol::MySql => "MySQL",
        Protocol::Udp => "UDP",
        Protocol::Auto => "UnsupportedProtocol",
    }
}
