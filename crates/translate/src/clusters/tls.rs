//! Whether and how connections to a cluster are encrypted: as a DestinationRule says, else in the mesh's own mutual TLS wherever the
//! endpoint can take it (`istio: pilot/pkg/networking/core/cluster_tls.go buildUpstreamTLSSettings`).

use graph::Reader;
use model::endpoints::{Accounts, Endpoints, EndpointsKey};
use model::networking::{ClientTlsMode, ClientTlsSettings};
use model::peers::{NamespacePeers, PeerMode};
use model::services::Resolution;
use proto::envoy::config::cluster::v3::Cluster;
use proto::envoy::config::cluster::v3::cluster::{DiscoveryType, TransportSocketMatch};
use proto::envoy::config::core::v3::{TransportSocket, transport_socket};
use proto::envoy::extensions::transport_sockets::tls::v3::{CommonTlsContext, UpstreamTlsContext};

use super::Outbound;
use super::protocol::Version;
use crate::keys::For;
use crate::wire::{object, string};
use crate::{mutual, secrets};

/// How connections are encrypted.
enum Encryption<'a> {
    /// Not at all.
    Plain,
    /// As the user says.
    User(&'a ClientTlsSettings),
    /// In the mesh's mutual TLS.
    Mutual,
    /// In the mesh's mutual TLS, to endpoints that can take it.
    ByEndpoint,
}

pub(super) fn apply(from: &Outbound<'_>, kind: DiscoveryType, cluster: &mut Cluster, read: &mut Reader<'_>) {
    let mutual = |read: &mut Reader<'_>| {
        let names = names(from, read);
        if from.client == For::Grpc {
            mutual::grpc_client(&names)
        } else {
            mutual::client(&names, &sni(from), &alpn(from))
        }
    };
    match encryption(from, kind, read) {
        Encryption::Plain => {}
        Encryption::User(settings) => {
            let context = context(from, settings);
            cluster.transport_socket = Some(TransportSocket {
                name: "envoy.transport_sockets.tls".to_owned(),
                config_type: Some(transport_socket::ConfigType::TypedConfig(proto::any(&context))),
            });
        }
        Encryption::Mutual => cluster.transport_socket = Some(mutual(read)),
        Encryption::ByEndpoint => {
            let speaks = object([("tlsMode", string("istio"))]);
            let socket_match = |name: &str, matched, socket| TransportSocketMatch {
                name: name.to_owned(),
                r#match: Some(matched),
                transport_socket: Some(socket),
            };
            cluster.transport_socket_matches = vec![
                socket_match("tlsMode-istio", speaks, mutual(read)),
                socket_match("tlsMode-disabled", object([]), mutual::plain()),
            ];
        }
    }
}

fn encryption<'a>(from: &Outbound<'a>, kind: DiscoveryType, read: &mut Reader<'_>) -> Encryption<'a> {
    if let Some(settings) = &from.traffic.tls {
        return match settings.mode.unwrap_or_default() {
            ClientTlsMode::Disable => Encryption::Plain,
            ClientTlsMode::IstioMutual => Encryption::Mutual,
            ClientTlsMode::Simple | ClientTlsMode::Mutual if !may_use_credentials(from, settings) => Encryption::Plain,
            ClientTlsMode::Simple | ClientTlsMode::Mutual => Encryption::User(settings),
        };
    }
    let service = from.service;
    // gRPC knows no choice by endpoint: it is told, or speaks plain text.
    if from.client == For::Grpc || service.external || !from.settings.mesh.enable_auto_mtls {
        return Encryption::Plain;
    }
    let chosen = service.resolution == Resolution::Passthrough || super::policy::passes_through(from.traffic);
    if chosen && !all_take_it(from, read) {
        return Encryption::Plain;
    }
    if read.row::<NamespacePeers>(&service.id.namespace).is_some_and(|mode| *mode == PeerMode::Disable) {
        return Encryption::Plain;
    }
    // Endpoints that Envoy learns from the connection itself have no metadata to match.
    if kind == DiscoveryType::OriginalDst { Encryption::Mutual } else { Encryption::ByEndpoint }
}

/// Sidecars use secrets of the cluster only by rules that select workloads, and get no TLS by others, as in Istio: not everybody may have
/// them. What a ConfigMap holds anybody may have.
fn may_use_credentials(from: &Outbound<'_>, settings: &ClientTlsSettings) -> bool {
    let credential = &settings.credential_name;
    let selected = || from.policy.is_some_and(|policy| policy.selects_workloads);
    match from.client {
        _ if credential.is_empty() => true,
        For::Router => true,
        For::Sidecar => selected() || credential.starts_with(secrets::PUBLIC),
        // gRPC asks for no secrets; what passes has no TLS of its own.
        For::Grpc | For::Passing => false,
    }
}

