//! Which HTTP version an upstream is spoken to, and the pool settings that go with it.

use std::collections::BTreeMap;

use model::networking::{H2UpgradePolicy, HttpSettings, TcpSettings, TrafficPolicy};
use model::settings::MeshSettings;
use names::Protocol;
use prost_types::Any;
use proto::envoy::config::core::v3::{
    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions, KeepaliveSettings,
};
use proto::envoy::extensions::upstreams::http::v3::HttpProtocolOptions as Options;
use proto::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig, explicit_http_config::ProtocolConfig,
};

use crate::wire::duration;

const NAME: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// What is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    Http1,
    Http2,
    /// What the client speaks.
    Client,
    /// No HTTP.
    Opaque,
}

/// An upstream's protocol and pool settings.
pub(super) struct Upstream {
    version: Version,
    common: HttpProtocolOptions,
    http2: Http2ProtocolOptions,
}

impl Upstream {
    /// Speaks what the client speaks.
    pub(super) fn client() -> Self {
        Self::plain(Version::Client)
    }

    /// Speaks HTTP/2.
    pub(super) fn http2() -> Self {
        Self::plain(Version::Http2)
    }

    fn plain(version: Version) -> Self {
        Self { version, common: HttpProtocolOptions::default(), http2: Http2ProtocolOptions::default() }
    }

    /// The upstream of a service port under a policy.
    pub(super) fn outbound(protocol: Protocol, traffic: &TrafficPolicy, settings: &MeshSettings) -> Self {
        let pool = traffic.connection_pool.as_ref();
        let http = pool.and_then(|pool| pool.http.as_ref());
        let tcp = pool.and_then(|pool| pool.tcp.as_ref());
        let mut upstream = Self::plain(version(protocol, http, settings));
        upstream.common = common(http, tcp);
        if let Some(http) = http {
            upstream.http2.max_concurrent_streams = positive(http.max_concurrent_streams);
            upstream.http2.connection_keepalive = http.http2_keep_alive.as_ref().map(|keepalive| KeepaliveSettings {
                interval: keepalive.interval.map(duration),
                timeout: keepalive.timeout.map(duration),
                ..KeepaliveSettings::default()
            });
        }
        upstream
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }
}

fn positive(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| *value > 0)
}

fn version(protocol: Protocol, http: Option<&HttpSettings>, settings: &MeshSettings) -> Version {
    let policy = http.and_then(|http| http.h2_upgrade_policy).filter(|policy| *policy != H2UpgradePolicy::Default);
    let upgrade = policy.or(settings.mesh.h2_upgrade_policy) == Some(H2UpgradePolicy::Upgrade);
    if protocol.is_http2() {
        return Version::Http2;
    }
    match protocol {
        Protocol::Http | Protocol::HttpProxy if http.is_some_and(|http| http.use_client_protocol) => Version::Client,
        Protocol::Http | Protocol::HttpProxy if upgrade => Version::Http2,
        Protocol::Http | Protocol::HttpProxy => Version::Http1,
        Protocol::Auto => Version::Client,
        Protocol::Http2 | Protocol::Grpc | Protocol::GrpcWeb => Version::Http2,
        Protocol::Https
        | Protocol::Tls
        | Protocol::Tcp
        | Protocol::Mongo
        | Protocol::Redis
        | Protocol::MySql
        | Protocol::Udp => Version::Opaque,
    }
}

fn common(http: Option<&HttpSettings>, tcp: Option<&TcpSettings>) -> HttpProtocolOptions {
    let idle = http.and_then(|http| http.idle_timeout).or_else(|| tcp.and_then(|tcp| tcp.idle_timeout));
    HttpProtocolOptions {
        idle_timeout: idle.map(duration),
        max_requests_per_connection: http.and_then(|http| positive(http.max_requests_per_connection)),
        max_connection_duration: tcp.and_then(|tcp| tcp.max_connection_duration).map(duration),
        ..HttpProtocolOptions::default()
    }
}

/// As a cluster holds them; nothing where Envoy's defaults say the same.
pub(super) fn options(upstream: &Upstream) -> BTreeMap<String, Any> {
    let explicit =
        |config| UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) });
    let http1 = Http1ProtocolOptions::default();
    let version = match upstream.version {
        Version::Opaque => return BTreeMap::new(),
        Version::Http1 if upstream.common == HttpProtocolOptions::default() => return BTreeMap::new(),
        Version::Http1 => explicit(ProtocolConfig::HttpProtocolOptions(http1)),
        Version::Http2 => explicit(ProtocolConfig::Http2ProtocolOptions(upstream.http2.clone())),
        Version::Client => UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(http1),
            http2_protocol_options: Some(upstream.http2.clone()),
            ..UseDownstreamHttpConfig::default()
        }),
    };
    let options = Options {
        common_http_protocol_options: (upstream.common != HttpProtocolOptions::default()).then_some(upstream.common),
        upstream_protocol_options: Some(version),
        ..Options::default()
    };
    BTreeMap::from([(NAME.to_owned(), proto::any(&options))])
}
