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
    /// Namespaces that see it: names, . for its own, * for all.
    pub export_to: Vec<Name>,
}

/// One ordered HTTP rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Alias("mirrorPercent", "mirror_percent"))]
pub struct HttpRoute {
    /// Its name, shown in access logs.
    pub name: Name,
    /// Requests it is for: any of these; all without.
    pub r#match: Vec<HttpMatchRequest>,
    /// Where requests go, by weight.
    pub route: Vec<HttpRouteDestination>,
    /// Requests are answered with a redirect.
    pub redirect: Option<HttpRedirect>,
    /// Requests are answered at once.
    pub direct_response: Option<HttpDirectResponse>,
    /// The routes of another VirtualService are taken.
    pub delegate: Option<Delegate>,
    /// Path or host are changed.
    pub rewrite: Option<HttpRewrite>,
    /// Of a whole request; none when unset.
    pub timeout: Option<Duration>,
    /// When and how often a request is tried again.
    pub retries: Option<HttpRetry>,
    /// Delays and aborts, to try what happens.
    pub fault: Option<HttpFaultInjection>,
    /// A copy of each request goes there.
    pub mirror: Option<Destination>,
    /// Copies of requests go to each of these.
    pub mirrors: Vec<HttpMirrorPolicy>,
    /// Deprecated: use mirrorPercentage.
    #[serde(alias = "mirror_percent")]
    #[schemars(transform = nullable)]
    pub mirror_percent: Option<u32>,
    /// Share of requests that is mirrored; all when unset.
    pub mirror_percentage: Option<Percent>,
    /// What pages of other origins may do.
    pub cors_policy: Option<CorsPolicy>,
    /// Changes of headers.
    pub headers: Option<Headers>,
}

/// All of the fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatchRequest {
    /// Its name, appended to that of the route.
    pub name: Name,
    /// The path of the request.
    pub uri: Option<StringMatch>,
    /// The scheme of the request.
    pub scheme: Option<StringMatch>,
    /// The method of the request.
    pub method: Option<StringMatch>,
    /// The host of the request.
    pub authority: Option<StringMatch>,
    /// Headers of the request; an empty match asks that one is there.
    pub headers: BTreeMap<Name, StringMatch>,
    /// The port of the listener.
    pub port: Option<u32>,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Gateways it is for, instead of those of the VirtualService.
    pub gateways: Vec<Name>,
    /// Query parameters; an empty match asks that one is there.
    pub query_params: BTreeMap<Name, StringMatch>,
    /// Whether case does not matter in exact and prefix matches of the path.
    pub ignore_uri_case: bool,
    /// Headers that must not match.
    pub without_headers: BTreeMap<Name, StringMatch>,
    /// Namespace of the client.
    pub source_namespace: Name,
    /// Statistics of the route are kept under this name.
    pub stat_prefix: Name,
}

/// A weighted destination of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteDestination {
    /// Where requests go.
    #[schemars(transform = required)]
    pub destination: Option<Destination>,
    /// Relative share of requests; a single destination gets all.
    pub weight: i32,
    /// Changes of headers for this destination.
    pub headers: Option<Headers>,
}

/// A service, or a subset of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Destination {
    /// The host; short names belong to the namespace of this object.
    #[schemars(transform = required)]
    pub host: Name,
    /// Subset of the host, from a DestinationRule.
    pub subset: Name,
    /// Port of the host; needed when it has several.
    pub port: Option<PortSelector>,
}

/// Header edits in both directions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Headers {
    /// Changes of headers of requests.
    pub request: Option<HeaderOperations>,
    /// Changes of headers of answers.
    pub response: Option<HeaderOperations>,
}

/// Header edits in one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderOperations {
    /// Headers that are overwritten.
    pub set: BTreeMap<Name, Name>,
    /// Headers that are appended.
    pub add: BTreeMap<Name, Name>,
    /// Headers that are removed.
    pub remove: Vec<Name>,
}

/// Changes before forwarding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRewrite {
    /// What the matched path or prefix becomes.
    pub uri: Name,
    /// What the host becomes.
    pub authority: Name,
    /// What parts of the path become, by expression.
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// An expression and its substitution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RegexRewrite {
    /// Expression that is replaced, in RE2.
    pub r#match: Name,
    /// What it becomes, with `\1` for its groups.
    pub rewrite: Name,
}

/// A redirect as answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("port | derivePort"))]
pub struct HttpRedirect {
    /// The new path.
    pub uri: Name,
    /// The new host.
    pub authority: Name,
    /// The new port.
    pub port: Option<u32>,
    /// Where the new port comes from.
    pub derive_port: Option<RedirectPortSelection>,
    /// The new scheme, http or https.
    pub scheme: Name,
    /// Status of the answer; 301 when unset.
    pub redirect_code: u32,
    /// What the matched prefix of the path becomes.
    pub prefix_rewrite: Name,
}

