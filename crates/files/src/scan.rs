//! Reading the file system: which files count, and their texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use api::{Changes, Mode};

use crate::Directory;

/// A path that cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("reading {path}")]
pub struct Error {
    /// The path.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Reads directories (with all their subdirectories) and files once.
///
/// # Errors
/// When one of the paths is not there or not readable.
pub fn load(paths: &[PathBuf], mode: Mode) -> Result<Changes, Error> {
    for path in paths {
        fs::metadata(path).map_err(|source| Error { path: path.clone(), source })?;
    }
    let texts = scan(paths).into_iter().map(|(path, text)| (path, Some(text))).collect();
    Ok(Directory::new(mode).update(texts))
}

/// The texts of all files that count. What vanishes or cannot be read while looking is left out; a later scan will tell.
pub(crate) fn scan(paths: &[PathBuf]) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            folder(path, &mut found);
        } else if let Ok(text) = fs::read_to_string(path) {
            found.insert(path.clone(), text);
        }
    }
    found
}

fn folder(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Dot files are editors' and Kubernetes' own: a mounted ConfigMap keeps its data in `..data`, linked from beside it.
        if name.starts_with('.') || name.ends_with('~') || name.starts_with('#') {
            continue;
        }
        if path.is_dir() {
            folder(&path, found);
        } else if [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.insert(path, text);
        }
    }
}
