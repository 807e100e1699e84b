//! A mesh as a directory of YAML, and edits of it: each file appears whole, as when an editor saves it.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::edits::Change;
use crate::mesh::{File, Mesh};

/// A directory.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A directory, which is made if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a mesh; says how many objects it has.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn fill(&self, mesh: &Mesh) -> anyhow::Result<usize> {
        let mut objects = 0;
        for file in mesh.files() {
            objects += file.objects.len();
            self.put(&file)?;
        }
        Ok(objects)
    }

    /// Carries an edit out. It is done when this returns: a reader sees all of it or nothing.
    ///
    /// # Errors
    /// When the file cannot be written or removed.
    pub fn apply(&self, change: &Change) -> anyhow::Result<()> {
        match change {
            Change::Put(file) => self.put(file),
            Change::Remove(file) => {
                let path = self.path.join(&file.path);
                std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))
            }
        }
    }

    /// Writes a file beside its place and moves it there.
    fn put(&self, file: &File) -> anyhow::Result<()> {
        let path = self.path.join(&file.path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            anyhow::bail!("{} is no place for a file", path.display())
        };
        let beside = folder.join(format!(".{}.new", name.to_string_lossy()));
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        std::fs::write(&beside, file.yaml()?).with_context(|| format!("writing {}", beside.display()))?;
        std::fs::rename(&beside, &path).with_context(|| format!("moving {} to its place", beside.display()))
    }
}

#[cfg(test)]
mod tests;
