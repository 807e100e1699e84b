//! Events of the file system, as the places to look at that follow from them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;

use crate::scan::{counts, is_hidden};

/// Where to look. Wherever that is, what is found through links is looked at too: a link may lead to any place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Dirty {
    /// At these files and folders.
    pub(super) paths: BTreeSet<PathBuf>,
    /// At everything.
    pub(super) everything: bool,
}

impl Dirty {
    /// Everywhere.
    pub(super) fn all() -> Self {
        Self { everything: true, ..Self::default() }
    }
}

/// What was heard and not yet looked at. Filled by the thread that hears.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Inner>);

#[derive(Default)]
struct Inner {
    told: Mutex<Told>,
    something: Notify,
}

#[derive(Default)]
pub(super) struct Told {
    paths: BTreeSet<PathBuf>,
    /// Some was missed.
    missed: bool,
}

impl Heard {
    /// Takes an event; that a file was read says nothing.
    pub(super) fn take(&self, event: notify::Result<Event>) {
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let event = match event {
            Ok(event) if matches!(event.kind, EventKind::Access(_)) && event.kind != written => return,
            other => other,
        };
        let mut told = self.0.told.lock().expect("no holder of this lock panics");
        match event {
            Ok(event) => {
                told.missed |= event.need_rescan() || event.paths.is_empty();
                told.paths.extend(event.paths);
            }
            Err(error) => {
                tracing::warn!(%error, "changes of files may have been missed");
                told.missed = true;
            }
        }
        drop(told);
        self.0.something.notify_one();
    }

    /// Waits until something was heard.
    pub(super) async fn something(&self) {
        self.0.something.notified().await;
    }

    /// All that was heard.
    pub(super) fn all(&self) -> Told {
        std::mem::take(&mut *self.0.told.lock().expect("no holder of this lock panics"))
    }
}

/// A path that was given, and how events call it.
struct Root {
    given: PathBuf,
    absolute: PathBuf,
    folder: bool,
}

/// The paths that were given.
pub(super) struct Roots(Vec<Root>);

impl Roots {
    /// # Errors
    /// When there is no working directory.
    pub(super) fn new(paths: &[PathBuf]) -> io::Result<Self> {
        let roots = paths.iter().map(|given| {
            let absolute = std::env::current_dir()?.join(given);
            Ok(Root { given: given.clone(), absolute, folder: given.is_dir() })
        });
        roots.collect::<io::Result<_>>().map(Self)
    }

    /// What is watched with all that is under it, and what is watched alone.
    pub(super) fn watched(&self) -> (BTreeSet<&Path>, BTreeSet<&Path>) {
        let (folders, files): (Vec<_>, Vec<_>) = self.0.iter().partition(|root| root.folder);
        let folders: BTreeSet<&Path> = folders.into_iter().map(|root| root.absolute.as_path()).collect();
        // Files are replaced by renames, so their folder is watched.
        let around = files.into_iter().map(|root| root.absolute.parent().unwrap_or(&root.absolute));
        let around = around.filter(|around| !folders.iter().any(|folder| around.starts_with(folder))).collect();
        (folders, around)
    }

    /// As they were given.
    pub(super) fn given(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|root| root.given.as_path())
    }

    /// Whether what is at a path is read.
    pub(super) fn reads(&self, path: &Path) -> bool {
        counts(path) || path.is_dir() || self.given().any(|given| given == path)
    }

    /// Whether a link is on the way from a root to a path, or is what is there.
    pub(super) fn is_linked(&self, path: &Path) -> bool {
        let Some(root) = self.0.iter().find(|root| path.starts_with(&root.given)) else { return false };
        let way = path.ancestors().take_while(|above| *above != root.given);
        way.chain((!root.folder).then_some(path)).any(Path::is_symlink)
    }

    /// Where to look after what was told.
    pub(super) fn dirty(&self, told: Told) -> Dirty {
        let mut dirty = Dirty { everything: told.missed, ..Dirty::default() };
        for path in &told.paths {
            let mut mine = false;
            for root in &self.0 {
                mine |= root.judge(path, &mut dirty);
            }
            // It is told by a name that is not known here: nothing may be lost.
            dirty.everything |= !mine;
        }
        dirty
    }
}

impl Root {
    /// Where to look in it after an event at a path; false when the path is none of its.
    fn judge(&self, path: &Path, dirty: &mut Dirty) -> bool {
        if !self.folder {
            if path == self.absolute {
                dirty.paths.insert(self.given.clone());
            }
            let around = self.absolute.parent();
            return path == self.absolute || Some(path) == around || path.parent() == around;
        }
        let Ok(inside) = path.strip_prefix(&self.absolute) else { return false };
        let hidden = |part: Component<'_>| is_hidden(&part.as_os_str().to_string_lossy());
        if !inside.components().any(hidden) {
            let here = inside.as_os_str().is_empty();
            dirty.paths.insert(if here { self.given.clone() } else { self.given.join(inside) });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag, ModifyKind};

    use super::*;

    fn dirty(roots: &Roots, events: impl IntoIterator<Item = Event>) -> Dirty {
        let heard = Heard::default();
        events.into_iter().for_each(|event| heard.take(Ok(event)));
        roots.dirty(heard.all())
    }

    fn at(kind: EventKind, path: &Path) -> Event {
        Event::new(kind).add_path(path.to_owned())
    }

    #[test]
    fn an_event_leads_to_the_place_by_the_name_that_was_given() {
        let roots = Roots::new(&["src".into(), "Cargo.toml".into()]).unwrap();
        let here = std::env::current_dir().unwrap();
        let changed = EventKind::Modify(ModifyKind::Any);
        let paths = |path: &str| {
            let dirty = dirty(&roots, [at(changed, &here.join(path))]);
            assert!(!dirty.everything, "{path}");
            dirty.paths.into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(paths("src/a.yaml"), "src/a.yaml");
        assert_eq!(paths("src/more/a.yaml"), "src/more/a.yaml");
        assert_eq!(paths("src/.a.yaml.new"), "", "an editor's");
        assert_eq!(paths("src/..data/a.yaml"), "");
        assert_eq!(paths("src"), "src");
        assert_eq!(paths("Cargo.toml"), "Cargo.toml");
        assert_eq!(paths("README.md"), "", "beside a file that was given");
    }

    #[test]
    fn what_is_not_understood_leads_everywhere() {
        let roots = Roots::new(&["src".into()]).unwrap();
        let elsewhere = at(EventKind::Create(CreateKind::File), Path::new("/elsewhere/a.yaml"));
        assert!(dirty(&roots, [elsewhere]).everything);
        assert!(dirty(&roots, [Event::new(EventKind::Other).set_flag(Flag::Rescan)]).everything, "the queue was full");
        let heard = Heard::default();
        heard.take(Err(notify::Error::generic("no more watches")));
        assert!(roots.dirty(heard.all()).everything);
    }

    #[test]
    fn reading_is_no_change() {
        let roots = Roots::new(&["src".into()]).unwrap();
        let path = std::env::current_dir().unwrap().join("src/a.yaml");
        let read = [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)];
        let read = read.map(|kind| at(EventKind::Access(kind), &path));
        assert_eq!(dirty(&roots, read), Dirty::default());
        let written = at(EventKind::Access(AccessKind::Close(AccessMode::Write)), &path);
        assert_eq!(dirty(&roots, [written]).paths.len(), 1);
    }
}
