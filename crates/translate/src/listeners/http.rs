//! HTTP connection managers.

use model::settings::MeshSettings;
use proto::envoy::config::accesslog::v3::{AccessLog, access_log};
use proto::envoy::config::core::v3::{DataSource, SubstitutionFormatString, data_source, substitution_format_string};
use proto::envoy::config::listener::v3::Filter;
use proto::envoy::config::route::v3::RouteConfiguration;
use proto::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier, UpgradeConfig,
};
use proto::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};

use super::{filters, network_filter};
use crate::wire::{ads, seconds};

/// Which way requests go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// From the workload.
    Outbound,
    /// To the workload.
    Inbound,
    /// Into the mesh.
    Gateway,
}

/// Where the routes are.
pub(crate) enum Routes {
    /// In a table.
    Table(String),
    /// Here.
    Inline(Box<RouteConfiguration>),
}

pub(crate) fn filter(stat_prefix: &str, side: Side, routes: Routes, settings: &MeshSettings) -> Filter {
    let routes = match routes {
        Routes::Table(name) => RouteSpecifier::Rds(Rds { config_source: Some(ads()), route_config_name: name }),
        Routes::Inline(table) => RouteSpecifier::RouteConfig(*table),
    };
    let forward = match side {
        Side::Outbound | Side::Gateway => ForwardClientCertDetails::Sanitize,
        Side::Inbound => ForwardClientCertDetails::AppendForward,
    };
    let forward = if side == Side::Gateway { ForwardClientCertDetails::SanitizeSet } else { forward };
    let manager = HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: stat_prefix.to_owned(),
        http_filters: filters::envoy(),
        server_name: if side == Side::Outbound { String::new() } else { "istio-envoy".to_owned() },
        stream_idle_timeout: Some(seconds(0)),
        use_remote_address: Some(side == Side::Gateway),
        forward_client_cert_details: forward as i32,
        normalize_path: Some(true),
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::KeepUnchanged as i32,
        proxy_100_continue: true,
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".to_owned(), ..UpgradeConfig::default() }],
        access_log: access_log(settings),
        route_specifier: Some(routes),
        ..HttpConnectionManager::default()
    };
    network_filter("envoy.filters.network.http_connection_manager", &manager)
}

/// Accesses are logged when the mesh names a file.
fn access_log(settings: &MeshSettings) -> Vec<AccessLog> {
    let path = settings.mesh.access_log_file.to_string();
    if path.is_empty() {
        return Vec::new();
    }
    let written = settings.mesh.access_log_format.to_string();
    let format = (!written.is_empty()).then(|| {
        let text =
            DataSource { specifier: Some(data_source::Specifier::InlineString(written)), ..DataSource::default() };
        file_access_log::AccessLogFormat::LogFormat(SubstitutionFormatString {
            format: Some(substitution_format_string::Format::TextFormatSource(text)),
            ..SubstitutionFormatString::default()
        })
    });
    let log = FileAccessLog { path, access_log_format: format };
    vec![AccessLog {
        name: "envoy.access_loggers.file".to_owned(),
        config_type: Some(access_log::ConfigType::TypedConfig(proto::any(&log))),
        ..AccessLog::default()
    }]
}
