//! A pod that is played: its network and files, init containers in order, the others, and its end. The API server is told all of it.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::container::{Deadline, Making, keep};
use super::ground::NODE;
use super::nodes::World;
use super::status::{Board, Phase, is_sidecar, status};
use super::volumes::Volumes;
use crate::net::Place;

/// How often volumes follow the API server.
const REFRESH: Duration = Duration::from_secs(2);
/// What side cars have at least to end, as kubelet gives it.
const LEAST: Duration = Duration::from_secs(2);

/// Plays a pod until it is gone. `updates` has the object as it is now, and nothing when it has been deleted.
pub(super) async fn play(world: Arc<World>, pod: Arc<Pod>, mut updates: watch::Receiver<Option<Arc<Pod>>>) {
    let (deadline, mut stop) = watch::channel::<Deadline>(None);
    let told = follow(updates.clone(), deadline);
    let stopped = stop.clone();
    let board = watch::Sender::new(Board::new(&pod));
    let playing = async {
        let made = loop {
            match make(&world, &pod, &board).await {
                Ok(made) => break Some(made),
                Err(error) => log_only(&pod, &error),
            }
            if stopped.borrow().is_some() {
                break None;
            }
            tokio::time::sleep(REFRESH).await;
        };
        let Some((making, place)) = made else { return };
        let refreshed = async {
            loop {
                tokio::time::sleep(REFRESH).await;
                let now = updates.borrow().clone();
                // What is not there now is asked for again.
                let _ = making.volumes.lock().await.refresh(now.as_ref().unwrap_or(&pod)).await;
            }
        };
        tokio::select! {
            () = live(&making, &stopped) => {}
            () = refreshed => {}
        }
        drop(place);
    };
    let reported = report(&world, &pod, (&board, updates.clone()));
    let over = async {
        playing.await;
        // One that is over by itself stays as a record until somebody deletes it.
        let _ = stop.wait_for(Option::is_some).await;
    };
    tokio::select! {
        () = over => {}
        never = told => match never {},
        never = reported => match never {},
    }
    let last = updates.borrow_and_update().clone();
    finish(&world, &pod, (&board, last)).await;
}

/// Prints what went wrong; there is nobody else who could be told.
pub(super) fn log_only(pod: &Pod, error: &anyhow::Error) {
    let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
    eprintln!("pod {}/{}: {error:#}", namespace.unwrap_or_default(), name.unwrap_or_default());
}

/// Tells until when the pod may take, as soon as it is deleted.
async fn follow(mut updates: watch::Receiver<Option<Arc<Pod>>>, deadline: watch::Sender<Deadline>) -> Infallible {
    let start = Instant::now();
    loop {
        let grace = match &*updates.borrow_and_update() {
            None => Some(Duration::ZERO),
            Some(pod) => pod.metadata.deletion_timestamp.as_ref().map(|_| {
                let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
                Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
            }),
        };
        if let Some(grace) = grace {
            deadline.send_modify(|until| {
                let told = Instant::now() + grace;
                *until = Some(until.map_or(told, |before| before.min(told)).max(start));
            });
        }
        if updates.changed().await.is_err() {
            deadline.send_replace(Some(Instant::now()));
            return std::future::pending().await;
        }
    }
}

/// Makes what all containers share.
async fn make(world: &Arc<World>, pod: &Arc<Pod>, board: &watch::Sender<Board>) -> anyhow::Result<(Making, Place)> {
    let spec = pod.spec.as_ref().context("a pod has a spec")?;
    let uid = pod.metadata.uid.clone().context("a pod has a uid")?;
    let folder = world.folder.join("pods").join(&uid);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let (address, place) = if spec.host_network == Some(true) {
        (NODE, world.ground()?.place().clone())
    } else {
        let address = world.addresses.take()?;
        let settings = spec.security_context.iter().flat_map(|context| context.sysctls.iter().flatten());
        let settings: Vec<_> = settings.map(|one| (one.name.clone(), one.value.clone())).collect();
        let ground = Arc::clone(world);
        let made = tokio::task::spawn_blocking(move || ground.ground()?.pod(address, &settings)).await?;
        (address, made.inspect_err(|_| world.addresses.free(address))?)
    };
    let names =
        [("resolv.conf", resolv(pod)), ("hosts", hosts(pod, spec, address.into())), ("hostname", hostname(pod))];
    for (name, text) in names {
        std::fs::write(folder.join(name), text)?;
    }
    board.send_modify(|board| (board.address, board.netns) = (Some(address.to_string()), place.path()));
    let volumes = Volumes::new(world.client.clone(), folder.join("volumes"));
    let making = Making {
        client: world.client.clone(),
        images: Arc::clone(&world.images),
        keeper: Arc::clone(&world.keeper),
        program: world.program.clone(),
        netns: place.path(),
        address: address.into(),
        pod: Arc::clone(pod),
        volumes: Arc::new(Mutex::new(volumes)),
        board: board.clone(),
        folder,
    };
    Ok((making, place))
}

