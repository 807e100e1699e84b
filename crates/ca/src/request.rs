//! A request to sign: what is taken from it is its public key, and nothing else. Whose certificate it becomes is for the caller's
//! credentials to say, never for the request.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::read;

/// A request longer than this is refused unread, in bytes. A request with an 8192-bit RSA key has 3 KB.
const LONGEST: usize = 32 * 1024;
/// RSA keys outside these bounds are refused, in bits: too weak, or too dear to check.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is not one.
    #[error("the CSR {0}")]
    Request(String),
    /// More time was asked for than is given.
    #[error("the requested lifetime of {asked} s is longer than the longest allowed, {most} s")]
    Lifetime {
        /// Seconds asked for.
        asked: i64,
        /// Seconds given at most.
        most: i64,
    },
    /// The authority's own certificate is not within its time.
    #[error("the CA's own certificate is no longer valid; replace it")]
    Ended,
    /// The library could not sign.
    #[error("signing: {0}")]
    Signing(#[from] rcgen::Error),
    /// An identity or a name that no certificate can carry.
    #[error("{0:?} cannot stand in a certificate")]
    Name(String),
}

/// The public key of a request that proves to own its private key.
pub(crate) fn public_key(pem: &str) -> Result<SubjectPublicKeyInfo, Error> {
    let wrong = |text: &str| Error::Request(text.to_owned());
    if pem.len() > LONGEST {
        return Err(Error::Request(format!("has {} bytes; at most {LONGEST} are read", pem.len())));
    }
    let blocks =
        read::blocks(pem.as_bytes(), |label| label.ends_with("CERTIFICATE REQUEST")).map_err(Error::Request)?;
    let [der] = blocks.as_slice() else {
        return Err(wrong("must be one PEM block of CERTIFICATE REQUEST"));
    };
    let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
        return Err(wrong("does not parse"));
    };
    let key = &request.certification_request_info.subject_pki;
    match key.parsed() {
        Ok(PublicKey::RSA(key)) if RSA_BITS.contains(&key.key_size()) => {}
        Ok(PublicKey::RSA(key)) => {
            return Err(Error::Request(format!(
                "has an RSA key of {} bits; 2048 to 8192 are accepted",
                key.key_size()
            )));
        }
        Ok(PublicKey::EC(_)) => {}
        _ => return Err(wrong("has a key that is neither RSA nor EC")),
    }
    // P-256 and P-384 only: what proxies verify.
    request.verify_signature().map_err(|_| wrong("is not signed with its own key by an algorithm in use today"))?;
    SubjectPublicKeyInfo::from_der(key.raw).map_err(|_| wrong("has a key of an unknown kind"))
}
