//! Gateway as users write it: one struct for each message, all fields.

use names::{Labels, Name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalars::keywords;
use crate::schema::{Rule, nullable, required};

/// Servers of gateway proxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// Ports, and the hosts that are served on them.
    pub servers: Vec<Server>,
    /// Labels of the gateway proxies; empty for all.
    pub selector: Labels,
}

/// A port, the hosts served on it, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// The port that is served.
    #[schemars(transform = required)]
    pub port: Option<Port>,
    /// Address that is bound, or a unix:// path.
    pub bind: Name,
    /// Hosts that are served, as `[namespace/]host`.
    #[schemars(transform = required)]
    pub hosts: Vec<Name>,
    /// TLS of the clients.
    pub tls: Option<ServerTlsSettings>,
    /// Not implemented, as in Istio.
    pub default_endpoint: Name,
    /// Name of the server, for statistics.
    pub name: Name,
}

/// A port and what is spoken on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// 1 to 65535; 0 with a unix bind.
    #[schemars(transform = required)]
    pub number: u32,
    /// What is spoken on it: HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP or TLS.
    #[schemars(transform = required)]
    pub protocol: Name,
    /// Its name, unique in the Gateway.
    #[schemars(transform = required)]
    pub name: Name,
    /// Not supported.
    pub target_port: u32,
}

/// Terminating TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "!has(self.credentialName) || !has(self.credentialNames)",
    "credentialName excludes credentialNames",
))]
#[schemars(transform = Rule(
    "!has(self.tlsCertificates) || !has(self.credentialNames)",
    "tlsCertificates excludes credentialNames",
))]
pub struct ServerTlsSettings {
    /// Whether plain HTTP is answered with a redirect to HTTPS.
    pub https_redirect: bool,
    /// Whether TLS is ended here, and whether clients need certificates.
    pub mode: Option<ServerTlsMode>,
    /// File of the own certificate.
    pub server_certificate: Name,
    /// File of the own key.
    pub private_key: Name,
    /// File of certificates that clients are trusted by.
    pub ca_certificates: Name,
    /// File of revoked certificates.
    pub ca_crl: Name,
    /// Secret with the own certificate and key.
    pub credential_name: Name,
    /// Secrets with own certificates and keys, one for each kind of key.
    #[schemars(length(min = 1, max = 2))]
    pub credential_names: Vec<Name>,
    /// Secret with certificates that clients are trusted by.
    pub ca_cert_credential_name: Name,
    /// Files of own certificates and keys, one for each kind of key.
    #[schemars(length(min = 1, max = 2))]
    pub tls_certificates: Vec<TlsCertificate>,
    /// Names that clients may have.
    pub subject_alt_names: Vec<Name>,
    /// Hashes of keys that clients may have.
    pub verify_certificate_spki: Vec<Name>,
    /// Hashes of certificates that clients may have.
    pub verify_certificate_hash: Vec<Name>,
    /// Oldest version of TLS.
    pub min_protocol_version: Option<TlsProtocol>,
    /// Newest version of TLS.
    pub max_protocol_version: Option<TlsProtocol>,
    /// Cipher suites that are allowed.
    pub cipher_suites: Vec<Name>,
    /// Curves that are allowed.
    pub ecdh_curves: Vec<Name>,
    /// Whether certificates of clients are not looked at.
    #[schemars(transform = nullable)]
    pub insecure_skip_verify: Option<bool>,
}

/// Files of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsCertificate {
    /// File of the certificate.
    pub server_certificate: Name,
    /// File of the key.
    pub private_key: Name,
    /// Not used, as in Istio.
    pub ca_certificates: Name,
}

keywords! {
    /// How TLS is terminated, if at all.
    pub enum ServerTlsMode { Passthrough = "PASSTHROUGH", Simple = "SIMPLE", Mutual = "MUTUAL", AutoPassthrough = "AUTO_PASSTHROUGH", IstioMutual = "ISTIO_MUTUAL", OptionalMutual = "OPTIONAL_MUTUAL" }
}

keywords! {
    /// TLS versions.
    pub enum TlsProtocol { TlsAuto = "TLS_AUTO", Tls10 = "TLSV1_0", Tls11 = "TLSV1_1", Tls12 = "TLSV1_2", Tls13 = "TLSV1_3" }
}
