//! TLS that a DestinationRule originates from files. The mesh's own mTLS has its place here: `ISTIO_MUTUAL`, and the automatic
//! choice between it and plain text, are not made yet.

use model::networking::{ClientTlsMode, ClientTlsSettings};
use proto::envoy::config::cluster::v3::Cluster;
use proto::envoy::config::core::v3::{DataSource, TransportSocket, data_source, transport_socket};
use proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use proto::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, SubjectAltNameMatcher, TlsCertificate, UpstreamTlsContext,
    certificate_validation_context::SystemRootCerts,
};
use proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher};

use super::Outbound;

pub(super) fn apply(from: &Outbound<'_>, http2: bool, cluster: &mut Cluster) {
    let Some(settings) = &from.traffic.tls else { return };
    match settings.mode.unwrap_or_default() {
        ClientTlsMode::Disable | ClientTlsMode::IstioMutual => {}
        ClientTlsMode::Simple | ClientTlsMode::Mutual if !settings.credential_name.is_empty() => {}
        ClientTlsMode::Simple | ClientTlsMode::Mutual => {
            let context = context(from, settings, http2);
            cluster.transport_socket = Some(TransportSocket {
                name: "envoy.transport_sockets.tls".to_owned(),
                config_type: Some(transport_socket::ConfigType::TypedConfig(proto::any(&context))),
            });
        }
    }
}

fn context(from: &Outbound<'_>, settings: &ClientTlsSettings, http2: bool) -> UpstreamTlsContext {
    let mutual = settings.mode == Some(ClientTlsMode::Mutual);
    let certificate = TlsCertificate {
        certificate_chain: Some(file(&settings.client_certificate)),
        private_key: Some(file(&settings.private_key)),
        ..TlsCertificate::default()
    };
    let names = match settings.subject_alt_names.is_empty() {
        true => &from.service.subject_alt_names,
        false => &settings.subject_alt_names,
    };
    let common = CommonTlsContext {
        tls_certificates: if mutual { vec![certificate] } else { Vec::new() },
        alpn_protocols: if http2 { vec!["h2".to_owned()] } else { Vec::new() },
        validation_context_type: validation(settings, names.iter().map(|name| name.as_str()))
            .map(ValidationContextType::ValidationContext),
        ..CommonTlsContext::default()
    };
    UpstreamTlsContext {
        common_tls_context: Some(common),
        sni: settings.sni.to_string(),
        // Without a name of its own, what the client called is sent and checked.
        auto_host_sni: settings.sni.is_empty(),
        auto_sni_san_validation: settings.sni.is_empty()
            && names.is_empty()
            && settings.insecure_skip_verify != Some(true),
        ..UpstreamTlsContext::default()
    }
}

fn file(path: &str) -> DataSource {
    DataSource { specifier: Some(data_source::Specifier::Filename(path.to_owned())), ..DataSource::default() }
}

fn validation<'a>(
    settings: &ClientTlsSettings,
    names: impl Iterator<Item = &'a str>,
) -> Option<CertificateValidationContext> {
    if settings.insecure_skip_verify == Some(true) {
        return None;
    }
    let system = settings.ca_certificates.is_empty() || settings.ca_certificates == "system";
    let names = names.flat_map(|name| {
        let matcher = || {
            let exact = string_matcher::MatchPattern::Exact(name.to_owned());
            Some(StringMatcher { match_pattern: Some(exact), ..StringMatcher::default() })
        };
        let kind = if name.contains("://") { SanType::Uri } else { SanType::Dns };
        [SubjectAltNameMatcher { san_type: kind as i32, matcher: matcher(), ..SubjectAltNameMatcher::default() }]
    });
    Some(CertificateValidationContext {
        trusted_ca: (!system).then(|| file(&settings.ca_certificates)),
        system_root_certs: system.then(SystemRootCerts::default),
        crl: (!settings.ca_crl.is_empty()).then(|| file(&settings.ca_crl)),
        match_typed_subject_alt_names: names.collect(),
        ..CertificateValidationContext::default()
    })
}
