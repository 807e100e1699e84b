//! From changed rows to published views: which views there are, what they list, and who sees which.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use graph::Changes;
use model::Mesh;
use model::proxies::ProxyId;
use translate::keys::ViewKey;
use translate::proxies::{Config, Configs, Type};
use translate::resources::{ResourceKey, Resources};
use translate::views::{View, Views};
use xds::{Assignment, Publisher, ResourceType, ViewId};

/// Commits between two looks for views that nobody holds any more.
const CLEAN_EVERY: u64 = 64;

/// What the xDS server was told.
pub struct Published {
    publisher: Publisher,
    views: HashMap<ViewKey, (ViewId, Arc<View>)>,
    next: ViewId,
    gone: Vec<ProxyId>,
    commits: u64,
}

impl Published {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher, views: HashMap::new(), next: 1, gone: Vec::new(), commits: 0 }
    }

    /// A proxy is gone; said with the next commit.
    pub fn forget(&mut self, proxy: ProxyId) {
        self.gone.push(proxy);
    }

    /// Tells what a commit changed, as one revision.
    pub fn publish(&mut self, mesh: &Mesh, changes: &Changes) {
        let db = mesh.db();
        let publisher = self.publisher.clone();
        let mut commit = publisher.commit();
        let mut any = !self.gone.is_empty();
        for (key, _) in changes.of::<Views>(db) {
            any = true;
            let now = db.row::<Views>(key).unwrap_or_default();
            let (id, old) = self.view(key);
            update(id, &old, &now, mesh, &mut commit);
            self.views.insert(key.clone(), (id, now));
        }
        for (key, row) in changes.of::<Resources>(db) {
            let holders: Vec<&ViewKey> = db.holders::<Views>(row).collect();
            let encoded = db.row::<Resources>(key);
            for (id, view) in holders.iter().filter_map(|holder| self.views.get(*holder)) {
                any = true;
                match &encoded {
                    Some(encoded) => commit.set(*id, (**encoded).clone()),
                    None => named(view, key).into_iter().for_each(|name| commit.remove(*id, name)),
                }
            }
        }
        for (proxy, _) in changes.of::<Configs>(db) {
            if let Some(config) = db.row::<Configs>(proxy) {
                any = true;
                let assignment = self.assignment(&config);
                commit.assign(*proxy, assignment);
            }
        }
        self.gone.drain(..).for_each(|proxy| commit.forget(proxy));
        self.commits += 1;
        if self.commits.is_multiple_of(CLEAN_EVERY) {
            self.views.retain(|key, (id, _)| {
                let held = db.find::<Views>(key).is_some();
                if !held {
                    commit.drop_view(*id);
                }
                held
            });
        }
        if any {
            commit.publish();
        }
    }

    fn view(&mut self, key: &ViewKey) -> (ViewId, Arc<View>) {
        if let Some((id, view)) = self.views.get(key) {
            return (*id, view.clone());
        }
        self.next += 1;
        let made = (self.next, Arc::default());
        self.views.insert(key.clone(), made.clone());
        made
    }

    fn assignment(&mut self, config: &Config) -> Assignment {
        let views =
            config.views.iter().map(|(of, keys)| (kind(*of), keys.iter().map(|key| self.view(key).0).collect()));
        Assignment(views.collect())
    }
}

pub(crate) fn kind(of: Type) -> ResourceType {
    match of {
        Type::Cds => ResourceType::Cds,
        Type::Eds => ResourceType::Eds,
        Type::Sds => ResourceType::Sds,
        Type::Lds => ResourceType::Lds,
        Type::Rds => ResourceType::Rds,
        Type::Vhds => ResourceType::Vhds,
        Type::Nds => ResourceType::Nds,
        Type::Pcds => ResourceType::Pcds,
    }
}

fn named<'a>(view: &'a View, key: &ResourceKey) -> Option<&'a names::Name> {
    view.entries.iter().find(|(_, of)| of == key).map(|(name, _)| name)
}

/// Sets what is new or different in a view, and removes what is gone. What is published is compared by version, not by key: a view that
/// nobody held for a while was forgotten and missed changes of its resources.
fn update(id: ViewId, old: &View, now: &View, mesh: &Mesh, commit: &mut xds::Commit<'_>) {
    for (name, key) in &now.entries {
        match mesh.db().row::<Resources>(key) {
            Some(encoded) => commit.set_changed(id, &encoded),
            None => commit.remove(id, name),
        }
    }
    let kept: BTreeSet<_> = now.entries.iter().map(|(name, _)| name).collect();
    for (name, _) in old.entries.iter().filter(|(name, _)| !kept.contains(name)) {
        commit.remove(id, name);
    }
}
