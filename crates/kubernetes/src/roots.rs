//! The mesh's roots in every namespace: ConfigMap `istio-ca-root-cert`, which pods mount
//! (`istio: pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go`). Restored when it is edited or deleted. One that holds
//! the root of another control plane is left as it is: two roots in one mesh would be two meshes, and neither would know why.
//! Namespaces that the mesh's discovery selectors leave out are not looked at; one that is left out later keeps what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::mesh::LabelSelector;
use futures_util::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, ResourceExt};
use names::{Labels, Name};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::lease::Lead;
use crate::{Cluster, MANAGER, Writer};

/// Its name and its key.
pub(crate) const NAME: &str = "istio-ca-root-cert";
const KEY: &str = "root-cert.pem";
/// How managers are called that are people.
const BY_HAND: &str = "kubectl";
/// So many namespaces are named in the log.
const SHOWN: usize = 5;
/// Namespaces without pods of a mesh.
const WITHOUT: [&str; 3] = ["kube-public", "kube-node-lease", "local-path-storage"];
/// What failed, or was undone by somebody else, is written again after this, then after twice as long each time, up to that.
const SOON: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_secs(60);

/// What is known of a namespace.
#[derive(Default)]
struct Place {
    /// It is there and stays.
    there: bool,
    labels: Labels,
    /// It belongs to the mesh.
    in_mesh: bool,
    /// The list of namespaces, or of ConfigMaps, that is being read has it: what a list does not have is gone at its end, not before.
    seen: [bool; 2],
    /// The certificates in its ConfigMap.
    holds: Vec<String>,
    /// Who wrote that was us, or somebody by hand over what we wrote.
    ours: bool,
    /// Not before then, and how long to wait after that.
    due: Option<Instant>,
    pause: Duration,
}

/// What was found in the ConfigMaps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// All were looked at, with our roots known.
    pub looked: bool,
    /// The namespaces with roots of another control plane.
    pub foreign: BTreeSet<String>,
}

/// Which namespaces belong to the mesh: those that one of these selects, all when there is none; nothing while that is not known.
pub type Selectors = watch::Receiver<Option<Vec<LabelSelector>>>;

/// Keeps the ConfigMap of every namespace of the mesh at the writer's roots while it leads, unless its own namespace has the roots of another; every
/// replica tells `found`. Never returns.
pub async fn distribute(writer: Writer, mut selectors: Selectors, found: watch::Sender<Found>) {
    let Writer { cluster, namespace: home, mut roots, mut lead } = writer;
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(cluster.client());
    let maps: Api<ConfigMap> = Api::all(cluster.client());
    let named = watcher::Config::default().fields(&format!("metadata.name={NAME}")).timeout(cluster.turn());
    let namespaces = watcher(namespaces, watcher::Config::default().timeout(cluster.turn()));
    let maps = watcher(maps, named);
    pin_mut!(namespaces, maps);
    let mut places = BTreeMap::<String, Place>::new();
    // Namespaces and ConfigMaps.
    let mut lists = [false; 2];
    loop {
        let current = roots.borrow_and_update().clone();
        let listed = lists == [true; 2];
        let selected = selectors.borrow_and_update().clone();
        places.values_mut().for_each(|place| place.select(selected.as_deref()));
        if listed {
            tell(&found, &home, &current, &places);
        }
        // Where the mesh is another's, no namespace gets ours.
        let ours = listed && !found.borrow().foreign.contains(&home);
        let due = if ours { write(&cluster, &current, &lead, &mut places).await } else { None };
        tokio::select! {
            Some(event) = namespaces.next() => match event {
                Ok(event) => {
                    lists[0] |= matches!(event, watcher::Event::InitDone);
                    namespace(event, &mut places);
                }
                Err(error) => failed(&error).await,
            },
            Some(event) = maps.next() => match event {
                Ok(event) => {
                    lists[1] |= matches!(event, watcher::Event::InitDone);
                    map(event, &mut places);
                }
                Err(error) => failed(&error).await,
            },
            Ok(()) = roots.changed() => {}
            Ok(()) = lead.changed() => {}
            Ok(()) = selectors.changed() => {}
            () = at(due), if due.is_some() => {}
        }
    }
}

