//! Secrets of the cluster as resources, and how others refer to them (`istio: pilot/pkg/xds/sds.go`). Who may have them is decided by
//! the view; what is in them goes into the resource's bytes and nowhere else.

use graph::Reader;
use model::core::Secret as Written;
use model::settings::TrustBundle;
use model::{Id, Objects};
use names::Name;
use proto::Encoded;
use proto::envoy::config::core::v3::{ConfigSource, DataSource, data_source};
use proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, SdsSecretConfig, Secret, TlsCertificate, secret,
};

use proto::istio::mesh::v1alpha1::ProxyConfig;

use crate::keys::SecretKey;
use crate::wire::{ads, base64};

/// What the names of Secrets with roots only end in.
const ROOTS: &str = "-cacert";

/// The name of a Secret's certificate and key.
pub(crate) fn certificate_name(credential: &str) -> Name {
    let scheme = if credential.contains("://") { "" } else { "kubernetes://" };
    Name::from(format!("{scheme}{credential}"))
}

/// The name of a Secret's roots.
pub(crate) fn roots_name(credential: &str) -> Name {
    let credential = credential.strip_suffix(ROOTS).unwrap_or(credential);
    Name::from(format!("{}{ROOTS}", certificate_name(credential)))
}

/// Over this stream. It is not waited for without end: one that is missing must not hold back what refers to it.
pub(crate) fn reference(name: &str) -> SdsSecretConfig {
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
    let made = if key.roots { roots(&key.secret, read) } else { certificate(&key.secret, read) };
    match made {
        Ok(content) => {
            let message = Secret { name: key.name.to_string(), r#type: Some(content) };
            Some(Encoded::new(&key.name, &message))
        }
        Err(why) => {
            let Id { namespace, name, .. } = &key.secret;
            read.note(format!("Secret {namespace}/{name}"), format!("is not sent as {}: {why}", key.name));
            None
        }
    }
}

fn certificate(id: &Id, read: &mut Reader<'_>) -> Result<secret::Type, String> {
    let row = read.input::<Objects<Written>>(id).ok_or("there is none")?;
    let chain = first(&row.spec, &["cert", "tls.crt"]).ok_or("it has neither tls.crt nor cert")?;
    let key = first(&row.spec, &["key", "tls.key"]).ok_or("it has neither tls.key nor key")?;
    if !is_pem(&chain, "CERTIFICATE") {
        return Err("its certificate is no PEM".to_owned());
    }
    if !is_pem(&key, "PRIVATE KEY") {
        return Err("its key is no PEM".to_owned());
    }
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
    if !is_pem(&roots, "CERTIFICATE") {
        return Err("its roots are no PEM".to_owned());
    }
    Ok(secret::Type::ValidationContext(CertificateValidationContext {
        trusted_ca: Some(inline(roots)),
        crl: first(&row.spec, &["crl", "ca.crl"]).map(inline),
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

/// Whether there is a whole block of a kind. What is inside is for Envoy to judge.
fn is_pem(bytes: &[u8], kind: &str) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let has = |edge: &str| {
        text.lines()
            .any(|line| line.trim().strip_prefix(edge).is_some_and(|rest| rest.ends_with(&format!("{kind}-----"))))
    };
    has("-----BEGIN ") && has("-----END ")
}

fn inline(bytes: Vec<u8>) -> DataSource {
    DataSource { specifier: Some(data_source::Specifier::InlineBytes(bytes)), ..DataSource::default() }
}
