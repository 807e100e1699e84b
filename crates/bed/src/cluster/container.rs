//! One container of a pod that is played: runs, is asked by its probes, is started again, and ends as it is told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use caps::{Capability, CapsHashSet};
use k8s_openapi::api::core::v1::{Container, Pod, Probe, SecurityContext};
use k8s_openapi::jiff::Timestamp;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::images::{Image, Images, Program};
use super::inside::{Confined, Mount};
use super::probes::{Rhythm, Target};
use super::status::{Board, Ended, Phase, change, is_sidecar};
use super::{environment, volumes};
use crate::process::{Keeper, Running};

/// How often a process is asked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Pauses before a container is started again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// After a run as long as this the pauses begin anew.
const LASTING: Duration = Duration::from_secs(600);
/// Until when a container may be gone; none while it is to run.
pub(super) type Deadline = Option<Instant>;

/// What a container is made of, and whom it tells.
#[derive(Clone)]
pub(super) struct Making {
    pub(super) client: kube::Client,
    pub(super) images: Arc<Images>,
    pub(super) keeper: Arc<Keeper>,
    /// The program whose stages make a container.
    pub(super) program: PathBuf,
    /// A folder of the pod's own.
    pub(super) folder: PathBuf,
    pub(super) netns: Option<PathBuf>,
    pub(super) address: IpAddr,
    pub(super) pod: Arc<Pod>,
    pub(super) volumes: Arc<tokio::sync::Mutex<volumes::Volumes>>,
    pub(super) board: watch::Sender<Board>,
}

/// A run.
struct Process {
    running: Mutex<Running>,
    spec: PathBuf,
    log: PathBuf,
    started: Timestamp,
}

/// Keeps a container until it is over or told to end; gives its last exit code.
pub(super) async fn keep(making: Making, container: Container, mut stop: watch::Receiver<Deadline>, init: bool) -> i32 {
    let name = container.name.clone();
    let policy = making.pod.spec.as_ref().and_then(|spec| spec.restart_policy.clone()).unwrap_or_default();
    let lasting = !init || is_sidecar(&container);
    let mut pause = PAUSES.0;
    loop {
        let begun = Instant::now();
        let ended = run(&making, &container, stop.clone(), init).await;
        let done = match (lasting, init) {
            (true, true) => false,
            (false, _) => ended.code == 0 || policy == "Never",
            (true, false) => policy == "Never" || (policy == "OnFailure" && ended.code == 0),
        };
        change(&making.board, &name, |seen| {
            (seen.ready, seen.started) = (!lasting && ended.code == 0, false);
            seen.phase = Phase::Terminated(ended.clone());
        });
        if done || stop.borrow().is_some() {
            return ended.code;
        }
        if begun.elapsed() > LASTING {
            pause = PAUSES.0;
        }
        change(&making.board, &name, |seen| {
            seen.phase = Phase::Waiting { reason: "CrashLoopBackOff", message: format!("back-off {pause:?}") };
            seen.last = Some(ended.clone());
        });
        let told = tokio::time::timeout(pause, stop.wait_for(Option::is_some)).await.is_ok();
        if told {
            return ended.code;
        }
        pause = PAUSES.1.min(pause * 2);
        change(&making.board, &name, |seen| seen.restarts += 1);
    }
}

