//! Tokens of a file, for use without a cluster: `TOKEN NAMESPACE/ACCOUNT` a line.

use std::path::Path;

use anyhow::Context;
use names::{Name, SpiffeId};

use super::identity;

/// A shorter token can be guessed.
const SHORTEST: usize = 16;

/// Tokens, and the namespaces and accounts that they are for.
#[derive(Default)]
pub(super) struct Tokens(Vec<(String, Name, Name)>);

impl Tokens {
    /// Reads a file.
    ///
    /// # Errors
    /// When a line is no token with an account; the line is a secret and is not quoted.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = lines.map(|(at, line)| {
            let read = line.split_once(char::is_whitespace).and_then(|(token, account)| {
                let (namespace, account) = account.trim().split_once('/')?;
                identity("any", namespace, account).filter(|_| token.len() >= SHORTEST)?;
                Some((token.to_owned(), Name::from(namespace), Name::from(account)))
            });
            read.with_context(|| {
                format!("{}:{}: is not TOKEN NAMESPACE/ACCOUNT, with a token of 16 or more", path.display(), at + 1)
            })
        });
        Ok(Self(read.collect::<anyhow::Result<_>>()?))
    }

    /// Whose token it is.
    pub(super) fn identity(&self, given: &str, domain: &str) -> Option<SpiffeId> {
        let equal =
            |known: &str| aws_lc_rs::constant_time::verify_slices_are_equal(known.as_bytes(), given.as_bytes()).is_ok();
        let (_, namespace, account) = self.0.iter().find(|(known, ..)| equal(known))?;
        identity(domain, namespace, account)
    }
}
