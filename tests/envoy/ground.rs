//! A control plane and pods in network namespaces, with the agent, its Envoy and an application in each: the programs as they are run.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use bed::agent::Agent;
use bed::net::{Network, ToldBy};
use bed::process::Running;

use super::*;

/// Where the control plane is.
pub(super) const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
/// Service accounts that have a token.
const ACCOUNTS: [&str; 3] = ["web", "client", "other"];

/// Whose rules lead a pod's traffic through its proxy.
#[derive(Clone, Copy)]
pub(super) enum Capture {
    /// The bed's.
    Bed,
    /// The agent's, by this backend.
    Agent(&'static str),
}

/// A pod as the control plane is told of it: name, service account, version, address.
pub(super) type PodOf<'a> = (&'a str, &'a str, &'a str, Ipv4Addr);

/// Pods as text.
pub(super) fn pods(all: &[PodOf<'_>]) -> String {
    let each = all.iter().map(|(pod, account, version, address)| {
        format!(
            "---
apiVersion: v1
kind: Pod
metadata: {{name: {pod}, namespace: shop, labels: {{app: {account}, version: {version}, security.istio.io/tlsMode: istio}}}}
spec: {{serviceAccountName: {account}}}
status: {{podIP: {address}, phase: Running}}
"
        )
    });
    each.collect()
}

pub(super) struct Ground {
    pub(super) network: Network,
    /// The program that is application and load.
    pub(super) meltemi: PathBuf,
    /// Roots of the mesh.
    pub(super) roots: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) agent: Agent,
    _control: Running,
}

impl Ground {
    /// A control plane with these files and flags, whose workloads ask for certificates of this lifetime.
    pub(super) fn start(files: &[(&str, &str)], flags: &[&str], lifetime: &'static str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, ca, tokens) = (folder.join("config"), folder.join("ca"), folder.join("tokens"));
        std::fs::create_dir_all(&config).unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(config.join(name), text).unwrap());
        std::fs::write(&tokens, ACCOUNTS.map(|account| format!("{} shop/{account}\n", token(account))).concat())
            .unwrap();
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug");
        let [meltemi, meltemid] = ["meltemi", "meltemid"].map(|name| program(&built.join(name), &folder));
        let network = Network::new(CONTROL, ToldBy::User).unwrap();
        let mut command = network.node().command(&meltemid);
        command.arg("--config-dir").arg(&config).arg("--ca-dir").arg(&ca).arg("--token-file").arg(&tokens);
        command.args(["--secure-address", "10.78.0.1:15012", "--http-address", "10.78.0.1:15014"]);
        command.args(flags);
        let control = Running::start("meltemid", &mut command, &folder.join("meltemid.log")).unwrap();
        let node = network.node().clone();
        let ready = || node.inside(|| bed::http::get((CONTROL, 15014).into(), "meltemid", "/ready", &[]));
        eventually("the control plane", Duration::from_secs(10), ready).unwrap();
        let roots = ca.join("root-cert.pem");
        let agent = Agent {
            program: program(&agent(), &folder),
            envoy: program(&envoy().unwrap(), &folder),
            control: (CONTROL, 15012).into(),
            roots: roots.clone(),
            lifetime,
            arguments: Vec::new(),
            variables: Vec::new(),
        };
        Self { network, meltemi, roots, folder, agent, _control: control }
    }

    /// A pod of a service account with its proxy.
    pub(super) fn sidecar(&self, (name, account, version, address): PodOf<'_>, capture: Capture) -> (Envoy, Place) {
        let place = self.network.pod(name, address, matches!(capture, Capture::Bed)).unwrap();
        if let Capture::Agent(backend) = capture {
            let mut redirect = place.command(&self.agent.program);
            redirect.args(["redirect", "--backend", backend, "-p", "15001", "-z", "15006", "-u", "1337", "-g", "1337"]);
            let ran = redirect.args(["-b", "*", "-i", "*", "-d", "15090,15021,15020"]).output().unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        }
        let spec = Spec {
            pod: name.to_owned(),
            namespace: "shop".into(),
            kind: "sidecar",
            address: address.into(),
            labels: vec![("app".into(), account.into()), ("version".into(), version.into())],
            interception: "REDIRECT",
            xds: self.agent.control,
            delta: true,
            admin: ([127, 0, 0, 1], 15000).into(),
        };
        (self.agent.start(&spec, (account, &token(account)), &place, &self.folder).unwrap(), place)
    }

    /// A gateway of a service account, which takes what comes to its own ports.
    pub(super) fn gateway(&self, (name, account, address): (&str, &str, Ipv4Addr), labels: &[(&str, &str)]) -> Envoy {
        let place = self.network.pod(name, address, false).unwrap();
        let spec = Spec {
            pod: name.to_owned(),
            namespace: "shop".into(),
            kind: "router",
            address: address.into(),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            interception: "REDIRECT",
            xds: self.agent.control,
            delta: true,
            admin: ([127, 0, 0, 1], 15000).into(),
        };
        self.agent.start(&spec, (account, &token(account)), &place, &self.folder).unwrap()
    }

    /// An application in a place.
    pub(super) fn app(&self, place: &Place, (name, version): (&str, &str), listen: SocketAddr) -> Running {
        let mut command = place.command(&self.meltemi);
        command.args(["demo-app", "--name", name, "--version", version, "--listen", &listen.to_string()]);
        let log = self.folder.join(format!("{name}-{version}-{}.log", listen.port()));
        Running::start("app", &mut command, &log).unwrap()
    }

    /// Replaces a file of the configuration at once.
    pub(super) fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let config = self.folder.join("config");
        let beside = config.join(format!(".{name}.new"));
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, config.join(name))?)
    }

    /// Asks the control plane.
    pub(super) fn page(&self, path: &'static str) -> anyhow::Result<String> {
        let answer =
            self.network.node().inside(move || bed::http::get((CONTROL, 15014).into(), "meltemid", path, &[]))?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(answer.body)
    }

    /// What is published, if so many proxies have all of it.
    pub(super) fn live(&self, count: usize) -> anyhow::Result<u64> {
        let proxies: Vec<serde_json::Value> = serde_json::from_str(&self.page("/debug/syncz")?)?;
        ensure!(proxies.len() == count, "{} proxies are connected", proxies.len());
        for proxy in &proxies {
            let all =
                proxy["types"].as_object().is_some_and(|types| types.values().all(|status| status["live"] == true));
            ensure!(all, "{proxy}");
        }
        proxies.iter().filter_map(|proxy| proxy["revision"].as_u64()).max().context("no revision")
    }

    /// Puts these files in place of the authority's: certificate, key, roots, chain. The control plane sees them as one.
    pub(super) fn authority(&self, files: [&str; 4]) -> anyhow::Result<()> {
        let ca = self.folder.join("ca");
        for (name, text) in ["ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"].iter().zip(files) {
            std::fs::write(ca.join(name), text)?;
        }
        Ok(())
    }

    /// Replaces a file, and waits until so many proxies live by it.
    pub(super) fn edit(&self, name: &str, text: &str, count: usize) -> anyhow::Result<()> {
        let before = eventually("what was published before", Duration::from_secs(10), || self.live(count))?;
        self.write(name, text)?;
        eventually("an edit to be live", Duration::from_secs(10), || {
            let now = self.live(count)?;
            ensure!(now > before, "nothing new is published");
            Ok(())
        })
    }
}

