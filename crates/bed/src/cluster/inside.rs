//! What becomes a container: takes itself into the namespaces of a pod, makes a root file system, and is the program. Runs in processes of
//! its own (`cluster contain`, `begin`, `enter`, `become`), since namespaces belong to processes. Knows nothing of Kubernetes.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, bail, ensure};
use caps::{CapSet, CapsHashSet};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chdir, chroot, execve, setgid, setgroups, setuid};
use serde::{Deserialize, Serialize};

/// Parts of the machine that programs without a root file system of their own see.
const SHARED: [&str; 9] = ["bin", "sbin", "lib", "lib64", "lib32", "libx32", "usr", "opt", "sys"];
/// Of `/etc`, what programs need that know no cluster.
const SETTINGS: [&str; 8] =
    ["passwd", "group", "nsswitch.conf", "ld.so.cache", "ssl", "ca-certificates", "alternatives", "protocols"];

/// Links that are followed on one path, as the kernel does it.
const LINKS: usize = 40;

/// A container, ready to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Confined {
    /// Path of the pod's network namespace.
    pub(super) netns: Option<PathBuf>,
    pub(super) hostname: String,
    /// The image's root file system; the machine's own programs without one.
    pub(super) image: Option<PathBuf>,
    /// A folder of the container's own.
    pub(super) folder: PathBuf,
    /// Whether the root is read-only.
    pub(super) read_only: bool,
    pub(super) mounts: Vec<Mount>,
    pub(super) directory: PathBuf,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) groups: Vec<u32>,
    pub(super) no_new_privileges: bool,
    /// What a process of root has, and no process more.
    pub(super) capabilities: CapsHashSet,
    pub(super) environment: Vec<(String, String)>,
    pub(super) command: Vec<String>,
}

/// A file or folder that is seen elsewhere inside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mount {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    pub(super) read_only: bool,
}

impl Confined {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Where the container's root is put together.
    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Where the process id of its program is.
    pub(super) fn process(&self) -> PathBuf {
        self.folder.join("process")
    }

    /// Where a path inside is outside: links lead to where they lead inside.
    fn outside(&self, inside: &Path) -> anyhow::Result<PathBuf> {
        let root = self.root();
        let mut found = root.clone();
        let mut rest: Vec<OsString> = names(inside).rev().collect();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                if found != root {
                    found.pop();
                }
                continue;
            }
            let next = found.join(&name);
            let Ok(target) = std::fs::read_link(&next) else {
                found = next;
                continue;
            };
            links += 1;
            ensure!(links <= LINKS, "{} leads in circles", inside.display());
            if target.is_absolute() {
                found.clone_from(&root);
            }
            rest.extend(names(&target).rev());
        }
        Ok(found)
    }
}

/// The names in a path.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

/// Runs one of the stages: the arguments of this program after its name.
///
/// # Errors
/// When the container cannot be made.
pub fn stage(arguments: &[String]) -> anyhow::Result<i32> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["contain", spec] => contain(Path::new(spec)),
        ["begin", spec] => begin(Path::new(spec)),
        ["enter", spec, command @ ..] => enter(Path::new(spec), command),
        ["become", spec, command @ ..] => {
            let confined = Confined::read(Path::new(spec))?;
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            Ok(never(embody(&confined, &command)?))
        }
        _ => bail!("usage: cluster up|down, from the repository's root"),
    }
}

fn never(value: Infallible) -> i32 {
    match value {}
}

/// Makes the namespaces and the root, starts the program as their first process, and ends as it ends.
fn contain(spec: &Path) -> anyhow::Result<i32> {
    let confined = Confined::read(spec)?;
    if let Some(path) = &confined.netns {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        setns(&file, CloneFlags::CLONE_NEWNET).with_context(|| format!("entering {}", path.display()))?;
    }
    let own = [CloneFlags::CLONE_NEWNS, CloneFlags::CLONE_NEWPID, CloneFlags::CLONE_NEWUTS, CloneFlags::CLONE_NEWIPC];
    unshare(own.into_iter().collect()).context("making namespaces")?;
    std::fs::write("/proc/sys/kernel/hostname", &confined.hostname).context("setting the host's name")?;
    furnish(&confined)?;
    let mut first = itself(&["begin"], spec)?.spawn().context("starting the container's first process")?;
    let process = confined.process();
    // At once: whoever sees the file reads a number.
    let beside = process.with_extension("part");
    std::fs::write(&beside, first.id().to_string()).with_context(|| format!("writing {}", beside.display()))?;
    std::fs::rename(&beside, &process).with_context(|| format!("writing {}", process.display()))?;
    Ok(code(first.wait()?))
}

