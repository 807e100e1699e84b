//! Terminating TLS at gateways.

use std::collections::BTreeSet;

use model::networking::{ServerTlsMode, ServerTlsSettings, TlsProtocol};
use model::settings::MeshSettings;
use names::Name;
use proto::envoy::config::core::v3::{DataSource, TransportSocket, data_source, transport_socket};
use proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol as Version;
use proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, TlsParameters,
    certificate_validation_context::TrustChainVerification,
};

use crate::{mutual, secrets};

/// What is agreed to where HTTP is inside.
const HTTP: &[&str] = &["h2", "http/1.1"];

/// The socket of a server that terminates TLS; `None` when it does not.
pub(super) fn terminating(settings: &ServerTlsSettings, http: bool, mesh: &MeshSettings) -> Option<TransportSocket> {
    let mode = settings.mode.unwrap_or_default();
    let checks_clients = match mode {
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => return None,
        ServerTlsMode::IstioMutual => return Some(mutual::server(mesh, if http { HTTP } else { &[] })),
        ServerTlsMode::Simple => false,
        ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => true,
    };
    let alpn: &[&str] = if http { HTTP } else { &[] };
    let common = CommonTlsContext {
        tls_params: Some(parameters(settings)),
        tls_certificate_sds_secret_configs: certificates(settings)
            .into_iter()
            .chain(credentials(settings).map(|name| secrets::certificate_of(name)))
            .collect(),
        alpn_protocols: alpn.iter().map(ToString::to_string).collect(),
        validation_context_type: if checks_clients { validation(settings) } else { None },
        ..CommonTlsContext::default()
    };
    let context = DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: Some(mode == ServerTlsMode::Mutual),
        ..DownstreamTlsContext::default()
    };
    Some(TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(proto::any(&context))),
    })
}

fn certificates(settings: &ServerTlsSettings) -> Vec<SdsSecretConfig> {
    let single = (&settings.server_certificate, &settings.private_key);
    let several = settings.tls_certificates.iter().map(|each| (&each.server_certificate, &each.private_key));
    let named = std::iter::once(single).chain(several).filter(|(certificate, _)| !certificate.is_empty());
    named.map(|(certificate, key)| mutual::file_certificate(certificate, key)).collect()
}

/// Secrets of the cluster with certificates.
fn credentials(settings: &ServerTlsSettings) -> impl Iterator<Item = &Name> {
    std::iter::once(&settings.credential_name).chain(&settings.credential_names).filter(|name| !name.is_empty())
}

fn parameters(settings: &ServerTlsSettings) -> TlsParameters {
    let version = |written: Option<TlsProtocol>, auto| match written.unwrap_or_default() {
        TlsProtocol::TlsAuto => auto,
        TlsProtocol::Tls10 => Version::TlSv10,
        TlsProtocol::Tls11 => Version::TlSv11,
        TlsProtocol::Tls12 => Version::TlSv12,
        TlsProtocol::Tls13 => Version::TlSv13,
    };
    let mut seen = BTreeSet::new();
    // Envoy refuses a suite that is named twice.
    let suites = settings.cipher_suites.iter().filter(|suite| seen.insert((*suite).clone()));
    TlsParameters {
        tls_minimum_protocol_version: version(settings.min_protocol_version, Version::TlSv12) as i32,
        tls_maximum_protocol_version: version(settings.max_protocol_version, Version::TlsAuto) as i32,
        cipher_suites: suites.map(ToString::to_string).collect(),
        ecdh_curves: settings.ecdh_curves.iter().map(ToString::to_string).collect(),
        ..TlsParameters::default()
    }
}

/// Whom to trust: roots from a file, else from the secret, whose roots come beside the certificate or in a secret of their own.
fn validation(settings: &ServerTlsSettings) -> Option<ValidationContextType> {
    let names: Vec<String> = settings.subject_alt_names.iter().map(ToString::to_string).collect();
    let names = mutual::exactly(&names);
    let own = Some(&settings.ca_cert_credential_name).filter(|name| !name.is_empty());
    let roots = match own.or_else(|| credentials(settings).next()) {
        Some(secret) if settings.ca_certificates.is_empty() => secrets::roots_of(secret),
        Some(_) | None => mutual::agent_secret(&format!("file-root:{}", settings.ca_certificates)),
    };
    let lax = settings.insecure_skip_verify == Some(true);
    let trust = if lax { TrustChainVerification::AcceptUntrusted } else { TrustChainVerification::VerifyTrustChain };
    let given = CertificateValidationContext {
        crl: (!settings.ca_crl.is_empty()).then(|| DataSource {
            specifier: Some(data_source::Specifier::Filename(settings.ca_crl.to_string())),
            ..DataSource::default()
        }),
        verify_certificate_spki: settings.verify_certificate_spki.iter().map(ToString::to_string).collect(),
        verify_certificate_hash: settings.verify_certificate_hash.iter().map(ToString::to_string).collect(),
        match_typed_subject_alt_names: names,
        trust_chain_verification: trust as i32,
        ..CertificateValidationContext::default()
    };
    Some(ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(given),
        validation_context_sds_secret_config: Some(roots),
        ..CombinedCertificateValidationContext::default()
    }))
}
