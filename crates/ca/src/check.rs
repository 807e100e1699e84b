//! Judges files: would they do as a CA, as a workload's identity, as roots? The same judgement stands before a CA is taken into use
//! and behind `meltemi ca check`. Source: istio: security/pkg/pki/util/keycertbundle.go.

use std::fmt;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::path::{Fault, Search, in_time, may_sign};
use crate::{read, signature};

/// A certificate that ends within so many seconds is worth a warning.
const SOON: i64 = 30 * 24 * 3600;

/// Files that would do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fine {
    /// What they are.
    pub text: String,
    /// What will, or may, become a problem.
    pub warnings: Vec<String>,
}

/// Why files would not do; the first fault found, in the order of the variants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// A file cannot be read.
    File,
    /// The file of roots does not parse.
    Root,
    /// The certificate does not parse.
    Cert,
    /// A chain file does not parse.
    Chain,
    /// The key does not parse, or is of a kind that proxies cannot use.
    Key,
    /// The key is another certificate's.
    Mismatch,
    /// A certificate that would have to sign may not.
    NotCa,
    /// A certificate is not within its time.
    Expired,
    /// No chain leads to a root.
    Untrusted,
    /// A revocation list is missing, too old, or names a certificate of the chain.
    Crl,
    /// The certificate is somebody else's.
    San,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Root => "root",
            Self::Cert => "cert",
            Self::Chain => "chain",
            Self::Key => "key",
            Self::Mismatch => "mismatch",
            Self::NotCa => "not-ca",
            Self::Expired => "expired",
            Self::Untrusted => "untrusted",
            Self::Crl => "crl",
            Self::San => "san",
        })
    }
}

/// A judgement against files. Shown as `REASON: text`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason}: {text}")]
pub struct Refusal {
    /// The kind of fault, for programs.
    pub reason: Reason,
    /// The fault, for people.
    pub text: String,
}

impl Refusal {
    /// For `reason`.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

/// Files of a plugged-in CA, as read.
pub struct Plugged<'a> {
    /// The CA's certificate.
    pub cert: &'a [u8],
    /// Its key.
    pub key: &'a [u8],
    /// The roots that the mesh trusts.
    pub root: &'a [u8],
    /// Certificates between the CA and a root.
    pub chain: &'a [Vec<u8>],
    /// Revocation lists; with any, each CA of the chain needs one.
    pub crl: &'a [Vec<u8>],
}

/// Files of a workload, as read.
pub struct Workload<'a> {
    /// The certificate; its chain may follow it.
    pub cert: &'a [u8],
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// The roots that the mesh trusts.
    pub root: &'a [u8],
    /// Certificates between the workload's and a root.
    pub chain: &'a [Vec<u8>],
    /// The identity that it must carry, as a URI.
    pub san: Option<&'a str>,
}

/// Certificates that were read: the first of `own` is the one in question.
pub(crate) struct Material {
    pub(crate) own: Vec<Vec<u8>>,
    pub(crate) roots: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
}

impl Material {
    pub(crate) fn read(cert: &[u8], root: &[u8], chain: &[Vec<u8>]) -> Result<Self, Refusal> {
        let roots = read::certificates(root);
        let roots = roots.map_err(|text| Refusal::new(Reason::Root, format!("the file of roots {text}")))?;
        let own = read::certificates(cert);
        let own = own.map_err(|text| Refusal::new(Reason::Cert, format!("the certificate file {text}")))?;
        let mut links = Vec::new();
        for file in chain.iter().filter(|file| !file.trim_ascii().is_empty()) {
            let read = read::certificates(file);
            links.extend(read.map_err(|text| Refusal::new(Reason::Chain, format!("a chain file {text}")))?);
        }
        Ok(Self { own, roots, chain: links })
    }

    /// Everything parsed: the one in question, what may lie between, roots.
    pub(crate) fn parsed(&self) -> Result<Parsed<'_>, Refusal> {
        // All were parsed once when they were read.
        let [own, chain, roots] = [&self.own, &self.chain, &self.roots].map(|ders| read::parse_all(ders));
        let mut own = own.map_err(|text| Refusal::new(Reason::Cert, text))?;
        let mut between = own.split_off(1);
        between.extend(chain.map_err(|text| Refusal::new(Reason::Chain, text))?);
        let roots = roots.map_err(|text| Refusal::new(Reason::Root, text))?;
        let target =
            own.pop().ok_or_else(|| Refusal::new(Reason::Cert, "the certificate file holds no certificate"))?;
        Ok(Parsed { target, between, roots })
    }
}

/// See [`Material::parsed`].
pub(crate) struct Parsed<'a> {
    pub(crate) target: X509Certificate<'a>,
    between: Vec<X509Certificate<'a>>,
    pub(crate) roots: Vec<X509Certificate<'a>>,
}

