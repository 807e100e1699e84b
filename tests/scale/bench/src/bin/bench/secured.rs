//! An authority of this run, a certificate for the proxies of each namespace, and one for the floor.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// An authority, as a folder in the form that Istio's `cacerts` has.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes one, with certificates for so many namespaces.
    pub(crate) fn new(folder: &Path, namespaces: u32) -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "bench");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key)?.pem();
        for name in ["ca-cert.pem", "root-cert.pem", "cert-chain.pem"] {
            write(folder, name, &root)?;
        }
        write(folder, "ca-key.pem", &key.serialize_pem())?;
        let issuer = Issuer::new(params, key);
        let proxies = folder.with_extension("proxies");
        std::fs::create_dir_all(&proxies)?;
        let sign = |name: &str, of: SanType, purpose: ExtendedKeyUsagePurpose| {
            let (own, mut params) = (KeyPair::generate()?, CertificateParams::default());
            (params.subject_alt_names, params.extended_key_usages) = (vec![of], vec![purpose]);
            write(&proxies, &format!("{name}.pem"), &params.signed_by(&own, &issuer)?.pem())?;
            write(&proxies, &format!("{name}.key"), &own.serialize_pem())
        };
        for number in 0..namespaces {
            let id = format!("spiffe://cluster.local/ns/ns-{number}/sa/default");
            sign(&format!("ns-{number}"), SanType::URI(id.try_into()?), ExtendedKeyUsagePurpose::ClientAuth)?;
        }
        // Under the name by which clients know a control plane.
        let server = SanType::DnsName("istiod.istio-system.svc".try_into()?);
        sign("floor", server, ExtendedKeyUsagePurpose::ServerAuth)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the floor shows and trusts, as it is told of them.
    pub(crate) fn of_floor(&self) -> Vec<String> {
        let proxies = self.folder.with_extension("proxies");
        flags([
            ("--root", self.folder.join("root-cert.pem")),
            ("--certificate", proxies.join("floor.pem")),
            ("--key", proxies.join("floor.key")),
        ])
    }

    /// What clients show and trust, as xdsload is told of it; it puts the namespace of each in.
    pub(crate) fn of_clients(&self) -> Vec<String> {
        let proxies = self.folder.with_extension("proxies");
        flags([
            ("--root", self.folder.join("root-cert.pem")),
            ("--certificate", proxies.join("{namespace}.pem")),
            ("--key", proxies.join("{namespace}.key")),
        ])
    }
}

fn flags(of: [(&str, PathBuf); 3]) -> Vec<String> {
    of.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path.display().to_string()]).collect()
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}
