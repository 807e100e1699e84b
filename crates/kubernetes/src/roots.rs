//! The mesh's roots in every namespace: ConfigMap `istio-ca-root-cert`, which pods mount
//! (`istio: pilot/pkg/serviceregistry/kube/controller/namespacecontroller.go`). Restored when it is edited or deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, ResourceExt};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Cluster, MANAGER, TURN};

/// Its name and its key.
pub(crate) const NAME: &str = "istio-ca-root-cert";
const KEY: &str = "root-cert.pem";
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
    /// What its ConfigMap holds.
    holds: Option<String>,
    /// Not before then, and how long to wait after that.
    due: Option<Instant>,
    pause: Duration,
}

/// Keeps the ConfigMap of every namespace at `roots` while `leading`. Never returns.
pub async fn distribute(cluster: Cluster, mut roots: watch::Receiver<String>, mut leading: watch::Receiver<bool>) {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(cluster.client());
    let maps: Api<ConfigMap> = Api::all(cluster.client());
    let named = watcher::Config::default().fields(&format!("metadata.name={NAME}")).timeout(TURN);
    let namespaces = watcher(namespaces, watcher::Config::default().timeout(TURN));
    let maps = watcher(maps, named);
    pin_mut!(namespaces, maps);
    let mut places = BTreeMap::<String, Place>::new();
    loop {
        let (current, leads) = (roots.borrow_and_update().clone(), *leading.borrow_and_update());
        let due = write(&cluster, &current, leads, &mut places).await;
        tokio::select! {
            Some(event) = namespaces.next() => match event {
                Ok(event) => namespace(event, &mut places),
                Err(error) => failed(&error).await,
            },
            Some(event) = maps.next() => match event {
                Ok(event) => map(event, &mut places),
                Err(error) => failed(&error).await,
            },
            Ok(()) = roots.changed() => {}
            Ok(()) = leading.changed() => {}
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
        }
        watcher::Event::Delete(namespace) => _ = places.remove(&namespace.name_any()),
        watcher::Event::Init => places.values_mut().for_each(|place| place.there = false),
        watcher::Event::InitDone => {}
    }
}

fn map(event: watcher::Event<ConfigMap>, places: &mut BTreeMap<String, Place>) {
    match event {
        watcher::Event::Apply(mut map) | watcher::Event::InitApply(mut map) => {
            let holds = map.data.as_mut().and_then(|data| data.remove(KEY));
            places.entry(map.namespace().unwrap_or_default()).or_default().holds = holds;
        }
        watcher::Event::Delete(map) => {
            if let Some(place) = places.get_mut(&map.namespace().unwrap_or_default()) {
                place.holds = None;
            }
        }
        watcher::Event::Init => places.values_mut().for_each(|place| place.holds = None),
        watcher::Event::InitDone => {}
    }
}

/// Writes what is due; says when the next is.
async fn write(cluster: &Cluster, roots: &str, leading: bool, places: &mut BTreeMap<String, Place>) -> Option<Instant> {
    if !leading || roots.is_empty() {
        return None;
    }
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for (name, place) in places.iter_mut().filter(|(name, place)| place.there && !WITHOUT.contains(&name.as_str())) {
        if place.holds.as_deref() == Some(roots) {
            if place.due.is_some_and(|due| now > due + LATE) {
                (place.due, place.pause) = (None, Duration::ZERO);
            }
            continue;
        }
        if let Some(due) = place.due.filter(|due| *due > now) {
            next = Some(next.map_or(due, |next| next.min(due)));
            continue;
        }
        match apply(cluster, name, roots).await {
            Ok(()) => place.holds = Some(roots.to_owned()),
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
