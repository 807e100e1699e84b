//! What counts may be: the parts of `tests/scale/counts.toml`, each a list of `"measure" = most`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, bail};

/// The limits of one part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits(BTreeMap<String, f64>);

impl Limits {
    /// Those of a part of a file.
    ///
    /// # Errors
    /// When it cannot be read, has a line that is no limit, or lacks that part.
    pub fn read(path: &Path, part: &str) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::of(&text, part).with_context(|| path.display().to_string())
    }

    fn of(text: &str, part: &str) -> anyhow::Result<Self> {
        let mut limits = BTreeMap::new();
        let (mut here, mut found) = (false, false);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                here = name == part;
                found |= here;
            } else if here {
                let (name, most) = line.split_once(" = ").with_context(|| format!("{line} is no limit"))?;
                let most = most.parse().with_context(|| format!("{line} has no number"))?;
                limits.insert(name.trim_matches('"').to_owned(), most);
            }
        }
        if !found {
            bail!("there is no part [{part}]");
        }
        Ok(Self(limits))
    }

    /// What a measure may be.
    #[must_use]
    pub fn most(&self, measure: &str) -> Option<f64> {
        self.0.get(measure).copied()
    }

    /// Limits of what was not measured: they hold nothing.
    pub fn idle<'a>(&'a self, measured: &BTreeSet<&str>) -> Vec<&'a str> {
        self.0.keys().map(String::as_str).filter(|name| !measured.contains(name)).collect()
    }
}

#[cfg(test)]
mod tests;
