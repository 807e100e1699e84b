//! Envoy's messages as far as a client must read them to know what to ask for next. Numbers are those of Envoy's .proto files; a
//! test holds them against the whole messages.

use bytes::Bytes;
use prost::Message;

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

/// A resource of a delta response; also `ResourceName`'s place.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "1")]
    pub(crate) version: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) resource: Option<Any>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
}

/// Every resource has its name in its first field.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Named {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Cluster {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) discovery: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) eds: Option<EdsConfig>,
    #[prost(message, optional, tag = "24")]
    pub(crate) transport: Option<Socket>,
    #[prost(message, repeated, tag = "43")]
    pub(crate) matches: Vec<SocketMatch>,
}

/// `Cluster.DiscoveryType.EDS`.
pub(crate) const EDS: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EdsConfig {
    #[prost(message, optional, tag = "1")]
    pub(crate) source: Option<Source>,
    #[prost(string, tag = "2")]
    pub(crate) service: String,
}

/// `ConfigSource`: whether it is this stream.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Source {
    #[prost(message, optional, tag = "3")]
    pub(crate) ads: Option<Nothing>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SocketMatch {
    #[prost(message, optional, tag = "3")]
    pub(crate) socket: Option<Socket>,
}

/// `TransportSocket`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Socket {
    #[prost(message, optional, tag = "3")]
    pub(crate) config: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Listener {
    #[prost(message, repeated, tag = "3")]
    pub(crate) chains: Vec<Chain>,
    #[prost(message, optional, tag = "25")]
    pub(crate) default: Option<Chain>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Chain {
    #[prost(message, repeated, tag = "3")]
    pub(crate) filters: Vec<Filter>,
    #[prost(message, optional, tag = "6")]
    pub(crate) transport: Option<Socket>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Filter {
    #[prost(message, optional, tag = "4")]
    pub(crate) config: Option<Any>,
}

/// `HttpConnectionManager`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Http {
    #[prost(message, optional, tag = "3")]
    pub(crate) rds: Option<Rds>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rds {
    #[prost(message, optional, tag = "1")]
    pub(crate) source: Option<Source>,
    #[prost(string, tag = "2")]
    pub(crate) table: String,
}

/// `UpstreamTlsContext` and `DownstreamTlsContext`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tls {
    #[prost(message, optional, tag = "1")]
    pub(crate) common: Option<CommonTls>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CommonTls {
    #[prost(message, repeated, tag = "6")]
    pub(crate) certificates: Vec<Secret>,
    #[prost(message, optional, tag = "7")]
    pub(crate) validation: Option<Secret>,
    #[prost(message, optional, tag = "8")]
    pub(crate) combined: Option<Combined>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Combined {
    #[prost(message, optional, tag = "2")]
    pub(crate) validation: Option<Secret>,
}

/// `SdsSecretConfig`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Secret {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) source: Option<Source>,
}

/// `RouteConfiguration`: whether its hosts come apart.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Table {
    #[prost(message, optional, tag = "9")]
    pub(crate) vhds: Option<Nothing>,
}

impl Source {
    fn is_ads(source: Option<&Self>) -> bool {
        source.is_some_and(|source| source.ads.is_some())
    }
}

impl Cluster {
    /// The name of its endpoints, if they come over this stream.
    pub(crate) fn endpoints(&self) -> Option<&str> {
        let eds = self.eds.as_ref().filter(|eds| self.discovery == EDS && Source::is_ads(eds.source.as_ref()))?;
        Some(if eds.service.is_empty() { &self.name } else { &eds.service })
    }

    /// The secrets that it asks for over this stream.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let sockets = self.matches.iter().filter_map(|matched| matched.socket.as_ref()).chain(&self.transport);
        sockets.flat_map(Socket::secrets).collect()
    }
}

impl Listener {
    fn all(&self) -> impl Iterator<Item = &Chain> {
        self.chains.iter().chain(&self.default)
    }

    /// The route tables that come over this stream.
    pub(crate) fn tables(&self) -> Vec<String> {
        const HTTP: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
        let configs = self.all().flat_map(|chain| &chain.filters).filter_map(|filter| filter.config.as_ref());
        let managers = configs.filter(|config| config.type_url.ends_with(HTTP));
        let tables = managers.filter_map(|config| Http::decode(config.value.clone()).ok()?.rds);
        tables.filter(|rds| Source::is_ads(rds.source.as_ref())).map(|rds| rds.table).collect()
    }

    /// The secrets that it asks for over this stream.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.all().filter_map(|chain| chain.transport.as_ref()).flat_map(Socket::secrets).collect()
    }
}

impl Socket {
    fn secrets(&self) -> Vec<String> {
        let Some(config) = self.config.as_ref().filter(|config| config.type_url.ends_with("TlsContext")) else {
            return Vec::new();
        };
        let Some(common) = Tls::decode(config.value.clone()).ok().and_then(|tls| tls.common) else { return Vec::new() };
        let combined = common.combined.and_then(|combined| combined.validation);
        let all = common.certificates.into_iter().chain(common.validation).chain(combined);
        all.filter(|secret| Source::is_ads(secret.source.as_ref())).map(|secret| secret.name).collect()
    }
}

#[cfg(test)]
mod tests;
