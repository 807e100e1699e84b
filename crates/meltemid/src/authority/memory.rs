//! The folder that remembers a rotation, as entries of a Secret: a file in a folder of it is `FOLDER.FILE`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::files;
use super::rotation::LAST;

/// Folders of the memory begin like this.
const FOLDERS: [&str; 2] = ["signer", "former-"];

/// What is in the folder.
pub(super) fn pack(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if !entry.path().is_dir() {
            entries.extend(fs::read(entry.path()).ok().map(|bytes| (name, bytes)));
            continue;
        }
        for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let Some(inner) = file.file_name().to_str().map(|inner| format!("{name}.{inner}")) else { continue };
            entries.extend(fs::read(file.path()).ok().map(|bytes| (inner, bytes)));
        }
    }
    entries
}

/// When the last of what was signed ends, in Unix time, as far as the entries know.
pub(super) fn last(entries: &BTreeMap<String, Vec<u8>>) -> Option<i64> {
    std::str::from_utf8(entries.get(LAST)?).ok()?.trim().parse().ok()
}

/// Whether both have the same authorities, at the same stage.
pub(super) fn same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> bool {
    let lasting = |(name, _): &(&String, &Vec<u8>)| *name != LAST;
    one.iter().filter(lasting).eq(other.iter().filter(lasting))
}

/// Puts entries in place of the folder's content.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn unpack(folder: &Path, entries: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("clearing {}", folder.display()));
        }
        _ => files::make(folder).with_context(|| format!("making {}", folder.display()))?,
    }
    for (key, bytes) in entries {
        let inner = key
            .split_once('.')
            .filter(|(name, file)| FOLDERS.iter().any(|known| name.starts_with(known)) && !file.starts_with('.'));
        match inner {
            Some((name, file)) => {
                files::make(&folder.join(name)).with_context(|| format!("making {name}"))?;
                files::put(&folder.join(name), file, bytes, 0o600)?;
            }
            None => files::put(folder, key, bytes, 0o600)?,
        }
    }
    Ok(())
}
