//! What is seen of a pod's containers, and how the API server is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What a container does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Terminated(Ended),
}

/// How a run of a container was.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

/// A container, as seen now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) phase: Phase,
    pub(super) last: Option<Ended>,
    pub(super) restarts: i32,
    /// Its startup probe, if it has one, has succeeded.
    pub(super) started: bool,
    pub(super) ready: bool,
    /// What of it the API server's callers ask for: how to enter it, where its output is.
    pub(super) door: Value,
}

impl Seen {
    fn new(reason: &'static str) -> Self {
        Self {
            phase: Phase::Waiting { reason, message: String::new() },
            last: None,
            restarts: 0,
            started: false,
            ready: false,
            door: json!({}),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }
}

/// A pod, as seen now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Board {
    pub(super) containers: BTreeMap<String, Seen>,
    pub(super) initialized: bool,
    /// `Succeeded` or `Failed`, when all is over.
    pub(super) over: Option<&'static str>,
    pub(super) address: Option<String>,
    /// Path of its network namespace.
    pub(super) netns: Option<PathBuf>,
}

impl Board {
    pub(super) fn new(pod: &Pod) -> Self {
        let spec = pod.spec.iter();
        let all = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        let containers = all.map(|container| (container.name.clone(), Seen::new("PodInitializing"))).collect();
        Self { containers, initialized: false, over: None, address: None, netns: None }
    }
}

/// Changes what is seen of a container.
pub(super) fn change(board: &watch::Sender<Board>, container: &str, change: impl FnOnce(&mut Seen)) {
    board.send_if_modified(|board| {
        let Some(seen) = board.containers.get_mut(container) else { return false };
        let before = seen.clone();
        change(seen);
        *seen != before
    });
}

/// Whether an init container runs beside the others.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The status of a pod, for a strategic merge: conditions of others stay.
pub(super) fn status(pod: &Pod, board: &Board, host: &str) -> Value {
    let Some(spec) = &pod.spec else { return json!({}) };
    let inits: Vec<&Container> = spec.init_containers.iter().flatten().collect();
    let seen = |container: &&Container| board.containers.get(&container.name);
    let lasting = || spec.containers.iter().chain(inits.iter().copied().filter(|init| is_sidecar(init)));
    let all_ready = lasting().all(|container| seen(&container).is_some_and(|seen| seen.ready));
    let running = spec.containers.iter().all(|container| {
        seen(&container).is_some_and(|seen| !matches!(seen.phase, Phase::Waiting { .. }) || seen.last.is_some())
    });
    let phase = board.over.unwrap_or(if running && board.initialized { "Running" } else { "Pending" });
    let gates = spec.readiness_gates.iter().flatten();
    let gates = gates.map(|gate| gate.condition_type.as_str()).all(|gate| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == gate && condition.status == "True")
    });
    let conditions = [
        ("PodReadyToStartContainers", board.address.is_some()),
        ("Initialized", board.initialized),
        ("ContainersReady", all_ready),
        ("Ready", all_ready && gates),
    ];
    let conditions: Vec<Value> = conditions.iter().map(|(name, holds)| condition(pod, board, name, *holds)).collect();
    let listed = |containers: &mut dyn Iterator<Item = &Container>| -> Vec<Value> {
        containers.filter_map(|container| Some(container_status(pod, container, seen(&container)?))).collect()
    };
    json!({ "status": {
        "phase": phase,
        "hostIP": host, "hostIPs": [{ "ip": host }],
        "podIP": board.address, "podIPs": board.address.as_ref().map(|ip| vec![json!({ "ip": ip })]),
        "startTime": pod.status.as_ref().and_then(|status| status.start_time.clone()).unwrap_or(Time(Timestamp::now())),
        "conditions": conditions,
        "initContainerStatuses": listed(&mut inits.iter().copied()),
        "containerStatuses": listed(&mut spec.containers.iter()),
    } })
}

/// A condition, whose time is that of its last change.
fn condition(pod: &Pod, board: &Board, name: &str, holds: bool) -> Value {
    let status = if holds { "True" } else { "False" };
    let known = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let known = known.into_iter().find(|condition| condition.type_ == name && condition.status == status);
    let since = known.and_then(|condition| condition.last_transition_time.clone()).unwrap_or(Time(Timestamp::now()));
    let reason = match (holds, name, board.over) {
        (true, ..) => Value::Null,
        (false, "Initialized", _) => "ContainersNotInitialized".into(),
        (false, _, Some(_)) => "PodCompleted".into(),
        (false, ..) => "ContainersNotReady".into(),
    };
    json!({ "type": name, "status": status, "reason": reason, "message": null, "lastTransitionTime": since })
}

fn container_status(pod: &Pod, container: &Container, seen: &Seen) -> Value {
    let image = container.image.as_deref().unwrap_or_default();
    let state = match &seen.phase {
        Phase::Waiting { reason, message } => json!({ "waiting": { "reason": reason, "message": message } }),
        Phase::Running { since } => json!({ "running": { "startedAt": Time(*since) } }),
        Phase::Terminated(ended) => terminated(ended),
    };
    let id =
        format!("meltemi://{}/{}/{}", pod.metadata.uid.as_deref().unwrap_or_default(), container.name, seen.restarts);
    json!({
        "name": container.name, "image": image, "imageID": image, "containerID": id, "state": state,
        "lastState": seen.last.as_ref().map_or(json!({}), terminated),
        "restartCount": seen.restarts, "started": seen.started, "ready": seen.ready,
    })
}

fn terminated(ended: &Ended) -> Value {
    json!({ "terminated": {
        "exitCode": ended.code, "reason": ended.reason, "message": ended.message,
        "startedAt": Time(ended.started), "finishedAt": Time(ended.finished),
    } })
}
