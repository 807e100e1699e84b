//! From changed rows to published views: which views there are, what they list, and who sees which.

use std::collections::HashMap;
use std::sync::Arc;

use graph::Changes;
use model::Mesh;
use model::proxies::ProxyId;
use translate::keys::ViewKey;
use translate::proxies::{Config, Configs, Type};
use translate::resources::{ResourceKey, Resources};
use translate::views::{View, Views};
use xds::{Assignment, Publisher, ResourceType, ViewId};

/// What the xDS server was told.
pub struct Published {
    publisher: Publisher,
    views: HashMap<ViewKey, (ViewId, Arc<View>)>,
    next: ViewId,
    gone: Vec<ProxyId>,
}

impl Published {
    /// Nothing was told yet.
    #[must_use]
    pub fn new(publisher: Publisher) -> Self {
        Self { publisher, views: HashMap::new(), next: 1, gone: Vec::new() }
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
        // What was dropped is not told any more. If it is there again, it is another view.
        for (id, _) in changes.dropped::<Views>(db).filter_map(|key| self.views.remove(key)) {
            commit.drop_view(id);
            any = true;
        }
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
                    Some(encoded) => commit.set_changed(*id, encoded),
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

/// Sets what is new or different in a view, and removes what is gone. Both lists are in the order of their names. What has the same key
/// says the same, unless the resource itself changed, which is told for itself.
fn update(id: ViewId, old: &View, now: &View, mesh: &Mesh, commit: &mut xds::Commit<'_>) {
    let mut before = old.entries.iter().peekable();
    for (name, key) in &now.entries {
        while let Some((gone, _)) = before.next_if(|(known, _)| known < name) {
            commit.remove(id, gone);
        }
        let same = before.next_if(|(known, _)| known == name).is_some_and(|(_, known)| known == key);
        if same {
            continue;
        }
        match mesh.db().row::<Resources>(key) {
            Some(encoded) => commit.set_changed(id, &encoded),
            None => commit.remove(id, name),
        }
    }
    before.for_each(|(gone, _)| commit.remove(id, gone));
}