/// The token of a service account.
pub(super) fn token(account: &str) -> String {
    format!("token-of-{account}-0123456789")
}

/// A program where any user can run it.
fn program(from: &Path, folder: &Path) -> PathBuf {
    let to = folder.join(from.file_name().unwrap());
    std::fs::copy(from, &to).unwrap();
    to
}

/// What openssl says of a handshake with a workload, of its certificate, and of an answer to a request.
pub(super) fn handshake(mut openssl: Command, workload: SocketAddr, flags: &[&str]) -> anyhow::Result<String> {
    use std::io::Write;
    // Without `-ign_eof` it leaves when its input ends, whether or not the answer is there.
    openssl.args(["s_client", "-ign_eof", "-connect", &workload.to_string(), "-showcerts"]).args(flags);
    let mut client = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // It may be over before the request is written: that is what is tested.
    let request = b"GET / HTTP/1.1\r\nhost: web.shop\r\nconnection: close\r\n\r\n";
    let _ = client.stdin.take().context("openssl has an input")?.write_all(request);
    let said = client.wait_with_output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let (start, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let leaf = said.find(start).zip(said.find(end)).map(|(from, to)| &said[from..to + end.len()]);
    let leaf = leaf.with_context(|| format!("no certificate: {said}"))?;
    let mut text = Command::new("openssl");
    let mut text = text.args(["x509", "-noout", "-text"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    text.stdin.take().context("openssl has an input")?.write_all(leaf.as_bytes())?;
    let text = text.wait_with_output()?;
    Ok(said + &String::from_utf8_lossy(&text.stdout))
}