fn resolv(pod: &Pod) -> String {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    format!(
        "nameserver {NODE}\nsearch {namespace}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
}

fn hostname(pod: &Pod) -> String {
    format!("{}\n", pod.metadata.name.as_deref().unwrap_or_default())
}

fn hosts(pod: &Pod, spec: &PodSpec, address: IpAddr) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let host = spec.hostname.as_deref().unwrap_or(name);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let long = spec.subdomain.as_ref().map(|domain| format!("{host}.{domain}.{namespace}.svc.cluster.local "));
    let names = format!("{}{host}", long.unwrap_or_default());
    let mut text = format!("127.0.0.1 localhost\n::1 localhost\n{address} {names}\n");
    for alias in spec.host_aliases.iter().flatten() {
        text += &format!("{} {}\n", alias.ip, alias.hostnames.iter().flatten().cloned().collect::<Vec<_>>().join(" "));
    }
    text
}

/// A container that is kept in the background.
struct Kept {
    name: String,
    tasks: JoinSet<i32>,
    /// How it ended.
    code: Option<i32>,
}

impl Kept {
    fn start(making: &Making, container: &Container, stop: watch::Receiver<Deadline>, init: bool) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(keep(making.clone(), container.clone(), stop, init));
        Self { name: container.name.clone(), tasks, code: None }
    }

    async fn ended(&mut self) -> i32 {
        if self.code.is_none() {
            self.code = Some(self.tasks.join_next().await.and_then(Result::ok).unwrap_or(255));
        }
        self.code.unwrap_or(255)
    }

    /// Waits until it has come so far, or has ended.
    async fn reached(&mut self, making: &Making, far: fn(&super::status::Seen) -> bool) {
        let mut board = making.board.subscribe();
        let name = self.name.clone();
        let reached = board.wait_for(|board| board.containers.get(&name).is_some_and(far));
        tokio::select! {
            _ = reached => {}
            _ = self.ended() => {}
        }
    }
}

/// The life of a pod: comes back when all its containers are over.
async fn live(making: &Making, stop: &watch::Receiver<Deadline>) {
    let Some(spec) = making.pod.spec.clone() else { return };
    let mut sidecars = Vec::new();
    let failed = prepare(making, &spec, stop, &mut sidecars).await;
    let mut code = i32::from(failed);
    if !failed && stop.borrow().is_none() {
        making.board.send_modify(|board| board.initialized = true);
        let mut mains = Vec::new();
        for container in &spec.containers {
            let mut kept = Kept::start(making, container, stop.clone(), false);
            // The next one waits for the hook after the start of this one.
            let begun = |seen: &super::status::Seen| {
                seen.is_running() || !matches!(seen.phase, Phase::Waiting { reason: "PodInitializing", .. })
            };
            kept.reached(making, begun).await;
            mains.push(kept);
        }
        for kept in &mut mains {
            code = code.max(kept.ended().await);
        }
    }
    let deadline = stop.borrow().unwrap_or_else(Instant::now).max(Instant::now() + LEAST);
    for (mut sidecar, end) in sidecars.into_iter().rev() {
        end.send_replace(Some(deadline));
        sidecar.ended().await;
    }
    making.board.send_modify(|board| board.over = Some(if code == 0 { "Succeeded" } else { "Failed" }));
}

/// Runs the init containers in their order; whether one has failed for good.
async fn prepare(
    making: &Making,
    spec: &PodSpec,
    stop: &watch::Receiver<Deadline>,
    sidecars: &mut Vec<(Kept, watch::Sender<Deadline>)>,
) -> bool {
    for container in spec.init_containers.iter().flatten() {
        if stop.borrow().is_some() {
            return false;
        }
        if is_sidecar(container) {
            // It outlives the others: it is told by itself.
            let (end, told) = watch::channel::<Deadline>(None);
            let mut kept = Kept::start(making, container, told, true);
            let mut stop = stop.clone();
            tokio::select! {
                () = kept.reached(making, |seen| seen.started) => {}
                _ = stop.wait_for(Option::is_some) => {}
            }
            sidecars.push((kept, end));
        } else if Kept::start(making, container, stop.clone(), true).ended().await != 0 {
            return true;
        }
    }
    false
}

