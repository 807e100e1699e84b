//! The parts of a cluster and how each is started.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use super::ground::{self, Ground, NODE};
use super::task::Task;
use super::{Credentials, Options};
use crate::process::Keeper;

/// Where Services get their addresses from.
pub(super) const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The first of them: the API server as pods know it.
pub(super) const SERVICE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));
/// Where kubelet is, at the address of the nodes.
pub(super) const KUBELET_PORT: u16 = 10250;
/// Who issues tokens of service accounts.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A process of the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers.
    ControllerManager,
    /// What the API server asks for logs of pods and for a way into them.
    Kubelet,
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubelet => "kubelet",
        })
    }
}

/// What the parts are started with.
pub(super) struct Setup {
    pub(super) options: Options,
    pub(super) folder: PathBuf,
    pub(super) credentials: Credentials,
    /// The network of pods; without one all is on this process's loopback.
    pub(super) ground: Option<Arc<Ground>>,
    /// Port of the store.
    etcd: u16,
    /// Port where the store would speak to others of its kind.
    peers: u16,
    /// Where the API server is.
    api_server: SocketAddr,
    /// What leads there from this process's loopback.
    carried: Option<Task>,
}

impl Setup {
    pub(super) fn new(options: Options, folder: PathBuf, ground: Option<Arc<Ground>>) -> anyhow::Result<Self> {
        let credentials = Credentials::new(&folder.join("credentials"))?;
        let [etcd, peers, port] = if ground.is_some() { [2379, 2380, 6443] } else { free_ports()? };
        let host = if ground.is_some() { NODE } else { Ipv4Addr::LOCALHOST };
        let api_server = (host, port).into();
        let this = Self { options, folder, credentials, ground, etcd, peers, api_server, carried: None };
        this.write_audit_policy()?;
        Ok(this)
    }

    /// Makes the credentials of all parts. Gives the administrator's kubeconfig.
    pub(super) fn admit(&mut self) -> anyhow::Result<PathBuf> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.credentials.server("api-server", &[loopback, NODE.into(), SERVICE_ADDRESS])?;
        self.credentials.server("kubelet", &[NODE.into()])?;
        let (all, inside) = (Some("system:masters"), format!("https://{}", self.api_server));
        self.credentials.client("controllers", ("system:kube-controller-manager", None), &inside)?;
        self.credentials.client("nodes", ("meltemi-nodes", all), &inside)?;
        let outside = match &self.ground {
            None => inside,
            Some(ground) => {
                let listener = TcpListener::bind((loopback, 0))?;
                let outside = format!("https://{}", listener.local_addr()?);
                self.carried = Some(ground::carry(listener, ground.place(), self.api_server)?);
                outside
            }
        };
        self.credentials.client("admin", ("admin", all), &outside)
    }

    pub(super) fn command(&self, part: Part) -> Command {
        match part {
            Part::Etcd => self.etcd(),
            Part::ApiServer => self.api_server(),
            Part::ControllerManager => self.controller_manager(),
            Part::Kubelet => self.kubelet(),
        }
    }

    /// A program where the parts are.
    fn program(&self, program: &Path) -> Command {
        let Some(name) = self.ground.as_ref().and_then(|ground| ground.place().name()) else {
            return Keeper::command(program);
        };
        let mut command = Keeper::command(Path::new("ip"));
        command.args(["netns", "exec", name]).arg(program);
        command
    }

    fn kubelet(&self) -> Command {
        let mut command = self.program(&self.options.tools.kubelet);
        command.arg("-pods").arg(self.folder.join("doors")).arg("-credentials").arg(self.credentials.path(""));
        command.args(["-address", &format!("{NODE}:{KUBELET_PORT}")]);
        command
    }

    /// Where the store is; none where that is in a network of its own.
    pub(super) fn store(&self) -> Option<SocketAddr> {
        self.ground.is_none().then(|| (Ipv4Addr::LOCALHOST, self.etcd).into())
    }

    fn etcd(&self) -> Command {
        let (client, peer) = (format!("http://127.0.0.1:{}", self.etcd), format!("http://127.0.0.1:{}", self.peers));
        let mut command = self.program(&self.options.tools.etcd);
        // What a killed process wrote is in the kernel; only a machine that stops would lose it.
        command.args(["--unsafe-no-fsync", "--log-level", "warn", "--data-dir"]).arg(self.folder.join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}"), "--quota-backend-bytes", "4294967296"]);
        command
    }

    fn api_server(&self) -> Command {
        let mut command = self.program(&self.options.tools.api_server);
        let file = |name: &str| self.credentials.path(name).display().to_string();
        let flags = [
            ("etcd-servers", format!("http://127.0.0.1:{}", self.etcd)),
            ("bind-address", self.api_server.ip().to_string()),
            ("advertise-address", self.api_server.ip().to_string()),
            // Endpoints cannot be on loopback, where there is no pod that would look for them.
            ("endpoint-reconciler-type", if self.ground.is_some() { "lease" } else { "none" }.to_owned()),
            ("secure-port", self.api_server.port().to_string()),
            ("kubelet-preferred-address-types", "InternalIP".to_owned()),
            ("service-cluster-ip-range", SERVICE_RANGE.to_owned()),
            ("authorization-mode", "Node,RBAC".to_owned()),
            ("allow-privileged", "true".to_owned()),
            // Webhooks are called at the endpoints of their Service: nobody routes its address here.
            ("enable-aggregator-routing", "true".to_owned()),
            ("client-ca-file", file("ca.crt")),
            ("tls-cert-file", file("api-server.crt")),
            ("tls-private-key-file", file("api-server.key")),
            ("kubelet-certificate-authority", file("ca.crt")),
            ("kubelet-client-certificate", file("api-server.crt")),
            ("kubelet-client-key", file("api-server.key")),
            ("service-account-issuer", ISSUER.to_owned()),
            ("service-account-key-file", file("accounts.key")),
            ("service-account-signing-key-file", file("accounts.key")),
            ("api-audiences", format!("{ISSUER},istio-ca")),
            ("audit-policy-file", self.audit_policy().display().to_string()),
            ("audit-log-path", self.audit_log().display().to_string()),
            ("cert-dir", self.folder.display().to_string()),
        ];
        command.args(flags.map(|(name, value)| format!("--{name}={value}"))).args(&self.options.api_server);
        command
    }

    fn controller_manager(&self) -> Command {
        let mut command = self.program(&self.options.tools.controller_manager);
        let file = |name: &str| self.credentials.path(name).display().to_string();
        let flags = [
            ("kubeconfig", file("controllers.kubeconfig")),
            ("use-service-account-credentials", "true".to_owned()),
            ("service-account-private-key-file", file("accounts.key")),
            ("root-ca-file", file("ca.crt")),
            ("cluster-signing-cert-file", file("ca.crt")),
            ("cluster-signing-key-file", file("ca.key")),
            ("leader-elect", "false".to_owned()),
            // Nobody asks it; whether it works is seen by what it does.
            ("secure-port", "0".to_owned()),
            ("kube-api-qps", "500".to_owned()),
            ("kube-api-burst", "1000".to_owned()),
        ];
        command.args(flags.map(|(name, value)| format!("--{name}={value}"))).args(&self.options.controller_manager);
        command
    }

    pub(super) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    fn audit_policy(&self) -> PathBuf {
        self.folder.join("audit-policy.json")
    }

    fn write_audit_policy(&self) -> anyhow::Result<()> {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{ "level": self.options.audit }],
        });
        write(&self.audit_policy(), &policy.to_string())
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Ports that are free now.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    // Held together, so that they differ.
    let held = (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
