//! Which authority signs while one replaces another: a root is trusted everywhere before anything is signed below it, and as long as
//! something that was is in use. Says what is to be; knows no proxies.

use std::fs;
use std::path::Path;

use anyhow::Context;
use ca::{Authority, Refusal};

use super::files::Files;

/// The folder beside the authority's files that remembers what they replaced.
const MEMORY: &str = "in-use";
/// Folders in it: the authority that signs, and former ones by when what they signed has ended.
const SIGNER: &str = "signer";
const FORMER: &str = "former-";

/// How far a rotation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// None runs.
    Steady,
    /// The next root is made known; the former authority signs.
    Distributing,
    /// The next authority signs; the former root is trusted until what it signed has ended, at this Unix time at the latest.
    Switched(i64),
}

/// An authority that would do.
#[derive(Clone)]
struct Unit {
    files: Files,
    /// PEM; its own first.
    roots: Vec<String>,
    /// When it ends, in Unix time.
    ends: i64,
}

impl Unit {
    fn new(files: Files, now: i64) -> Result<Self, Refusal> {
        let authority = files.authority(now)?;
        authority.warnings().iter().for_each(|warning| tracing::warn!("the CA: {warning}"));
        Ok(Self { files, roots: authority.roots().to_vec(), ends: authority.not_after() })
    }

    fn anchor(&self) -> Option<&String> {
        self.roots.first()
    }
}

/// The authorities of a mesh: the one that signs, what came before and what comes next.
pub(super) struct Rotation {
    signer: Unit,
    next: Option<Unit>,
    /// The eldest first, each with the time when what it signed has ended.
    formers: Vec<(Unit, i64)>,
}

impl Rotation {
    /// What the folder's memory says, on the way to its `files`. What was signed before the start ends by `last`.
    pub(super) fn restore(folder: &Path, files: Files, last: i64, now: i64) -> Result<Self, Refusal> {
        let memory = folder.join(MEMORY);
        let unit = |folder: &Path| {
            let loaded = Files::read(folder).and_then(|files| Ok(Unit::new(files, now)?));
            loaded.inspect_err(|error| tracing::warn!("a former CA is not used any more: {error:#}")).ok()
        };
        let signer = memory.join(SIGNER);
        let Some(signer) = signer.exists().then(|| unit(&signer)).flatten() else {
            return Ok(Self { signer: Unit::new(files, now)?, next: None, formers: Vec::new() });
        };
        let entries = fs::read_dir(&memory).into_iter().flatten().flatten();
        let mut formers: Vec<(Unit, i64)> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let until = name.to_str()?.strip_prefix(FORMER)?.split('-').next_back()?.parse().ok()?;
                Some((unit(&entry.path())?, until)).filter(|(_, until)| *until > now)
            })
            .collect();
        formers.sort_by_key(|(_, until)| *until);
        let mut restored = Self { signer, next: None, formers };
        restored.aim(files, last, now)?;
        Ok(restored)
    }

    /// The authority is to be that of `files`; what the present one signed ends by `last`. Nothing changes when they would not do.
    pub(super) fn aim(&mut self, files: Files, last: i64, now: i64) -> Result<(), Refusal> {
        if self.signer.files == files {
            self.next = None;
            return Ok(());
        }
        let unit = Unit::new(files, now)?;
        let formers = self.formers.iter().map(|(unit, _)| unit);
        let mut known = std::iter::once(&self.signer).chain(formers).flat_map(|unit| &unit.roots);
        let known = known.any(|root| Some(root) == unit.anchor());
        if unit.anchor() == self.signer.anchor() {
            self.signer = unit;
            self.next = None;
        } else {
            self.next = Some(unit);
            // A root that the files of the present authority name too is known already.
            if known {
                self.switch(last, now);
            }
        }
        Ok(())
    }

    /// The next authority signs from now on.
    pub(super) fn switch(&mut self, last: i64, now: i64) {
        if let Some(next) = self.next.take() {
            let former = std::mem::replace(&mut self.signer, next);
            let until = last.clamp(now, former.ends.max(now));
            self.formers.push((former, until));
        }
    }

    /// Forgets former authorities nothing of which is in use; says whether there were any.
    pub(super) fn forget(&mut self, now: i64) -> bool {
        let before = self.formers.len();
        self.formers.retain(|(_, until)| *until > now);
        self.formers.len() != before
    }

    /// Whether a root waits for being known everywhere.
    pub(super) fn waits(&self) -> bool {
        self.next.is_some()
    }

    /// How far it is.
    pub(super) fn stage(&self) -> Stage {
        match (&self.next, self.formers.last()) {
            (Some(_), _) => Stage::Distributing,
            (None, Some((_, until))) => Stage::Switched(*until),
            (None, None) => Stage::Steady,
        }
    }

    /// The roots that vouch for workloads, as PEM: the one that signs first.
    pub(super) fn roots(&self) -> Vec<String> {
        let mut roots: Vec<String> = Vec::new();
        let units = std::iter::once(&self.signer).chain(&self.next).chain(self.formers.iter().map(|(unit, _)| unit));
        for root in units.flat_map(|unit| &unit.roots) {
            if !roots.contains(root) {
                roots.push(root.clone());
            }
        }
        roots
    }

    /// The authority that signs for workloads.
    pub(super) fn authority(&self, now: i64) -> Result<Authority, Refusal> {
        Ok(self.signer.files.authority(now)?.trusting(self.roots()))
    }

    /// The authority that vouches for the control plane itself: the eldest, since its clients may have read its roots from a file
    /// long ago.
    pub(super) fn server(&self, now: i64) -> Result<Authority, Refusal> {
        let eldest = self.formers.first().map_or(&self.signer, |(unit, _)| unit);
        eldest.files.authority(now).or_else(|_| self.signer.files.authority(now))
    }

    /// When the authority that signs ends, in Unix time.
    pub(super) fn ends(&self) -> i64 {
        self.signer.ends
    }

    /// The files of the authority that signs.
    pub(super) fn files(&self) -> &Files {
        &self.signer.files
    }

    /// Remembers beside the files what is in use, so that a rotation outlives this process.
    pub(super) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let (memory, part) = (folder.join(MEMORY), folder.join(format!(".{MEMORY}.part")));
        let remove = |path: &Path| match fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove(&part).with_context(|| format!("clearing {}", part.display()))?;
        self.signer.files.write(&part.join(SIGNER))?;
        for (number, (unit, until)) in self.formers.iter().enumerate() {
            unit.files.write(&part.join(format!("{FORMER}{number}-{until}")))?;
        }
        remove(&memory).with_context(|| format!("clearing {}", memory.display()))?;
        fs::rename(&part, &memory).with_context(|| format!("writing {}", memory.display()))
    }
}

#[cfg(test)]
mod tests;
