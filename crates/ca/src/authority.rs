//! The authority: key, certificate, chain and roots, verified together and replaced together; and what it signs.
//! Source: istio: security/pkg/pki/ca/ca.go, security/pkg/pki/util/generate_csr.go.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use x509_parser::time::ASN1Time;

use crate::check::{self, Material, Plugged, Reason, Refusal};
use crate::path::Search;
use crate::read;
use crate::request::{self, Error};

/// Certificates begin before they are made, in seconds, for workloads whose clocks are late. Short ones by no more than half of what they
/// last: ztunnel renews at the middle between beginning and end, and would never stop if that had passed already (measured with a lifetime
/// of 40 s: 20 requests a second). Istio does not mind that.
const SKEW: i64 = 120;
/// How long a self-signed root lasts, in seconds: 10 years.
const ROOT_LIFETIME: i64 = 3650 * 24 * 3600;

/// How long workloads' certificates last, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// When none is asked for.
    pub usual: i64,
    /// At most.
    pub most: i64,
}

impl Default for Lifetimes {
    /// Istio's: 24 hours, 90 days.
    fn default() -> Self {
        Self { usual: 24 * 3600, most: 90 * 24 * 3600 }
    }
}

/// A certificate that was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// PEM: the certificate, each certificate between it and the root, and last the bundle of roots. Never fewer than two.
    pub chain: Vec<String>,
    /// When it ends, in Unix time.
    pub not_after: i64,
}

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// PEM, from the authority's own certificate towards the root, which is not among them.
    between: Vec<String>,
    /// PEM: the roots that vouch for workloads, the one of this authority first.
    roots: Vec<String>,
    /// When the first certificate of the chain ends, in Unix time.
    not_after: i64,
    /// When the first of the roots ends, in Unix time.
    roots_end: i64,
    /// What will, or may, become a problem.
    warnings: Vec<String>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

impl Authority {
    /// Takes files into use, as one verified unit: what they would sign was signed once and verified.
    ///
    /// # Errors
    /// When [`check::plugged`] refuses them, or what they sign does not verify.
    pub fn load(files: &Plugged<'_>, now: i64) -> Result<Self, Refusal> {
        let fine = check::plugged(files, now)?;
        let material = Material::read(files.cert, files.root, files.chain)?;
        let parsed = material.parsed()?;
        let chain = parsed.chain(now)?;
        let own = parsed.target.as_raw().to_vec();
        let refuse = |error: rcgen::Error| Refusal::new(Reason::Cert, format!("the certificate cannot sign: {error}"));
        let issuer = Issuer::from_ca_cert_der(&own.into(), check::signing_key(files.key)?).map_err(refuse)?;
        let is_root = |raw: &[u8]| material.roots.iter().any(|root| root == raw);
        let anchor = chain.last().map(|last| last.as_raw().to_vec()).unwrap_or_default();
        let others = material.roots.iter().filter(|root| **root != anchor);
        let between = chain.iter().filter(|each| !is_root(each.as_raw())).map(|each| certificate_pem(each.as_raw()));
        let authority = Self {
            issuer,
            between: between.collect(),
            roots: std::iter::once(&anchor).chain(others).map(|root| certificate_pem(root)).collect(),
            roots_end: material.roots.iter().filter_map(|root| check::ends(root)).min().unwrap_or(now),
            warnings: fine.warnings,
            not_after: chain.iter().map(|each| each.validity().not_after.timestamp()).min().unwrap_or(now),
        };
        authority.try_out(&material, now)?;
        Ok(authority)
    }

    /// Signs a certificate for nobody and verifies it: a name that the library writes in another way than it was read would break
    /// every workload at once.
    fn try_out(&self, material: &Material, now: i64) -> Result<(), Refusal> {
        let refuse =
            |text: String| Refusal::new(Reason::Cert, format!("what the certificate signs does not verify: {text}"));
        let key = KeyPair::generate().map_err(|error| refuse(error.to_string()))?;
        let probe = self.sign(&key, vec![], (now, now + 60)).map_err(|error| refuse(error.to_string()))?;
        let read = |pem: &str| read::certificates(pem.as_bytes()).map_err(refuse);
        let (probe, roots) = (read(&probe)?, &material.roots);
        let between = if self.between.is_empty() { Vec::new() } else { read(&self.between.concat())? };
        let parse = |ders| read::parse_all(ders).map_err(refuse);
        let (probe, between, roots) = (parse(&probe)?, parse(&between)?, parse(roots)?);
        let search = Search { intermediates: &between, roots: &roots, now };
        let target = probe.first().ok_or_else(|| refuse("it is empty".to_owned()))?;
        match search.chain(target) {
            Ok(_) => Ok(()),
            Err(fault) => Err(refuse(format!("{fault:?}"))),
        }
    }

