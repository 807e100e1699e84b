//! DestinationRule as users write it: one struct for each message, all fields.

use std::collections::BTreeMap;

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalars::{Duration, PortSelector, keywords};
use crate::schema::{AtMost, AtMostOne, Each, no_wildcard, nullable, required};
use crate::selectors::MatchSelector;

/// Policies for the traffic to a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationRule {
    /// The host, or a wildcard.
    #[schemars(transform = required)]
    pub host: Name,
    /// For the host as a whole.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named sets of endpoints.
    pub subsets: Vec<Subset>,
    /// Namespaces that see it.
    pub export_to: Vec<Name>,
    /// The clients it is for.
    pub workload_selector: Option<MatchSelector>,
}

/// A named set of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Subset {
    /// Part of the cluster name.
    #[schemars(transform = required)]
    pub name: Name,
    /// Which endpoints; empty for all.
    pub labels: Labels,
    /// Overrides block by block.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// Which workloads, by labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSelector {
    /// All of these.
    #[schemars(extend("maxProperties" = 256), transform = Each(AtMost(63)), transform = Each(no_wildcard()))]
    pub labels: Labels,
}

/// How to talk to a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficPolicy {
    /// Choosing endpoints.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits and timeouts.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Ejecting failing endpoints.
    pub outlier_detection: Option<OutlierDetection>,
    /// Originating TLS.
    pub tls: Option<ClientTlsSettings>,
    /// Replaces the blocks above for a port.
    #[schemars(length(max = 4096))]
    pub port_level_settings: Vec<PortTrafficPolicy>,
    /// TCP inside HTTP.
    pub tunnel: Option<TunnelSettings>,
    /// PROXY header towards the upstream.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Limit of concurrent retries.
    pub retry_budget: Option<RetryBudget>,
}

/// The policy of one port; nothing is inherited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PortTrafficPolicy {
    /// Which port.
    pub port: Option<PortSelector>,
    /// Choosing endpoints.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits and timeouts.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// Ejecting failing endpoints.
    pub outlier_detection: Option<OutlierDetection>,
    /// Originating TLS.
    pub tls: Option<ClientTlsSettings>,
}

/// TCP inside HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TunnelSettings {
    /// `CONNECT` or `POST`.
    pub protocol: Name,
    /// Host that the tunnel leads to.
    #[schemars(transform = required)]
    pub target_host: Name,
    /// Port that the tunnel leads to.
    #[schemars(transform = required)]
    pub target_port: u32,
}

/// PROXY header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyProtocol {
    /// V1 or V2.
    pub version: Option<ProxyProtocolVersion>,
}

/// Limit of concurrent retries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryBudget {
    /// Of active requests; 20 when unset.
    #[schemars(range(min = 0, max = 100), transform = nullable)]
    pub percent: Option<f64>,
    /// Always allowed; 3 when unset.
    pub min_retry_concurrency: u32,
    /// Window.
    #[schemars(with = "Option<String>")]
    pub budget_interval: Option<Duration>,
}

/// Choosing endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("simple | consistentHash | backendUtilization"))]
pub struct LoadBalancerSettings {
    /// An algorithm without settings.
    pub simple: Option<SimpleLb>,
    /// By hash of the request.
    pub consistent_hash: Option<ConsistentHashLb>,
    /// Preferring near endpoints.
    pub locality_lb_setting: Option<LocalityLbSetting>,
    /// Zone aware routing by the proxy.
    pub zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    /// Deprecated slow start.
    pub warmup_duration_secs: Option<Duration>,
    /// Slow start.
    pub warmup: Option<WarmupConfiguration>,
    /// By load reports of the endpoints.
    pub backend_utilization: Option<BackendUtilization>,
}

