//! Which of Istio's kinds the API server has: their definitions come and go while we run. Only metadata of definitions is asked for;
//! whole ones are large.

use std::collections::BTreeSet;
use std::time::Duration;

use api::Kind;
use futures_util::{StreamExt, pin_mut};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use tokio::sync::watch;

use crate::Cluster;

/// Between two attempts.
const AGAIN: Duration = Duration::from_secs(1);

/// The definitions that are there, by name; None until that is known.
pub(super) type Present = Option<BTreeSet<String>>;

/// Whether a kind is there; None until that is known. The kinds of Kubernetes itself always are.
pub(super) fn has(present: &Present, kind: Kind) -> Option<bool> {
    if !kind.group().ends_with(".istio.io") {
        return Some(true);
    }
    present.as_ref().map(|names| names.contains(&format!("{}.{}", kind.plural(), kind.group())))
}

/// Tells which definitions are there, for ever.
pub(super) async fn follow(cluster: Cluster, tell: watch::Sender<Present>) {
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(cluster.client());
    let events = watcher(api, watcher::Config::default().timeout(cluster.turn()));
    pin_mut!(events);
    let mut listed = None;
    let mut failing = false;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                failing = false;
                note(event, &mut listed, &tell);
            }
            Err(error) => {
                if !failing {
                    tracing::warn!("which definitions there are cannot be seen now: {error}");
                }
                failing = true;
                // Who may not see them tries all.
                if super::kind::is_forbidden(&error) {
                    let all = Kind::ALL.iter().map(|kind| format!("{}.{}", kind.plural(), kind.group()));
                    tell.send_replace(Some(all.collect()));
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn note(
    event: watcher::Event<PartialObjectMeta<CustomResourceDefinition>>,
    listed: &mut Present,
    tell: &watch::Sender<Present>,
) {
    let name = |object: PartialObjectMeta<CustomResourceDefinition>| object.metadata.name.unwrap_or_default();
    match event {
        watcher::Event::Init => *listed = Some(BTreeSet::new()),
        watcher::Event::InitApply(object) => {
            if let Some(names) = listed {
                names.insert(name(object));
            }
        }
        watcher::Event::InitDone => _ = tell.send_replace(listed.take()),
        watcher::Event::Apply(object) => {
            let name = name(object);
            tell.send_if_modified(|names| names.as_mut().is_some_and(|names| names.insert(name)));
        }
        watcher::Event::Delete(object) => {
            let name = name(object);
            tell.send_if_modified(|names| names.as_mut().is_some_and(|names| names.remove(&name)));
        }
    }
}