impl Parsed<'_> {
    /// The chain from the one in question to a root.
    pub(crate) fn chain(&self, now: i64) -> Result<Vec<&X509Certificate<'_>>, Refusal> {
        if !in_time(&self.target, now) {
            return Err(Refusal::new(Reason::Expired, format!("{} is {}", name(&self.target), time(&self.target))));
        }
        let search = Search { intermediates: &self.between, roots: &self.roots, now };
        search.chain(&self.target).map_err(|fault| self.explain(fault, now))
    }

    fn explain(&self, fault: Fault, now: i64) -> Refusal {
        let issuer = self.target.issuer();
        match fault {
            Fault::Expired => {
                let all = self.between.iter().chain(&self.roots);
                let late: Vec<String> = all
                    .filter(|each| !in_time(each, now))
                    .map(|each| format!("{} is {}", name(each), time(each)))
                    .collect();
                Refusal::new(Reason::Expired, format!("a chain to a root exists, but {}", late.join("; ")))
            }
            Fault::NotCa => {
                let text = "a chain to a root exists, but a certificate in it may not sign this one (basicConstraints, \
                            keyUsage or path length)";
                Refusal::new(Reason::NotCa, text)
            }
            Fault::Untrusted => {
                let text = format!(
                    "{} was issued by \"{issuer}\", and no chain from there leads to a root",
                    name(&self.target)
                );
                Refusal::new(Reason::Untrusted, text)
            }
        }
    }

    /// Whether `key` is the key of the certificate in question.
    pub(crate) fn owns(&self, key: &rcgen::KeyPair) -> Result<(), Refusal> {
        use rcgen::PublicKeyData;
        if self.target.public_key().subject_public_key.data.as_ref() == key.der_bytes() {
            return Ok(());
        }
        Err(Refusal::new(Reason::Mismatch, format!("the key is not that of {}", name(&self.target))))
    }

    /// The one in question signs others.
    pub(crate) fn is_ca(&self) -> Result<(), Refusal> {
        if may_sign(&self.target, false, 0) {
            return Ok(());
        }
        let text = "does not say CA:TRUE, or its key usage lacks the signing of certificates";
        Err(Refusal::new(Reason::NotCa, format!("{} {text}", name(&self.target))))
    }
}

/// Would the files do as a plugged-in CA at `now` (Unix time in seconds)?
///
/// # Errors
/// The first fault.
pub fn plugged(files: &Plugged<'_>, now: i64) -> Result<Fine, Refusal> {
    let material = Material::read(files.cert, files.root, files.chain)?;
    let parsed = material.parsed()?;
    parsed.owns(&signing_key(files.key)?)?;
    parsed.is_ca()?;
    let chain = parsed.chain(now)?;
    revoked(&chain, files.crl, now)?;
    let mut warnings = soon(&chain, now);
    let below = chain.len() - 1;
    let short = |each: &&&X509Certificate<'_>| !may_sign(each, true, below);
    if let Some(root) = chain.last().filter(|_| below > 0).filter(short) {
        warnings.push(format!("{} allows fewer CAs below it than there are: proxies may refuse the chain", name(root)));
    }
    Ok(Fine { text: format!("{} chains to {} by way of {below} step(s)", name(&parsed.target), end(&chain)), warnings })
}

/// The key of a CA.
pub(crate) fn signing_key(file: &[u8]) -> Result<rcgen::KeyPair, Refusal> {
    read::key(file).map_err(|text| Refusal::new(Reason::Key, format!("the key file {text}")))
}

/// Would the files do as the identity of a workload at `now` (Unix time in seconds)?
///
/// # Errors
/// The first fault.
pub fn workload(files: &Workload<'_>, now: i64) -> Result<Fine, Refusal> {
    let material = Material::read(files.cert, files.root, files.chain)?;
    let parsed = material.parsed()?;
    if let Some(key) = files.key {
        parsed.owns(&signing_key(key)?)?;
    }
    let chain = parsed.chain(now)?;
    let sans = uris(&parsed.target);
    if let Some(wanted) = files.san.filter(|wanted| !sans.contains(wanted)) {
        let text = format!("{} is for {sans:?}, not for {wanted}", name(&parsed.target));
        return Err(Refusal::new(Reason::San, text));
    }
    Ok(Fine { text: format!("{sans:?} chains to {}", end(&chain)), warnings: soon(&chain, now) })
}

/// Would the file do as roots at `now` (Unix time in seconds)?
///
/// # Errors
/// The first fault.
pub fn roots(file: &[u8], now: i64) -> Result<Fine, Refusal> {
    let ders = read::certificates(file);
    let ders = ders.map_err(|text| Refusal::new(Reason::Root, format!("the file of roots {text}")))?;
    let roots = read::parse_all(&ders).map_err(|text| Refusal::new(Reason::Root, text))?;
    if let Some(other) = roots.iter().find(|root| !may_sign(root, true, 0)) {
        return Err(Refusal::new(Reason::NotCa, format!("{} is not a CA", name(other))));
    }
    let usable = roots.iter().filter(|root| in_time(root, now)).count();
    if usable == 0 {
        let all: Vec<String> = roots.iter().map(|root| format!("{} is {}", name(root), time(root))).collect();
        return Err(Refusal::new(Reason::Expired, all.join("; ")));
    }
    Ok(Fine {
        text: format!("{usable} of {} roots are within their time", roots.len()),
        warnings: soon(&roots.iter().collect::<Vec<_>>(), now),
    })
}

