//! Virtual hosts, each encoded once, and the two ways in which they travel: spliced into a route table (RDS), or alone under
//! `<table>/<name>` (VHDS), so that an edit costs one host instead of the table.

use bytes::Bytes;
use graph::{Derived, Reader};
use names::Name;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto::Encoded;
use proto::envoy::config::core::v3::ConfigSource;
use proto::envoy::config::route::v3::{RouteConfiguration, Vhds, VirtualHost, virtual_host};

use crate::keys::{HostKey, TableKey};
use crate::routes;
use crate::wire::{ads, duration};
use model::scalars::Duration;
use std::sync::Arc;

const VIRTUAL_HOSTS: u32 = 2;
const TABLE_URL: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
const HOST_URL: &str = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
/// Bodies of direct responses may be as large as Istio allows them to be written.
const MAX_DIRECT_RESPONSE: u32 = 1024 * 1024;

/// An encoded `VirtualHost`; under `name` for tables, and the same under the name that VHDS needs is made when framed.
#[derive(Clone, PartialEq, Debug)]
pub struct EncodedHost(Bytes);

/// The table of encoded virtual hosts.
pub struct Hosts;

impl Derived for Hosts {
    type Key = Arc<HostKey>;
    type Value = EncodedHost;
    const NAME: &'static str = "virtual host";
    const LEVEL: u8 = 6;

    fn build(key: &Arc<HostKey>, read: &mut Reader<'_>) -> Option<EncodedHost> {
        let routes = routes::of_host(key, read);
        let require = match key.tls_redirect {
            true => virtual_host::TlsRequirementType::All,
            false => virtual_host::TlsRequirementType::None,
        };
        let host = VirtualHost {
            name: key.name.to_string(),
            domains: key.domains.iter().map(ToString::to_string).collect(),
            routes,
            require_tls: require as i32,
            include_request_attempt_count: true,
            ..VirtualHost::default()
        };
        Some(EncodedHost(Bytes::from(host.encode_to_vec())))
    }
}

/// A route table with the hosts that are in it itself.
pub(crate) fn table(key: &TableKey, read: &mut Reader<'_>) -> Option<Encoded> {
    let head = RouteConfiguration {
        name: key.name.to_string(),
        validate_clusters: Some(false),
        ignore_port_in_host_matching: !key.ports_matter,
        max_direct_response_body_size_bytes: Some(MAX_DIRECT_RESPONSE),
        vhds: key.vhds.then(|| Vhds { config_source: Some(hosts_source()) }),
        ..RouteConfiguration::default()
    };
    let mut body = head.encode_to_vec();
    for host in key.hosts.iter() {
        let Some(host) = read.row::<Hosts>(host) else { continue };
        encode_key(VIRTUAL_HOSTS, WireType::LengthDelimited, &mut body);
        encode_varint(host.0.len() as u64, &mut body);
        body.extend_from_slice(&host.0);
    }
    Some(Encoded::from_body(&key.name, TABLE_URL, &body))
}

/// Where Envoy gets the further hosts of a table: on this stream. They are pushed right behind the table, so a listener need not wait for
/// long (measured: an empty answer alone does not end the wait).
fn hosts_source() -> ConfigSource {
    ConfigSource { initial_fetch_timeout: Some(duration(Duration::millis(250))), ..ads() }
}

/// The name under which a host travels alone.
#[must_use]
pub fn resource_name(table: &str, host: &str) -> String {
    [table, "/", host].concat()
}

/// A host as a resource of its own. Envoy erases a removed host by its `name`, so that is the resource's.
pub(crate) fn alone(table: &Name, key: &Arc<HostKey>, read: &mut Reader<'_>) -> Option<Encoded> {
    let host = read.row::<Hosts>(key)?;
    let name = resource_name(table, &key.name);
    // A later occurrence of a singular field wins, so the name is replaced by appending it.
    let mut body = Vec::with_capacity(host.0.len() + name.len() + 3);
    body.extend_from_slice(&host.0);
    prost::encoding::string::encode(1, &name, &mut body);
    Some(Encoded::from_body(&name, HOST_URL, &body))
}
