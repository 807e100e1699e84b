//! VirtualService as users write it: one struct for each message, all fields.

use std::collections::BTreeMap;

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalars::{Duration, Percent, PortSelector, StringMatch, keywords};
use crate::schema::{Alias, AtMostOne, nullable, required};

/// Routing rules for hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct VirtualService {
    /// Hosts as clients call them; empty for a delegate.
    pub hosts: Vec<Name>,
    /// Gateways it is bound to, and `mesh` for sidecars; empty means `mesh`.
    pub gateways: Vec<Name>,
    /// Ordered rules for HTTP; the first match wins.
    pub http: Vec<HttpRoute>,
    /// Rules by SNI for TLS that is passed through.
    pub tls: Vec<TlsRoute>,
    /// Rules for opaque TCP.
    pub tcp: Vec<TcpRoute>,
    /// Namespaces that see it.
    pub export_to: Vec<Name>,
}

/// One ordered HTTP rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Alias("mirrorPercent", "mirror_percent"))]
pub struct HttpRoute {
    /// Shown in access logs.
    pub name: Name,
    /// Any of these; empty matches everything.
    pub r#match: Vec<HttpMatchRequest>,
    /// Weighted destinations.
    pub route: Vec<HttpRouteDestination>,
    /// Answer with a redirect.
    pub redirect: Option<HttpRedirect>,
    /// Answer at once.
    pub direct_response: Option<HttpDirectResponse>,
    /// Take the routes of another VirtualService.
    pub delegate: Option<Delegate>,
    /// Change path or authority.
    pub rewrite: Option<HttpRewrite>,
    /// Of the whole request; off by default.
    pub timeout: Option<Duration>,
    /// When and how often to try again.
    pub retries: Option<HttpRetry>,
    /// Delays and aborts.
    pub fault: Option<HttpFaultInjection>,
    /// Copy requests there.
    pub mirror: Option<Destination>,
    /// Copy requests to several.
    pub mirrors: Vec<HttpMirrorPolicy>,
    /// Deprecated share of `mirror`.
    #[serde(alias = "mirror_percent")]
    #[schemars(transform = nullable)]
    pub mirror_percent: Option<u32>,
    /// Share of `mirror`; all when unset.
    pub mirror_percentage: Option<Percent>,
    /// Cross-origin rules.
    pub cors_policy: Option<CorsPolicy>,
    /// Header edits.
    pub headers: Option<Headers>,
}

/// All of the fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatchRequest {
    /// Appended to the route's name.
    pub name: Name,
    /// The path.
    pub uri: Option<StringMatch>,
    /// The scheme.
    pub scheme: Option<StringMatch>,
    /// The method.
    pub method: Option<StringMatch>,
    /// The Host header.
    pub authority: Option<StringMatch>,
    /// Headers; an empty match means presence.
    pub headers: BTreeMap<Name, StringMatch>,
    /// The listener's port.
    pub port: Option<u32>,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Overrides the list above.
    pub gateways: Vec<Name>,
    /// Query parameters.
    pub query_params: BTreeMap<Name, StringMatch>,
    /// For exact and prefix path matches.
    pub ignore_uri_case: bool,
    /// Headers that must not match.
    pub without_headers: BTreeMap<Name, StringMatch>,
    /// Namespace of the client.
    pub source_namespace: Name,
    /// Statistics of the route.
    pub stat_prefix: Name,
}

/// A weighted destination of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteDestination {
    /// Where to.
    #[schemars(transform = required)]
    pub destination: Option<Destination>,
    /// Relative share; a single destination gets everything.
    pub weight: i32,
    /// Header edits for this destination.
    pub headers: Option<Headers>,
}

/// A service, or a subset of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// Short names belong to the object's namespace.
    #[schemars(transform = required)]
    pub host: Name,
    /// A subset of a DestinationRule.
    pub subset: Name,
    /// Needed when the service has several ports.
    pub port: Option<PortSelector>,
}

/// Header edits in both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Headers {
    /// Before forwarding.
    pub request: Option<HeaderOperations>,
    /// Before answering.
    pub response: Option<HeaderOperations>,
}

/// Header edits in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderOperations {
    /// Overwrite.
    pub set: BTreeMap<Name, Name>,
    /// Append.
    pub add: BTreeMap<Name, Name>,
    /// Remove.
    pub remove: Vec<Name>,
}

/// Changes before forwarding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRewrite {
    /// Replaces the matched path or prefix.
    pub uri: Name,
    /// Replaces the Host header.
    pub authority: Name,
    /// Replaces by expression.
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// An expression and its substitution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RegexRewrite {
    /// RE2.
    pub r#match: Name,
    /// With `\1` for groups.
    pub rewrite: Name,
}

/// A redirect as answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("port | derivePort"))]
pub struct HttpRedirect {
    /// New path.
    pub uri: Name,
    /// New host.
    pub authority: Name,
    /// New port.
    pub port: Option<u32>,
    /// Where the port comes from.
    pub derive_port: Option<RedirectPortSelection>,
    /// New scheme.
    pub scheme: Name,
    /// 301 when unset.
    pub redirect_code: u32,
    /// Replaces the matched prefix.
    pub prefix_rewrite: Name,
}

