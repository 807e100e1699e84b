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
    /// The host it is for, or a wildcard; short names belong to its own namespace.
    #[schemars(transform = required)]
    pub host: Name,
    /// How to talk to the host as a whole.
    pub traffic_policy: Option<TrafficPolicy>,
    /// Named sets of the endpoints of the host.
    pub subsets: Vec<Subset>,
    /// Namespaces that see it: names, . for its own, * for all.
    pub export_to: Vec<Name>,
    /// The clients it is for; all without.
    pub workload_selector: Option<MatchSelector>,
}

/// A named set of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Subset {
    /// Its name, by which routes refer to it.
    #[schemars(transform = required)]
    pub name: Name,
    /// Labels of its endpoints; empty for all.
    pub labels: Labels,
    /// How to talk to these endpoints; it overrides the policy of the host block by block.
    pub traffic_policy: Option<TrafficPolicy>,
}

/// Which workloads, by labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadSelector {
    /// Workloads that have all of these labels.
    #[schemars(extend("maxProperties" = 256), transform = Each(AtMost(63)), transform = Each(no_wildcard()))]
    pub labels: Labels,
}

/// How to talk to a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficPolicy {
    /// How an endpoint is chosen.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits and timeouts of connections and requests.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// When a failing endpoint is ejected.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS towards the host.
    pub tls: Option<ClientTlsSettings>,
    /// Settings of single ports; nothing of the blocks above is inherited there.
    #[schemars(length(max = 4096))]
    pub port_level_settings: Vec<PortTrafficPolicy>,
    /// TCP is tunnelled in HTTP to the host.
    pub tunnel: Option<TunnelSettings>,
    /// A PROXY header is sent to the host.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Limit of concurrent retries.
    pub retry_budget: Option<RetryBudget>,
}

/// The policy of one port; nothing is inherited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PortTrafficPolicy {
    /// The port these are for.
    pub port: Option<PortSelector>,
    /// How an endpoint is chosen.
    pub load_balancer: Option<LoadBalancerSettings>,
    /// Limits and timeouts of connections and requests.
    pub connection_pool: Option<ConnectionPoolSettings>,
    /// When a failing endpoint is ejected.
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS towards the port.
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
    /// Version of the header; V1 when unset.
    pub version: Option<ProxyProtocolVersion>,
}

/// Limit of concurrent retries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryBudget {
    /// Share of active requests that may be retries; 20 when unset.
    #[schemars(range(min = 0, max = 100), transform = nullable)]
    pub percent: Option<f64>,
    /// So many retries are always allowed; 3 when unset.
    pub min_retry_concurrency: u32,
    /// Over which time requests are counted.
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
    /// By hash of something in the request.
    pub consistent_hash: Option<ConsistentHashLb>,
    /// Whether and how near endpoints are preferred.
    pub locality_lb_setting: Option<LocalityLbSetting>,
    /// Zone aware routing by the proxy.
    pub zone_aware_lb_setting: Option<ZoneAwareLbSetting>,
    /// Deprecated: use warmup.
    pub warmup_duration_secs: Option<Duration>,
    /// New endpoints get their share slowly.
    pub warmup: Option<WarmupConfiguration>,
    /// By load that endpoints report.
    pub backend_utilization: Option<BackendUtilization>,
}

/// Weighted round robin by load reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendUtilization {
    /// How much errors count as load.
    pub error_utilization_penalty_percent: Option<u32>,
    /// Which reported metrics count.
    pub metric_names_for_computing_utilization: Vec<Name>,
    /// When the weight of an endpoint that reports nothing is forgotten.
    #[schemars(with = "Option<String>")]
    pub weight_expiration_period: Option<Duration>,
    /// How long an endpoint reports before its weight counts.
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
    /// The header that is hashed.
    pub http_header_name: Option<Name>,
    /// The cookie that is hashed.
    pub http_cookie: Option<HttpCookie>,
    /// The address of the client is hashed.
    pub use_source_ip: Option<bool>,
    /// The query parameter that is hashed.
    pub http_query_parameter_name: Option<Name>,
    /// Endpoints stand on a ring of hashes.
    pub ring_hash: Option<RingHash>,
    /// Endpoints stand in a Maglev table.
    pub maglev: Option<MagLev>,
    /// Deprecated: use ringHash.minimumRingSize.
    pub minimum_ring_size: Option<u64>,
}

/// Ring of hashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RingHash {
    /// The ring has at least so many entries.
    pub minimum_ring_size: Option<u64>,
}

/// Maglev table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MagLev {
    /// Size of the table, a prime below 5000011.
    pub table_size: Option<u64>,
}

/// A cookie that is made when missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpCookie {
    /// Name of the cookie.
    #[schemars(transform = required)]
    pub name: Name,
    /// Path of the cookie.
    pub path: Name,
    /// Lifetime of a cookie that is made where none is; none is made when unset.
    #[schemars(with = "Option<String>")]
    pub ttl: Option<Duration>,
    /// Further attributes of a cookie that is made.
    pub attributes: Vec<CookieAttribute>,
}

/// An attribute of a cookie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CookieAttribute {
    /// Name of the attribute.
    #[schemars(transform = required)]
    pub name: Name,
    /// Value of the attribute.
    pub value: Name,
}

/// Slow start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmupConfiguration {
    /// How long an endpoint is new.
    #[schemars(transform = required)]
    pub duration: Option<Duration>,
    /// Share of its weight that it begins with; 10 when unset.
    #[schemars(range(min = 0, max = 100), transform = nullable)]
    pub minimum_percent: Option<f64>,
    /// How its share grows; 1, evenly, when unset.
    #[schemars(range(min = 0), transform = nullable)]
    pub aggression: Option<f64>,
}

