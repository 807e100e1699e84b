//! HTTP connection managers.

use model::settings::MeshSettings;
use proto::envoy::config::accesslog::v3::{AccessLog, access_log};
use proto::envoy::config::core::v3::{DataSource, SubstitutionFormatString, data_source, substitution_format_string};
use proto::envoy::config::listener::v3::Filter;
use proto::envoy::config::route::v3::RouteConfiguration;
use proto::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, ForwardClientCertDetails, PathWithEscapedSlashesAction, RouteSpecifier, SetCurrentClientCertDetails,
    UpgradeConfig,
};
use proto::envoy::extensions::filters::network::http_connection_manager::v3::{HttpConnectionManager, Rds};

use super::filters;
use crate::way::{Side, Way};
use crate::wire::network_filter;
use crate::wire::{ads, seconds};

/// Where the routes are.
pub(crate) enum Routes {
    /// In a table.
    Table(String),
    /// Here.
    Inline(Box<RouteConfiguration>),
}

pub(crate) fn filter(way: Way<'_>, stat_prefix: &str, routes: Routes) -> Filter {
    let routes = match routes {
        Routes::Table(name) => RouteSpecifier::Rds(Rds { config_source: Some(ads()), route_config_name: name }),
        Routes::Inline(table) => RouteSpecifier::RouteConfig(*table),
    };
    let side = way.side;
    // Who called is told to the workload, and never taken from outside.
    let (forward, told) = match side {
        Side::Outbound => (ForwardClientCertDetails::Sanitize, None),
        Side::Inbound => (ForwardClientCertDetails::AppendForward, Some(client_certificate())),
        Side::Gateway => (ForwardClientCertDetails::SanitizeSet, Some(client_certificate())),
    };
    let manager = HttpConnectionManager {
        codec_type: CodecType::Auto as i32,
        stat_prefix: stat_prefix.to_owned(),
        http_filters: filters::envoy(side, way.caps),
        server_name: if side == Side::Outbound { String::new() } else { "istio-envoy".to_owned() },
        stream_idle_timeout: Some(seconds(0)),
        use_remote_address: Some(side == Side::Gateway),
        forward_client_cert_details: forward as i32,
        set_current_client_cert_details: told,
        normalize_path: Some(true),
        path_with_escaped_slashes_action: PathWithEscapedSlashesAction::KeepUnchanged as i32,
        proxy_100_continue: true,
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".to_owned(), ..UpgradeConfig::default() }],
        access_log: access_log(way.settings),
        route_specifier: Some(routes),
        ..HttpConnectionManager::default()
    };
    network_filter("envoy.filters.network.http_connection_manager", &manager)
}

fn client_certificate() -> SetCurrentClientCertDetails {
    SetCurrentClientCertDetails { subject: Some(true), uri: true, dns: true, ..SetCurrentClientCertDetails::default() }
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
