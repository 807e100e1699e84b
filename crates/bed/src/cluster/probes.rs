//! Questions to a container, as kubelet asks them: over HTTP, TCP and gRPC at the pod's address, or by a command inside.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::api::core::v1::{ContainerPort, ExecAction, HTTPGetAction, LifecycleHandler, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Where a container is asked.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) ports: Vec<ContainerPort>,
    /// What runs a command inside.
    pub(super) enter: Vec<String>,
}

/// How often and how patiently one asks, with the defaults of the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) delay: Duration,
    pub(super) period: Duration,
    pub(super) timeout: Duration,
    pub(super) successes: i32,
    pub(super) failures: i32,
}

impl Rhythm {
    pub(super) fn of(probe: &Probe) -> Self {
        let seconds = |given: Option<i32>, usual: u64| {
            let given = given.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
            Duration::from_secs(given.unwrap_or(usual))
        };
        let count = |given: Option<i32>, usual| given.filter(|count| *count > 0).unwrap_or(usual);
        Self {
            delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
        }
    }
}

impl Target {
    /// Asks once.
    pub(super) async fn probe(&self, probe: &Probe) -> anyhow::Result<()> {
        let asked = async {
            if let Some(get) = &probe.http_get {
                self.get(get).await
            } else if let Some(socket) = &probe.tcp_socket {
                let address = SocketAddr::new(self.address, self.port(&socket.port)?);
                TcpStream::connect(address).await.with_context(|| format!("connecting to {address}")).map(drop)
            } else if let Some(exec) = &probe.exec {
                self.run(exec).await
            } else if let Some(grpc) = &probe.grpc {
                let port = u16::try_from(grpc.port).context("the port is none")?;
                self.health(port, grpc.service.as_deref().unwrap_or_default()).await
            } else {
                bail!("the probe asks nothing")
            }
        };
        tokio::time::timeout(Rhythm::of(probe).timeout, asked).await.context("no answer in time")?
    }

    /// Carries out a hook of the container's life.
    pub(super) async fn hook(&self, hook: &LifecycleHandler) -> anyhow::Result<()> {
        if let Some(exec) = &hook.exec {
            self.run(exec).await
        } else if let Some(get) = &hook.http_get {
            self.get(get).await
        } else if let Some(sleep) = &hook.sleep {
            tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or_default())).await;
            Ok(())
        } else {
            bail!("hooks of this kind are not played")
        }
    }

    async fn run(&self, exec: &ExecAction) -> anyhow::Result<()> {
        let (program, arguments) = self.enter.split_first().context("nothing can be run inside")?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).args(exec.command.iter().flatten()).stdin(Stdio::null()).kill_on_drop(true);
        let ran = command.output().await?;
        let said = [ran.stdout, ran.stderr].concat();
        ensure!(ran.status.success(), "{}: {}", ran.status, String::from_utf8_lossy(&said).trim());
        Ok(())
    }

    fn port(&self, port: &IntOrString) -> anyhow::Result<u16> {
        let number = match port {
            IntOrString::Int(number) => *number,
            IntOrString::String(name) => {
                let named = self.ports.iter().find(|port| port.name.as_ref() == Some(name));
                named
                    .map(|port| port.container_port)
                    .or_else(|| name.parse().ok())
                    .with_context(|| format!("no port {name}"))?
            }
        };
        u16::try_from(number).context("the port is none")
    }

    async fn get(&self, get: &HTTPGetAction) -> anyhow::Result<()> {
        let host = match &get.host {
            Some(host) if !host.is_empty() => host.parse().with_context(|| format!("the host {host} is no address"))?,
            _ => self.address,
        };
        let address = SocketAddr::new(host, self.port(&get.port)?);
        let mut request = Request::get(get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/"));
        for header in get.http_headers.iter().flatten() {
            request = request.header(&header.name, &header.value);
        }
        if request.headers_ref().is_some_and(|headers| !headers.contains_key(http::header::HOST)) {
            request = request.header(http::header::HOST, address.to_string());
        }
        let request = request.header(http::header::USER_AGENT, "kube-probe/1.37").body(Full::<Bytes>::default())?;
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        if get.scheme.as_deref() == Some("HTTPS") {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(anybody()?));
            let name = ServerName::IpAddress(host.into());
            answer(connector.connect(name, socket).await.context("speaking TLS")?, request).await
        } else {
            answer(socket, request).await
        }
    }

    /// `grpc.health.v1.Health/Check`.
    async fn health(&self, port: u16, service: &str) -> anyhow::Result<()> {
        let address = SocketAddr::new(self.address, port);
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
        // Field 1 of the request is the service's name.
        let length = u8::try_from(service.len()).context("the service's name is too long")?;
        let message = if service.is_empty() { Vec::new() } else { [&[0x0a, length], service.as_bytes()].concat() };
        let framed = [&[0, 0, 0, 0, u8::try_from(message.len())?][..], &message].concat();
        let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers")
            .body(Full::<Bytes>::from(framed))?;
        let mut carried = JoinSet::new();
        carried.spawn(connection);
        let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        // Field 1 of the answer is the status, 1 is SERVING.
        ensure!(body.get(5..) == Some(&[0x08, 0x01]), "it is not serving");
        Ok(())
    }
}

async fn answer(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<()> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let mut carried = JoinSet::new();
    carried.spawn(connection);
    let status = sender.send_request(request).await?.status();
    ensure!((200..400).contains(&status.as_u16()), "HTTP probe failed with statuscode: {}", status.as_u16());
    Ok(())
}

/// TLS with whoever answers: kubelet does not check certificates.
fn anybody() -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Anybody(Arc::clone(&provider)));
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
