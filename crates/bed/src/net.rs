//! Where pods are: network namespaces with capture rules, or loopback.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};

/// The user that capture rules let through.
pub const PROXY_USER: &str = "1337";
/// Ports that are not captured inbound: the proxy's own.
const NOT_CAPTURED: &str = "{ 15000, 15008, 15020, 15021, 15090 }";

/// How capture rules tell the proxy's own traffic from the application's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToldBy {
    /// By its user, as in a pod.
    User,
    /// By a mark on its sockets: in an unprivileged user namespace there is one user only, but marks may be set.
    Mark,
}

/// The mark of the proxy's sockets.
pub const PROXY_MARK: u32 = 1337;

/// A place where processes run.
#[derive(Clone, Debug)]
pub struct Place(Option<Arc<Netns>>);

#[derive(Debug)]
struct Netns {
    name: String,
    told_by: ToldBy,
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).stderr(Stdio::null()).status();
    }
}

impl Place {
    /// The namespace that this process is in.
    #[must_use]
    pub fn here() -> Self {
        Self(None)
    }

    /// Makes a network namespace, which goes with the last of its places.
    #[cfg(feature = "cluster")]
    pub(crate) fn create(name: &str) -> anyhow::Result<Self> {
        run("ip", &["netns", "add", name])?;
        Ok(Self(Some(Arc::new(Netns { name: name.to_owned(), told_by: ToldBy::User }))))
    }

    /// The name of its namespace; `None` for the one that this process is in.
    #[cfg(feature = "cluster")]
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|netns| netns.name.as_str())
    }

    /// Where its namespace can be entered; `None` for the one that this process is in.
    #[cfg(feature = "cluster")]
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.name().map(|name| Path::new("/run/netns").join(name))
    }

    /// How the proxy's traffic is told here; `None` where nothing is captured.
    #[must_use]
    pub fn told_by(&self) -> Option<ToldBy> {
        self.0.as_ref().map(|netns| netns.told_by)
    }

    /// A command that will run in this place.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        self.command_as(program, None)
    }

    /// A command that will run in this place as the proxy.
    #[must_use]
    pub fn proxy_command(&self, program: &Path) -> Command {
        self.command_as(program, (self.told_by() == Some(ToldBy::User)).then_some(PROXY_USER))
    }

    fn command_as(&self, program: &Path, user: Option<&str>) -> Command {
        let Some(netns) = &self.0 else { return Command::new(program) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &netns.name]);
        if let Some(user) = user {
            command.args(["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"]);
        }
        command.arg(program);
        command
    }

    /// Runs a question to the network in this place, on a thread of its own that enters it.
    ///
    /// # Errors
    /// What the question gives, or that the place cannot be entered.
    pub fn inside<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let Some(netns) = self.0.clone() else { return question() };
        let thread = std::thread::spawn(move || {
            let path = format!("/run/netns/{}", netns.name);
            let file = File::open(&path).with_context(|| format!("opening {path}"))?;
            nix::sched::setns(&file, nix::sched::CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("entering {path}"))?;
            question()
        });
        thread.join().map_err(|_| anyhow::anyhow!("the question panicked"))?
    }
}

/// A network of pods around one node namespace; everything goes when it is dropped.
pub struct Network {
    prefix: String,
    node: Place,
    bridge: Ipv4Addr,
}

/// What is missing for namespaces; `None` when they can be made.
#[must_use]
pub fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    if let Some(why) = missing_tool(&["ip", "nft", "setpriv"]) {
        return Some(why);
    }
    let probe = format!("mp{}", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &probe]).stderr(Stdio::null()).status();
    let _ = Command::new("ip").args(["netns", "del", &probe]).stderr(Stdio::null()).status();
    (!made.is_ok_and(|status| status.success())).then(|| "network namespaces cannot be made here".to_owned())
}