    /// Signs the request for `identity`, whatever name the request asks for.
    ///
    /// # Errors
    /// When the request is not one, or asks for too long.
    pub fn issue(
        &self,
        csr: &str,
        identity: &str,
        asked: i64,
        lifetimes: Lifetimes,
        now: i64,
    ) -> Result<Issued, Error> {
        if asked > lifetimes.most {
            return Err(Error::Lifetime { asked, most: lifetimes.most });
        }
        let key = request::public_key(csr)?;
        let lifetime = if asked > 0 { asked } else { lifetimes.usual };
        let uri = identity.try_into().map_err(|_| Error::Name(identity.to_owned()))?;
        self.chained(&key, vec![SanType::URI(uri)], lifetime, now)
    }

    /// A certificate and key for a server of the control plane itself, which answers to `names`: the chain, and the key as PEM.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn serve(&self, names: &[String], now: i64) -> Result<(Issued, String), Error> {
        let key = KeyPair::generate()?;
        let name =
            |name: &String| name.as_str().try_into().map(SanType::DnsName).map_err(|_| Error::Name(name.clone()));
        let names = names.iter().map(name).collect::<Result<Vec<_>, _>>()?;
        Ok((self.chained(&key, names, ROOT_LIFETIME, now)?, key.serialize_pem()))
    }

    fn chained(&self, key: &impl PublicKeyData, names: Vec<SanType>, lifetime: i64, now: i64) -> Result<Issued, Error> {
        let not_after = now.saturating_add(lifetime).min(self.not_after);
        if not_after <= now {
            return Err(Error::Ended);
        }
        let begins = now - SKEW.min((not_after - now) / 2);
        let mut chain = vec![self.sign(key, names, (begins, not_after))?];
        chain.extend(self.between.iter().cloned());
        chain.push(self.roots.concat());
        Ok(Issued { chain, not_after })
    }

    /// Signs a certificate that is no CA, as PEM.
    fn sign(&self, key: &impl PublicKeyData, names: Vec<SanType>, (from, to): (i64, i64)) -> Result<String, Error> {
        let mut params = params((from, to))?;
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }

    /// The same authority where further roots, each as PEM, vouch for workloads too.
    #[must_use]
    pub fn trusting(mut self, roots: impl IntoIterator<Item = String>) -> Self {
        for root in roots {
            if !self.roots.contains(&root) {
                self.roots.push(root);
            }
        }
        self
    }

    /// The roots that vouch for workloads, each as PEM: first the one that the authority's chain leads to.
    #[must_use]
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// When the first of the roots ends, in Unix time.
    #[must_use]
    pub fn roots_end(&self) -> i64 {
        self.roots_end
    }

    /// What will, or may, become a problem, as it was when the files were taken into use.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// When the first certificate of the authority's chain ends, in Unix time.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }
}

/// A new self-signed root for `organization` (the trust domain, as Istio has it): certificate and key, as PEM.
///
/// # Errors
/// When the library cannot sign.
pub fn self_signed(organization: &str, now: i64) -> Result<(String, String), Error> {
    let key = KeyPair::generate()?;
    Ok((root(organization, &key, now)?, key.serialize_pem()))
}

/// The same self-signed root with a new time, as PEM. Name and key stay: what it signed before verifies against either
/// (`istio: security/pkg/pki/ca/selfsignedcarootcertrotator.go`).
///
/// # Errors
/// When these are not certificate and key of a root as [`self_signed`] makes it.
pub fn prolonged(cert: &[u8], key: &[u8], now: i64) -> Result<String, Refusal> {
    let refuse = |text: String| Refusal::new(Reason::Cert, text);
    let subject = |pem: &[u8]| -> Result<(Vec<u8>, String), String> {
        let ders = read::certificates(pem)?;
        let parsed = read::parse_all(&ders)?;
        let subject = parsed.first().ok_or("it is empty")?.subject();
        let organization = subject.iter_organization().next().and_then(|of| of.as_str().ok()).unwrap_or_default();
        Ok((subject.as_raw().to_vec(), organization.to_owned()))
    };
    let (name, organization) = subject(cert).map_err(refuse)?;
    let made = root(&organization, &check::signing_key(key)?, now).map_err(|error| refuse(error.to_string()))?;
    match subject(made.as_bytes()).map_err(refuse)? {
        (same, _) if same == name => Ok(made),
        _ => Err(refuse("its name has more than an organization".to_owned())),
    }
}

fn root(organization: &str, key: &KeyPair, now: i64) -> Result<String, Error> {
    let mut params = params((now - SKEW, now.saturating_add(ROOT_LIFETIME)))?;
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(key)?.pem())
}

/// What all certificates have in common: a random number, a time, no name.
fn params((from, to): (i64, i64)) -> Result<CertificateParams, Error> {
    let moment = |at: i64| ASN1Time::from_timestamp(at).map(|time| time.to_datetime()).map_err(|_| Error::Ended);
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| Error::Signing(rcgen::Error::RingUnspecified))?;
    // A number is positive.
    serial[0] &= 0x7f;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    (params.not_before, params.not_after) = (moment(from)?, moment(to)?);
    Ok(params)
}

/// DER as PEM.
fn certificate_pem(der: &[u8]) -> String {
    pem::encode_config(
        &pem::Pem::new("CERTIFICATE", der),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}