/// An answer without upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpDirectResponse {
    /// Status of the answer.
    #[schemars(transform = required)]
    pub status: u32,
    /// Body of the answer.
    pub body: Option<HttpBody>,
}

/// A body as text or bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("string | bytes"))]
pub struct HttpBody {
    /// As text.
    pub string: Option<Name>,
    /// As bytes, in base64.
    #[schemars(extend("format" = "byte"))]
    pub bytes: Option<Name>,
}

/// When and how often to try again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRetry {
    /// How often; 0 switches retries off.
    pub attempts: i32,
    /// How long each try may take.
    pub per_try_timeout: Option<Duration>,
    /// Conditions and statuses with commas, such as 5xx,reset.
    pub retry_on: Name,
    /// Whether endpoints of other localities are tried too.
    #[schemars(transform = nullable)]
    pub retry_remote_localities: Option<bool>,
    /// Whether endpoints that failed are left out; true when unset.
    #[schemars(transform = nullable)]
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Time before the first retry, which grows.
    pub backoff: Option<Duration>,
}

/// Cross-origin rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CorsPolicy {
    /// Deprecated: use allowOrigins.
    pub allow_origin: Vec<Name>,
    /// Origins that are allowed.
    pub allow_origins: Vec<StringMatch>,
    /// Methods that are allowed.
    pub allow_methods: Vec<Name>,
    /// Headers of requests that are allowed.
    pub allow_headers: Vec<Name>,
    /// Headers of answers that pages may see.
    pub expose_headers: Vec<Name>,
    /// How long a preflight may be cached.
    pub max_age: Option<Duration>,
    /// Whether requests may carry credentials.
    #[schemars(transform = nullable)]
    pub allow_credentials: Option<bool>,
    /// What happens to preflights of other origins.
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// Faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpFaultInjection {
    /// Requests are delayed.
    pub delay: Option<Delay>,
    /// Requests are answered with an error.
    pub abort: Option<Abort>,
}

/// A delay for a share of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("fixedDelay | exponentialDelay"))]
pub struct Delay {
    /// Deprecated: use percentage.
    pub percent: i32,
    /// How long.
    pub fixed_delay: Option<Duration>,
    /// Not supported.
    pub exponential_delay: Option<Duration>,
    /// Share of requests that is delayed; none when unset.
    pub percentage: Option<Percent>,
}

/// An abort for a share of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = AtMostOne("httpStatus | grpcStatus | http2Error"))]
pub struct Abort {
    /// HTTP status of the answer.
    pub http_status: Option<i32>,
    /// Name of the gRPC status of the answer.
    pub grpc_status: Option<Name>,
    /// Not supported.
    #[serde(rename = "http2Error")]
    pub http2_error: Option<Name>,
    /// Share of requests that is aborted; none when unset.
    pub percentage: Option<Percent>,
}

/// A mirror and its share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMirrorPolicy {
    /// Where copies go.
    #[schemars(transform = required)]
    pub destination: Option<Destination>,
    /// Share of requests that is copied; all when unset.
    pub percentage: Option<Percent>,
}

/// Another VirtualService, which has no hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Delegate {
    /// Name of the VirtualService.
    pub name: Name,
    /// Its namespace; the own one when empty.
    pub namespace: Name,
}

/// A rule by SNI.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsRoute {
    /// Connections it is for: any of these.
    #[schemars(transform = required)]
    pub r#match: Vec<TlsMatchAttributes>,
    /// Where connections go, by weight.
    pub route: Vec<RouteDestination>,
}

/// All of the fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsMatchAttributes {
    /// Server names of the connection.
    #[schemars(transform = required)]
    pub sni_hosts: Vec<Name>,
    /// Destination addresses.
    pub destination_subnets: Vec<Name>,
    /// The port of the listener.
    pub port: u32,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Gateways it is for, instead of those of the VirtualService.
    pub gateways: Vec<Name>,
    /// Namespace of the client.
    pub source_namespace: Name,
}

/// A rule for opaque TCP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpRoute {
    /// Connections it is for: any of these; all without.
    pub r#match: Vec<L4MatchAttributes>,
    /// Where connections go, by weight.
    pub route: Vec<RouteDestination>,
}

/// All of the fields that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct L4MatchAttributes {
    /// Destination addresses.
    pub destination_subnets: Vec<Name>,
    /// The port of the listener.
    pub port: u32,
    /// Not read.
    pub source_subnet: Name,
    /// Labels of the client.
    pub source_labels: Labels,
    /// Gateways it is for, instead of those of the VirtualService.
    pub gateways: Vec<Name>,
    /// Namespace of the client.
    pub source_namespace: Name,
}

/// A weighted destination of TCP or TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteDestination {
    /// Where connections go.
    #[schemars(transform = required)]
    pub destination: Option<Destination>,
    /// Relative share of connections.
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
