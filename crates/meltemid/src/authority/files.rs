//! The files of a certificate authority in a folder, under the names of Istio's Secrets `cacerts` and `istio-ca-secret`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, bail};
use ca::{Authority, Plugged, Refusal};

/// File names: certificate, key, roots, chain. The second set is what cert-manager writes.
const SETS: [[&str; 4]; 2] =
    [["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"], ["tls.crt", "tls.key", "ca.crt", ""]];
const REVOKED: &str = "ca-crl.pem";
/// Beside files that were made here and may be made anew; the name is a key of Istio's.
const GENERATED: &str = "istio-generated";

/// The files, as read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    /// In the order of [`SETS`].
    set: [Vec<u8>; 4],
    crl: Vec<Vec<u8>>,
}

impl Files {
    /// Reads them; those of an authority made for `organization` when there are none. Says whether it was made.
    pub(super) fn open(folder: &Path, organization: &str, now: i64) -> anyhow::Result<(Self, bool)> {
        let none = !any(folder);
        if none {
            let (cert, key) = ca::self_signed(organization, now)?;
            let made = Self { set: [cert.clone().into(), key.into(), cert.into(), Vec::new()], crl: Vec::new() };
            made.write(folder)?;
            put(folder, GENERATED, b"", 0o644)?;
            tracing::warn!("{} was empty: a self-signed CA was made there", folder.display());
        }
        Ok((Self::read(folder)?, none))
    }

    /// Reads them.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| format!("reading {} of the CA; are all its files there?", path.display()))
        };
        let Some([cert, key, root, chain]) = SETS.into_iter().find(|set| folder.join(set[0]).exists()) else {
            bail!("{} has neither {} nor {}", folder.display(), SETS[0][0], SETS[1][0]);
        };
        let chain = if !chain.is_empty() && folder.join(chain).exists() { file(chain)? } else { Vec::new() };
        let crl = if folder.join(REVOKED).exists() { vec![file(REVOKED)?] } else { Vec::new() };
        Ok(Self { set: [file(cert)?, file(key)?, file(root)?, chain], crl })
    }

    /// The files of a Secret, by their names; an empty one is none.
    pub(super) fn of(files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Self> {
        let file = |name: &str| files.get(name).filter(|bytes| !bytes.is_empty()).cloned();
        let needed = |name: &str| file(name).with_context(|| format!("it has no {name}"));
        let Some([cert, key, root, chain]) = SETS.into_iter().find(|set| file(set[0]).is_some()) else {
            bail!("it has neither {} nor {}", SETS[0][0], SETS[1][0]);
        };
        let crl = file(REVOKED).into_iter().collect();
        Ok(Self { set: [needed(cert)?, needed(key)?, needed(root)?, file(chain).unwrap_or_default()], crl })
    }

    /// Writes them into a folder. The key is for nobody else to read.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let [cert, key, root, chain] = &self.set;
        let [cert_file, key_file, root_file, chain_file] = SETS[0];
        make(folder)?;
        put(folder, key_file, key, 0o600)?;
        put(folder, root_file, root, 0o644)?;
        match chain.is_empty() {
            false => put(folder, chain_file, chain, 0o644)?,
            true => remove(folder, chain_file)?,
        }
        if self.crl.is_empty() {
            remove(folder, REVOKED)?;
        }
        for revoked in &self.crl {
            put(folder, REVOKED, revoked, 0o644)?;
        }
        // The certificate comes last: with it the set is complete.
        put(folder, cert_file, cert, 0o644)
    }

    /// The authority that they are.
    pub(super) fn authority(&self, now: i64) -> Result<Authority, Refusal> {
        let [cert, key, root, chain] = &self.set;
        Authority::load(&Plugged { cert, key, root, chain: std::slice::from_ref(chain), crl: &self.crl }, now)
    }

    /// Makes the root anew where it was made here, under its name and key.
    pub(super) fn prolong(&self, folder: &Path, now: i64) -> anyhow::Result<()> {
        // Others may have been put in their place since.
        anyhow::ensure!(folder.join(GENERATED).exists(), "it was not made here");
        self.again(now)?.write(folder)
    }

    /// With a root that begins now, of the same name and key.
    pub(super) fn again(&self, now: i64) -> anyhow::Result<Self> {
        let [cert, key, root, _] = &self.set;
        anyhow::ensure!(cert == root, "it is not a root alone");
        let again = ca::prolonged(cert, key, now)?;
        let root = again.clone().into_bytes();
        Ok(Self { set: [again.into(), key.clone(), root, Vec::new()], crl: Vec::new() })
    }

    /// The certificate and the key.
    pub(super) fn pair(&self) -> [&[u8]; 2] {
        let [cert, key, ..] = &self.set;
        [cert, key]
    }
}

/// Makes a folder that nobody else may look into, if it is not there.
pub(super) fn make(folder: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether a folder has some of the files.
pub(super) fn any(folder: &Path) -> bool {
    SETS.iter().flatten().any(|name| !name.is_empty() && folder.join(name).exists())
}

fn remove(folder: &Path, name: &str) -> anyhow::Result<()> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {name} from {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Puts a whole file in place of another.
pub(super) fn put(folder: &Path, name: &str, text: &[u8], mode: u32) -> anyhow::Result<()> {
    let (path, part) = (folder.join(name), folder.join(format!(".{name}.part")));
    let written = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&part)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    written().with_context(|| format!("writing {}", path.display()))
}
