//! What comes before every kind was seen, kept until it may be shown: each object once, however often it changes meanwhile. A kind that may
//! not be seen can be awaited for days.

use std::collections::BTreeMap;

use api::{AnyObject, Changes, Issue, ObjectId, Origin};

/// The world so far.
#[derive(Default)]
pub(super) struct First {
    objects: BTreeMap<ObjectId, AnyObject>,
    moved: BTreeMap<ObjectId, Origin>,
    issues: BTreeMap<Option<ObjectId>, Vec<Issue>>,
}

impl First {
    /// Takes what changed since.
    pub(super) fn take(&mut self, changes: Changes) {
        let Changes { upserts, removed, moved, issues, ledger: _ } = changes;
        for id in removed {
            self.objects.remove(&id);
            self.forget(id);
        }
        for object in upserts {
            self.forget(object.id());
            self.objects.insert(object.id(), object);
        }
        for (id, origin) in moved {
            self.forget(id.clone());
            self.moved.insert(id, origin);
        }
        for issue in issues {
            self.issues.entry(issue.object.clone()).or_default().push(issue);
        }
    }

    /// What was said of an object holds no more.
    fn forget(&mut self, id: ObjectId) {
        self.moved.remove(&id);
        self.issues.remove(&Some(id));
    }

    /// All of it, as one transaction.
    pub(super) fn whole(self) -> Changes {
        Changes {
            upserts: self.objects.into_values().collect(),
            moved: self.moved.into_iter().collect(),
            issues: self.issues.into_values().flatten().collect(),
            ..Changes::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use api::Kind;
    use names::Name;
    use serde_json::json;

    use super::super::store::{Event, Step, Store};
    use super::*;

    fn put(store: &mut Store, name: &str, version: u64) -> Changes {
        let meta = json!({ "name": name, "namespace": "shop", "resourceVersion": version.to_string() });
        let spec = json!({ "clusterIP": format!("10.0.0.{version}"), "ports": [{ "port": 80 }] });
        let value = json!({ "apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec });
        match store.take(Event::Put(value), false) {
            Step::Changed(changes) => changes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_gone_before_it_was_shown_is_not_shown_and_what_changed_is_shown_once() {
        let (mut first, mut store) = (First::default(), Store::new(Kind::Service));
        for version in 1..=3 {
            first.take(put(&mut store, "stays", version));
        }
        first.take(put(&mut store, "goes", 4));
        let id = ObjectId { kind: Kind::Service, namespace: Name::from("shop"), name: Name::from("goes") };
        first.take(Changes { removed: vec![id], ..Changes::default() });
        let whole = first.whole();
        assert!(whole.removed.is_empty());
        let last = put(&mut store, "stays", 3);
        assert_eq!(whole.upserts.len(), 1, "{:?}", whole.upserts);
        assert!(whole.upserts[0].same_content(&last.upserts[0]), "{:?}", whole.upserts);
    }
}
