//! Chains from a certificate to a root, by the rules of Go's verifier, which decides what Istio takes (`crypto/x509`).

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::x509::X509Version;

use crate::signature;

/// Signatures looked at for one question: certificates that all carry one name would otherwise cost exponential time.
const BUDGET: usize = 200;

/// Why there is no chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// There would be one, were its certificates within their time.
    Expired,
    /// There would be one, were its signers CAs.
    NotCa,
    /// There is none.
    Untrusted,
}

/// What a search may overlook.
#[derive(Clone, Copy, Default)]
struct Leave {
    time: bool,
    ca: bool,
}

/// What chains are made of, and when.
pub(crate) struct Search<'a> {
    pub(crate) intermediates: &'a [X509Certificate<'a>],
    pub(crate) roots: &'a [X509Certificate<'a>],
    /// Unix time in seconds.
    pub(crate) now: i64,
}

impl<'a> Search<'a> {
    /// The certificates from `target` to a root, both included.
    pub(crate) fn chain(&self, target: &'a X509Certificate<'a>) -> Result<Vec<&'a X509Certificate<'a>>, Fault> {
        let find = |leave: Leave| {
            let mut chain = vec![target];
            let mut budget = BUDGET;
            (self.usable(target, leave) && self.extend(&mut chain, leave, &mut budget)).then_some(chain)
        };
        if let Some(chain) = find(Leave::default()) {
            return Ok(chain);
        }
        if find(Leave { time: true, ca: false }).is_some() {
            return Err(Fault::Expired);
        }
        if find(Leave { time: false, ca: true }).is_some() {
            return Err(Fault::NotCa);
        }
        Err(Fault::Untrusted)
    }

    /// Goes on from the end of the chain; true when it ends at a root.
    fn extend(&self, chain: &mut Vec<&'a X509Certificate<'a>>, leave: Leave, budget: &mut usize) -> bool {
        let end = chain[chain.len() - 1];
        if self.roots.iter().any(|root| root.as_raw() == end.as_raw()) {
            return true;
        }
        let issuers = self.roots.iter().map(|root| (root, true));
        let issuers = issuers.chain(self.intermediates.iter().map(|intermediate| (intermediate, false)));
        for (issuer, is_root) in issuers {
            if issuer.subject().as_raw() != end.issuer().as_raw()
                || chain.iter().any(|link| link.as_raw() == issuer.as_raw())
                || !self.usable(issuer, leave)
                || !(leave.ca || may_sign(issuer, is_root, chain.len() - 1))
            {
                continue;
            }
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            if !signature::certificate(end, issuer) {
                continue;
            }
            chain.push(issuer);
            if is_root || self.extend(chain, leave, budget) {
                return true;
            }
            chain.pop();
        }
        false
    }

    /// Whether the certificate is within its time and says nothing critical that is not understood.
    fn usable(&self, certificate: &X509Certificate<'_>, leave: Leave) -> bool {
        let unknown = |extension: &ParsedExtension<'_>| {
            matches!(extension, ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::ParseError { .. })
        };
        let strange = certificate.extensions().iter().any(|each| each.critical && unknown(each.parsed_extension()));
        !strange && (leave.time || in_time(certificate, self.now))
    }
}

/// Whether the certificate is within its time.
pub(crate) fn in_time(certificate: &X509Certificate<'_>, now: i64) -> bool {
    let validity = certificate.validity();
    validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp()
}

/// Whether a certificate may sign others, as far as it says so itself. `below` counts the certificates between it and the first.
pub(crate) fn may_sign(issuer: &X509Certificate<'_>, is_root: bool, below: usize) -> bool {
    let usage = issuer.key_usage().ok().flatten().is_none_or(|usage| usage.value.key_cert_sign());
    let constraints = match issuer.basic_constraints() {
        Ok(Some(constraints)) => constraints.value,
        // Roots from before version 3 had no way to say that they are CAs.
        Ok(None) => return usage && is_root && issuer.version() != X509Version::V3,
        Err(_) => return false,
    };
    let deep = constraints.path_len_constraint.is_some_and(|most| below > most as usize);
    usage && constraints.ca && !deep
}
