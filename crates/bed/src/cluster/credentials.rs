//! The cluster's own authority, the keys of its parts, and the files by which they are known to one another.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use serde_json::json;

/// Names by which pods know the API server.
const SERVICE: [&str; 4] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

/// A folder with an authority in it.
pub(super) struct Credentials {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Credentials {
    /// Makes an authority (`ca.crt`, `ca.key`) and the key that signs tokens of service accounts (`accounts.key`).
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let mut params = named("meltemi-cluster", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let this = Self { folder: folder.to_owned(), authority };
        this.write("ca.crt", &this.authority.pem())?;
        this.write("ca.key", &this.authority.key().serialize_pem())?;
        // RSA, as clusters have: whoever checks tokens by the issuer's keys meets what he will meet.
        let accounts = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        this.write("accounts.key", &accounts.serialize_pem())?;
        Ok(this)
    }

    /// Where one of the files is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The authority's certificate.
    pub(super) fn root(&self) -> String {
        self.authority.pem()
    }

    /// A server's certificate and key: `<name>.crt` and `<name>.key`.
    pub(super) fn server(&self, name: &str, addresses: &[IpAddr]) -> anyhow::Result<()> {
        let mut params = named(name, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for host in SERVICE.iter().chain(&["localhost"]) {
            params.subject_alt_names.push(SanType::DnsName((*host).try_into()?));
        }
        params.subject_alt_names.extend(addresses.iter().map(|address| SanType::IpAddress(*address)));
        self.issue(name, params)
    }

    /// A kubeconfig `<file>.kubeconfig` by which `user`, of a group, speaks to the API server at `url`.
    pub(super) fn client(&self, file: &str, (user, group): (&str, Option<&str>), url: &str) -> anyhow::Result<PathBuf> {
        let mut params = named(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(file, params)?;
        let path = self.path(&format!("{file}.kubeconfig"));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "meltemi",
            "clusters": [{ "name": "meltemi", "cluster": {
                "server": url, "certificate-authority": self.path("ca.crt"),
            } }],
            "users": [{ "name": user, "user": {
                "client-certificate": self.path(&format!("{file}.crt")), "client-key": self.path(&format!("{file}.key")),
            } }],
            "contexts": [{ "name": "meltemi", "context": { "cluster": "meltemi", "user": user, "namespace": "default" } }],
        });
        std::fs::write(&path, serde_json::to_vec_pretty(&config)?)
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    fn issue(&self, name: &str, params: CertificateParams) -> anyhow::Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        self.write(&format!("{name}.crt"), &certificate.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}

fn named(name: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params
}