/// Weighted round robin by load reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendUtilization {
    /// Weight of errors.
    pub error_utilization_penalty_percent: Option<u32>,
    /// Which reported metrics count.
    pub metric_names_for_computing_utilization: Vec<Name>,
    /// When weights are forgotten.
    #[schemars(with = "Option<String>")]
    pub weight_expiration_period: Option<Duration>,
    /// When weights begin to count.
    #[schemars(with = "Option<String>")]
    pub weight_stabilization_period: Option<Duration>,
    /// How often weights are computed.
    #[schemars(with = "Option<String>")]
    pub weight_update_period: Option<Duration>,
}

/// By hash of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("httpHeaderName | httpCookie | useSourceIp | httpQueryParameterName"))]
#[schemars(transform = AtMostOne("ringHash | maglev"))]
pub struct ConsistentHashLb {
    /// Of a header.
    pub http_header_name: Option<Name>,
    /// Of a cookie.
    pub http_cookie: Option<HttpCookie>,
    /// Of the client's address.
    pub use_source_ip: Option<bool>,
    /// Of a query parameter.
    pub http_query_parameter_name: Option<Name>,
    /// Ring.
    pub ring_hash: Option<RingHash>,
    /// Maglev table.
    pub maglev: Option<MagLev>,
    /// Deprecated ring size.
    pub minimum_ring_size: Option<u64>,
}

/// Ring of hashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RingHash {
    /// At least so many entries.
    pub minimum_ring_size: Option<u64>,
}

/// Maglev table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MagLev {
    /// A prime.
    pub table_size: Option<u64>,
}

/// A cookie that is made when missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpCookie {
    /// Its name.
    #[schemars(transform = required)]
    pub name: Name,
    /// Its path.
    pub path: Name,
    /// Its lifetime; none is made when unset.
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Duration>,
    /// Further attributes.
    pub attributes: Vec<CookieAttribute>,
}

/// An attribute of a cookie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieAttribute {
    /// Its name.
    #[schemars(transform = required)]
    pub name: Name,
    /// Its value.
    pub value: Name,
}

/// Slow start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmupConfiguration {
    /// Window.
    #[schemars(transform = required)]
    pub duration: Option<Duration>,
    /// Weight at the start; 10 when unset.
    #[schemars(range(min = 0, max = 100), transform = nullable)]
    pub minimum_percent: Option<f64>,
    /// Curve; 1 when unset.
    #[schemars(range(min = 0), transform = nullable)]
    pub aggression: Option<f64>,
}

/// Preferring near endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalityLbSetting {
    /// Shares by locality.
    pub distribute: Vec<Distribute>,
    /// Which region next.
    pub failover: Vec<Failover>,
    /// Labels in order of importance.
    pub failover_priority: Vec<Name>,
    /// The mesh decides when unset.
    #[schemars(transform = nullable)]
    pub enabled: Option<bool>,
}

/// Shares of the traffic from a locality.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Distribute {
    /// `region/zone/subzone`, with `*`.
    pub from: Name,
    /// Shares that sum to 100.
    pub to: BTreeMap<Name, u32>,
}

/// Which region takes over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failover {
    /// Region.
    pub from: Name,
    /// Region.
    pub to: Name,
}

/// Zone aware routing by the proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneAwareLbSetting {
    /// On or off.
    #[schemars(transform = nullable)]
    pub enabled: Option<bool>,
    /// Which region next.
    pub failover: Vec<Failover>,
    /// Labels in order of importance.
    pub failover_priority: Vec<Name>,
    /// Below it, off.
    #[schemars(range(min = 1, max = 4_294_967_295_u32), transform = nullable)]
    pub min_cluster_size: Option<u64>,
}

/// Limits and timeouts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionPoolSettings {
    /// Of connections.
    pub tcp: Option<TcpSettings>,
    /// Of requests.
    pub http: Option<HttpSettings>,
}

/// Limits of connections. Zero means unset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpSettings {
    /// To all endpoints together.
    pub max_connections: i32,
    /// Of the connection.
    pub connect_timeout: Option<Duration>,
    /// Probes.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// Then it is closed.
    pub max_connection_duration: Option<Duration>,
    /// Then it is closed; 0s never.
    #[schemars(with = "Option<String>")]
    pub idle_timeout: Option<Duration>,
}

