//! The network of a cluster with real pods: a namespace in which the API server is, one more for each pod, a cable between them.
//! The namespace of this process gets no link and no rule; it reaches the API server by a port of its own loopback.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, bail};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::task::Task;
use crate::net::{self, Place};

/// The address of every node: what is not a pod is there.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 88, 0, 1);
/// Pods have addresses from here on.
const FIRST: u32 = u32::from_be_bytes([10, 88, 0, 2]);
const LAST: u32 = u32::from_be_bytes([10, 91, 255, 254]);
/// What pods send everything to; the same at each cable, and nobody else's.
const GATEWAY: &str = "169.254.1.1";

/// Addresses of pods, each given to one at a time.
#[derive(Default)]
pub(super) struct Addresses(Mutex<(u32, BTreeSet<u32>)>);

impl Addresses {
    /// One that has not been used for as long as possible.
    pub(super) fn take(&self) -> anyhow::Result<Ipv4Addr> {
        let Ok(mut state) = self.0.lock() else { bail!("a thread panicked with the addresses") };
        let (next, taken) = &mut *state;
        let free =
            (0..=LAST - FIRST).map(|step| FIRST + (*next + step) % (LAST - FIRST + 1)).find(|at| !taken.contains(at));
        let free = free.context("all addresses of pods are taken")?;
        *next = free - FIRST + 1;
        taken.insert(free);
        Ok(free.into())
    }

    /// Takes one that a pod has already; whether it was free.
    pub(super) fn keep(&self, address: Ipv4Addr) -> bool {
        self.0.lock().is_ok_and(|mut state| state.1.insert(address.into()))
    }

    /// Gives one back.
    pub(super) fn free(&self, address: Ipv4Addr) {
        if let Ok(mut state) = self.0.lock() {
            state.1.remove(&address.into());
        }
    }
}

/// The node's namespace.
pub(super) struct Ground {
    name: String,
    place: Place,
}

impl Ground {
    /// Makes it. `name` is unique on this machine.
    pub(super) fn new(name: &str) -> anyhow::Result<Self> {
        net::remove_stale();
        let place = Place::create(name)?;
        ip(
            name,
            &[
                "link set lo up".to_owned(),
                format!("addr add {NODE}/32 dev lo"),
                // Addresses of Services are taken by rules; a route must be there for what this namespace itself sends to them.
                format!("route add {} dev lo src {NODE}", super::parts::SERVICE_RANGE),
            ],
        )?;
        place.inside(|| {
            let set = |name: &str, value: &str| {
                let path = format!("/proc/sys/net/ipv4/{name}");
                std::fs::write(&path, value).with_context(|| format!("writing {path}"))
            };
            set("ip_forward", "1")?;
            set("conf/all/send_redirects", "0")?;
            set("conf/default/send_redirects", "0")
        })?;
        Ok(Self { name: name.to_owned(), place })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Makes a pod's namespace with an address, and sets these of its settings (`net.ipv4.…`).
    pub(super) fn pod(&self, address: Ipv4Addr, settings: &[(String, String)]) -> anyhow::Result<Place> {
        let [_, second, third, last] = address.octets();
        let (name, cable) = (format!("{}-{second}-{third}-{last}", self.name), format!("p{second}-{third}-{last}"));
        let pod = Place::create(&name)?;
        ip(
            &self.name,
            &[
                format!("link add {cable} type veth peer name eth0 netns {name}"),
                format!("addr add {GATEWAY}/32 dev {cable}"),
                format!("link set {cable} up"),
                format!("route add {address}/32 dev {cable}"),
            ],
        )?;
        ip(
            &name,
            &[
                "link set lo up".to_owned(),
                format!("addr add {address}/32 dev eth0"),
                "link set eth0 up".to_owned(),
                format!("route add {GATEWAY} dev eth0 scope link"),
                format!("route add default via {GATEWAY} dev eth0"),
            ],
        )?;
        // As container runtimes do it.
        let usual = [("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())];
        let settings: Vec<_> = usual.iter().chain(settings).cloned().collect();
        pod.inside(move || {
            for (name, value) in settings {
                let path = format!("/proc/sys/{}", name.replace('.', "/"));
                std::fs::write(&path, value).with_context(|| format!("setting {name}"))?;
            }
            Ok(())
        })?;
        Ok(pod)
    }

    /// Replaces rules of the node's namespace.
    pub(super) fn rules(&self, rules: &str) -> anyhow::Result<()> {
        feed(Command::new("ip").args(["netns", "exec", &self.name, "nft", "-f", "-"]), rules)
    }
}

/// Carries connections to a port of this process's loopback into a namespace, as long as the task is held.
///
/// # Errors
/// When the port cannot be served.
pub(super) fn carry(listener: std::net::TcpListener, place: &Place, to: SocketAddr) -> anyhow::Result<Task> {
    listener.set_nonblocking(true)?;
    Task::start(place, move |ready| async move {
        let listener = TcpListener::from_std(listener)?;
        ready.tell();
        let mut connections = JoinSet::new();
        loop {
            let (mut near, _) = listener.accept().await?;
            while connections.try_join_next().is_some() {}
            connections.spawn(async move {
                // One that cannot be carried is closed: that is what its client is to see.
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    })
}

fn ip(namespace: &str, lines: &[String]) -> anyhow::Result<()> {
    feed(Command::new("ip").args(["-n", namespace, "-batch", "-"]), &lines.join("\n"))
}

fn feed(command: &mut Command, text: &str) -> anyhow::Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("it has an input")?.write_all(text.as_bytes())?;
    let ran = child.wait_with_output()?;
    if !ran.status.success() {
        bail!("{command:?}: {}\n{text}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}
