use proto::envoy::config::cluster::v3::cluster::{ClusterDiscoveryType, EdsClusterConfig};
use proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use proto::envoy::config::core::v3::{
    AggregatedConfigSource, ConfigSource, PathConfigSource, TransportSocket, transport_socket,
};
use proto::envoy::config::{cluster::v3 as cluster, listener::v3 as listener, route::v3 as route};
use proto::envoy::extensions::filters::network::http_connection_manager::v3 as http;
use proto::envoy::extensions::transport_sockets::tls::v3 as tls;

use super::*;

fn ads() -> Option<ConfigSource> {
    let specifier = Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {}));
    Some(ConfigSource { config_source_specifier: specifier, ..ConfigSource::default() })
}

fn file() -> Option<ConfigSource> {
    Some(ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::PathConfigSource(PathConfigSource::default())),
        ..ConfigSource::default()
    })
}

fn read<T: Message + Default>(whole: &impl Message) -> T {
    T::decode(Bytes::from(whole.encode_to_vec())).unwrap()
}

fn secret(name: &str, sds_config: Option<ConfigSource>) -> tls::SdsSecretConfig {
    tls::SdsSecretConfig { name: name.to_owned(), sds_config }
}

fn common() -> tls::CommonTlsContext {
    use tls::common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};
    let combined = CombinedCertificateValidationContext {
        validation_context_sds_secret_config: Some(secret("roots", ads())),
        ..CombinedCertificateValidationContext::default()
    };
    tls::CommonTlsContext {
        tls_certificate_sds_secret_configs: vec![secret("own", ads()), secret("agent", file())],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
        ..tls::CommonTlsContext::default()
    }
}

fn socket(config: prost_types::Any) -> TransportSocket {
    TransportSocket { name: "tls".to_owned(), config_type: Some(transport_socket::ConfigType::TypedConfig(config)) }
}

#[test]
fn clusters_lead_to_endpoints_and_secrets_of_this_stream() {
    let upstream = tls::UpstreamTlsContext { common_tls_context: Some(common()), ..Default::default() };
    let eds = |eds_config, service_name: &str| cluster::Cluster {
        name: "one".to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(3)),
        eds_cluster_config: Some(EdsClusterConfig { eds_config, service_name: service_name.to_owned() }),
        transport_socket: Some(socket(proto::any(&upstream))),
        ..cluster::Cluster::default()
    };
    let plain: Cluster = read(&eds(ads(), ""));
    assert_eq!((plain.endpoints(), plain.secrets()), (Some("one"), vec!["own".to_owned(), "roots".to_owned()]));
    assert_eq!(read::<Cluster>(&eds(ads(), "other")).endpoints(), Some("other"));
    assert_eq!(read::<Cluster>(&eds(file(), "")).endpoints(), None);
    let fixed = cluster::Cluster { cluster_discovery_type: Some(ClusterDiscoveryType::Type(0)), ..eds(ads(), "") };
    assert_eq!(read::<Cluster>(&fixed).endpoints(), None);
}

#[test]
fn listeners_lead_to_tables_and_tables_to_hosts() {
    use http::http_connection_manager::RouteSpecifier;
    let manager = |config_source| {
        let rds = http::Rds { config_source, route_config_name: "80".to_owned() };
        let manager =
            http::HttpConnectionManager { route_specifier: Some(RouteSpecifier::Rds(rds)), ..Default::default() };
        listener::Filter {
            config_type: Some(listener::filter::ConfigType::TypedConfig(proto::any(&manager))),
            ..listener::Filter::default()
        }
    };
    let downstream = tls::DownstreamTlsContext { common_tls_context: Some(common()), ..Default::default() };
    let chain = |source| listener::FilterChain { filters: vec![manager(source)], ..Default::default() };
    let secured = listener::FilterChain { transport_socket: Some(socket(proto::any(&downstream))), ..chain(ads()) };
    let whole = |filter_chains| listener::Listener { filter_chains, ..listener::Listener::default() };
    let one: Listener = read(&whole(vec![secured, chain(file())]));
    assert_eq!((one.tables(), one.secrets()), (vec!["80".to_owned()], vec!["own".to_owned(), "roots".to_owned()]));
    let default = listener::Listener { default_filter_chain: Some(chain(ads())), ..whole(Vec::new()) };
    assert_eq!(read::<Listener>(&default).tables(), ["80"]);

    let table = |vhds| route::RouteConfiguration { vhds, ..route::RouteConfiguration::default() };
    assert!(read::<Table>(&table(Some(route::Vhds::default()))).vhds.is_some());
    assert!(read::<Table>(&table(None)).vhds.is_none());
}
