//! The parts of a cluster and how each is started.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::json;

use super::{Credentials, Options};
use crate::process::Keeper;

/// Where Services get their addresses from.
const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The first of them: the API server as pods know it.
pub(super) const SERVICE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));
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
}

impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
        })
    }
}

/// What the parts are started with.
pub(super) struct Setup {
    pub(super) options: Options,
    pub(super) folder: PathBuf,
    pub(super) credentials: Credentials,
    /// Port of the store.
    pub(super) etcd: u16,
    /// Port where the store would speak to others of its kind.
    pub(super) peers: u16,
    /// Port of the API server.
    pub(super) api_server: u16,
}

impl Setup {
    pub(super) fn command(&self, part: Part) -> Command {
        match part {
            Part::Etcd => self.etcd(),
            Part::ApiServer => self.api_server(),
            Part::ControllerManager => self.controller_manager(),
        }
    }

    fn etcd(&self) -> Command {
        let (client, peer) = (format!("http://127.0.0.1:{}", self.etcd), format!("http://127.0.0.1:{}", self.peers));
        let mut command = Keeper::command(&self.options.tools.etcd);
        // What a killed process wrote is in the kernel; only a machine that stops would lose it.
        command.args(["--unsafe-no-fsync", "--log-level", "warn", "--data-dir"]).arg(self.folder.join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}"), "--quota-backend-bytes", "4294967296"]);
        command
    }

    fn api_server(&self) -> Command {
        let mut command = Keeper::command(&self.options.tools.api_server);
        let file = |name: &str| self.credentials.path(name).display().to_string();
        let flags = [
            ("etcd-servers", format!("http://127.0.0.1:{}", self.etcd)),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            // Endpoints cannot be on loopback, and there is no pod that would look for them.
            ("endpoint-reconciler-type", "none".to_owned()),
            ("secure-port", self.api_server.to_string()),
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
        let mut command = Keeper::command(&self.options.tools.controller_manager);
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

    pub(super) fn write_audit_policy(&self) -> anyhow::Result<()> {
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
