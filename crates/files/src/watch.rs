//! Watching: file system events say where something changed, a look there says what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{Changes, Mode};
use notify::{RecursiveMode, Watcher};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::directory::{Directory, Look};
use crate::scan::{Error, Found};

mod events;

use events::{Dirty, Heard, Roots};

/// A look is taken when it was quiet for so long …
const QUIET: Duration = Duration::from_millis(3);
/// … or so long after the first event.
const LATEST: Duration = Duration::from_millis(50);
/// An emptied file removes its objects only when it stays empty for so long: editors and copies empty a file before they fill it.
const EMPTY: Duration = Duration::from_secs(2);
/// A new folder is looked at again after this: what comes into it before it is watched is not told.
const NEW: Duration = Duration::from_millis(200);

/// Loads the paths, then follows their changes until `stop`. Each look that finds something gives one call of `sink`; the first call comes
/// always, even for nothing.
///
/// # Errors
/// When the paths cannot be watched.
pub async fn watch(paths: Vec<PathBuf>, mut sink: impl FnMut(Changes), stop: CancellationToken) -> Result<(), Error> {
    let roots =
        Roots::new(&paths).map_err(|source| Error { path: paths.first().cloned().unwrap_or_default(), source })?;
    let heard = Heard::default();
    let told = heard.clone();
    let mut watcher =
        notify::recommended_watcher(move |event| told.take(event)).map_err(|error| failed(&paths, error))?;
    let (folders, alone) = roots.watched();
    let folders = folders.into_iter().map(|path| (path, RecursiveMode::Recursive));
    for (path, mode) in folders.chain(alone.into_iter().map(|path| (path, RecursiveMode::NonRecursive))) {
        watcher.watch(path, mode).map_err(|error| failed(&paths, error))?;
    }
    let mut world = World::new(roots);
    let (mut dirty, mut again) = (Dirty::all(), Vec::new());
    let mut first = true;
    loop {
        let changes = world.look(&dirty, again);
        let (files, objects) = world.directory.counts();
        if first || !changes.is_empty() || changes.ledger.is_some() {
            tracing::info!(
                files,
                objects,
                changed = changes.upserts.len(),
                removed = changes.removed.len(),
                "configuration read"
            );
            sink(changes);
            first = false;
        }
        let later = world.later();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = heard.something() => quiet(&heard).await,
            () = at(later), if later.is_some() => {}
        }
        (dirty, again) = (world.roots.dirty(heard.all()), world.due());
    }
}

/// The files as they were last seen.
struct World {
    roots: Roots,
    directory: Directory,
    /// Files that were found through links.
    linked: BTreeSet<PathBuf>,
    /// Files that have just become empty, and since when.
    empty: BTreeMap<PathBuf, Instant>,
    /// New folders, and when to look at them again.
    new: BTreeMap<PathBuf, Instant>,
}

impl World {
    fn new(roots: Roots) -> Self {
        let (linked, empty, new) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { roots, directory: Directory::new(Mode::Lenient), linked, empty, new }
    }

    /// Looks where something changed, and once more where something was to be awaited.
    fn look(&mut self, dirty: &Dirty, again: Vec<PathBuf>) -> Changes {
        let mut paths: BTreeSet<PathBuf> = again.into_iter().chain(self.linked.iter().cloned()).collect();
        paths.extend(dirty.paths.iter().cloned());
        if dirty.everything {
            paths.extend(self.roots.given().map(Path::to_owned));
        }
        let folders = dirty.paths.iter().filter(|path| path.is_dir());
        self.new.extend(folders.map(|path| (path.clone(), Instant::now() + NEW)));
        let mut looks = BTreeMap::new();
        for path in &paths {
            let mut found = Found::default();
            if self.roots.reads(path) {
                found.look(path, self.roots.is_linked(path));
            }
            let known = self.directory.under(path).filter(|known| !found.files.contains_key(*known));
            let gone = known.filter(|known| !found.closed.iter().any(|closed| known.starts_with(closed)));
            looks.extend(gone.map(|path| (path.to_owned(), Look::Gone)));
            for (path, file) in found.files {
                match file.linked {
                    true => self.linked.insert(path.clone()),
                    false => self.linked.remove(&path),
                };
                looks.insert(path, file.look);
            }
        }
        for (path, look) in &mut looks {
            if *look == Look::Gone {
                self.linked.remove(path);
            }
            self.hold_back(path, look);
        }
        self.directory.update(looks)
    }

    /// A file that has just become empty waits.
    fn hold_back(&mut self, path: &Path, look: &mut Look) {
        let emptied = matches!(look, Look::Text(text) if text.trim().is_empty()) && self.directory.holds_objects(path);
        if !emptied {
            self.empty.remove(path);
            return;
        }
        let since = *self.empty.entry(path.to_owned()).or_insert_with(Instant::now);
        if since.elapsed() < EMPTY {
            *look = Look::Wait;
        } else {
            self.empty.remove(path);
        }
    }

    /// When to look again, if nothing is heard.
    fn later(&self) -> Option<Instant> {
        let empty = self.empty.values().map(|since| *since + EMPTY);
        empty.chain(self.new.values().copied()).min()
    }

    /// Where to look again now.
    fn due(&mut self) -> Vec<PathBuf> {
        let now = Instant::now();
        let new = self.new.extract_if(.., |_, at| *at <= now).map(|(path, _)| path);
        let empty = self.empty.iter().filter(|(_, since)| **since + EMPTY <= now).map(|(path, _)| path.clone());
        new.chain(empty).collect()
    }
}

async fn quiet(heard: &Heard) {
    let latest = Instant::now() + LATEST;
    loop {
        let until = (Instant::now() + QUIET).min(latest);
        match tokio::time::timeout_at(until, heard.something()).await {
            Ok(()) if Instant::now() < latest => {}
            _ => return,
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn failed(paths: &[PathBuf], error: notify::Error) -> Error {
    let path = error.paths.first().or(paths.first()).cloned().unwrap_or_default();
    Error { path, source: std::io::Error::other(error) }
}

#[cfg(test)]
mod tests;
