//! What a client has of one type. Clients that have the same share it, and so do clients that take the same response after having had the
//! same: what comes of it is worked out once.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::kinds::Kind;
use crate::names::Name;
use crate::resource::Resource;
use crate::response::Response;

/// Resources of one type.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// What tells it from others of its type.
    pub(crate) id: u64,
    /// By name.
    pub(crate) resources: Box<[Arc<Resource>]>,
    /// The names that they lead to, by type, each once and sorted.
    leads: [Box<[Name]>; Kind::COUNT],
    /// Some have their hosts apart.
    pub(crate) vhds: bool,
    /// The request that offers all of it on a reconnect, once it was needed.
    pub(crate) offer: OnceLock<Bytes>,
}

/// What became of a response.
#[derive(Debug)]
pub(crate) struct Transition {
    /// What is there now.
    pub(crate) next: Arc<Held>,
    /// The names in the response that are there now, sorted.
    pub(crate) came: Box<[Name]>,
    /// Clusters that are new or changed: the names of their endpoints, sorted. A client acks when it has these.
    pub(crate) warm: Box<[Name]>,
}

impl Held {
    /// Of these resources, which are sorted by name.
    fn of(resources: Vec<Arc<Resource>>) -> Self {
        let mut leads: [Vec<Name>; Kind::COUNT] = Default::default();
        let (mut id, mut vhds) = (0u64, false);
        for resource in &resources {
            id = id.wrapping_add(resource.hash);
            vhds |= resource.vhds;
            resource.leads.iter().for_each(|(kind, name)| leads[kind.index()].push(*name));
        }
        let leads = leads.map(|mut names| {
            names.sort_unstable();
            names.dedup();
            names.into_boxed_slice()
        });
        Self { id, resources: resources.into(), leads, vhds, offer: OnceLock::new() }
    }

    /// The names of a type that its resources lead to, sorted.
    #[must_use]
    pub(crate) fn leads(&self, to: Kind) -> &[Name] {
        &self.leads[to.index()]
    }

    /// The resource with this name.
    #[must_use]
    pub(crate) fn get(&self, name: Name) -> Option<&Arc<Resource>> {
        let at = self.resources.binary_search_by_key(&name, |resource| resource.name).ok()?;
        self.resources.get(at)
    }

    /// Whether every one of these sorted names is there, or in `absent`.
    #[must_use]
    pub(crate) fn covers(&self, names: &[Name], absent: &[Name]) -> bool {
        let mut there = self.resources.iter().map(|resource| resource.name).peekable();
        names.iter().all(|name| {
            while there.next_if(|next| next < name).is_some() {}
            there.peek() == Some(name) || absent.contains(name)
        })
    }

    /// What a response makes of it. One that is `whole` has all there is.
    #[must_use]
    pub(crate) fn after(&self, response: &Response, whole: bool) -> Transition {
        let mut came = response.resources.clone();
        // Stable: of two with one name the last one counts.
        came.sort_by_key(|resource| resource.name);
        came.reverse();
        came.dedup_by_key(|resource| resource.name);
        came.reverse();
        let mut gone = response.removed.clone();
        gone.sort_unstable();
        let stays = |resource: &&Arc<Resource>| {
            let replaced = came.binary_search_by_key(&resource.name, |new| new.name).is_ok();
            !whole && !replaced && gone.binary_search(&resource.name).is_err()
        };
        let mut all: Vec<_> = self.resources.iter().filter(stays).chain(&came).cloned().collect();
        all.sort_by_key(|resource| resource.name);
        let changed = came.iter().filter(|new| self.get(new.name).is_none_or(|old| old.body != new.body));
        let endpoints = |resource: &Arc<Resource>| {
            let leads = resource.leads.iter().filter(|(kind, _)| *kind == Kind::Eds);
            leads.map(|(_, name)| *name).collect::<Vec<_>>()
        };
        let mut warm: Vec<Name> = changed.flat_map(endpoints).collect();
        warm.sort_unstable();
        warm.dedup();
        Transition {
            next: Arc::new(Self::of(all)),
            came: came.iter().map(|resource| resource.name).collect(),
            warm: warm.into(),
        }
    }

    /// Without names that nothing leads to any more.
    #[must_use]
    pub(crate) fn without(&self, names: &[Name]) -> Self {
        let stays = |resource: &&Arc<Resource>| names.binary_search(&resource.name).is_err();
        Self::of(self.resources.iter().filter(stays).cloned().collect())
    }
}

/// The names of sorted `one` that sorted `other` lacks.
#[must_use]
pub(crate) fn lacking(one: &[Name], other: &[Name]) -> Vec<Name> {
    let mut there = other.iter().peekable();
    let lacks = |name: &&Name| {
        while there.next_if(|next| next < name).is_some() {}
        there.peek() != Some(name)
    };
    one.iter().filter(lacks).copied().collect()
}

#[cfg(test)]
mod tests;