/// One run, from its beginning to its end.
async fn run(making: &Making, container: &Container, stop: watch::Receiver<Deadline>, init: bool) -> Ended {
    let image = container.image.as_deref().unwrap_or_default();
    let started = Timestamp::now();
    let program = loop {
        match making.images.get(image) {
            Some(Image::Program(program)) => break program,
            Some(Image::Paper) => return paper(making, container, stop, init).await,
            None => {
                let message = format!("no program stands for image {image:?}");
                if wait(making, container, stop.clone(), ("ErrImagePull", message)).await {
                    return Ended { code: 137, reason: "Error", message: String::new(), started, finished: started };
                }
            }
        }
    };
    // What it refers to may come later.
    let process = loop {
        let failed = match start(making, container, &program).await {
            Ok(process) => break process,
            Err(error) => format!("{error:#}"),
        };
        if wait(making, container, stop.clone(), ("CreateContainerConfigError", failed)).await {
            return Ended { code: 137, reason: "Error", message: String::new(), started, finished: started };
        }
    };
    let target = Target {
        address: making.address,
        ports: container.ports.clone().unwrap_or_default(),
        enter: entrance(making, &process.spec),
    };
    change(&making.board, &container.name, |seen| seen.door = process.door(&target, seen.door["log"].take()));
    let (reason, message) = live(making, container, &process, (&target, stop)).await;
    let code = process.ended().await;
    let not_started = !process.pid_file().exists();
    let reason = match (code, reason) {
        (_, Some(reason)) => reason,
        (_, None) if not_started => "StartError",
        (0, None) => "Completed",
        (_, None) => "Error",
    };
    let message = if not_started { last_line(&process.log) } else { message };
    Ended { code, reason, message, started: process.started, finished: Timestamp::now() }
}

/// Says why a container does not come, and waits; whether it has been told to end.
async fn wait(
    making: &Making,
    container: &Container,
    mut stop: watch::Receiver<Deadline>,
    (reason, message): (&'static str, String),
) -> bool {
    change(&making.board, &container.name, |seen| seen.phase = Phase::Waiting { reason, message });
    tokio::time::timeout(PAUSES.0, stop.wait_for(Option::is_some)).await.is_ok()
}

/// A container that is nothing.
async fn paper(making: &Making, container: &Container, mut stop: watch::Receiver<Deadline>, init: bool) -> Ended {
    let started = Timestamp::now();
    if !init || is_sidecar(container) {
        change(&making.board, &container.name, |seen| {
            (seen.phase, seen.started, seen.ready) = (Phase::Running { since: started }, true, true);
        });
        let _ = stop.wait_for(Option::is_some).await;
    }
    Ended { code: 0, reason: "Completed", message: String::new(), started, finished: Timestamp::now() }
}

/// Lives until the process ends, is told to end, or fails; says why it was ended.
async fn live(
    making: &Making,
    container: &Container,
    process: &Process,
    (target, mut stop): (&Target, watch::Receiver<Deadline>),
) -> (Option<&'static str>, String) {
    let lifecycle = container.lifecycle.as_ref();
    if let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref()) {
        let hooked = tokio::select! {
            hooked = target.hook(hook) => hooked,
            _ = process.ended() => return (None, String::new()),
            _ = stop.wait_for(Option::is_some) => Ok(()),
        };
        if let Err(error) = hooked {
            process.signal(Signal::SIGKILL);
            return (Some("PostStartHookError"), format!("{error:#}"));
        }
    }
    change(&making.board, &container.name, |seen| {
        seen.phase = Phase::Running { since: process.started };
    });
    let failed = tokio::select! {
        _ = process.ended() => return (None, String::new()),
        failed = watch_over(making, container, target) => Some(failed),
        _ = stop.wait_for(Option::is_some) => None,
    };
    let told = *stop.borrow();
    let grace = making.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
    let deadline = told.unwrap_or_else(|| Instant::now() + Duration::from_secs(u64::try_from(grace).unwrap_or(0)));
    if let Some(hook) = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()) {
        // How it ends does not matter: what follows it comes in any case.
        let _ = tokio::time::timeout_at(deadline, target.hook(hook)).await;
    }
    process.signal(Signal::SIGTERM);
    // Whoever deletes may become less patient.
    let sooner = async {
        loop {
            let until = stop.borrow_and_update().map_or(deadline, |told| told.min(deadline));
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                changed = stop.changed() => if changed.is_err() { tokio::time::sleep_until(until).await; return }
            }
        }
    };
    tokio::select! {
        _ = process.ended() => {}
        () = sooner => process.signal(Signal::SIGKILL),
    }
    (None, failed.unwrap_or_default())
}

