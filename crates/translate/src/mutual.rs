//! The mesh's own mutual TLS: what both sides of a connection say. Certificates and roots come from the agent beside the proxy, by the
//! names that pilot-agent serves too (`istio: pilot/pkg/security/model/authentication.go`).

use model::settings::MeshSettings;
use proto::envoy::config::core::v3::{
    ApiConfigSource, ApiVersion, ConfigSource, DataSource, GrpcService, TransportSocket, api_config_source,
    config_source, data_source, grpc_service, transport_socket,
};
use proto::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use proto::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext, DownstreamTlsContext,
    SdsSecretConfig, SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
};
use proto::envoy::r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern};

use crate::wire::seconds;

/// What clients offer when HTTP is inside.
pub(crate) const ALPN_HTTP: &[&str] = &["istio-http/1.0", "istio-http/1.1", "istio-h2"];
/// What clients offer when something else is inside, or when they do not say.
pub(crate) const ALPN_OPAQUE: &[&str] = &["istio-peer-exchange", "istio"];
/// All that clients of the mesh offer.
pub(crate) const ALPN_ANY: &[&str] = &["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/// The workload's certificate.
const CERTIFICATE: &str = "default";
/// The roots of the mesh.
const ROOTS: &str = "ROOTCA";
/// The proxy's cluster for the agent's socket.
const AGENT: &str = "sds-grpc";

const CIPHERS: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
];

/// The workload's own certificate.
pub(crate) fn own_certificate() -> SdsSecretConfig {
    agent_secret(CERTIFICATE)
}

/// The roots of the mesh.
pub(crate) fn own_roots() -> SdsSecretConfig {
    agent_secret(ROOTS)
}

/// A secret that the agent serves. Without an identity nothing works, so it is waited for without end.
pub(crate) fn agent_secret(name: &str) -> SdsSecretConfig {
    let target = grpc_service::TargetSpecifier::EnvoyGrpc(grpc_service::EnvoyGrpc {
        cluster_name: AGENT.to_owned(),
        ..grpc_service::EnvoyGrpc::default()
    });
    let source = ApiConfigSource {
        api_type: api_config_source::ApiType::Grpc as i32,
        transport_api_version: ApiVersion::V3 as i32,
        set_node_on_first_message_only: true,
        grpc_services: vec![GrpcService { target_specifier: Some(target), ..GrpcService::default() }],
        ..ApiConfigSource::default()
    };
    SdsSecretConfig {
        name: name.to_owned(),
        sds_config: Some(ConfigSource {
            config_source_specifier: Some(config_source::ConfigSourceSpecifier::ApiConfigSource(source)),
            resource_api_version: ApiVersion::V3 as i32,
            initial_fetch_timeout: Some(seconds(0)),
            ..ConfigSource::default()
        }),
    }
}

/// A certificate and its key from files of the proxy.
pub(crate) fn file_certificate(certificate: &str, key: &str) -> SdsSecretConfig {
    agent_secret(&format!("file-cert:{certificate}~{key}"))
}

/// Checks of the server's certificate by roots that are fetched.
pub(crate) fn validation(
    names: Vec<SubjectAltNameMatcher>,
    roots: SdsSecretConfig,
    crl: Option<&str>,
) -> ValidationContextType {
    let crl = crl.map(|path| DataSource {
        specifier: Some(data_source::Specifier::Filename(path.to_owned())),
        ..DataSource::default()
    });
    let given = CertificateValidationContext {
        match_typed_subject_alt_names: names,
        crl,
        ..CertificateValidationContext::default()
    };
    ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(given),
        validation_context_sds_secret_config: Some(roots),
        ..CombinedCertificateValidationContext::default()
    })
}

/// The client's side: the peer must have one of the names, if there are any.
pub(crate) fn client(names: &[String], sni: &str, alpn: &[&str]) -> TransportSocket {
    let context = UpstreamTlsContext {
        common_tls_context: Some(common(exactly(names), alpn, TlsParameters::default())),
        sni: sni.to_owned(),
        ..UpstreamTlsContext::default()
    };
    socket(&context)
}

