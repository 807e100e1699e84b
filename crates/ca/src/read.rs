//! PEM files as certificates, keys and revocation lists. Text around blocks, and blocks of other kinds, are passed over.

use rcgen::KeyPair;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

/// The certificates of a file, as DER; the file must hold at least one.
pub(crate) fn certificates(file: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found = blocks(file, |label| label == "CERTIFICATE")?;
    if found.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    for (at, der) in found.iter().enumerate() {
        parse(der).map_err(|error| format!("certificate {} does not parse: {error}", at + 1))?;
    }
    Ok(found)
}

/// A certificate; nothing may follow it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("bytes follow it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Certificates, as [`parse`].
pub(crate) fn parse_all(ders: &[Vec<u8>]) -> Result<Vec<X509Certificate<'_>>, String> {
    ders.iter().map(|der| parse(der)).collect()
}

/// The first private key of a file: PKCS#1, PKCS#8 or SEC1. Keys of other kinds than RSA and EC are refused: proxies cannot use them.
pub(crate) fn key(file: &[u8]) -> Result<KeyPair, String> {
    let found = blocks(file, |label| label.ends_with("PRIVATE KEY"))?;
    let der = found.first().ok_or("holds no private key")?;
    // The library's text could quote what it read; it is not passed on.
    let key =
        KeyPair::try_from(der.as_slice()).map_err(|_| "is not a PKCS#1, PKCS#8 or SEC1 key without a password")?;
    if key.algorithm() == &rcgen::PKCS_ED25519 {
        return Err("is an Ed25519 key; RSA and EC keys are supported".to_owned());
    }
    Ok(key)
}

/// The revocation lists of a file, as DER; the file must hold at least one.
pub(crate) fn revocation_lists(file: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let found = blocks(file, |label| label == "X509 CRL")?;
    if found.is_empty() {
        return Err("holds no revocation list".to_owned());
    }
    for der in &found {
        CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
    }
    Ok(found)
}

/// The contents of the blocks whose label is wanted.
pub(crate) fn blocks(file: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(file) {
        let block = block.map_err(|error| format!("is not PEM: {error}"))?;
        if wanted(&block.label) {
            found.push(block.contents);
        }
    }
    Ok(found)
}