/// Preferring near endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LocalityLbSetting {
    /// Shares of traffic by where it comes from.
    pub distribute: Vec<Distribute>,
    /// Which region takes over from which.
    pub failover: Vec<Failover>,
    /// Labels by which endpoints are near, the most important first.
    pub failover_priority: Vec<Name>,
    /// Whether at all; the mesh decides when unset.
    #[schemars(transform = nullable)]
    pub enabled: Option<bool>,
}

/// Shares of the traffic from a locality.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Distribute {
    /// Where the traffic comes from: region/zone/subzone, with * at the end.
    pub from: Name,
    /// Shares of localities, which sum to 100.
    pub to: BTreeMap<Name, u32>,
}

/// Which region takes over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Failover {
    /// The region that fails.
    pub from: Name,
    /// The region that takes over.
    pub to: Name,
}

/// Zone aware routing by the proxy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ZoneAwareLbSetting {
    /// Whether at all.
    #[schemars(transform = nullable)]
    pub enabled: Option<bool>,
    /// Which region takes over from which.
    pub failover: Vec<Failover>,
    /// Labels by which endpoints are near, the most important first.
    pub failover_priority: Vec<Name>,
    /// With fewer endpoints it is off.
    #[schemars(range(min = 1, max = 4_294_967_295_u32), transform = nullable)]
    pub min_cluster_size: Option<u64>,
}

/// Limits and timeouts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionPoolSettings {
    /// Limits of connections.
    pub tcp: Option<TcpSettings>,
    /// Limits of requests.
    pub http: Option<HttpSettings>,
}

/// Limits of connections. Zero means unset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpSettings {
    /// Most connections to all endpoints together.
    pub max_connections: i32,
    /// How long connecting may take.
    pub connect_timeout: Option<Duration>,
    /// Probes of idle connections.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// A connection is closed after this time.
    pub max_connection_duration: Option<Duration>,
    /// A connection without traffic is closed after this time; 0s never.
    #[schemars(with = "Option<String>")]
    pub idle_timeout: Option<Duration>,
}

/// Probes of idle connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpKeepalive {
    /// So many probes without answer, and the connection is dead.
    pub probes: u32,
    /// How long a connection is idle before the first probe.
    pub time: Option<Duration>,
    /// Time between two probes.
    pub interval: Option<Duration>,
}

/// Limits of requests. Zero means unset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSettings {
    /// Most requests that wait for a connection.
    pub http1_max_pending_requests: i32,
    /// Most active requests, of HTTP/1 too.
    pub http2_max_requests: i32,
    /// Most requests on a connection; 1 switches keep-alive off.
    pub max_requests_per_connection: i32,
    /// Most active retries.
    pub max_retries: i32,
    /// A connection without requests is closed after this time.
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1 becomes HTTP/2.
    #[serde(rename = "h2UpgradePolicy")]
    pub h2_upgrade_policy: Option<H2UpgradePolicy>,
    /// Whether the protocol is the one that the client speaks.
    pub use_client_protocol: bool,
    /// Most streams on a connection of HTTP/2.
    pub max_concurrent_streams: i32,
    /// Pings on connections of HTTP/2.
    #[serde(rename = "http2KeepAlive")]
    pub http2_keep_alive: Option<ConnectionKeepalive>,
}

/// HTTP/2 pings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectionKeepalive {
    /// Time between two pings.
    pub interval: Option<Duration>,
    /// How long an answer may take.
    pub timeout: Option<Duration>,
}

/// Ejecting failing endpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OutlierDetection {
    /// Deprecated and without effect.
    pub consecutive_errors: i32,
    /// Whether failures to connect are counted apart from bad answers.
    pub split_external_local_origin_errors: bool,
    /// So many failures to connect eject an endpoint.
    #[schemars(transform = nullable)]
    pub consecutive_local_origin_failures: Option<u32>,
    /// So many answers 502, 503 and 504 eject an endpoint; 0 switches it off.
    #[schemars(transform = nullable)]
    pub consecutive_gateway_errors: Option<u32>,
    /// So many answers 5xx eject an endpoint; 0 switches it off.
    #[serde(rename = "consecutive5xxErrors")]
    #[schemars(transform = nullable)]
    pub consecutive5xx_errors: Option<u32>,
    /// Time between two looks at the endpoints.
    pub interval: Option<Duration>,
    /// How long an endpoint is out, times the number of its ejections.
    pub base_ejection_time: Option<Duration>,
    /// Largest share of endpoints that may be out.
    pub max_ejection_percent: i32,
    /// With a smaller share of healthy endpoints, ejections do not count.
    pub min_health_percent: i32,
    /// Statuses of answers that count as errors.
    #[schemars(inner(range(min = 100, max = 599)))]
    pub outlier_detection_http_error_codes: Vec<u32>,
}

/// Originating TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientTlsSettings {
    /// Whether and how.
    pub mode: Option<ClientTlsMode>,
    /// File of the own certificate, for MUTUAL.
    pub client_certificate: Name,
    /// File of the own key, for MUTUAL.
    pub private_key: Name,
    /// File of certificates that the server is trusted by; system for those of the system.
    pub ca_certificates: Name,
    /// Secret with certificates, for gateways.
    pub credential_name: Name,
    /// Names that the certificate of the server may have.
    pub subject_alt_names: Vec<Name>,
    /// Server name that is sent.
    pub sni: Name,
    /// Whether the certificate of the server is not looked at.
    #[schemars(transform = nullable)]
    pub insecure_skip_verify: Option<bool>,
    /// File of revoked certificates.
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
