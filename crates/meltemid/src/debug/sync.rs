//! What each proxy was sent and took: the fields that istioctl and Kiali read, and more exactly how far each type is.

use prost_types::value::Kind;
use prost_types::{Struct, Timestamp};
use proto::envoy::admin::v3::UpdateFailureState;
use proto::envoy::config::core::v3::Node;
use proto::envoy::service::status::v3::client_config::GenericXdsConfig;
use proto::envoy::service::status::v3::{ClientConfig, ConfigStatus};
use serde_json::{Map, Value, json};
use xds::{ResourceType, TypeStatus};

use super::asked::{Asked, Connected, Said};

/// Types that have fields of their own, and what these are called (`istio: pilot/pkg/xds/debug.go SyncStatus`).
const FIELDS: [(ResourceType, &str); 5] = [
    (ResourceType::Cds, "cluster"),
    (ResourceType::Lds, "listener"),
    (ResourceType::Rds, "route"),
    (ResourceType::Eds, "endpoint"),
    (ResourceType::Ecds, "extensionconfig"),
];

/// All proxies, or those of `?namespace=`.
pub(super) fn syncz(asked: &Asked<'_>) -> Said {
    let wanted = asked.args.get("namespace").filter(|wanted| !wanted.is_empty());
    let mut proxies = asked.proxies();
    proxies.retain(|connected| wanted.is_none_or(|wanted| wanted == connected.namespace()));
    Value::Array(proxies.iter().map(|connected| Value::Object(shown(connected))).collect()).into()
}

fn shown(connected: &Connected) -> Map<String, Value> {
    let status = &connected.status;
    let mut shown = Map::new();
    let (mut types, mut resources) = (Map::new(), Map::new());
    for (of, live) in &status.types {
        let rejected: Vec<&str> = of.rejected.iter().map(|name| name.as_str()).collect();
        let exact = json!({
            "sent": of.sent, "acked": of.acked, "live": live, "nonce": of.nonce,
            "rejected": rejected, "lastError": of.refusal,
        });
        types.insert(of.kind.short().to_owned(), exact);
        let (sent, acked) = nonces(of);
        if let Some((_, field)) = FIELDS.iter().find(|(kind, _)| *kind == of.kind) {
            shown.insert(format!("{field}_sent"), sent.clone().into());
            shown.insert(format!("{field}_acked"), acked.clone().into());
        }
        let mut summary = json!({ "sent": sent, "acked": acked, "lastError": of.refusal });
        if let Some(time) = time(connected, of) {
            summary["sentTime"] = time.to_string().into();
        }
        resources.insert(of.kind.url().to_owned(), summary);
    }
    let version = Some(&status.client.istio_version).filter(|version| !version.is_empty());
    for (field, value) in [
        ("proxy", Value::from(connected.name())),
        ("proxy_type", status.client.node.split('~').next().into()),
        ("cluster_id", connected.proxy.as_ref().map(|proxy| proxy.cluster.to_string()).into()),
        // Istio fills in the second alone, Kiali looks at both.
        ("proxy_version", version.cloned().into()),
        ("istio_version", version.cloned().into()),
        ("node", status.client.node.clone().into()),
        ("connection", status.connection.into()),
        ("revision", status.revision.into()),
        ("types", types.into()),
        ("resources", resources.into()),
    ] {
        shown.insert(field.to_owned(), value);
    }
    shown
}

/// The nonce that was sent last, and the same when it was taken: equal means in sync. Both are empty where nothing was sent.
fn nonces(of: &TypeStatus) -> (String, String) {
    let sent = if of.nonce == 0 { String::new() } else { of.nonce.to_string() };
    let acked = if of.acked >= of.sent { sent.clone() } else { String::new() };
    (sent, acked)
}

/// When the last response of a type went.
fn time(connected: &Connected, of: &TypeStatus) -> Option<Timestamp> {
    Some(Timestamp::from(connected.status.client.time(of.sent_at?)))
}

/// A proxy as `istioctl proxy-status` reads it (`istio: pilot/pkg/xds/statusgen.go debugSyncz`).
pub(super) fn client_config(connected: &Connected) -> ClientConfig {
    let text = |text: &str| prost_types::Value { kind: Some(Kind::StringValue(text.to_owned())) };
    let cluster = connected.proxy.as_ref().map(|proxy| proxy.cluster.to_string()).unwrap_or_default();
    let version = &connected.status.client.istio_version;
    let fields = [("CLUSTER_ID", &*cluster), ("NAMESPACE", connected.namespace()), ("ISTIO_VERSION", version)];
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    let fields = said.map(|(key, value)| ((*key).to_owned(), text(value))).collect();
    let node = Node { id: connected.name().to_owned(), metadata: Some(Struct { fields }), ..Node::default() };
    let mut configs: Vec<GenericXdsConfig> =
        connected.status.types.iter().map(|(of, _)| config(of, time(connected, of))).collect();
    configs.sort_by(|one, other| one.type_url.cmp(&other.type_url));
    ClientConfig { node: Some(node), generic_xds_configs: configs, ..ClientConfig::default() }
}

fn config(of: &TypeStatus, time: Option<Timestamp>) -> GenericXdsConfig {
    let (sent, acked) = nonces(of);
    let status = match &of.refusal {
        Some(_) => ConfigStatus::Error,
        None if sent.is_empty() => ConfigStatus::NotSent,
        None if sent == acked => ConfigStatus::Synced,
        None => ConfigStatus::Stale,
    };
    let failure = |why: &String| UpdateFailureState {
        last_update_attempt: time,
        details: why.clone(),
        ..UpdateFailureState::default()
    };
    GenericXdsConfig {
        type_url: of.kind.url().to_owned(),
        config_status: status as i32,
        last_updated: time,
        error_state: of.refusal.as_ref().map(failure),
        ..GenericXdsConfig::default()
    }
}