/// Is the first process of the container.
fn begin(spec: &Path) -> anyhow::Result<i32> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("asking to end with the container")?;
    let confined = Confined::read(spec)?;
    // Of this namespace's processes, hence not before.
    let proc = confined.outside(Path::new("/proc"))?;
    mount(Some("proc"), &proc, Some("proc"), MsFlags::empty(), None::<&str>).context("mounting /proc")?;
    Ok(never(embody(&confined, &confined.command)?))
}

/// Runs a command in a container that runs.
fn enter(spec: &Path, command: &[&str]) -> anyhow::Result<i32> {
    let confined = Confined::read(spec)?;
    let process = std::fs::read_to_string(confined.process()).context("the container does not run")?;
    let namespaces = [
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("net", CloneFlags::CLONE_NEWNET),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    // All opened before the first is entered: afterwards /proc may be another.
    let opened = namespaces.map(|(name, flag)| (File::open(format!("/proc/{process}/ns/{name}")), flag));
    let mut inside = itself(&["become"], spec)?;
    for (file, flag) in opened {
        setns(file.context("the container does not run")?, flag).context("entering the container")?;
    }
    Ok(code(inside.args(command).spawn().context("starting the command")?.wait()?))
}

/// This program again, for another stage; it ends when this one does.
fn itself(stage: &[&str], spec: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(stage).arg(spec);
    Ok(command)
}

/// As shells and container runtimes give it.
fn code(status: ExitStatus) -> i32 {
    status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(255)
}

/// Puts the root together.
fn furnish(confined: &Confined) -> anyhow::Result<()> {
    let root = confined.root();
    make_folder(&root)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).context("keeping mounts apart")?;
    match &confined.image {
        Some(image) => overlay(confined, image)?,
        None => borrow(confined)?,
    }
    for folder in ["proc", "dev"] {
        make_folder(&root.join(folder))?;
    }
    bind(Path::new("/dev"), &root.join("dev"), false)?;
    // Memory that is shared by name is shared within the container.
    let shared = root.join("dev/shm");
    if shared.is_dir() {
        mount(Some("tmpfs"), &shared, Some("tmpfs"), MsFlags::empty(), Some("mode=1777"))
            .context("mounting shared memory")?;
    }
    let mut mounts: Vec<&Mount> = confined.mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.to.components().count());
    for mount in mounts {
        bind(&mount.from, &confined.outside(&mount.to)?, mount.read_only)?;
    }
    // Only now: mounting makes what is mounted on.
    make_folder(&confined.outside(&confined.directory)?)?;
    if confined.read_only {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, &root, None::<&str>, flags, None::<&str>).context("making the root read-only")?;
    }
    Ok(())
}

/// The image below, and a layer above that goes with the container.
fn overlay(confined: &Confined, image: &Path) -> anyhow::Result<()> {
    let layer = confined.folder.join("layer");
    make_folder(&layer)?;
    mount(Some("tmpfs"), &layer, Some("tmpfs"), MsFlags::empty(), None::<&str>).context("mounting a layer")?;
    for folder in ["upper", "work"] {
        make_folder(&layer.join(folder))?;
    }
    let (image, layer) = (image.display(), layer.display());
    let options = format!("lowerdir={image},upperdir={layer}/upper,workdir={layer}/work");
    mount(Some("overlay"), &confined.root(), Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("mounting the image {image}"))?;
    make_folder(&confined.root().join("sys"))?;
    bind(Path::new("/sys"), &confined.root().join("sys"), false)
}

