//! Names in a pod with captured DNS: the agent answers for the mesh, others for the rest, edits are seen, and all of that goes on when the
//! control plane is gone.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use bed::agent::Agent;
use bed::net::{self, Network, Place, ToldBy};
use bed::process::Running;

use super::*;

pub(crate) const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 1);
pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 79, 0, 12);

/// A service with a virtual address, a headless one whose pods have names, one in another namespace, and one outside.
fn mesh(address: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: {address}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: yard}}
spec: {{clusterIP: 10.96.0.20, ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: shop}}
spec: {{clusterIP: None, ports: [{{name: tcp, port: 5432}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: db-0, namespace: shop}}
spec: {{subdomain: db}}
status: {{podIP: 10.79.0.30, phase: Running}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: db, namespace: shop, labels: {{kubernetes.io/service-name: db}}}}
addressType: IPv4
endpoints: [{{addresses: [10.79.0.30], targetRef: {{kind: Pod, name: db-0}}}}, {{addresses: [10.79.0.31]}}]
ports: [{{name: tcp, port: 5432}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, namespace: shop}}
spec:
  hosts: [api.example.com, '*.wild.example.com']
  addresses: [172.30.0.1]
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  resolution: STATIC
  endpoints: [{{address: 192.0.2.1}}]
"
    )
}

/// A pod whose DNS is captured, a control plane, and the pod's own name server: at the node, it knows one name.
pub(crate) struct Pod {
    pub(crate) folder: PathBuf,
    pub(crate) place: Place,
    pub(crate) envoy: Envoy,
    pub(crate) network: Network,
    control: Running,
}

impl Pod {
    pub(crate) fn start(envoy: &Path, variables: Vec<(&'static str, String)>) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (config, ca, tokens) = (folder.join("config"), folder.join("ca"), folder.join("tokens"));
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("mesh.yaml"), mesh("10.96.0.10")).unwrap();
        std::fs::write(&tokens, "token-of-client-0123456789 shop/client\n").unwrap();
        let search = "search shop.svc.cluster.local svc.cluster.local cluster.local";
        let resolv = format!("nameserver {CONTROL}\n{search}\noptions ndots:5 timeout:2\n");
        std::fs::write(folder.join("resolv.conf"), resolv).unwrap();
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/debug");
        let network = Network::new(CONTROL, ToldBy::User).unwrap();
        let socket = network.node().inside(|| Ok(UdpSocket::bind((CONTROL, 53))?)).unwrap();
        std::thread::spawn(move || name_server(&socket));
        let mut command = network.node().command(&built.join("meltemid"));
        command.arg("--config-dir").arg(&config).arg("--ca-dir").arg(&ca).arg("--token-file").arg(&tokens);
        command.args(["--secure-address", "10.79.0.1:15012", "--http-address", "10.79.0.1:15014"]);
        let control = Running::start("meltemid", &mut command, &folder.join("meltemid.log")).unwrap();
        let node = network.node().clone();
        let ready = || node.inside(|| bed::http::get((CONTROL, 15014).into(), "meltemid", "/ready", &[]));
        eventually("the control plane", Duration::from_secs(10), ready).unwrap();
        let place = network.pod("client-1", CLIENT, false).unwrap();
        let program = |from: &Path| {
            let to = folder.join(from.file_name().unwrap());
            std::fs::copy(from, &to).unwrap();
            to
        };
        let agent = Agent {
            program: program(&super::agent()),
            envoy: program(envoy),
            control: (CONTROL, 15012).into(),
            roots: ca.join("root-cert.pem"),
            lifetime: "1h",
            arguments: vec!["--resolv-conf".into(), folder.join("resolv.conf").display().to_string()],
            variables: std::iter::once(("ISTIO_META_DNS_CAPTURE", "true".into())).chain(variables).collect(),
        };
        let mut redirect = place.command(&agent.program);
        redirect.args([
            "redirect",
            "-i",
            "*",
            "-b",
            "*",
            "-d",
            "15020,15021,15090",
            "--redirect-dns",
            "--dns-servers",
            &CONTROL.to_string(),
        ]);
        let applied = redirect.output().unwrap();
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        let spec = Spec {
            pod: "client-1".into(),
            namespace: "shop".into(),
            kind: "sidecar",
            address: CLIENT.into(),
            labels: vec![("app".into(), "client".into())],
            interception: "REDIRECT",
            xds: agent.control,
            delta: true,
            admin: ([127, 0, 0, 1], 15000).into(),
        };
        let envoy = agent.start(&spec, ("client", "token-of-client-0123456789"), &place, &folder).unwrap();
        let pod = Self { folder, place, envoy, network, control };
        eventually("the pod to be ready", Duration::from_secs(20), || pod.page("/healthz/ready")).unwrap();
        pod
    }

