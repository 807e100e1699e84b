//! Terminating TLS at gateways.

use std::collections::BTreeSet;

use model::networking::{ServerTlsMode, ServerTlsSettings, TlsProtocol};
use names::Name;
use proto::envoy::config::core::v3::{DataSource, TransportSocket, data_source, transport_socket};
use proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol as Version;
use proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, TlsCertificate,
    TlsParameters, certificate_validation_context::TrustChainVerification,
};

use crate::wire::ads;

/// The socket of a server that terminates TLS; `None` when it does not.
pub(super) fn terminating(settings: &ServerTlsSettings, http: bool) -> Option<TransportSocket> {
    let mode = settings.mode.unwrap_or_default();
    let checks_clients = match mode {
        ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough | ServerTlsMode::IstioMutual => return None,
        ServerTlsMode::Simple => false,
        ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual => true,
    };
    let alpn: &[&str] = if http { &["h2", "http/1.1"] } else { &[] };
    let common = CommonTlsContext {
        tls_params: Some(parameters(settings)),
        tls_certificates: certificates(settings),
        tls_certificate_sds_secret_configs: secrets(settings).map(|name| sds(&name)).collect(),
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

fn file(path: &str) -> Option<DataSource> {
    Some(DataSource { specifier: Some(data_source::Specifier::Filename(path.to_owned())), ..DataSource::default() })
}

fn certificates(settings: &ServerTlsSettings) -> Vec<TlsCertificate> {
    let single = (&settings.server_certificate, &settings.private_key);
    let several = settings.tls_certificates.iter().map(|each| (&each.server_certificate, &each.private_key));
    let named = std::iter::once(single).chain(several).filter(|(certificate, _)| !certificate.is_empty());
    let made = named.map(|(certificate, key)| TlsCertificate {
        certificate_chain: file(certificate),
        private_key: file(key),
        ..TlsCertificate::default()
    });
    made.collect()
}

fn secrets(settings: &ServerTlsSettings) -> impl Iterator<Item = Name> {
    let single = std::iter::once(&settings.credential_name);
    let named = single.chain(&settings.credential_names).filter(|name| !name.is_empty());
    named.map(|name| Name::from(format!("kubernetes://{name}"))).collect::<Vec<_>>().into_iter()
}

fn sds(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(ads()) }
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

fn validation(settings: &ServerTlsSettings) -> Option<ValidationContextType> {
    let secret = secrets(settings).next();
    if let Some(secret) = secret.filter(|_| settings.ca_certificates.is_empty()) {
        let ca = Some(&settings.ca_cert_credential_name).filter(|name| !name.is_empty());
        let name = ca.map_or_else(|| format!("{secret}-cacert"), |name| format!("kubernetes://{name}"));
        return Some(ValidationContextType::ValidationContextSdsSecretConfig(sds(&name)));
    }
    let lax = settings.insecure_skip_verify == Some(true);
    let trust = if lax { TrustChainVerification::AcceptUntrusted } else { TrustChainVerification::VerifyTrustChain };
    Some(ValidationContextType::ValidationContext(CertificateValidationContext {
        trusted_ca: file(&settings.ca_certificates),
        crl: if settings.ca_crl.is_empty() { None } else { file(&settings.ca_crl) },
        verify_certificate_spki: settings.verify_certificate_spki.iter().map(ToString::to_string).collect(),
        verify_certificate_hash: settings.verify_certificate_hash.iter().map(ToString::to_string).collect(),
        trust_chain_verification: trust as i32,
        ..CertificateValidationContext::default()
    }))
}
