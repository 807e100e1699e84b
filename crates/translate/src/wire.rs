//! Small makers of wire values that many resources need.

use std::collections::BTreeMap;

use model::Id;
use model::scalars::Duration;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use proto::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Metadata, SocketAddress, address, config_source,
    socket_address,
};
use proto::envoy::config::listener::v3::{Filter, filter};

/// A duration.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    let std = duration.std();
    #[expect(clippy::cast_possible_wrap, reason = "seconds of a parsed duration are far below 2^63")]
    prost_types::Duration { seconds: std.as_secs() as i64, nanos: std.subsec_nanos() as i32 }
}

/// Seconds.
pub(crate) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// This stream.
pub(crate) fn ads() -> ConfigSource {
    ConfigSource {
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        resource_api_version: ApiVersion::V3 as i32,
        initial_fetch_timeout: Some(seconds(0)),
        ..ConfigSource::default()
    }
}

/// An address and port; a path after `unix://`.
pub(crate) fn address(address: &str, port: u16) -> Address {
    let address = match address.strip_prefix("unix://") {
        Some(path) => {
            let pipe = proto::envoy::config::core::v3::Pipe { path: path.to_owned(), mode: 0 };
            address::Address::Pipe(pipe)
        }
        None => address::Address::SocketAddress(SocketAddress {
            address: address.to_owned(),
            port_specifier: Some(socket_address::PortSpecifier::PortValue(port.into())),
            ..SocketAddress::default()
        }),
    };
    Address { address: Some(address) }
}

/// A string value.
pub(crate) fn string(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

/// A truth value.
pub(crate) fn boolean(value: bool) -> Value {
    Value { kind: Some(Kind::BoolValue(value)) }
}

/// A struct.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Struct {
    Struct { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>() }
}

/// A struct as a value.
pub(crate) fn object_value<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value { kind: Some(Kind::StructValue(object(fields))) }
}

/// A list.
pub(crate) fn list(values: Vec<Value>) -> Value {
    Value { kind: Some(Kind::ListValue(prost_types::ListValue { values })) }
}

/// Metadata under `istio`.
pub(crate) fn istio_metadata<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Metadata {
    Metadata { filter_metadata: [("istio".to_owned(), object(fields))].into(), ..Metadata::default() }
}

/// A network filter.
pub(crate) fn network_filter<M: prost::Message + prost::Name>(name: &str, message: &M) -> Filter {
    Filter { name: name.to_owned(), config_type: Some(filter::ConfigType::TypedConfig(proto::any(message))) }
}

/// How istioctl finds the object behind a route or cluster.
pub(crate) fn config_path(kind: &str, id: &Id) -> Value {
    string(&format!("/apis/networking.istio.io/v1/namespaces/{}/{kind}/{}", id.namespace, id.name))
}

/// A percentage as parts of a million.
pub(crate) fn fraction(percent: f64) -> proto::envoy::r#type::v3::FractionalPercent {
    use proto::envoy::r#type::v3::fractional_percent::DenominatorType;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a checked percentage")]
    let numerator = (percent * 10_000.0).round() as u32;
    proto::envoy::r#type::v3::FractionalPercent { numerator, denominator: DenominatorType::Million as i32 }
}

/// The bytes of a base64 text; what is not base64 ends it.
pub(crate) fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => break,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}