/// Asks the container's probes; comes back when it has to be killed, and says why.
async fn watch_over(making: &Making, container: &Container, target: &Target) -> String {
    let board = &making.board;
    if let Some(probe) = &container.startup_probe {
        let rhythm = Rhythm::of(probe);
        if let Err(why) = until(probe, rhythm, target, true).await {
            return format!("startup probe failed: {why}");
        }
    }
    let no_readiness = container.readiness_probe.is_none();
    change(board, &container.name, |seen| (seen.started, seen.ready) = (true, no_readiness));
    let readiness = async {
        let Some(probe) = &container.readiness_probe else { return std::future::pending().await };
        let rhythm = Rhythm::of(probe);
        let mut ready = false;
        loop {
            let rhythm = if ready { Rhythm { delay: rhythm.period, ..rhythm } } else { rhythm };
            let turned = until(probe, rhythm, target, !ready).await;
            // What is not ready stays so, however often it fails.
            if turned.is_ok() || ready {
                ready = !ready;
                change(board, &container.name, |seen| seen.ready = ready);
            }
        }
    };
    let liveness = async {
        let Some(probe) = &container.liveness_probe else { return std::future::pending().await };
        let why = until(probe, Rhythm::of(probe), target, false).await;
        format!("liveness probe failed: {}", why.err().unwrap_or_default())
    };
    tokio::select! {
        never = readiness => never,
        why = liveness => why,
    }
}

/// Asks until the probe has succeeded (`wanted`), or has failed, as often in a row as it is to. `Err` is why it failed.
async fn until(probe: &Probe, rhythm: Rhythm, target: &Target, wanted: bool) -> Result<(), String> {
    let (mut successes, mut failures) = (0, 0);
    tokio::time::sleep(rhythm.delay).await;
    loop {
        match target.probe(probe).await {
            Ok(()) => (successes, failures) = (successes + 1, 0),
            Err(error) => {
                (successes, failures) = (0, failures + 1);
                if failures >= rhythm.failures {
                    return Err(format!("{error:#}"));
                }
            }
        }
        if wanted && successes >= rhythm.successes {
            return Ok(());
        }
        tokio::time::sleep(rhythm.period).await;
    }
}

/// What runs a command inside.
fn entrance(making: &Making, spec: &Path) -> Vec<String> {
    vec![making.program.display().to_string(), "enter".to_owned(), spec.display().to_string()]
}

/// Starts a run.
async fn start(making: &Making, container: &Container, program: &Program) -> anyhow::Result<Process> {
    let number = making.board.borrow().containers.get(&container.name).map_or(0, |seen| seen.restarts);
    let folder = making.folder.join(&container.name).join(number.to_string());
    // An attempt that got no further leaves one.
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let confined = confine(making, container, program, &folder).await?;
    let (spec, log) = (folder.join("container.json"), folder.join("log"));
    std::fs::write(&spec, serde_json::to_vec(&confined)?)?;
    let mut command = Keeper::command(&making.program);
    command.arg("contain").arg(&spec);
    let (keeper, name, written) = (Arc::clone(&making.keeper), container.name.clone(), log.clone());
    let running = tokio::task::spawn_blocking(move || keeper.start(&name, command, &written)).await??;
    let process = Process { running: Mutex::new(running), spec, log, started: Timestamp::now() };
    // It is there when its first process is, or when it has failed before.
    while !process.pid_file().exists() && process.code().is_none() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(process)
}

