//! Which authority signs while one replaces another: a root is trusted everywhere before anything is signed below it, and as long as
//! something that was is in use. Says what is to be; knows no proxies.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ca::{Authority, Refusal};

use super::files::Files;

/// Folders of the memory: the authority that signs, and former ones by when what they signed has ended.
const SIGNER: &str = "signer";
const FORMER: &str = "former-";
/// Files of it: all roots that are trusted now, and when the last of what was signed ends, in Unix time.
const ROOTS: &str = "root-cert.pem";
pub(super) const LAST: &str = "last";

/// What a former authority signed has ended, and its root is trusted for so many seconds more: by then all replicas show a certificate of
/// another, and nobody refuses one that was a little late.
pub(super) const OVERLAP: i64 = 10;

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
    /// How many of those had something in use when it was looked last.
    used: usize,
}

impl Rotation {
    /// What the memory says, on the way to `files`; and when the last of what was signed ends, if it knows.
    ///
    /// # Errors
    /// When it knows nothing and the files would not do.
    pub(super) fn restore(memory: &Path, files: Files, now: i64) -> Result<(Self, Option<i64>), Refusal> {
        // A process that ended while it replaced the memory has left the new one beside.
        let memory = if memory.exists() { memory.to_owned() } else { part(memory) };
        let unit = |folder: &Path| {
            let loaded = Files::read(folder).and_then(|files| Ok(Unit::new(files, now)?));
            loaded.inspect_err(|error| tracing::warn!("a former CA is not used any more: {error:#}")).ok()
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
        let last = fs::read_to_string(memory.join(LAST)).ok().and_then(|text| text.trim().parse().ok());
        let signer = memory.join(SIGNER);
        let Some(signer) = signer.exists().then(|| unit(&signer)).flatten() else {
            return Ok((Self { signer: Unit::new(files, now)?, next: None, used: used(&formers, now), formers }, last));
        };
        let mut restored = Self { signer, next: None, used: used(&formers, now), formers };
        if let Err(refusal) = restored.aim(files, now) {
            tracing::warn!("the CA's files are not used, those before them stay: {refusal}");
        }
        Ok((restored, last))
    }

    /// The authority is to be that of `files`. Nothing changes when they would not do.
    pub(super) fn aim(&mut self, files: Files, now: i64) -> Result<(), Refusal> {
        if self.signer.files == files {
            self.next = None;
            return Ok(());
        }
        let unit = Unit::new(files, now)?;
        if unit.anchor() == self.signer.anchor() {
            self.signer = unit;
            self.next = None;
        } else {
            self.next = Some(unit);
        }
        Ok(())
    }

    /// The next authority signs from now on. The former one is trusted until its own end, until [`Self::ended`] says when what it signed
    /// has ended.
    pub(super) fn switch(&mut self) {
        if let Some(next) = self.next.take() {
            let former = std::mem::replace(&mut self.signer, next);
            let until = former.ends;
            self.formers.push((former, until));
        }
    }

    /// What the authority that signed before the last switch has signed ends by `last`.
    pub(super) fn ended(&mut self, last: i64) {
        if let Some((former, until)) = self.formers.last_mut() {
            *until = last.min(former.ends);
        }
    }

    /// What the last former authority has signed ends by `until` at the earliest; says whether that is later than was known.
    pub(super) fn extend(&mut self, until: i64) -> bool {
        let Some((former, known)) = self.formers.last_mut() else { return false };
        let until = until.min(former.ends);
        let later = until > *known;
        *known = until.max(*known);
        later
    }

    /// The root below which is signed.
    pub(super) fn anchor(&self) -> Option<&String> {
        self.signer.anchor()
    }

    /// The files that it is, or is on its way, at.
    pub(super) fn target(&self) -> &Files {
        &self.next.as_ref().unwrap_or(&self.signer).files
    }

    /// Lets go of former authorities whose time is over; says whether something is other than when it was asked before: which of them
    /// vouches for the control plane, or which roots are trusted.
    pub(super) fn forget(&mut self, now: i64) -> bool {
        let before = (self.formers.len(), self.used);
        self.formers.retain(|(_, until)| until.saturating_add(OVERLAP) > now);
        self.used = used(&self.formers, now);
        (self.formers.len(), self.used) != before
    }

    /// When the last of what former authorities signed has ended, in Unix time; 0 without any.
    pub(super) fn busy_until(&self) -> i64 {
        self.formers.iter().map(|(_, until)| *until).max().unwrap_or(0)
    }

    /// Whether these are the files that it is, or is on its way, at.
    pub(super) fn aims_at(&self, files: &Files) -> bool {
        self.next.as_ref().unwrap_or(&self.signer).files == *files
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
    /// long ago; but before its root goes, it is another.
    pub(super) fn server(&self, now: i64) -> Result<Authority, Refusal> {
        let eldest = self.formers.iter().find(|(_, until)| *until > now).map_or(&self.signer, |(unit, _)| unit);
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

    /// Remembers what is in use, so that a rotation outlives this process. What was signed ends by `last`.
    pub(super) fn save(&self, memory: &Path, last: i64) -> anyhow::Result<()> {
        let part = part(memory);
        let remove = |path: &Path| match fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove(&part).with_context(|| format!("clearing {}", part.display()))?;
        self.signer.files.write(&part.join(SIGNER))?;
        for (number, (unit, until)) in self.formers.iter().enumerate() {
            unit.files.write(&part.join(format!("{FORMER}{number}-{until}")))?;
        }
        fs::write(part.join(ROOTS), self.roots().concat())?;
        fs::write(part.join(LAST), format!("{last}\n"))?;
        remove(memory).with_context(|| format!("clearing {}", memory.display()))?;
        fs::rename(&part, memory).with_context(|| format!("writing {}", memory.display()))
    }
}

/// How many of these have signed what is in use still.
fn used(formers: &[(Unit, i64)], now: i64) -> usize {
    formers.iter().filter(|(_, until)| *until > now).count()
}

/// Where the memory is written before it takes the place of the old one.
fn part(memory: &Path) -> PathBuf {
    let mut name = memory.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests;