/// Tells the API server, and who asks for logs, whenever something has changed.
pub(super) async fn report(
    world: &World,
    pod: &Arc<Pod>,
    (board, mut updates): (&watch::Sender<Board>, watch::Receiver<Option<Arc<Pod>>>),
) -> Infallible {
    let mut seen = board.subscribe();
    seen.mark_changed();
    // Others may say whether it is ready, too.
    let gated = pod.spec.as_ref().is_some_and(|spec| spec.readiness_gates.is_some());
    loop {
        let changed = tokio::select! {
            changed = seen.changed() => changed,
            changed = updates.changed(), if gated => changed,
        };
        if changed.is_err() {
            return std::future::pending().await;
        }
        let now = seen.borrow_and_update().clone();
        let object = updates.borrow().clone().unwrap_or_else(|| Arc::clone(pod));
        if let Err(error) = tell(world, &object, &now).await {
            log_only(pod, &error);
            tokio::time::sleep(Duration::from_millis(200)).await;
            seen.mark_changed();
        }
    }
}

async fn tell(world: &World, pod: &Pod, board: &Board) -> anyhow::Result<()> {
    let (namespace, name) = named(pod)?;
    if world.ground.is_some() {
        describe(world, (namespace, name), board)?;
    }
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), namespace);
    let patch = Patch::Strategic(status(pod, board, &NODE.to_string()));
    match pods.patch_status(name, &PatchParams::default(), &patch).await {
        // Whoever has deleted it does not want to know.
        Err(kube::Error::Api(error)) if error.code == 404 => Ok(()),
        told => told.map(drop).context("telling the pod's status"),
    }
}

/// Tells kubelet how the pod is entered and where its logs are.
fn describe(world: &World, (namespace, name): (&str, &str), board: &Board) -> anyhow::Result<()> {
    let doors = world.folder.join("doors").join(namespace);
    std::fs::create_dir_all(&doors)?;
    let containers: serde_json::Map<String, serde_json::Value> = board
        .containers
        .iter()
        .map(|(name, seen)| {
            let mut door = seen.door.clone();
            door["running"] = seen.is_running().into();
            (name.clone(), door)
        })
        .collect();
    let door = doors.join(format!("{name}.json"));
    let beside = door.with_extension("part");
    std::fs::write(&beside, json!({ "netns": board.netns, "containers": containers }).to_string())?;
    Ok(std::fs::rename(beside, door)?)
}

/// After the last container: the object is deleted, or stays as a record until somebody does.
async fn finish(world: &World, pod: &Arc<Pod>, (board, last): (&watch::Sender<Board>, Option<Arc<Pod>>)) {
    let now = board.borrow().clone();
    if let Some(object) = last {
        if let Err(error) = tell(world, &object, &now).await {
            log_only(pod, &error);
        }
        if object.metadata.deletion_timestamp.is_some()
            && let Err(error) = delete(world, &object).await
        {
            log_only(pod, &error);
        }
    }
    if let Some(address) = now.address.and_then(|ip| ip.parse().ok()) {
        world.addresses.free(address);
    }
}

/// Removes the object.
pub(super) async fn delete(world: &World, pod: &Pod) -> anyhow::Result<()> {
    let (namespace, name) = named(pod)?;
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), namespace);
    let own = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let at_once = DeleteParams { grace_period_seconds: Some(0), preconditions: Some(own), ..DeleteParams::default() };
    match pods.delete(name, &at_once).await {
        // Gone, or another one by now.
        Err(kube::Error::Api(error)) if error.code == 404 || error.code == 409 => {}
        deleted => drop(deleted.context("deleting the pod")?),
    }
    let folders: [PathBuf; 2] = [
        world.folder.join("doors").join(namespace).join(format!("{name}.json")),
        world.folder.join("pods").join(pod.metadata.uid.as_deref().unwrap_or_default()),
    ];
    let _ = std::fs::remove_file(&folders[0]);
    let _ = std::fs::remove_dir_all(&folders[1]);
    Ok(())
}

/// Namespace and name of an object of the API server.
pub(super) fn named(pod: &Pod) -> anyhow::Result<(&str, &str)> {
    match (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref()) {
        (Some(namespace), Some(name)) => Ok((namespace, name)),
        _ => bail!("a pod without a name"),
    }
}
