//! The webhooks that the API server calls: they are told by which roots our certificate is known
//! (`istio: pkg/webhooks/webhookpatch.go`, `pkg/webhooks/validation/controller/controller.go`), and refuse what cannot be validated only
//! once validation was seen to work.

use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::roots::Found;
use crate::{Cluster, MANAGER, Writer};

/// Entries for injection are known by the end of their names.
const INJECTOR: &str = "sidecar-injector.istio.io";
/// Gives an object to a control plane.
const REVISION: &str = "istio.io/rev";
/// Marks an object that validation always refuses.
const REFUSED: &str = "internal.istio.io/webhook-always-reject";
/// Between attempts.
const AGAIN: Duration = Duration::from_secs(2);

/// A configuration as far as it is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    name: String,
    bundle: Vec<u8>,
    /// `failurePolicy`, of validation only.
    policy: Option<String>,
}

/// Keeps the `caBundle` of revision `revision`'s webhooks at the writer's roots while it leads: in a rotation replicas may know different
/// roots for a while, and would undo each other's. As long as the control plane's own namespace has the roots of another, nothing is
/// written. Never returns.
pub async fn patch(writer: Writer, revision: String, mut found: watch::Receiver<Found>) {
    let Writer { cluster, namespace, mut roots, mut lead } = writer;
    let labelled = || watcher::Config::default().labels(&format!("{REVISION}={revision}")).timeout(cluster.turn());
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(cluster.client());
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(cluster.client());
    let injectors = watcher(mutating.clone(), labelled());
    let validators = watcher(validating.clone(), labelled());
    pin_mut!(injectors, validators);
    let mut known = std::collections::BTreeMap::<(bool, String), Vec<Entry>>::new();
    let mut again = false;
    loop {
        let current = roots.borrow_and_update().clone();
        let alone = {
            let found = found.borrow_and_update();
            found.looked && !found.foreign.contains(&namespace)
        };
        if lead.holds() && alone && !current.is_empty() {
            again = false;
            for ((injects, name), entries) in known.iter().take_while(|_| lead.holds()) {
                let written = match injects {
                    true => inject(&mutating, name, entries, &current).await,
                    false => validate(&cluster, &validating, name, entries, (&current, &revision, &namespace)).await,
                };
                match written {
                    Ok(done) => again |= !done,
                    Err(error) => {
                        tracing::warn!("webhook configuration {name} cannot be told our roots: {error}");
                        again = true;
                    }
                }
            }
        }
        tokio::select! {
            Some(event) = injectors.next() => note(true, event.map(|event| event.map_entries(mutating_entries)), &mut known).await,
            Some(event) = validators.next() => note(false, event.map(|event| event.map_entries(validating_entries)), &mut known).await,
            Ok(()) = roots.changed() => {}
            Ok(()) = lead.changed() => {}
            Ok(()) = found.changed() => {}
            () = tokio::time::sleep(AGAIN), if again => {}
        }
    }
}

/// What an event says of one configuration.
enum Seen {
    Is(String, Vec<Entry>),
    Gone(String),
    Nothing,
}

/// Events of both kinds alike.
trait Entries<K> {
    fn map_entries(self, entries: impl Fn(&K) -> Vec<Entry>) -> Seen;
}

impl<K: kube::Resource> Entries<K> for watcher::Event<K> {
    fn map_entries(self, entries: impl Fn(&K) -> Vec<Entry>) -> Seen {
        match self {
            Self::Apply(config) | Self::InitApply(config) => Seen::Is(config.name_any(), entries(&config)),
            Self::Delete(config) => Seen::Gone(config.name_any()),
            Self::Init | Self::InitDone => Seen::Nothing,
        }
    }
}

async fn note(
    injects: bool,
    seen: Result<Seen, watcher::Error>,
    known: &mut std::collections::BTreeMap<(bool, String), Vec<Entry>>,
) {
    match seen {
        Ok(Seen::Is(name, entries)) => _ = known.insert((injects, name), entries),
        Ok(Seen::Gone(name)) => _ = known.remove(&(injects, name)),
        Ok(Seen::Nothing) => {}
        Err(error) => {
            tracing::debug!("webhook configurations cannot be watched now: {error}");
            tokio::time::sleep(AGAIN).await;
        }
    }
}