/// All that a run is told.
async fn confine(making: &Making, container: &Container, program: &Program, folder: &Path) -> anyhow::Result<Confined> {
    let pod = &making.pod;
    let spec = pod.spec.as_ref().context("a pod has a spec")?;
    let hostname = spec.hostname.clone().or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    let folders = making.volumes.lock().await.refresh(pod).await?;
    let address = making.address.to_string();
    let addresses = environment::Addresses { pod: &address, host: &super::ground::NODE.to_string() };
    let first = first_variables(program, &hostname);
    let environment = environment::variables(&making.client, (pod, container), addresses, first).await?;
    let (user, group) = identity(pod, container, program)?;
    let own = container.security_context.as_ref();
    let groups = spec.security_context.iter().flat_map(|of_pod| {
        let groups = of_pod.supplemental_groups.iter().flatten().chain(&of_pod.fs_group);
        groups.filter_map(|group| u32::try_from(*group).ok())
    });
    let mut mounts = given_mounts(making, program);
    mounts.extend(volume_mounts(container, &folders, &environment)?);
    Ok(Confined {
        netns: making.netns.clone(),
        hostname,
        image: program.root.clone(),
        folder: folder.to_owned(),
        read_only: own.and_then(|own| own.read_only_root_filesystem).unwrap_or_default(),
        mounts,
        directory: container.working_dir.as_ref().map_or_else(|| program.directory.clone(), PathBuf::from),
        user,
        group,
        groups: groups.collect(),
        capabilities: capabilities(own)?,
        no_new_privileges: own.and_then(|own| own.allow_privilege_escalation) == Some(false),
        command: words(container, program, &environment),
        environment,
    })
}

/// The program and its arguments, where the container's own replace the image's.
fn words(container: &Container, program: &Program, environment: &[(String, String)]) -> Vec<String> {
    let expanded = |words: &Option<Vec<String>>| -> Option<Vec<String>> {
        let words = words.as_ref().filter(|words| !words.is_empty())?;
        Some(words.iter().map(|word| environment::expand(word, environment)).collect())
    };
    let (own, arguments) = (expanded(&container.command), expanded(&container.args));
    // An image's arguments belong to its own entrypoint.
    let usual = if own.is_none() { program.arguments.clone() } else { Vec::new() };
    [own.unwrap_or_else(|| program.entrypoint.clone()), arguments.unwrap_or(usual)].concat()
}

/// What every container of an image is given.
fn given_mounts(making: &Making, program: &Program) -> Vec<Mount> {
    let files = program.files.iter().map(|(from, to)| (from.clone(), to.clone(), true));
    let names = ["resolv.conf", "hosts", "hostname"];
    let names = names.map(|name| (making.folder.join(name), Path::new("/etc").join(name), false));
    files.chain(names).map(|(from, to, read_only)| Mount { from, to, read_only }).collect()
}

fn volume_mounts(
    container: &Container,
    folders: &BTreeMap<String, PathBuf>,
    environment: &[(String, String)],
) -> anyhow::Result<Vec<Mount>> {
    let mounts = container.volume_mounts.iter().flatten().map(|mount| {
        let folder = folders.get(&mount.name).with_context(|| format!("there is no volume {}", mount.name))?;
        let below = match (&mount.sub_path, &mount.sub_path_expr) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) => environment::expand(path, environment),
            (None, None) => String::new(),
        };
        let from = if below.is_empty() { folder.clone() } else { folder.join(below) };
        if !from.exists() {
            std::fs::create_dir_all(&from).with_context(|| format!("making {}", from.display()))?;
        }
        let read_only = mount.read_only.unwrap_or_default();
        // A link would lead elsewhere from inside.
        Ok(Mount { from: from.canonicalize()?, to: PathBuf::from(&mount.mount_path), read_only })
    });
    mounts.collect()
}

