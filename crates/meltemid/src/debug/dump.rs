//! What one proxy is to have, in the form in which Envoy shows what it has (`envoy.admin.v3.ConfigDump`), so that the two can be compared:
//! of each type what the proxy asked for, keys redacted. Source: istio: pilot/pkg/xds/debug.go connectionConfigDump.

use axum::http::StatusCode;
use graph::Db;
use prost::Message;
use prost_types::Any;
use proto::Encoded;
use proto::envoy::admin::v3 as admin;
use proto::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use serde_json::{Value, json};
use translate::proxies::{Configs, Type};
use translate::resources::Resources;
use translate::views::Views;
use xds::ResourceType;

use super::asked::{Asked, Connected, Said};
use crate::control::View;
use crate::publish;

const ADMIN: &str = "type.googleapis.com/envoy.admin.v3.";

/// A resource that may be shown.
struct Shown {
    name: String,
    version: String,
    any: Any,
}

/// What a proxy is to have.
pub(super) struct Dump {
    clusters: Vec<Shown>,
    /// Where they were asked for: Envoy leaves them out by itself.
    endpoints: Option<Vec<Shown>>,
    listeners: Vec<Shown>,
    routes: Vec<Shown>,
    secrets: Vec<Shown>,
    extensions: Vec<Shown>,
}

/// `?proxyID=`, with `include_eds` also the endpoints; with `types=` the resources of these types alone.
pub(super) fn config_dump(asked: &Asked<'_>) -> Said {
    match asked.args.get("types").filter(|types| !types.is_empty()) {
        Some(types) => of_types(asked, types),
        None => {
            let dump = |(connected, view): (Connected, &View)| {
                Dump::of(view, &connected, asked.args.contains_key("include_eds")).json()
            };
            asked.proxy().map(dump).into()
        }
    }
}

pub(super) fn ecdsz(asked: &Asked<'_>) -> Said {
    of_types(asked, "ecds")
}

pub(super) fn edsz(asked: &Asked<'_>) -> Said {
    of_types(asked, "eds")
}

pub(super) fn ndsz(asked: &Asked<'_>) -> Said {
    of_types(asked, "nds")
}

/// The resources of types, given by their short names, without the frame around them.
fn of_types(asked: &Asked<'_>, types: &str) -> Said {
    let mut kinds = Vec::new();
    for short in types.split(',') {
        let Some(kind) = ResourceType::ALL.into_iter().find(|kind| kind.short().eq_ignore_ascii_case(short)) else {
            let known = ResourceType::ALL.map(ResourceType::short).join(", ");
            return Said::text(StatusCode::BAD_REQUEST, format!("no type is called {short:?}; there are {known}\n"));
        };
        kinds.push(kind);
    }
    let dump = |(connected, view): (Connected, &View)| {
        let configs: Vec<Value> =
            kinds.iter().flat_map(|kind| watched(view, &connected, *kind)).map(|shown| typed(&shown.any)).collect();
        json!({ "configs": configs })
    };
    asked.proxy().map(dump).into()
}

impl Dump {
    pub(super) fn of(view: &View, connected: &Connected, endpoints: bool) -> Self {
        let of = |kind| watched(view, connected, kind);
        Self {
            clusters: of(ResourceType::Cds),
            endpoints: endpoints.then(|| of(ResourceType::Eds)),
            listeners: of(ResourceType::Lds),
            routes: of(ResourceType::Rds),
            secrets: of(ResourceType::Sds),
            extensions: of(ResourceType::Ecds),
        }
    }

    /// As JSON. Each resource is written for itself: one that cannot be read must not hide the others.
    fn json(&self) -> Value {
        let section =
            |name: &str, list: &str, entries: Vec<Value>| json!({ "@type": format!("{ADMIN}{name}"), list: entries });
        let empty = |name: &str| json!({ "@type": format!("{ADMIN}{name}") });
        let each = |all: &[Shown], field: &str| -> Vec<Value> {
            all.iter().map(|shown| json!({ "versionInfo": shown.version, field: typed(&shown.any) })).collect()
        };
        let listeners = self.listeners.iter().map(|shown| {
            json!({ "name": shown.name, "activeState": { "versionInfo": shown.version, "listener": typed(&shown.any) } })
        });
        let secrets = self
            .secrets
            .iter()
            .map(|shown| json!({ "name": shown.name, "versionInfo": shown.version, "secret": typed(&shown.any) }));
        let mut configs = vec![
            empty("BootstrapConfigDump"),
            section("ClustersConfigDump", "dynamicActiveClusters", each(&self.clusters, "cluster")),
        ];
        if let Some(endpoints) = &self.endpoints {
            configs.push(section("EndpointsConfigDump", "dynamicEndpointConfigs", each(endpoints, "endpointConfig")));
        }
        configs.extend([
            section("ListenersConfigDump", "dynamicListeners", listeners.collect()),
            empty("ScopedRoutesConfigDump"),
            section("RoutesConfigDump", "dynamicRouteConfigs", each(&self.routes, "routeConfig")),
            section("SecretsConfigDump", "dynamicActiveSecrets", secrets.collect()),
            section("EcdsConfigDump", "ecdsFilters", each(&self.extensions, "ecdsFilter")),
        ]);
        json!({ "configs": configs })
    }

