//! Nodes and what plays pods on them, in the place of scheduler and kubelet: pods are bound to a node, those whose images are programs are
//! run, the others are said to run. Where there is a network, names and addresses of Services lead to pods.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ground::{Addresses, Ground, NODE};
use super::images::Images;
use super::parts::KUBELET_PORT;
use super::task::Task;
use super::{paper, pod, services};
use crate::net::Place;
use crate::process::Keeper;

/// How often a node says that it is there; the controllers wait 40 s for it.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The manager of what is written here.
const FIELD_MANAGER: &str = "meltemi-nodes";

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Its region and zone.
    pub locality: (String, String),
}

/// What all pods share.
pub(super) struct World {
    pub(super) client: Client,
    pub(super) ground: Option<Arc<Ground>>,
    pub(super) addresses: Addresses,
    pub(super) images: Arc<Images>,
    pub(super) keeper: Arc<Keeper>,
    /// The program whose stages make a container.
    pub(super) program: PathBuf,
    /// Where files of pods go.
    pub(super) folder: PathBuf,
}

impl World {
    /// The network.
    pub(super) fn ground(&self) -> anyhow::Result<&Ground> {
        self.ground.as_deref().context("this cluster has no network: its pods can be of paper only")
    }
}

/// What nodes are started with.
pub(super) struct Start {
    pub(super) kubeconfig: PathBuf,
    pub(super) nodes: Vec<NodeSpec>,
    pub(super) ground: Option<Arc<Ground>>,
    pub(super) images: Images,
    pub(super) keeper: Arc<Keeper>,
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
}

/// Starts nodes and waits until they are registered; they and their pods end with the task.
pub(super) fn start(start: Start) -> anyhow::Result<Task> {
    // All that is asked of pods is asked from their node.
    let place = start.ground.as_ref().map_or_else(Place::here, |ground| ground.place().clone());
    Task::start(&place, |ready| async move {
        let (world, nodes) = prepare(start).await?;
        ready.tell();
        Box::pin(serve(world, nodes)).await;
        Ok(())
    })
}

async fn prepare(start: Start) -> anyhow::Result<(Arc<World>, Vec<NodeSpec>)> {
    let kubeconfig = kube::config::Kubeconfig::read_from(&start.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
    let world = World {
        client: Client::try_from(config)?,
        ground: start.ground,
        addresses: Addresses::default(),
        images: Arc::new(start.images),
        keeper: start.keeper,
        program: start.program,
        folder: start.folder,
    };
    for node in &start.nodes {
        register(&world.client, node).await.with_context(|| format!("registering node {}", node.name))?;
    }
    Ok((Arc::new(world), start.nodes))
}

async fn register(client: &Client, node: &NodeSpec) -> anyhow::Result<()> {
    let (name, (region, zone)) = (&node.name, &node.locality);
    let nodes: Api<Node> = Api::all(client.clone());
    let object = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": {
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone,
    } } });
    let force = PatchParams::apply(FIELD_MANAGER).force();
    nodes.patch(name, &force, &Patch::Apply(&object)).await?;
    let room = json!({ "cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "20000" });
    let now = Timestamp::now().to_string();
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "it plays pods",
        "lastHeartbeatTime": now, "lastTransitionTime": now,
    });
    let status = json!({ "status": {
        "capacity": room, "allocatable": room, "conditions": [condition],
        "addresses": [{ "type": "InternalIP", "address": NODE }, { "type": "Hostname", "address": name }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": KUBELET_PORT } },
        "nodeInfo": {
            "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "", "architecture": "amd64",
            "operatingSystem": "linux", "containerRuntimeVersion": "meltemi://1", "kubeletVersion": "v1.37.2",
            "kubeProxyVersion": "",
        },
    } });
    nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    heartbeat(client, name).await
}

async fn heartbeat(client: &Client, node: &str) -> anyhow::Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
    let lease = json!({ "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": node },
        "spec": { "holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now } });
    let force = PatchParams::apply(FIELD_MANAGER).force();
    leases.patch(node, &force, &Patch::Apply(&lease)).await?;
    Ok(())
}

/// Does all that nodes do; does not come back.
async fn serve(world: Arc<World>, nodes: Vec<NodeSpec>) {
    let beats = async {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            for node in &nodes {
                if let Err(error) = heartbeat(&world.client, &node.name).await {
                    eprintln!("node {}: {error:#}", node.name);
                }
            }
        }
    };
    let led = async {
        match &world.ground {
            Some(ground) => services::lead(&world.client, ground).await,
            None => std::future::pending().await,
        }
    };
    let played = Dispatch::new(Arc::clone(&world), nodes.clone()).run();
    tokio::join!(played, beats, led);
}

/// Who plays which pod.
struct Dispatch {
    world: Arc<World>,
    nodes: Vec<NodeSpec>,
    /// The next node of those that would do.
    turn: usize,
    /// Pods that are being bound, by uid.
    binding: HashSet<String>,
    playing: HashMap<String, watch::Sender<Option<Arc<Pod>>>>,
    tasks: JoinSet<Done>,
}

/// What a task is about, by the pod's uid.
enum Done {
    Bound(String),
    Played(String),
}

impl Dispatch {
    fn new(world: Arc<World>, nodes: Vec<NodeSpec>) -> Self {
        let (binding, playing) = (HashSet::new(), HashMap::new());
        Self { world, nodes, turn: 0, binding, playing, tasks: JoinSet::new() }
    }