/// Probes of idle connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpKeepalive {
    /// How many.
    pub probes: u32,
    /// After how long.
    pub time: Option<Duration>,
    /// How often.
    pub interval: Option<Duration>,
}

/// Limits of requests. Zero means unset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSettings {
    /// Waiting for a connection.
    pub http1_max_pending_requests: i32,
    /// Active, HTTP/1 too.
    pub http2_max_requests: i32,
    /// 1 disables keep-alive.
    pub max_requests_per_connection: i32,
    /// Active.
    pub max_retries: i32,
    /// Of connections.
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1 becomes HTTP/2.
    #[serde(rename = "h2UpgradePolicy")]
    pub h2_upgrade_policy: Option<H2UpgradePolicy>,
    /// Speak what the client speaks.
    pub use_client_protocol: bool,
    /// Per HTTP/2 connection.
    pub max_concurrent_streams: i32,
    /// HTTP/2 pings.
    #[serde(rename = "http2KeepAlive")]
    pub http2_keep_alive: Option<ConnectionKeepalive>,
}

/// HTTP/2 pings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionKeepalive {
    /// How often.
    pub interval: Option<Duration>,
    /// How long to wait.
    pub timeout: Option<Duration>,
}

/// Ejecting failing endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OutlierDetection {
    /// Deprecated, without effect.
    pub consecutive_errors: i32,
    /// Count connection failures apart.
    pub split_external_local_origin_errors: bool,
    /// Connection failures until ejection.
    #[schemars(transform = nullable)]
    pub consecutive_local_origin_failures: Option<u32>,
    /// 502, 503, 504 until ejection; 0 switches off.
    #[schemars(transform = nullable)]
    pub consecutive_gateway_errors: Option<u32>,
    /// 5xx until ejection; 0 switches off.
    #[serde(rename = "consecutive5xxErrors")]
    #[schemars(transform = nullable)]
    pub consecutive5xx_errors: Option<u32>,
    /// Between sweeps.
    pub interval: Option<Duration>,
    /// Times the number of ejections.
    pub base_ejection_time: Option<Duration>,
    /// Of the endpoints.
    pub max_ejection_percent: i32,
    /// Below it, ejections do not count.
    pub min_health_percent: i32,
    /// Which statuses are errors.
    #[schemars(inner(range(min = 100, max = 599)))]
    pub outlier_detection_http_error_codes: Vec<u32>,
}

/// Originating TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTlsSettings {
    /// Which kind.
    pub mode: Option<ClientTlsMode>,
    /// File.
    pub client_certificate: Name,
    /// File.
    pub private_key: Name,
    /// File, or `system`.
    pub ca_certificates: Name,
    /// Secret.
    pub credential_name: Name,
    /// Names that the server may have.
    pub subject_alt_names: Vec<Name>,
    /// Server name to send.
    pub sni: Name,
    /// Accept anybody.
    #[schemars(transform = nullable)]
    pub insecure_skip_verify: Option<bool>,
    /// File.
    pub ca_crl: Name,
}

keywords! {
    /// Version of the PROXY header.
    pub enum ProxyProtocolVersion { V1 = "V1", V2 = "V2" }
}

keywords! {
    /// Algorithms without settings.
    pub enum SimpleLb { Unspecified = "UNSPECIFIED", LeastConn = "LEAST_CONN", Random = "RANDOM", Passthrough = "PASSTHROUGH", RoundRobin = "ROUND_ROBIN", LeastRequest = "LEAST_REQUEST" }
}

keywords! {
    /// Whether HTTP/1 becomes HTTP/2.
    pub enum H2UpgradePolicy { Default = "DEFAULT", DoNotUpgrade = "DO_NOT_UPGRADE", Upgrade = "UPGRADE" }
}

keywords! {
    /// How TLS is originated.
    pub enum ClientTlsMode { Disable = "DISABLE", Simple = "SIMPLE", Mutual = "MUTUAL", IstioMutual = "ISTIO_MUTUAL" }
}
