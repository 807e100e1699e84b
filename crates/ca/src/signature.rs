//! Whether one key signed something: what the parsing library verifies, the larger hashes and curve that it does not, and without SHA-1,
//! which nobody takes any more.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::verify::verify_signature;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const ECDSA_SHA512: &str = "1.2.840.10045.4.3.4";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const P521: &str = "1.3.132.0.35";
/// RSA with SHA-1 under its two numbers, and ECDSA with SHA-1.
const SHA1: [&str; 3] = ["1.2.840.113549.1.1.5", "1.3.14.3.2.29", "1.2.840.10045.4.1"];

/// Whether `issuer`'s key signed the certificate.
pub(crate) fn certificate(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    let signed = (certificate.tbs_certificate.as_ref(), certificate.signature_value.data.as_ref());
    if let Some(verified) = beyond(issuer.public_key(), &certificate.signature_algorithm, signed) {
        return verified;
    }
    certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

/// Whether `issuer`'s key signed the list.
pub(crate) fn list(list: &CertificateRevocationList<'_>, issuer: &X509Certificate<'_>) -> bool {
    let signed = (list.tbs_cert_list.as_ref(), list.signature_value.data.as_ref());
    if let Some(verified) = beyond(issuer.public_key(), &list.signature_algorithm, signed) {
        return verified;
    }
    verify_signature(issuer.public_key(), &list.signature_algorithm, &list.signature_value, signed.0).is_ok()
}

/// What is decided here; `None` leaves it to the library.
fn beyond(
    key: &SubjectPublicKeyInfo<'_>,
    by: &AlgorithmIdentifier<'_>,
    (content, signature): (&[u8], &[u8]),
) -> Option<bool> {
    let by = by.algorithm.to_id_string();
    if SHA1.contains(&by.as_str()) {
        return Some(false);
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let algorithm: &'static EcdsaVerificationAlgorithm = match (curve?.to_id_string().as_str(), by.as_str()) {
        (P256, ECDSA_SHA512) => &ECDSA_P256_SHA512_ASN1,
        (P384, ECDSA_SHA512) => &ECDSA_P384_SHA512_ASN1,
        (P521, ECDSA_SHA256) => &ECDSA_P521_SHA256_ASN1,
        (P521, ECDSA_SHA384) => &ECDSA_P521_SHA384_ASN1,
        (P521, ECDSA_SHA512) => &ECDSA_P521_SHA512_ASN1,
        _ => return None,
    };
    let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.data.as_ref());
    Some(key.verify(content, signature).is_ok())
}