    async fn run(mut self) {
        let pods: Api<Pod> = Api::all(self.world.client.clone());
        let mut events = pin!(watcher::watcher(pods, watcher::Config::default()).default_backoff());
        let mut listed = BTreeSet::new();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                Some(done) = self.tasks.join_next() => {
                    self.done(done);
                    continue;
                }
            };
            match event {
                Some(Ok(Event::Init)) => listed.clear(),
                Some(Ok(Event::InitApply(pod))) => {
                    listed.extend(pod.metadata.uid.clone());
                    self.see(pod);
                }
                Some(Ok(Event::InitDone)) => {
                    let gone = self.playing.iter().filter(|(uid, _)| !listed.contains(*uid));
                    gone.for_each(|(_, updates)| _ = updates.send(None));
                }
                Some(Ok(Event::Apply(pod))) => self.see(pod),
                Some(Ok(Event::Delete(pod))) => {
                    let updates = pod.metadata.uid.as_ref().and_then(|uid| self.playing.get(uid));
                    updates.into_iter().for_each(|updates| _ = updates.send(None));
                }
                // It goes on by itself.
                Some(Err(error)) => eprintln!("watching pods: {error}"),
                None => return,
            }
        }
    }

    fn done(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Bound(uid)) => _ = self.binding.remove(&uid),
            Ok(Done::Played(uid)) => _ = self.playing.remove(&uid),
            Err(error) => eprintln!("playing a pod: {error}"),
        }
    }

    fn see(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else { return };
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        if let Some(updates) = self.playing.get(&uid) {
            updates.send_replace(Some(Arc::new(pod)));
        } else if node.is_empty() {
            self.bind(uid, pod);
        } else if self.nodes.iter().any(|own| own.name == node) {
            let over = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let over = matches!(over, Some("Succeeded" | "Failed")) && pod.metadata.deletion_timestamp.is_none();
            if !over {
                self.play(uid, pod);
            }
        }
    }

    fn play(&mut self, uid: String, pod: Pod) {
        let pod = Arc::new(pod);
        let (updates, told) = watch::channel(Some(Arc::clone(&pod)));
        self.playing.insert(uid.clone(), updates);
        let world = Arc::clone(&self.world);
        self.tasks.spawn(async move {
            if paper::is_paper(&world, &pod) {
                paper::play(&world, &pod, told).await;
            } else {
                pod::play(world, pod, told).await;
            }
            Done::Played(uid)
        });
    }

    fn bind(&mut self, uid: String, pod: Pod) {
        let gated =
            pod.spec.as_ref().is_some_and(|spec| spec.scheduling_gates.as_ref().is_some_and(|all| !all.is_empty()));
        if gated || pod.metadata.deletion_timestamp.is_some() || !self.binding.insert(uid.clone()) {
            return;
        }
        let fit: Vec<&NodeSpec> = self.nodes.iter().filter(|node| fits(&pod, node)).collect();
        let node = fit.get(self.turn % fit.len().max(1)).map(|node| node.name.clone());
        self.turn += 1;
        let client = self.world.client.clone();
        self.tasks.spawn(async move {
            let done = match node {
                Some(node) => bind(&client, &pod, &node).await,
                None => unschedulable(&client, &pod).await,
            };
            if let Err(error) = done {
                eprintln!("binding pod {:?}: {error:#}", pod.metadata.name);
                // Seen again with the next change; what changes nothing is asked for again here.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Done::Bound(uid)
        });
    }
}

/// Whether a pod may be on a node: by its node selector, and by the node that a DaemonSet means it for.
fn fits(pod: &Pod, node: &NodeSpec) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let (region, zone) = &node.locality;
    let has = |key: &str, value: &str| match key {
        "kubernetes.io/hostname" => value == node.name,
        "kubernetes.io/os" => value == "linux",
        "topology.kubernetes.io/region" => value == region,
        "topology.kubernetes.io/zone" => value == zone,
        _ => false,
    };
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| has(key, value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let meant = required.is_none_or(|required| {
        required.node_selector_terms.iter().any(|term| {
            let names = term.match_fields.iter().flatten();
            let mut named = names.filter(|field| field.key == "metadata.name" && field.operator == "In");
            let labels = term.match_expressions.iter().flatten();
            let mut labelled = labels.map(|label| {
                let any = label.values.iter().flatten().any(|value| has(&label.key, value));
                match label.operator.as_str() {
                    "In" => any,
                    "NotIn" => !any,
                    _ => true,
                }
            });
            named.all(|field| field.values.iter().flatten().any(|name| *name == node.name))
                && labelled.all(|holds| holds)
        })
    });
    selected && meant
}

async fn bind(client: &Client, pod: &Pod, node: &str) -> anyhow::Result<()> {
    let (namespace, name) = pod::named(pod)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name, "uid": pod.metadata.uid },
        "target": { "apiVersion": "v1", "kind": "Node", "name": node } });
    match pods.create_subresource::<Value, Value>("binding", name, &PostParams::default(), &binding).await {
        // Gone, or bound by somebody else.
        Err(kube::Error::Api(error)) if error.code == 404 || error.code == 409 => Ok(()),
        bound => Ok(bound.map(drop)?),
    }
}

async fn unschedulable(client: &Client, pod: &Pod) -> anyhow::Result<()> {
    let (namespace, name) = pod::named(pod)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "no node matches the pod's node selector or affinity" });
    let status = json!({ "status": { "conditions": [condition] } });
    pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status)).await?;
    Ok(())
}
