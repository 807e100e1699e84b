//! The control plane on one thread and without sockets: what `meltemid` does from a file's text to what streams are told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::Mode;
use files::{Directory, Look};
use graph::Inline;
use meltemid::publish::Published;
use model::Mesh;
use model::mesh::Edit;
use model::proxies::{Proxy, ProxyId};
use model::settings::Base;
use translate::proxies::Configs;
use xds::Publisher;

/// Something to be taken in at once.
pub(crate) enum Step {
    /// Files changed.
    Files(BTreeMap<PathBuf, Look>),
    /// Proxies connected.
    Proxies(Vec<(ProxyId, Proxy)>),
}

/// It.
pub(crate) struct Plane {
    files: Directory,
    mesh: Mesh,
    published: Published,
    /// What debug pages would see: while it is there, a commit copies what it changes.
    seen: Mesh,
}

impl Plane {
    pub(crate) fn new() -> Self {
        let mesh = Mesh::new(translate::schema(), Base::new());
        let published = Published::new(Publisher::new());
        Self { files: Directory::new(Mode::Lenient), seen: mesh.clone(), mesh, published }
    }

    /// Takes a step in; says how many rows were built.
    fn take(&mut self, step: Step) -> usize {
        let mut edit = Edit::default();
        match step {
            Step::Files(looks) => {
                let changes = self.files.update(looks);
                changes.removed.iter().for_each(|id| self.mesh.remove(id, &mut edit));
                changes.upserts.into_iter().for_each(|object| self.mesh.upsert(object, &mut edit));
            }
            Step::Proxies(proxies) => {
                for (id, proxy) in proxies {
                    edit.connect(id, proxy);
                    edit.txn().demand::<Configs>(id);
                }
            }
        }
        let changes = self.mesh.commit(edit, &Inline);
        drop(std::mem::replace(&mut self.seen, self.mesh.clone()));
        self.published.publish(&self.mesh, &changes);
        changes.rebuilt_in_all()
    }
}

/// Takes steps in one after the other; says how many rows were built. Callgrind knows it by its name, which no other function may have.
#[inline(never)]
pub(crate) fn watched_by_callgrind(plane: &mut Plane, steps: Vec<Step>) -> usize {
    let mut rows = 0;
    for step in steps {
        rows += plane.take(step);
    }
    rows
}