/// Variables that every container has, before those of its image.
fn first_variables(program: &Program, hostname: &str) -> Vec<(String, String)> {
    let service = super::parts::SERVICE_ADDRESS.to_string();
    let usual = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOSTNAME", hostname),
        ("HOME", if program.user.0 == 0 { "/root" } else { "/" }),
        ("KUBERNETES_SERVICE_HOST", &service),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
        ("KUBERNETES_PORT", &format!("tcp://{service}:443")),
    ];
    let own = &program.environment;
    let usual = usual.iter().filter(|(name, _)| !own.iter().any(|(known, _)| known == name));
    usual.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(own.iter().cloned()).collect()
}

/// User and group, the container's own before the pod's before the image's.
fn identity(pod: &Pod, container: &Container, program: &Program) -> anyhow::Result<(u32, u32)> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let own = container.security_context.as_ref();
    let user = own.and_then(|own| own.run_as_user).or_else(|| of_pod?.run_as_user);
    let group = own.and_then(|own| own.run_as_group).or_else(|| of_pod?.run_as_group);
    let as_root = own.and_then(|own| own.run_as_non_root).or_else(|| of_pod?.run_as_non_root);
    let user = user.map_or(Ok(program.user.0), u32::try_from)?;
    if as_root == Some(true) && user == 0 {
        bail!("container has runAsNonRoot and image will run as root");
    }
    Ok((user, group.map_or(Ok(program.user.1), u32::try_from)?))
}

/// What runtimes leave to the root of a container (`containerd: pkg/oci/spec.go`).
const USUAL: [Capability; 14] = [
    Capability::CAP_AUDIT_WRITE,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_KILL,
    Capability::CAP_MKNOD,
    Capability::CAP_NET_BIND_SERVICE,
    Capability::CAP_NET_RAW,
    Capability::CAP_SETFCAP,
    Capability::CAP_SETGID,
    Capability::CAP_SETPCAP,
    Capability::CAP_SETUID,
    Capability::CAP_SYS_CHROOT,
];

/// Its capabilities: the usual ones, without what it drops, with what it adds.
fn capabilities(own: Option<&SecurityContext>) -> anyhow::Result<CapsHashSet> {
    if own.and_then(|own| own.privileged) == Some(true) {
        return Ok(caps::all());
    }
    let named = |list: Option<&Vec<String>>| -> anyhow::Result<CapsHashSet> {
        let list = list.into_iter().flatten();
        let named = list.map(|name| match name.as_str() {
            "ALL" => Ok(caps::all()),
            name => {
                Ok([format!("CAP_{name}").parse().with_context(|| format!("there is no capability {name}"))?].into())
            }
        });
        Ok(named.collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    let wanted = own.and_then(|own| own.capabilities.as_ref());
    let (added, dropped) =
        (named(wanted.and_then(|of| of.add.as_ref()))?, named(wanted.and_then(|of| of.drop.as_ref()))?);
    let left = USUAL.into_iter().filter(|capability| !dropped.contains(capability));
    Ok(left.chain(added).collect())
}

impl Process {
    fn pid_file(&self) -> PathBuf {
        self.spec.with_file_name("process")
    }

    /// What is asked for by the API server's callers; before it another run may have left a log.
    fn door(&self, target: &Target, previous: serde_json::Value) -> serde_json::Value {
        json!({ "enter": target.enter, "log": self.log, "previous": previous.as_str().unwrap_or_default() })
    }

    /// Its exit code, if it has ended.
    fn code(&self) -> Option<i32> {
        let ended = self.running.lock().ok()?.ended();
        match ended {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.code().unwrap_or(137)),
            Err(_) => Some(255),
        }
    }

    /// Waits for its end.
    async fn ended(&self) -> i32 {
        loop {
            if let Some(code) = self.code() {
                return code;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Sends its first process a signal.
    fn signal(&self, signal: Signal) {
        let process = std::fs::read_to_string(self.pid_file()).ok().and_then(|text| text.parse().ok());
        // Not when it is over: its number may be another's by then.
        if let (None, Some(process)) = (self.code(), process) {
            let _ = kill(Pid::from_raw(process), signal);
        }
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or_default().to_owned()
}