/// Is this a certificate, with its chain perhaps, and its key? Whether anybody trusts it, and when, is not asked.
///
/// # Errors
/// The first fault.
pub fn pair(cert: &[u8], key: &[u8]) -> Result<(), Refusal> {
    use rcgen::PublicKeyData;
    let refuse = |text: String| Refusal::new(Reason::Cert, format!("the certificate {text}"));
    let ders = read::certificates(cert).map_err(refuse)?;
    let parsed = read::parse_all(&ders).map_err(refuse)?;
    let own = parsed.first().ok_or_else(|| refuse("is empty".to_owned()))?;
    match own.public_key().subject_public_key.data.as_ref() == signing_key(key)?.der_bytes() {
        true => Ok(()),
        false => Err(Refusal::new(Reason::Mismatch, format!("the key is not that of {}", name(own)))),
    }
}

/// Are these certificates? Whether they may vouch for others, and when, is not asked.
///
/// # Errors
/// When they are not.
pub fn certificates(file: &[u8]) -> Result<(), Refusal> {
    let parsed = read::certificates(file).and_then(|ders| read::parse_all(&ders).map(|_| ()));
    parsed.map_err(|text| Refusal::new(Reason::Root, format!("the file of roots {text}")))
}

/// The URIs that a certificate, as DER, stands for; none when it does not parse.
#[must_use]
pub fn uris_of(der: &[u8]) -> Vec<String> {
    let parsed = read::parse(der);
    let uris = parsed.iter().flat_map(|certificate| uris(certificate));
    uris.map(str::to_owned).collect()
}

/// When a certificate, as DER, ends, in Unix time.
#[must_use]
pub fn ends(der: &[u8]) -> Option<i64> {
    Some(read::parse(der).ok()?.validity().not_after.timestamp())
}

/// The URIs that a certificate stands for.
pub(crate) fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let uri = |name: &'a GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    };
    names.iter().filter_map(uri).collect()
}

/// With revocation lists given, each CA of the chain must have signed one that is not too old, and none may name a certificate of it.
fn revoked(chain: &[&X509Certificate<'_>], files: &[Vec<u8>], now: i64) -> Result<(), Refusal> {
    if files.is_empty() {
        return Ok(());
    }
    let refuse = |text: String| Err(Refusal::new(Reason::Crl, text));
    let mut ders = Vec::new();
    for file in files {
        match read::revocation_lists(file) {
            Ok(read) => ders.extend(read),
            Err(text) => return refuse(format!("a file of revocation lists {text}")),
        }
    }
    let lists: Vec<_> = ders.iter().filter_map(|der| Some(CertificateRevocationList::from_der(der).ok()?.1)).collect();
    for (at, ca) in chain.iter().enumerate().filter(|(_, each)| each.is_ca()) {
        let signed =
            lists.iter().filter(|list| list.issuer().as_raw() == ca.subject().as_raw() && signature::list(list, ca));
        let Some(list) = signed.max_by_key(|list| list.last_update().timestamp()) else {
            return refuse(format!("there is no revocation list signed by {}", name(ca)));
        };
        if list.next_update().is_some_and(|next| next.timestamp() < now) {
            return refuse(format!("the revocation list of {} should have been replaced by now", name(ca)));
        }
        let Some(below) = at.checked_sub(1).map(|below| chain[below]) else { continue };
        if list.iter_revoked_certificates().any(|revoked| revoked.raw_serial() == below.raw_serial()) {
            return refuse(format!("{} was revoked by its issuer", name(below)));
        }
    }
    Ok(())
}

/// Certificates that end soon.
fn soon(chain: &[&X509Certificate<'_>], now: i64) -> Vec<String> {
    let late = chain.iter().filter(|each| each.validity().not_after.timestamp() - now < SOON);
    late.map(|each| format!("{} is {}", name(each), time(each))).collect()
}

/// How a certificate is called in texts.
fn name(certificate: &X509Certificate<'_>) -> String {
    match certificate.subject().to_string() {
        subject if subject.is_empty() => match uris(certificate).first() {
            Some(uri) => format!("certificate \"{uri}\""),
            None => format!("certificate {}", certificate.raw_serial_as_string()),
        },
        subject => format!("certificate \"{subject}\""),
    }
}

/// When a certificate counts.
fn time(certificate: &X509Certificate<'_>) -> String {
    let validity = certificate.validity();
    format!("valid from {} to {}", validity.not_before, validity.not_after)
}

/// The last of a chain.
fn end(chain: &[&X509Certificate<'_>]) -> String {
    chain.last().map(|root| name(root)).unwrap_or_default()
}