async fn failed(error: &watcher::Error) {
    tracing::debug!("namespaces and their roots cannot be watched now: {error}");
    tokio::time::sleep(SOON).await;
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn namespace(event: watcher::Event<PartialObjectMeta<Namespace>>, places: &mut BTreeMap<String, Place>) {
    match event {
        watcher::Event::Apply(namespace) | watcher::Event::InitApply(namespace) => {
            let place = places.entry(namespace.name_any()).or_default();
            // One that is on its way out takes nothing any more.
            place.there = namespace.metadata.deletion_timestamp.is_none();
            let labels = namespace.labels().iter();
            place.labels = labels.map(|(key, value)| (Name::from(key), Name::from(value))).collect();
            place.seen[0] = true;
        }
        watcher::Event::Delete(namespace) => _ = places.remove(&namespace.name_any()),
        watcher::Event::Init => places.values_mut().for_each(|place| place.seen[0] = false),
        watcher::Event::InitDone => places.values_mut().for_each(|place| place.there &= place.seen[0]),
    }
}

fn map(event: watcher::Event<ConfigMap>, places: &mut BTreeMap<String, Place>) {
    match event {
        watcher::Event::Apply(mut map) | watcher::Event::InitApply(mut map) => {
            let holds = map.data.as_mut().and_then(|data| data.remove(KEY));
            let place = places.entry(map.namespace().unwrap_or_default()).or_default();
            place.holds = certificates(holds.as_deref().unwrap_or_default());
            place.ours = is_ours(map.managed_fields());
            place.seen[1] = true;
        }
        watcher::Event::Delete(map) => {
            if let Some(place) = places.get_mut(&map.namespace().unwrap_or_default()) {
                place.holds = Vec::new();
            }
        }
        watcher::Event::Init => places.values_mut().for_each(|place| place.seen[1] = false),
        watcher::Event::InitDone => {
            places.values_mut().filter(|place| !place.seen[1]).for_each(|place| place.holds = Vec::new());
        }
    }
}

/// Whether the roots are what we wrote, or what somebody wrote by hand over it.
fn is_ours(managed: &[ManagedFieldsEntry]) -> bool {
    let manager = |entry: &ManagedFieldsEntry| entry.manager.clone().unwrap_or_default();
    let owns = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref();
        fields.is_some_and(|fields| fields.0["f:data"].get(format!("f:{KEY}")).is_some())
    };
    let known = managed.iter().any(|entry| manager(entry) == MANAGER);
    let owners: Vec<String> = managed.iter().filter(owns).map(manager).collect();
    let by_hand = known && owners.iter().all(|owner| owner.starts_with(BY_HAND));
    by_hand || owners.iter().any(|owner| owner == MANAGER)
}

impl Place {
    fn select(&mut self, selectors: Option<&[LabelSelector]>) {
        let selects = |all: &[LabelSelector]| all.is_empty() || all.iter().any(|one| one.matches(&self.labels));
        self.in_mesh = selectors.is_some_and(selects);
    }

    /// It holds certificates, and none of ours, and neither we nor a person wrote them.
    fn is_foreign(&self, roots: &[String]) -> bool {
        self.there && !self.ours && !self.holds.is_empty() && !self.holds.iter().any(|one| roots.contains(one))
    }
}

/// The certificates of a PEM, each as its Base64 alone: how lines are cut does not count.
fn certificates(pem: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = pem;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let Some((body, after)) = after.split_once("-----END CERTIFICATE-----") else { break };
        found.push(body.split_whitespace().collect());
        rest = after;
    }
    found
}

/// Says which namespaces of the mesh, and whether the control plane's own, have others' roots.
fn tell(found: &watch::Sender<Found>, home: &str, roots: &str, places: &BTreeMap<String, Place>) {
    if roots.is_empty() {
        return;
    }
    let ours = certificates(roots);
    let counts = |name: &str, place: &Place| name == home || place.in_mesh && !WITHOUT.contains(&name);
    let foreign = places.iter().filter(|(name, place)| counts(name, place) && place.is_foreign(&ours));
    let foreign: BTreeSet<String> = foreign.map(|(name, _)| name.clone()).collect();
    found.send_if_modified(|found| {
        let new: Vec<&String> = foreign.difference(&found.foreign).take(SHOWN).collect();
        if !new.is_empty() {
            tracing::error!(
                namespaces = foreign.len(),
                examples = ?new,
                "ConfigMap {NAME} holds the root of another control plane and stays as it is: give this one that CA (Secret cacerts), or \
                 delete the ConfigMap once the other is gone"
            );
        }
        let now = Found { looked: true, foreign };
        let changed = *found != now;
        *found = now;
        changed
    });
}

/// Writes what is due; says when the next is.
async fn write(cluster: &Cluster, roots: &str, lead: &Lead, places: &mut BTreeMap<String, Place>) -> Option<Instant> {
    if !lead.holds() || roots.is_empty() {
        return None;
    }
    let (now, ours) = (Instant::now(), certificates(roots));
    let mut next: Option<Instant> = None;
    let fillable = |name: &str, place: &Place| place.there && place.in_mesh && !WITHOUT.contains(&name);
    for (name, place) in places.iter_mut().filter(|(name, place)| fillable(name, place)) {
        if place.is_foreign(&ours) || place.holds == ours {
            if place.due.is_some_and(|due| now > due + LATE) {
                (place.due, place.pause) = (None, Duration::ZERO);
            }
            continue;
        }
        if let Some(due) = place.due.filter(|due| *due > now) {
            next = Some(next.map_or(due, |next| next.min(due)));
            continue;
        }
        if !lead.holds() {
            return None;
        }
        match apply(cluster, name, roots).await {
            Ok(()) => (place.holds, place.ours) = (ours.clone(), true),
            Err(error) => tracing::warn!("the roots cannot be written into namespace {name}: {error}"),
        }
        place.pause = (place.pause * 2).clamp(SOON, LATE);
        let due = now + place.pause;
        place.due = Some(due);
        next = Some(next.map_or(due, |next| next.min(due)));
    }
    next
}

async fn apply(cluster: &Cluster, namespace: &str, roots: &str) -> kube::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), namespace);
    let written = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": NAME, "labels": { "istio.io/config": "true" } },
        "data": { KEY: roots },
    });
    maps.patch(NAME, &PatchParams::apply(MANAGER).force(), &Patch::Apply(written)).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
