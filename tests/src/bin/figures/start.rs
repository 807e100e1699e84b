//! How long an agent takes from its start to the first certificate that it serves: the program as it is run beside a proxy.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use bed::process::Running;
use prost::Message;
use proto::envoy::extensions::transport_sockets::tls::v3::Secret;
use proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tests::plane::folder;
use tests::secured::Secured;

use crate::Figure;
use crate::agents::{NAMESPACE, TOKEN};
use crate::secured::{Control, program};

const STARTS: usize = 10;
/// An agent that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
const SECRETS: &str = "envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

pub(crate) fn all() -> anyhow::Result<Vec<Figure>> {
    let control = Control::start()?;
    let mut took = Vec::new();
    for _ in 0..STARTS {
        took.push(start(&control)?);
    }
    took.sort();
    let (half, last) = (took[STARTS / 2].as_secs_f64() * 1000.0, took[STARTS - 1].as_secs_f64() * 1000.0);
    eprintln!("an agent serves its certificate after {half:.0} ms, {last:.0} ms at the longest of {STARTS}");
    Ok(vec![Figure::at_most("agent start to its first certificate, p50 ms", half, 250.0)])
}

/// Starts an agent, and asks it for its certificate until it has one.
fn start(control: &Control) -> anyhow::Result<Duration> {
    let home = folder();
    std::fs::write(home.join("token"), TOKEN)?;
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(program("meltemi-agent")?);
    command.current_dir(&home).args(["proxy", "sidecar", "--ip", "10.1.0.9", "--disable-envoy", "--token", "token"]);
    command.arg("--root-ca").arg(control.ca.join("root-cert.pem")).args(["--istiod-san", "istiod.istio-system.svc"]);
    command.env("PROXY_CONFIG", format!("{{discoveryAddress: '{}', statusPort: {free}}}", control.address));
    command.env("POD_NAME", "web-1").env("POD_NAMESPACE", NAMESPACE).env("SERVICE_ACCOUNT", "web");
    let (log, socket) = (home.join("agent.log"), home.join("var/run/secrets/workload-spiffe-uds/socket"));
    let started = Instant::now();
    let _agent = Running::start("agent", &mut command, &log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let secret = runtime.block_on(async { tokio::time::timeout(PATIENCE, first(&socket)).await });
    let took = started.elapsed();
    let secret = secret.with_context(|| std::fs::read_to_string(&log).unwrap_or_default())??;
    anyhow::ensure!(secret.name == "default" && secret.r#type.is_some(), "another secret: {}", secret.name);
    Ok(took)
}

/// The first secret that is served at a socket, which may not be there yet.
async fn first(socket: &Path) -> anyhow::Result<Secret> {
    let stream = loop {
        match tokio::net::UnixStream::connect(socket).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let request = DiscoveryRequest {
        type_url: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret".to_owned(),
        resource_names: vec!["default".to_owned()],
        ..DiscoveryRequest::default()
    };
    let answer = Secured::over(stream).await?.first::<_, DiscoveryResponse>(SECRETS, &request).await?;
    let answer = answer.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    let resource = answer.resources.first().context("an answer without a secret")?;
    Ok(Secret::decode(resource.value.as_slice())?)
}