fn mutating_entries(config: &MutatingWebhookConfiguration) -> Vec<Entry> {
    let hooks = config.webhooks.iter().flatten().filter(|hook| hook.name.ends_with(INJECTOR));
    hooks.map(|hook| Entry { name: hook.name.clone(), bundle: bundle(&hook.client_config), policy: None }).collect()
}

fn validating_entries(config: &ValidatingWebhookConfiguration) -> Vec<Entry> {
    let hooks = config.webhooks.iter().flatten();
    let entry = |hook: &k8s_openapi::api::admissionregistration::v1::ValidatingWebhook| Entry {
        name: hook.name.clone(),
        bundle: bundle(&hook.client_config),
        policy: hook.failure_policy.clone(),
    };
    hooks.map(entry).collect()
}

fn bundle(config: &WebhookClientConfig) -> Vec<u8> {
    config.ca_bundle.clone().map(|ByteString(bytes)| bytes).unwrap_or_default()
}

/// The roots of those entries that have others; says that nothing more is to be done.
async fn inject(
    configs: &Api<MutatingWebhookConfiguration>,
    name: &str,
    entries: &[Entry],
    roots: &str,
) -> kube::Result<bool> {
    let Some(patch) = rooted(entries, roots) else { return Ok(true) };
    configs.patch(name, &params(), &Patch::Strategic(patch)).await?;
    tracing::info!("webhook configuration {name} knows our roots");
    Ok(true)
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}

fn rooted(entries: &[Entry], roots: &str) -> Option<Value> {
    let others = entries.iter().filter(|entry| entry.bundle != roots.as_bytes());
    let hooks: Vec<Value> = others
        .map(|entry| json!({ "name": entry.name, "clientConfig": { "caBundle": ByteString(roots.into()) } }))
        .collect();
    (!hooks.is_empty()).then(|| json!({ "webhooks": hooks }))
}

/// As [`inject`]; then, once a bad object was refused, what cannot be validated is refused. Says whether that is so.
async fn validate(
    cluster: &Cluster,
    configs: &Api<ValidatingWebhookConfiguration>,
    name: &str,
    entries: &[Entry],
    (roots, revision, namespace): (&str, &str, &str),
) -> kube::Result<bool> {
    if let Some(patch) = rooted(entries, roots) {
        configs.patch(name, &params(), &Patch::Strategic(patch)).await?;
        tracing::info!("webhook configuration {name} knows our roots");
        return Ok(false);
    }
    let open: Vec<&Entry> = entries.iter().filter(|entry| entry.policy.as_deref() == Some("Ignore")).collect();
    if open.is_empty() || !refuses(cluster, (revision, namespace)).await? {
        return Ok(open.is_empty());
    }
    let hooks: Vec<Value> = open.iter().map(|entry| json!({ "name": entry.name, "failurePolicy": "Fail" })).collect();
    configs.patch(name, &params(), &Patch::Strategic(json!({ "webhooks": hooks }))).await?;
    tracing::info!("webhook configuration {name}: validation works, what it cannot see is refused from now on");
    Ok(true)
}

/// Whether an object that is always refused is refused by validation.
async fn refuses(cluster: &Cluster, (revision, namespace): (&str, &str)) -> kube::Result<bool> {
    let gateway = ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1", "Gateway"));
    let gateways: Api<DynamicObject> = Api::namespaced_with(cluster.client(), namespace, &gateway);
    let mut bad = DynamicObject::new("invalid-gateway", &gateway).data(json!({ "spec": {} }));
    // Of our revision, so that it is our webhook that is asked.
    bad.metadata.labels = Some([(REVISION.to_owned(), revision.to_owned())].into());
    bad.metadata.annotations = Some([(REFUSED.to_owned(), "true".to_owned())].into());
    let trial = PostParams { dry_run: true, ..PostParams::default() };
    match gateways.create(&trial, &bad).await {
        Ok(_) => Ok(false),
        Err(kube::Error::Api(status)) => Ok(status.message.contains("denied the request")),
        Err(error) => Err(error),
    }
}
