//! Secrets of the cluster as resources, and how others refer to them (`istio: pilot/pkg/xds/sds.go`). Who may have them is decided by
//! the view; what is in them goes into the resource's bytes and nowhere else.

use graph::Reader;
use model::core::{ConfigMap, Secret as Written};
use model::settings::TrustBundle;
use model::{Id, Objects};
use names::Name;
use proto::Encoded;
use proto::envoy::config::core::v3::{ConfigSource, DataSource, data_source};
use proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, SdsSecretConfig, Secret, TlsCertificate, secret,
};

use proto::istio::mesh::v1alpha1::ProxyConfig;

use crate::keys::{Content, SecretKey};
use crate::mutual;
use crate::wire::{ads, base64};

/// What the names of Secrets with roots only end in.
const ROOTS: &str = "-cacert";
/// The workload's own certificate and the mesh's roots, in place of a Secret.
const OWN: &str = "builtin://";
/// Roots in a ConfigMap, which anybody may have.
pub(crate) const PUBLIC: &str = "configmap://";
/// Secrets of the proxy's namespace.
pub(crate) const PRIVATE: &str = "kubernetes://";
/// Names that say what they name.
const SCHEMES: [&str; 4] = [PRIVATE, PUBLIC, "kubernetes-gateway://", "invalid://"];

/// The name of a Secret's certificate and key. Without a server of its own, `sds://` names a Secret
/// (`istio: pilot/pkg/security/model/authentication.go`).
pub(crate) fn certificate_name(credential: &str) -> Name {
    let credential = credential.strip_prefix("sds://").unwrap_or(credential);
    let scheme = if SCHEMES.iter().any(|scheme| credential.starts_with(scheme)) { "" } else { PRIVATE };
    Name::from(format!("{scheme}{credential}"))
}

/// The name of a Secret's roots.
pub(crate) fn roots_name(credential: &str) -> Name {
    let credential = credential.strip_suffix(ROOTS).unwrap_or(credential);
    Name::from(format!("{}{ROOTS}", certificate_name(credential)))
}

/// Whether a credential is the workload's own, which its agent has.
pub(crate) fn is_own(credential: &str) -> bool {
    credential.starts_with(OWN)
}

/// A reference to a credential's certificate.
pub(crate) fn certificate_of(credential: &str) -> SdsSecretConfig {
    if is_own(credential) { mutual::own_certificate() } else { reference(&certificate_name(credential)) }
}

/// A reference to a credential's roots.
pub(crate) fn roots_of(credential: &str) -> SdsSecretConfig {
    if is_own(credential) { mutual::own_roots() } else { reference(&roots_name(credential)) }
}

/// Over this stream. It is not waited for without end: one that is missing must not hold back what refers to it.
fn reference(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(ConfigSource { initial_fetch_timeout: None, ..ads() }) }
}

/// The name of what agents are told of the mesh; they do not look at it.
pub(crate) const TRUST: &str = "default";

/// The roots that vouch for workloads, for agents (`istio: pilot/pkg/xds/pcds.go`).
pub(crate) fn trust(read: &mut Reader<'_>) -> Option<Encoded> {
    let roots = read.input::<TrustBundle>(&())?;
    Some(Encoded::new(TRUST, &ProxyConfig { ca_certificates_pem: (*roots).clone() }))
}

/// The resource. A Secret that Envoy would refuse is left out and reported, so that it takes no others along; Istio sends it.
pub(crate) fn encoded(key: &SecretKey, read: &mut Reader<'_>) -> Option<Encoded> {
    let made = match key.content {
        Content::Certificate => certificate(&key.secret, read),
        Content::Roots => roots(&key.secret, read),
        Content::PublicRoots => public_roots(&key.secret, read),
    };
    match made {
        Ok(content) => {
            let message = Secret { name: key.name.to_string(), r#type: Some(content) };
            Some(Encoded::new(&key.name, &message))
        }
        Err(why) => {
            let Id { namespace, name, .. } = &key.secret;
            let kind = if key.content == Content::PublicRoots { "ConfigMap" } else { "Secret" };
            read.note(format!("{kind} {namespace}/{name}"), format!("is not sent as {}: {why}", key.name));
            None
        }
    }
}

fn certificate(id: &Id, read: &mut Reader<'_>) -> Result<secret::Type, String> {
    let row = read.input::<Objects<Written>>(id).ok_or("there is none")?;
    let chain = first(&row.spec, &["cert", "tls.crt"]).ok_or("it has neither tls.crt nor cert")?;
    let key = first(&row.spec, &["key", "tls.key"]).ok_or("it has neither tls.key nor key")?;
    ca::pair(&chain, &key).map_err(|refusal| refusal.to_string())?;
    let made = TlsCertificate {
        certificate_chain: Some(inline(chain)),
        private_key: Some(inline(key)),
        ocsp_staple: first(&row.spec, &["tls.ocsp-staple"]).map(inline),
        ..TlsCertificate::default()
    };
    Ok(secret::Type::TlsCertificate(made))
}

/// From the Secret for roots, else from those beside the certificate.
fn roots(id: &Id, read: &mut Reader<'_>) -> Result<secret::Type, String> {
    let own = Id { name: Name::from(format!("{}{ROOTS}", id.name)), ..id.clone() };
    let row = read.input::<Objects<Written>>(&own);
    let row = row.or_else(|| read.input::<Objects<Written>>(id)).ok_or("there is none")?;
    let roots = first(&row.spec, &["cacert", "ca.crt"]).ok_or("it has neither ca.crt nor cacert")?;
    context(roots, first(&row.spec, &["crl", "ca.crl"]))
}

/// From a ConfigMap.
fn public_roots(id: &Id, read: &mut Reader<'_>) -> Result<secret::Type, String> {
    let row = read.input::<Objects<ConfigMap>>(id).ok_or("there is none")?;
    let text = |key: &str| row.spec.data.get(key).filter(|text| !text.is_empty()).map(|text| text.as_bytes().to_vec());
    let roots = text("cacert").or_else(|| text("ca.crt")).ok_or("it has neither ca.crt nor cacert")?;
    context(roots, text("crl").or_else(|| text("ca.crl")))
}

fn context(roots: Vec<u8>, crl: Option<Vec<u8>>) -> Result<secret::Type, String> {
    ca::certificates(&roots).map_err(|refusal| refusal.to_string())?;
    Ok(secret::Type::ValidationContext(CertificateValidationContext {
        trusted_ca: Some(inline(roots)),
        crl: crl.map(inline),
        ..CertificateValidationContext::default()
    }))
}

/// The first of the keys that has something. Plain text wins over encoded, as in the API server.
fn first(written: &Written, keys: &[&str]) -> Option<Vec<u8>> {
    let found = keys.iter().map(|key| {
        let plain = written.string_data.get(*key).map(|text| text.as_bytes().to_vec());
        let encoded = || {
            let text: String = written.data.get(*key)?.chars().filter(|letter| !letter.is_whitespace()).collect();
            Some(base64(&text))
        };
        plain.or_else(encoded).unwrap_or_default()
    });
    found.into_iter().find(|bytes| !bytes.is_empty())
}

fn inline(bytes: Vec<u8>) -> DataSource {
    DataSource { specifier: Some(data_source::Specifier::InlineBytes(bytes)), ..DataSource::default() }
}