    /// Asks the agent's pages.
    pub(crate) fn page(&self, path: &'static str) -> anyhow::Result<String> {
        let node = self.network.node();
        let answer = node.inside(move || bed::http::get((CLIENT, 15020).into(), "client", path, &[]))?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// What the C library finds for a name, in order; it uses the pod's `resolv.conf`.
    pub(crate) fn resolve(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let mut command = self.place.command(Path::new("sh"));
        command.args(["-c", "mount --bind \"$0\" /etc/resolv.conf && exec getent ahostsv4 \"$1\""]);
        let out = command.arg(self.folder.join("resolv.conf")).arg(name).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(out.status.success(), "{name}: {} {}", out.status, String::from_utf8_lossy(&out.stderr));
        let mut all: Vec<String> = text
            .lines()
            .filter(|line| line.contains("STREAM"))
            .filter_map(|line| Some(line.split(' ').next()?.to_owned()))
            .collect();
        all.sort();
        Ok(all)
    }

    /// Whether names are as they should be.
    fn resolves(&self, all: &[(&str, &[&str])]) -> anyhow::Result<()> {
        for (name, expected) in all {
            let found = self.resolve(name)?;
            ensure!(found == *expected, "{name} is {found:?}");
        }
        Ok(())
    }
}

/// Knows one name outside, and that all others do not exist.
fn name_server(socket: &UdpSocket) {
    let name = b"\x04real\x04test\x00";
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let packet = &buffer[..length];
        // The question alone goes back, without what follows it.
        let Some(end) = packet[12..].iter().position(|byte| *byte == 0).map(|at| 12 + at + 5) else { continue };
        let known = packet[12..].starts_with(name) && packet[end - 4..end] == [0, 1, 0, 1];
        let mut answer = packet[..end].to_vec();
        answer[2] |= 0x80;
        answer[3] = if packet[12..].starts_with(name) { 0x80 } else { 0x83 };
        answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(known), 0, 0, 0, 0]);
        if known {
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 53]);
        }
        let _ = socket.send_to(&answer, from);
    }
}

/// One question by TCP to a server that is not there: capture leads it to the agent.
fn by_tcp() -> anyhow::Result<Vec<u8>> {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect((CONTROL, 53))?;
    let mut packet = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(b"\x03web\x04shop\x00\x00\x01\x00\x01");
    socket.write_all(&u16::try_from(packet.len())?.to_be_bytes())?;
    socket.write_all(&packet)?;
    let mut length = [0; 2];
    socket.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

#[test]
fn dns_answers_for_the_mesh_and_others_for_the_rest() {
    let missing = envoy().err().or_else(net::obstacle);
    if !need("DNS in a pod", missing) {
        return;
    }
    let mut pod = Pod::start(&envoy().unwrap(), Vec::new());
    let names: &[(&str, &[&str])] = &[
        ("web", &["10.96.0.10"]),
        ("web.shop.svc.cluster.local", &["10.96.0.10"]),
        ("WEB.yard", &["10.96.0.20"]),
        ("db", &["10.79.0.30", "10.79.0.31"]),
        ("db-0.db.shop", &["10.79.0.30"]),
        ("api.example.com", &["172.30.0.1"]),
        ("some.wild.example.com", &["172.30.0.1"]),
        ("real.test", &["192.0.2.53"]),
    ];
    pod.resolves(names).unwrap();
    assert!(pod.resolve("nowhere.test").is_err(), "the pod's own server does not know it");
    let answer = pod.place.inside(by_tcp).unwrap();
    assert!(answer.ends_with(&[10, 96, 0, 10]), "{answer:?}");
    let metrics = pod.page("/stats/prometheus").unwrap();
    let count = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("istio_agent_{name} ")));
        line.and_then(|count| count.parse::<u32>().ok()).unwrap_or_else(|| panic!("{name}"))
    };
    assert!(count("dns_requests_total") > count("dns_upstream_requests_total"));
    assert!(count("dns_upstream_requests_total") >= 2 && count("dns_upstream_failures_total") == 0);
    // An edit is seen.
    let beside = pod.folder.join("config/.mesh.yaml.new");
    std::fs::write(&beside, mesh("10.96.0.77")).unwrap();
    std::fs::rename(beside, pod.folder.join("config/mesh.yaml")).unwrap();
    eventually("the new address", Duration::from_secs(10), || pod.resolves(&[("web", &["10.96.0.77"])])).unwrap();
    // Names stay when nobody tells them any more.
    pod.control.stop(Duration::from_secs(5));
    pod.resolves(&names[2..]).unwrap();
    pod.resolves(&[("web", &["10.96.0.77"])]).unwrap();
    pod.page("/healthz/ready").expect("the pod is as ready as before");
}
