//! Reading the file system: which files count, and their texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use api::{Changes, Mode};

use crate::Directory;
use crate::directory::Look;

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
    let mut found = Found::default();
    paths.iter().for_each(|path| found.look(path, false));
    let looks = found.files.into_iter().map(|(path, file)| (path, file.look)).collect();
    Ok(Directory::new(mode).update(looks))
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    /// Files that count, and those that may and cannot be read.
    pub(crate) files: BTreeMap<PathBuf, File>,
    /// Folders that are there and cannot be read: nothing is known of what is in them.
    pub(crate) closed: Vec<PathBuf>,
}

/// A file.
pub(crate) struct File {
    /// What it says.
    pub(crate) look: Look,
    /// It was found through a link: nobody tells of changes where the link leads to.
    pub(crate) linked: bool,
}

impl Found {
    /// Looks at a path: a file, or a folder with all that counts in it. What is not there is not found. `linked`: a link led there.
    pub(crate) fn look(&mut self, path: &Path, linked: bool) {
        if path.is_dir() {
            return self.folder(path, linked);
        }
        let look = match fs::read_to_string(path) {
            Ok(text) => Look::Text(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => Look::Closed(error.to_string()),
        };
        self.files.insert(path.to_owned(), File { look, linked });
    }

    fn folder(&mut self, path: &Path, linked: bool) {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a folder cannot be read; what is known of it stays");
                self.closed.push(path.to_owned());
                return;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if is_hidden(&name.to_string_lossy()) {
                continue;
            }
            let kind = entry.file_type().ok();
            let linked = linked || kind.is_some_and(|kind| kind.is_symlink());
            let folder = match kind {
                Some(kind) if !kind.is_symlink() => kind.is_dir(),
                _ => path.is_dir(),
            };
            if folder {
                self.folder(&path, linked);
            } else if counts(&path) {
                self.look(&path, linked);
            }
        }
    }
}

/// Dot files are editors' and Kubernetes' own: a mounted ConfigMap keeps its data in `..data`, linked from beside it.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || name.starts_with('#')
}

/// Whether a file in a folder is read, by its name.
pub(crate) fn counts(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json")
}