/// Whether there are endpoints, and each of them takes mutual TLS.
fn all_take_it(from: &Outbound<'_>, read: &mut Reader<'_>) -> bool {
    let key = EndpointsKey { service: from.service.id.clone(), port: from.port.number };
    let endpoints = read.row::<Endpoints>(&key);
    endpoints.is_some_and(|endpoints| !endpoints.is_empty() && endpoints.iter().all(|endpoint| endpoint.mtls))
}

/// Who the peer may be: as the rule says, else the service accounts behind the service, under each name of the trust domain.
fn names(from: &Outbound<'_>, read: &mut Reader<'_>) -> Vec<String> {
    let written = from.traffic.tls.as_ref().map(|tls| tls.subject_alt_names.as_slice()).unwrap_or_default();
    if !written.is_empty() {
        return written.iter().map(ToString::to_string).collect();
    }
    let mut names: Vec<String> = from.service.subject_alt_names.iter().map(ToString::to_string).collect();
    let key = EndpointsKey { service: from.service.id.clone(), port: from.port.number };
    let accounts = read.row::<Accounts>(&key);
    let mesh = &from.settings.mesh;
    for (namespace, account) in accounts.iter().flat_map(|accounts| accounts.iter()) {
        let domains = std::iter::once(&mesh.trust_domain).chain(&mesh.trust_domain_aliases);
        names.extend(domains.map(|domain| format!("spiffe://{domain}/ns/{namespace}/sa/{account}")));
    }
    names
}

fn sni(from: &Outbound<'_>) -> String {
    let written = from.traffic.tls.as_ref().map(|tls| &tls.sni).filter(|sni| !sni.is_empty());
    written.map_or_else(|| from.name.sni(), ToString::to_string)
}

/// What is offered. Istio's Envoy overrides it for each request by what is spoken upstream (`istio.alpn`). Elsewhere it is fixed where
/// the protocol is; where the client decides, requests override it with what [`alpn_of_requests`] says.
fn alpn(from: &Outbound<'_>) -> Vec<&'static str> {
    match (from.caps.istio_filters, from.speaks) {
        (true, Version::Http2) => vec!["istio-peer-exchange", "istio", "h2"],
        (true, Version::Http1 | Version::Client | Version::Opaque) => vec!["istio-peer-exchange", "istio"],
        (false, Version::Http1) => vec!["istio-http/1.1", "istio", "http/1.1"],
        (false, Version::Http2) => vec!["istio-h2", "istio", "h2"],
        (false, Version::Client | Version::Opaque) => vec!["istio"],
    }
}

/// Metadata of clusters of the mesh: what a request offers where the client's protocol is spoken. No protocol of HTTP itself is in
/// it, so that none is agreed on and the peer looks at the first bytes.
pub(super) fn alpn_of_requests(from: &Outbound<'_>) -> Option<&'static str> {
    let mesh = from.traffic.tls.as_ref().is_none_or(|tls| tls.mode == Some(ClientTlsMode::IstioMutual));
    let stock = !from.caps.istio_filters && from.client != For::Grpc && !from.service.external;
    (mesh && stock && from.speaks == Version::Client).then_some("istio-http/1.1,istio")
}

/// The user's TLS. Files are read by the agent, which also follows their changes (`istio: pkg/model/credentials.go`).
fn context(from: &Outbound<'_>, settings: &ClientTlsSettings) -> UpstreamTlsContext {
    let mutual = settings.mode == Some(ClientTlsMode::Mutual);
    let names = match settings.subject_alt_names.is_empty() {
        true => &from.service.subject_alt_names,
        false => &settings.subject_alt_names,
    };
    let lax = settings.insecure_skip_verify == Some(true);
    let credential = Some(&settings.credential_name).filter(|name| !name.is_empty());
    let certificate = mutual.then(|| match credential {
        Some(name) => secrets::certificate_of(name),
        None => mutual::file_certificate(&settings.client_certificate, &settings.private_key),
    });
    let common = CommonTlsContext {
        tls_certificate_sds_secret_configs: certificate.into_iter().collect(),
        alpn_protocols: if from.speaks == Version::Http2 { vec!["h2".to_owned()] } else { Vec::new() },
        validation_context_type: (!lax).then(|| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let crl = Some(settings.ca_crl.as_str()).filter(|crl| !crl.is_empty());
            let file = Some(settings.ca_certificates.as_str()).filter(|roots| !roots.is_empty()).unwrap_or("system");
            let roots = match credential {
                Some(name) => secrets::roots_of(name),
                None => mutual::agent_secret(&format!("file-root:{file}")),
            };
            mutual::validation(mutual::exactly(&names), roots, crl)
        }),
        ..CommonTlsContext::default()
    };
    UpstreamTlsContext {
        common_tls_context: Some(common),
        sni: settings.sni.to_string(),
        // Without a name of its own, what the client called is sent and checked.
        auto_host_sni: settings.sni.is_empty(),
        auto_sni_san_validation: settings.sni.is_empty() && names.is_empty() && !lax,
        ..UpstreamTlsContext::default()
    }
}