/// The machine's own programs, with settings and temporary files apart.
fn borrow(confined: &Confined) -> anyhow::Result<()> {
    let root = confined.root();
    mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("mounting a root")?;
    for name in SHARED {
        let (from, to) = (Path::new("/").join(name), root.join(name));
        match from.symlink_metadata() {
            Ok(found) if found.is_symlink() => symlink(std::fs::read_link(&from)?, &to)?,
            Ok(_) => bind(&from, &to, false)?,
            Err(_) => {}
        }
    }
    for name in SETTINGS {
        let from = Path::new("/etc").join(name);
        if from.exists() {
            bind(&from, &root.join("etc").join(name), true)?;
        }
    }
    for folder in ["tmp", "var/tmp"] {
        let folder = root.join(folder);
        make_folder(&folder)?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777))?;
    }
    ["run", "root", "home"].iter().try_for_each(|folder| make_folder(&root.join(folder)))?;
    Ok(symlink("../run", root.join("var/run"))?)
}

fn bind(from: &Path, to: &Path, read_only: bool) -> anyhow::Result<()> {
    if from.is_dir() {
        make_folder(to)?;
    } else if !to.exists() {
        make_folder(to.parent().context("a file has a folder")?)?;
        File::create(to).with_context(|| format!("making {}", to.display()))?;
    }
    let shown = || format!("mounting {} at {}", from.display(), to.display());
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, None::<&str>, flags, None::<&str>).with_context(shown)?;
    if read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, to, None::<&str>, flags, None::<&str>).with_context(shown)?;
    }
    Ok(())
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))
}

/// Becomes a command of the container.
fn embody(confined: &Confined, command: &[String]) -> anyhow::Result<Infallible> {
    chroot(&confined.root()).context("going to the container's root")?;
    chdir(&confined.directory).with_context(|| format!("going to {}", confined.directory.display()))?;
    // What is not in the bounding set is lost with the next program.
    for lost in caps::runtime::procfs_all_supported(None)?.difference(&confined.capabilities) {
        caps::drop(None, CapSet::Bounding, *lost).with_context(|| format!("giving up {lost}"))?;
    }
    let groups: Vec<Gid> = confined.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    setgroups(&groups).context("setting groups")?;
    setgid(Gid::from_raw(confined.group)).context("setting the group")?;
    setuid(Uid::from_raw(confined.user)).context("setting the user")?;
    // A change of the user clears it.
    prctl::set_pdeathsig(Signal::SIGKILL).context("asking to end with the container")?;
    if confined.no_new_privileges {
        prctl::set_no_new_privs().context("giving up privileges")?;
    }
    let program = command.first().context("the container has no command")?;
    let found = find(program, &confined.environment)?;
    let words = command.iter().map(|word| CString::new(word.as_str())).collect::<Result<Vec<_>, _>>()?;
    let environment = confined.environment.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
    let environment = environment.collect::<Result<Vec<_>, _>>()?;
    let path = CString::new(found.as_os_str().as_encoded_bytes())?;
    execve(&path, &words, &environment).with_context(|| format!("running {}", found.display()))
}

/// Where a program is, seen from inside.
fn find(program: &str, environment: &[(String, String)]) -> anyhow::Result<PathBuf> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let path = environment.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    let found = path.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file());
    found.with_context(|| format!("{program} is not found in PATH={path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_they_lead_inside() {
        let folder = std::env::temp_dir().join(format!("meltemi-inside-{}", std::process::id()));
        let root = folder.join("root");
        std::fs::create_dir_all(root.join("var")).unwrap();
        symlink("/run", root.join("var/run")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("../../../etc", root.join("var/etc")).unwrap();
        let confined: Confined = serde_json::from_value(serde_json::json!({
            "netns": null, "hostname": "", "image": null, "folder": folder, "read_only": false, "mounts": [], "directory": "/",
            "user": 0, "group": 0, "groups": [], "no_new_privileges": false, "capabilities": [], "environment": [], "command": [],
        }))
        .unwrap();
        let outside = |path: &str| confined.outside(Path::new(path));
        assert_eq!(outside("/var/run/secrets/x").unwrap(), root.join("run/secrets/x"));
        assert_eq!(outside("/var/etc/passwd").unwrap(), root.join("etc/passwd"));
        assert_eq!(outside("/new/../etc").unwrap(), root.join("etc"));
        assert!(outside("/circle/x").is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
