//! What stands for an image: a program of this machine, a root file system in a folder, or nothing that runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a container of an image is.
#[derive(Clone, Debug)]
pub enum Image {
    /// Nothing: it is said to run, and an init container to have run. Thousands of them cost little.
    Paper,
    /// A process.
    Program(Program),
}

/// What a container runs when its pod says nothing else.
#[derive(Clone, Debug)]
pub struct Program {
    /// A folder with a root file system; without one the machine's own programs are seen, with `/etc`, `/var`, `/run`, `/tmp` apart.
    pub root: Option<PathBuf>,
    /// Files of this machine, and where they are seen inside.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The program with what always follows it, as an image's `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// Arguments that a pod replaces by `args`, as an image's `CMD`.
    pub arguments: Vec<String>,
    /// Variables, which a pod's `env` overrides.
    pub environment: Vec<(String, String)>,
    /// User and group.
    pub user: (u32, u32),
    /// The working directory.
    pub directory: PathBuf,
}

impl Program {
    /// A program of this machine with what always follows it, by the path at which it is seen inside.
    #[must_use]
    pub fn of(entrypoint: &[&str]) -> Self {
        Self {
            root: None,
            files: Vec::new(),
            entrypoint: entrypoint.iter().map(|word| (*word).to_owned()).collect(),
            arguments: Vec::new(),
            environment: Vec::new(),
            user: (0, 0),
            directory: PathBuf::from("/"),
        }
    }

    /// With a file of this machine at a path inside.
    #[must_use]
    pub fn with_file(mut self, from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        self.files.push((from.into(), to.into()));
        self
    }

    /// Out of a root file system.
    #[must_use]
    pub fn in_root(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }
}

/// Images whose names begin like this are programs of this machine: `local/python3`.
const LOCAL: &str = "local/";

/// All images of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Images {
    known: BTreeMap<String, Image>,
    others: Option<Image>,
}

impl Images {
    /// Every image is paper.
    #[must_use]
    pub fn paper() -> Self {
        Self { known: BTreeMap::new(), others: Some(Image::Paper) }
    }

    /// With what stands for an image: `name`, `name:tag` or `name@digest`, where `name` stands for every tag.
    #[must_use]
    pub fn with(mut self, image: &str, stands: Image) -> Self {
        self.known.insert(image.to_owned(), stands);
        self
    }

    /// Whether there may be one that runs.
    pub(super) fn run(&self) -> bool {
        self.others.is_none() || self.known.values().any(|image| matches!(image, Image::Program(_)))
    }

    /// What stands for an image; nothing for one that is not known.
    pub(super) fn get(&self, image: &str) -> Option<Image> {
        let known = self.known.get(image).or_else(|| self.known.get(name(image)));
        let local = || Some(Image::Program(Program::of(&[name(image).strip_prefix(LOCAL)?])));
        known.cloned().or_else(|| self.others.clone()).or_else(local)
    }
}

/// Without tag and digest.
fn name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    // A colon before the last slash is that of a registry's port.
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_every_tag() {
        let images = Images::default().with("registry:5000/shop/web", Image::Paper);
        let known = |image| images.get(image).is_some();
        assert!(known("registry:5000/shop/web") && known("registry:5000/shop/web:v1"));
        assert!(known("registry:5000/shop/web:v1@sha256:00") && !known("registry:5000/shop/web2"));
        assert!(Images::paper().get("anything").is_some());
    }
}
