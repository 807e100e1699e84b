//! Watching: file system events say *that* something changed, a scan says what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use api::{Changes, Mode};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Directory;
use crate::scan::{Error, scan};

/// A scan starts when it was quiet for so long …
const QUIET: Duration = Duration::from_millis(3);
/// … or so long after the first event.
const LATEST: Duration = Duration::from_millis(50);
/// An emptied file removes its objects only when it stays empty for so long: editors and copies empty a file before they fill it.
const EMPTY: Duration = Duration::from_secs(2);

/// Loads the paths, then follows their changes until `stop`. Each scan that finds something gives one call of `sink`; the first call comes
/// always, even for nothing.
///
/// # Errors
/// When the paths cannot be watched.
pub async fn watch(paths: Vec<PathBuf>, mut sink: impl FnMut(Changes), stop: CancellationToken) -> Result<(), Error> {
    let (events, mut changed) = mpsc::channel::<()>(1);
    // A full channel means that a scan is due anyway.
    let mut watcher =
        notify::recommended_watcher(move |_| _ = events.try_send(())).map_err(|error| failed(&paths, error))?;
    for path in &paths {
        // Files are replaced by renames, so their folder is watched.
        let folder = if path.is_dir() { path.clone() } else { path.parent().map_or_else(|| ".".into(), PathBuf::from) };
        watcher.watch(&folder, RecursiveMode::Recursive).map_err(|error| failed(&paths, error))?;
    }
    let mut directory = Directory::new(Mode::Lenient);
    let mut empty = BTreeMap::<PathBuf, Instant>::new();
    let mut first = true;
    loop {
        let changes = directory.update(settled(scan(&paths), &directory, &mut empty));
        let (files, objects) = directory.counts();
        if first || !changes.is_empty() {
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
        let due = empty.values().min().map(|since| *since + EMPTY);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = changed.recv() => quiet(&mut changed).await,
            () = at(due), if due.is_some() => {}
        }
    }
}

/// Holds back files that have just become empty.
fn settled(
    texts: BTreeMap<PathBuf, String>,
    directory: &Directory,
    empty: &mut BTreeMap<PathBuf, Instant>,
) -> BTreeMap<PathBuf, Option<String>> {
    empty.retain(|path, _| texts.get(path).is_some_and(|text| text.trim().is_empty()));
    let judged = texts.into_iter().map(|(path, text)| {
        if !text.trim().is_empty() || !directory.holds_objects(&path) {
            empty.remove(&path);
            return (path, Some(text));
        }
        let since = *empty.entry(path.clone()).or_insert_with(Instant::now);
        let over = since.elapsed() >= EMPTY;
        if over {
            empty.remove(&path);
        }
        (path, over.then_some(text))
    });
    judged.collect()
}

async fn quiet(changed: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + LATEST;
    loop {
        let until = (Instant::now() + QUIET).min(latest);
        match tokio::time::timeout_at(until, changed.recv()).await {
            Ok(Some(())) if Instant::now() < latest => {}
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