/// An answer without upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpDirectResponse {
    /// HTTP status.
    #[schemars(transform = required)]
    pub status: u32,
    /// Its body.
    pub body: Option<HttpBody>,
}

/// A body as text or bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("string | bytes"))]
pub struct HttpBody {
    /// Text.
    pub string: Option<Name>,
    /// Base64.
    #[schemars(extend("format" = "byte"))]
    pub bytes: Option<Name>,
}

/// When and how often to try again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRetry {
    /// 0 switches retries off.
    pub attempts: i32,
    /// Of each try.
    pub per_try_timeout: Option<Duration>,
    /// Conditions and status codes.
    pub retry_on: Name,
    /// Also elsewhere.
    #[schemars(transform = nullable)]
    pub retry_remote_localities: Option<bool>,
    /// Not where it failed; on by default.
    #[schemars(transform = nullable)]
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Base of the back-off.
    pub backoff: Option<Duration>,
}

/// Cross-origin rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CorsPolicy {
    /// Deprecated: exact origins.
    pub allow_origin: Vec<Name>,
    /// Origins.
    pub allow_origins: Vec<StringMatch>,
    /// Methods.
    pub allow_methods: Vec<Name>,
    /// Request headers.
    pub allow_headers: Vec<Name>,
    /// Response headers.
    pub expose_headers: Vec<Name>,
    /// How long a preflight may be cached.
    pub max_age: Option<Duration>,
    /// With credentials.
    #[schemars(transform = nullable)]
    pub allow_credentials: Option<bool>,
    /// What to do with others.
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// Faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpFaultInjection {
    /// Before forwarding.
    pub delay: Option<Delay>,
    /// Instead of forwarding.
    pub abort: Option<Abort>,
}

/// A delay for a share of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("fixedDelay | exponentialDelay"))]
pub struct Delay {
    /// Deprecated share.
    pub percent: i32,
    /// How long.
    pub fixed_delay: Option<Duration>,
    /// Refused, as by Istio.
    pub exponential_delay: Option<Duration>,
    /// The share; none when unset.
    pub percentage: Option<Percent>,
}

/// An abort for a share of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("httpStatus | grpcStatus | http2Error"))]
pub struct Abort {
    /// With this status.
    pub http_status: Option<i32>,
    /// With this gRPC status.
    pub grpc_status: Option<Name>,
    /// Refused, as by Istio.
    #[serde(rename = "http2Error")]
    pub http2_error: Option<Name>,
    /// The share; none when unset.
    pub percentage: Option<Percent>,
}

/// A mirror and its share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMirrorPolicy {
    /// Where to.
    #[schemars(transform = required)]
    pub destination: Option<Destination>,
    /// All when unset.
    pub percentage: Option<Percent>,
}

/// Another VirtualService, which has no hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Delegate {
    /// Its name.
    pub name: Name,
    /// The root's when empty.
    pub namespace: Name,
}

/// A rule by SNI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsRoute {
    /// Any of these.
    #[schemars(transform = required)]
    pub r#match: Vec<TlsMatchAttributes>,
    /// Weighted destinations.
    pub route: Vec<RouteDestination>,
}

/// All of the fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsMatchAttributes {
    /// Server names.
    #[schemars(transform = required)]
    pub sni_hosts: Vec<Name>,
    /// Destination addresses.
    pub destination_subnets: Vec<Name>,
    /// The listener's port.
    pub port: u32,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Overrides the list above.
    pub gateways: Vec<Name>,
    /// Namespace of the client.
    pub source_namespace: Name,
}

/// A rule for opaque TCP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpRoute {
    /// Any of these; empty matches everything.
    pub r#match: Vec<L4MatchAttributes>,
    /// Weighted destinations.
    pub route: Vec<RouteDestination>,
}

/// All of the fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct L4MatchAttributes {
    /// Destination addresses.
    pub destination_subnets: Vec<Name>,
    /// The listener's port.
    pub port: u32,
    /// Not read, as by Istio.
    pub source_subnet: Name,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Overrides the list above.
    pub gateways: Vec<Name>,
    /// Namespace of the client.
    pub source_namespace: Name,
}

/// A weighted destination of TCP or TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteDestination {
    /// Where to.
    #[schemars(transform = required)]
    pub destination: Option<Destination>,
    /// Relative share.
    pub weight: i32,
}

keywords! {
    /// Where a redirect's port comes from.
    pub enum RedirectPortSelection { FromProtocolDefault = "FROM_PROTOCOL_DEFAULT", FromRequestPort = "FROM_REQUEST_PORT" }
}

keywords! {
    /// What happens to preflights of other origins.
    pub enum UnmatchedPreflights { Unspecified = "UNSPECIFIED", Forward = "FORWARD", Ignore = "IGNORE" }
}