/// The server's side: the peer must be of the mesh's trust domain, or of one that goes by another name.
pub(crate) fn server(settings: &MeshSettings, alpn: &[&str]) -> TransportSocket {
    let domains = std::iter::once(&settings.mesh.trust_domain).chain(&settings.mesh.trust_domain_aliases);
    let names = domains.map(|domain| matcher(SanType::Uri, MatchPattern::Prefix(format!("spiffe://{domain}/"))));
    let suites =
        TlsParameters { cipher_suites: CIPHERS.iter().map(ToString::to_string).collect(), ..TlsParameters::default() };
    let context = DownstreamTlsContext {
        common_tls_context: Some(common(names.collect(), alpn, suites)),
        require_client_certificate: Some(true),
        ..DownstreamTlsContext::default()
    };
    socket(&context)
}

/// The client's side in gRPC, which takes certificates from its bootstrap by the name of a provider
/// (`istio: pilot/pkg/grpcgen/cds.go`).
pub(crate) fn grpc_client(names: &[String]) -> TransportSocket {
    socket(&UpstreamTlsContext { common_tls_context: Some(grpc_common(names)), ..UpstreamTlsContext::default() })
}

/// The server's side in gRPC. It cannot be told whose trust domain peers must be of.
pub(crate) fn grpc_server() -> TransportSocket {
    socket(&DownstreamTlsContext {
        common_tls_context: Some(grpc_common(&[])),
        require_client_certificate: Some(true),
        ..DownstreamTlsContext::default()
    })
}

/// gRPC looks at the older field for names alone: it ignores the typed ones, and with them whom it calls.
#[expect(deprecated, reason = "gRPC's core and grpc-go read no other field")]
fn grpc_common(names: &[String]) -> CommonTlsContext {
    let instance = |name: &str| CertificateProviderPluginInstance {
        instance_name: "default".to_owned(),
        certificate_name: name.to_owned(),
    };
    let context = CertificateValidationContext {
        ca_certificate_provider_instance: Some(instance(ROOTS)),
        match_subject_alt_names: names.iter().map(|name| exact(name)).collect(),
        ..CertificateValidationContext::default()
    };
    CommonTlsContext {
        tls_certificate_provider_instance: Some(instance(CERTIFICATE)),
        validation_context_type: Some(ValidationContextType::ValidationContext(context)),
        ..CommonTlsContext::default()
    }
}

/// Plain text.
pub(crate) fn plain() -> TransportSocket {
    TransportSocket {
        name: "envoy.transport_sockets.raw_buffer".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(proto::any(&RawBuffer {}))),
    }
}

fn socket<M: prost::Message + prost::Name>(context: &M) -> TransportSocket {
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(transport_socket::ConfigType::TypedConfig(proto::any(context))),
    }
}

/// Exactly these names.
pub(crate) fn exactly(names: &[String]) -> Vec<SubjectAltNameMatcher> {
    let each = names.iter().map(|name| {
        let kind = if name.contains("://") { SanType::Uri } else { SanType::Dns };
        matcher(kind, MatchPattern::Exact(name.clone()))
    });
    each.collect()
}

fn exact(text: &str) -> StringMatcher {
    StringMatcher { match_pattern: Some(MatchPattern::Exact(text.to_owned())), ..StringMatcher::default() }
}

fn matcher(kind: SanType, pattern: MatchPattern) -> SubjectAltNameMatcher {
    SubjectAltNameMatcher {
        san_type: kind as i32,
        matcher: Some(StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }),
        ..SubjectAltNameMatcher::default()
    }
}

fn common(names: Vec<SubjectAltNameMatcher>, alpn: &[&str], parameters: TlsParameters) -> CommonTlsContext {
    let validation = CombinedCertificateValidationContext {
        default_validation_context: Some(CertificateValidationContext {
            match_typed_subject_alt_names: names,
            ..CertificateValidationContext::default()
        }),
        validation_context_sds_secret_config: Some(agent_secret(ROOTS)),
        ..CombinedCertificateValidationContext::default()
    };
    CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: TlsProtocol::TlSv12 as i32,
            tls_maximum_protocol_version: TlsProtocol::TlSv13 as i32,
            ..parameters
        }),
        alpn_protocols: alpn.iter().map(ToString::to_string).collect(),
        tls_certificate_sds_secret_configs: vec![agent_secret(CERTIFICATE)],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(validation)),
        ..CommonTlsContext::default()
    }
}