    /// The same as messages, which istioctl compares with what a proxy has.
    pub(super) fn messages(self) -> Vec<Any> {
        use admin::{clusters_config_dump as clusters, ecds_config_dump as ecds, endpoints_config_dump as endpoints};
        use admin::{listeners_config_dump as listeners, routes_config_dump as routes, secrets_config_dump as secrets};
        let mut messages = vec![proto::any(&admin::BootstrapConfigDump::default())];
        let each = self.clusters.into_iter().map(|Shown { version: version_info, any, .. }| clusters::DynamicCluster {
            version_info,
            cluster: Some(any),
            ..Default::default()
        });
        let dump = admin::ClustersConfigDump { dynamic_active_clusters: each.collect(), ..Default::default() };
        messages.push(proto::any(&dump));
        if let Some(all) = self.endpoints {
            let each = all.into_iter().map(|Shown { version: version_info, any, .. }| {
                endpoints::DynamicEndpointConfig { version_info, endpoint_config: Some(any), ..Default::default() }
            });
            let dump = admin::EndpointsConfigDump { dynamic_endpoint_configs: each.collect(), ..Default::default() };
            messages.push(proto::any(&dump));
        }
        let each = self.listeners.into_iter().map(|Shown { name, version: version_info, any }| {
            let state = listeners::DynamicListenerState { version_info, listener: Some(any), ..Default::default() };
            listeners::DynamicListener { name, active_state: Some(state), ..Default::default() }
        });
        let dump = admin::ListenersConfigDump { dynamic_listeners: each.collect(), ..Default::default() };
        messages.extend([proto::any(&dump), proto::any(&admin::ScopedRoutesConfigDump::default())]);
        let each = self.routes.into_iter().map(|Shown { version: version_info, any, .. }| routes::DynamicRouteConfig {
            version_info,
            route_config: Some(any),
            ..Default::default()
        });
        let dump = admin::RoutesConfigDump { dynamic_route_configs: each.collect(), ..Default::default() };
        messages.push(proto::any(&dump));
        let each = self.secrets.into_iter().map(|Shown { name, version: version_info, any }| secrets::DynamicSecret {
            name,
            version_info,
            secret: Some(any),
            ..Default::default()
        });
        let dump = admin::SecretsConfigDump { dynamic_active_secrets: each.collect(), ..Default::default() };
        messages.push(proto::any(&dump));
        let each = self.extensions.into_iter().map(|Shown { version: version_info, any, .. }| ecds::EcdsFilterConfig {
            version_info,
            ecds_filter: Some(any),
            ..Default::default()
        });
        messages.push(proto::any(&admin::EcdsConfigDump { ecds_filters: each.collect() }));
        messages
    }
}

/// A message with its type, as JSON.
fn typed(any: &Any) -> Value {
    let mut value = proto::to_json(any);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("@type".to_owned(), any.type_url.clone().into());
    }
    value
}

/// What a proxy is to have of a type, as far as it asked for it. Route tables have all their hosts in them, however they travel: so
/// Envoy shows them.
fn watched(view: &View, connected: &Connected, kind: ResourceType) -> Vec<Shown> {
    let Some((status, _)) = connected.status.types.iter().find(|(status, _)| status.kind == kind) else {
        return Vec::new();
    };
    let db = view.mesh.db();
    let mut all = resources(db, connected.status.connection, kind);
    all.retain(|(name, _)| status.wildcard || status.names.contains(name.as_str()));
    let hosts = match kind {
        ResourceType::Rds => resources(db, connected.status.connection, ResourceType::Vhds),
        _ => Vec::new(),
    };
    let shown = all.into_iter().map(|(name, encoded)| {
        let any = proto::redacted(encoded.any());
        let any = if hosts.is_empty() { any } else { joined(any, &name, &hosts) };
        Shown { name, version: encoded.version().to_string(), any }
    });
    shown.collect()
}

/// The resources of a type with their names.
fn resources(db: &Db, proxy: u64, kind: ResourceType) -> Vec<(String, Encoded)> {
    let config = db.row::<Configs>(&proxy);
    let views = config.iter().flat_map(|config| config.views.iter()).filter(|(of, _)| publish::kind(*of) == kind);
    let views = views.flat_map(|(_, keys): &(Type, _)| keys).filter_map(|key| db.row::<Views>(key));
    let entries = views.flat_map(|view| view.entries.clone());
    entries.filter_map(|(name, key)| Some((name.to_string(), (*db.row::<Resources>(&key)?).clone()))).collect()
}

/// A route table with those of its hosts that travel alone.
fn joined(any: Any, name: &str, hosts: &[(String, Encoded)]) -> Any {
    let Ok(mut table) = RouteConfiguration::decode(any.value.as_slice()) else { return any };
    if table.vhds.is_none() {
        return any;
    }
    let own = hosts.iter().filter(|(host, _)| host.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')));
    let mut further: Vec<VirtualHost> =
        own.filter_map(|(_, encoded)| VirtualHost::decode(encoded.any().value.as_slice()).ok()).collect();
    // As Envoy orders them: those of the table, then the others.
    table.virtual_hosts.sort_by(|one, other| one.name.cmp(&other.name));
    further.sort_by(|one, other| one.name.cmp(&other.name));
    table.virtual_hosts.append(&mut further);
    proto::any(&table)
}