fn missing_tool(tools: &[&str]) -> Option<String> {
    let found = |tool: &str| {
        let asked = Command::new("sh").args(["-c", &format!("command -v {tool}")]).stdout(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    let missing = tools.iter().find(|tool| !found(tool))?;
    Some(format!("{missing} is missing; apt-get install -y iproute2 nftables util-linux"))
}

/// Makes what an ordinary user needs to make network namespaces, and goes on there.
const ENTER: [&str; 7] = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs none /run && mkdir -p /run/netns && exec \"$0\" \"$@\"",
];

/// What keeps an ordinary user from making namespaces; `None` when a user namespace can be made in which they can.
#[must_use]
pub fn user_obstacle() -> Option<String> {
    if let Some(why) = missing_tool(&["ip", "nft", "unshare", "mount"]) {
        return Some(why);
    }
    let made = enter(Path::new("ip")).args(["netns", "add", "probe"]).output();
    match made {
        Ok(made) if made.status.success() => None,
        Ok(made) => {
            let why = String::from_utf8_lossy(&made.stderr).trim().to_owned();
            Some(format!("an ordinary user cannot make network namespaces here: {why}"))
        }
        Err(error) => Some(format!("unshare cannot be run: {error}")),
    }
}

/// A program in a user namespace of its own, with mounts and network of its own.
#[must_use]
pub fn enter(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(ENTER).arg(program);
    command
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let ran = Command::new(program).args(arguments).output().with_context(|| format!("running {program}"))?;
    if !ran.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}

impl Network {
    /// Makes the node's namespace with a bridge in it. The namespace that this process is in gets no link and no rule.
    ///
    /// # Errors
    /// When namespaces cannot be made.
    pub fn new(bridge: Ipv4Addr, told_by: ToldBy) -> anyhow::Result<Self> {
        remove_stale();
        let prefix = format!("meltemi-{}", std::process::id());
        let name = format!("{prefix}-node");
        run("ip", &["netns", "add", &name])?;
        let node = Place(Some(Arc::new(Netns { name: name.clone(), told_by })));
        run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        // With an address of its own: otherwise it takes that of a port, another one whenever a pod comes, and pods that have asked before
        // reach nobody until they ask again.
        run("ip", &["-n", &name, "link", "add", "br0", "address", "02:4d:45:4c:00:01", "type", "bridge"])?;
        run("ip", &["-n", &name, "addr", "add", &format!("{bridge}/16"), "dev", "br0"])?;
        run("ip", &["-n", &name, "link", "set", "br0", "up"])?;
        Ok(Self { prefix, node, bridge })
    }

    /// The node: where the control plane and clients from outside run.
    #[must_use]
    pub fn node(&self) -> &Place {
        &self.node
    }

    /// Adds a pod with an address, and — for one with a sidecar — capture rules.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn pod(&self, name: &str, address: Ipv4Addr, captured: bool) -> anyhow::Result<Place> {
        let netns = format!("{}-{name}", self.prefix);
        run("ip", &["netns", "add", &netns])?;
        let Some((node, told_by)) = self.node.0.as_ref().map(|node| (node.name.clone(), node.told_by)) else {
            bail!("no node")
        };
        let place = Place(Some(Arc::new(Netns { name: netns.clone(), told_by })));
        // Interface names have at most 15 characters.
        let [.., third, last] = address.octets();
        let port = format!("p{third}-{last}");
        run("ip", &["-n", &node, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &netns])?;
        run("ip", &["-n", &node, "link", "set", &port, "master", "br0", "up"])?;
        run("ip", &["-n", &netns, "link", "set", "lo", "up"])?;
        run("ip", &["-n", &netns, "addr", "add", &format!("{address}/16"), "dev", "eth0"])?;
        run("ip", &["-n", &netns, "link", "set", "eth0", "up"])?;
        run("ip", &["-n", &netns, "route", "add", "default", "via", &self.bridge.to_string()])?;
        if captured {
            capture(&netns, told_by, self.bridge)?;
        }
        Ok(place)
    }
}

/// What the sidecar's init container does: everything out of the workload goes to 15001 and everything in to 15006, but for the
/// proxy's own traffic.
fn capture(netns: &str, told_by: ToldBy, node: Ipv4Addr) -> anyhow::Result<()> {
    use std::io::Write;
    let proxy = match told_by {
        ToldBy::User => format!("meta skuid {PROXY_USER} return\n             meta skgid {PROXY_USER} return"),
        // What goes to the workload has no mark: it comes from the address that is the proxy's for that.
        // The agent marks nothing, and what it calls is at the node.
        ToldBy::Mark => {
            format!(
                "meta mark {PROXY_MARK} return\n             ip saddr 127.0.0.6 return\n             ip daddr {node} return"
            )
        }
    };
    let rules = format!(
        "table ip meltemi {{
           chain out {{
             type nat hook output priority -100;
             oif lo ip daddr 127.0.0.0/8 return
             {proxy}
             meta l4proto tcp redirect to :15001
           }}
           chain in {{
             type nat hook prerouting priority -100;
             tcp dport {NOT_CAPTURED} return
             meta l4proto tcp redirect to :15006
           }}
         }}\n"
    );
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns, "nft", "-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("running nft")?;
    child.stdin.take().context("nft has no input")?.write_all(rules.as_bytes())?;
    let ran = child.wait_with_output()?;
    if !ran.status.success() {
        bail!("nft: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}

/// Namespaces of earlier runs that were killed.
pub(crate) fn remove_stale() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("meltemi-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|process| !PathBuf::from(format!("/proc/{process}")).exists()) {
            let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        }
    }
}
