//! Gateway as users write it: one struct for each message, all fields.

use names::{Labels, Name};
use serde::{Deserialize, Serialize};

/// Servers of gateway proxies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gateway {
    /// What they serve.
    pub servers: Vec<Server>,
    /// Which proxies; empty for all.
    pub selector: Labels,
}

/// A port, the hosts served on it, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Server {
    /// The port.
    pub port: Option<Port>,
    /// Address, or `unix://` path.
    pub bind: Name,
    /// `[namespace/]host`.
    pub hosts: Vec<Name>,
    /// Certificates.
    pub tls: Option<ServerTlsSettings>,
    /// Not implemented, as in Istio.
    pub default_endpoint: Name,
    /// For statistics.
    pub name: Name,
}

/// A port and what is spoken on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// 1 to 65535; 0 with a unix bind.
    pub number: u32,
    /// HTTP, HTTPS, GRPC, TLS, TCP …
    pub protocol: Name,
    /// Unique in the Gateway.
    pub name: Name,
    /// Refused.
    pub target_port: u32,
}

/// Terminating TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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
    pub credential_names: Vec<Name>,
    /// Secret of the client CA.
    pub ca_cert_credential_name: Name,
    /// Files of several certificates.
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
    pub insecure_skip_verify: Option<bool>,
}

/// Files of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsCertificate {
    /// File.
    pub server_certificate: Name,
    /// File.
    pub private_key: Name,
    /// Not used, as in Istio.
    pub ca_certificates: Name,
}

/// How TLS is terminated, if at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ServerTlsMode {
    /// `PASSTHROUGH`.
    #[default]
    #[serde(rename = "PASSTHROUGH")]
    Passthrough,
    /// `SIMPLE`.
    #[serde(rename = "SIMPLE")]
    Simple,
    /// `MUTUAL`.
    #[serde(rename = "MUTUAL")]
    Mutual,
    /// `AUTO_PASSTHROUGH`.
    #[serde(rename = "AUTO_PASSTHROUGH")]
    AutoPassthrough,
    /// `ISTIO_MUTUAL`.
    #[serde(rename = "ISTIO_MUTUAL")]
    IstioMutual,
    /// `OPTIONAL_MUTUAL`.
    #[serde(rename = "OPTIONAL_MUTUAL")]
    OptionalMutual,
}

/// TLS versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsProtocol {
    /// `TLS_AUTO`.
    #[default]
    #[serde(rename = "TLS_AUTO")]
    TlsAuto,
    /// `TLSV1_0`.
    #[serde(rename = "TLSV1_0")]
    Tls10,
    /// `TLSV1_1`.
    #[serde(rename = "TLSV1_1")]
    Tls11,
    /// `TLSV1_2`.
    #[serde(rename = "TLSV1_2")]
    Tls12,
    /// `TLSV1_3`.
    #[serde(rename = "TLSV1_3")]
    Tls13,
}
