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
    /// What they serve.
    pub servers: Vec<Server>,
    /// Which proxies; empty for all.
    pub selector: Labels,
}

/// A port, the hosts served on it, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// The port.
    #[schemars(transform = required)]
    pub port: Option<Port>,
    /// Address, or `unix://` path.
    pub bind: Name,
    /// `[namespace/]host`.
    #[schemars(transform = required)]
    pub hosts: Vec<Name>,
    /// Certificates.
    pub tls: Option<ServerTlsSettings>,
    /// Not implemented, as in Istio.
    pub default_endpoint: Name,
    /// For statistics.
    pub name: Name,
}

/// A port and what is spoken on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// 1 to 65535; 0 with a unix bind.
    #[schemars(transform = required)]
    pub number: u32,
    /// HTTP, HTTPS, GRPC, TLS, TCP …
    #[schemars(transform = required)]
    pub protocol: Name,
    /// Unique in the Gateway.
    #[schemars(transform = required)]
    pub name: Name,
    /// Refused.
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
    /// Redirect plain HTTP.
    pub https_redirect: bool,
    /// Which kind.
    pub mode: Option<ServerTlsMode>,
    /// File.
    pub server_certificate: Name,
    /// File.
    pub private_key: Name,
    /// File.
    pub ca_certificates: Name,
    /// File.
    pub ca_crl: Name,
    /// Secret.
    pub credential_name: Name,
    /// Secrets.
    #[schemars(length(min = 1, max = 2))]
    pub credential_names: Vec<Name>,
    /// Secret of the client CA.
    pub ca_cert_credential_name: Name,
    /// Files of several certificates.
    #[schemars(length(min = 1, max = 2))]
    pub tls_certificates: Vec<TlsCertificate>,
    /// Names that clients may have.
    pub subject_alt_names: Vec<Name>,
    /// Hashes of keys that clients may have.
    pub verify_certificate_spki: Vec<Name>,
    /// Hashes of certificates that clients may have.
    pub verify_certificate_hash: Vec<Name>,
    /// Oldest version.
    pub min_protocol_version: Option<TlsProtocol>,
    /// Newest version.
    pub max_protocol_version: Option<TlsProtocol>,
    /// Allowed suites.
    pub cipher_suites: Vec<Name>,
    /// Allowed curves.
    pub ecdh_curves: Vec<Name>,
    /// Accept any client certificate.
    #[schemars(transform = nullable)]
    pub insecure_skip_verify: Option<bool>,
}

/// Files of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsCertificate {
    /// File.
    pub server_certificate: Name,
    /// File.
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
