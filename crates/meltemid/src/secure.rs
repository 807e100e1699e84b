//! The secured port: TLS before discovery, and the service that signs certificates beside it.
//! Source: istio: security/pkg/server/ca/server.go.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use ca::Lifetimes;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use kubernetes::Cluster;
use names::Name;
use prost_types::value::Kind;
use proto::istio::v1::auth::{IstioCertificateRequest, IstioCertificateResponse};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::Status;
use xds::grpc::{self, Answer};
use xds::{Caller, Door};

use crate::authority::{self, Follower, Keeper, Plan, now};
use crate::callers::{Callers, Peer, Proven};
use crate::control::Control;
use crate::impersonation;
use crate::settings::{NodeAccount, Settings};

/// A client that does not finish its handshake by then is gone.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A request for a certificate is not longer than this, in bytes.
const LONGEST: usize = 64 * 1024;

/// Counts since the start, under Citadel's names.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) issued: AtomicU64,
    pub(crate) unauthenticated: AtomicU64,
    pub(crate) unreadable: AtomicU64,
}

/// The secured port.
#[derive(Clone)]
pub(crate) struct Secure {
    pub(crate) keeper: Keeper,
    pub(crate) callers: Callers,
    pub(crate) control: Control,
    pub(crate) lifetimes: Lifetimes,
    /// Who may ask for the certificates of others.
    pub(crate) node_accounts: Arc<[NodeAccount]>,
    pub(crate) counts: Arc<Counts>,
    /// Signing is work: no more at a time than there are processors.
    pub(crate) signers: Arc<Semaphore>,
}

impl Secure {
    /// With the authority in `folder`, made there if need be, and who follows its files.
    ///
    /// # Errors
    /// When the authority or the settings of callers would not do.
    pub(crate) fn open(
        settings: &Settings,
        folder: &Path,
        api: Option<&Cluster>,
        control: Control,
    ) -> anyhow::Result<(Self, Follower)> {
        // Before the configuration is read only this much is known; the organization of a root is but a label.
        let domain = &settings.domain;
        let lifetimes = settings.lifetimes();
        let plan = Plan {
            folder: folder.to_owned(),
            memory: settings.ca_memory().unwrap_or_else(|| folder.join("in-use")),
            names: settings.names(),
            most: lifetimes.most,
            settle: Duration::from_secs(u64::try_from(settings.root_settle).unwrap_or(0)),
            unstaged: settings.unstaged,
        };
        let (keeper, follower) = authority::open(plan, domain)
            .with_context(|| format!("the certificate authority in {}", folder.display()))?;
        let callers = Callers::new(settings, api)?;
        let node_accounts = settings.trusted_node_accounts.clone().into();
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let signers = Arc::new(Semaphore::new(processors));
        Ok((Self { keeper, callers, control, lifetimes, node_accounts, counts: Arc::default(), signers }, follower))
    }

    /// The trust domain of the mesh: before the configuration was read it is not known, and nobody has an identity.
    fn domain(&self) -> Result<Name, Status> {
        let view = self.control.view();
        let unread = || Status::unavailable("the configuration was not read yet");
        view.map(|view| view.mesh.trust_domain()).ok_or_else(unread)
    }

    async fn proven(&self, peer: &Peer, headers: &HeaderMap) -> Result<Proven, Status> {
        let proven = self.callers.authenticate(peer, headers, &self.domain()?).await;
        if proven.is_err() {
            self.counts.unauthenticated.fetch_add(1, Ordering::Relaxed);
        }
        proven
    }

    async fn certificate(
        &self,
        caller: Proven,
        asked: IstioCertificateRequest,
    ) -> Result<IstioCertificateResponse, Status> {
        let fields = asked.metadata.map(|metadata| metadata.fields).unwrap_or_default();
        let text = |key: &str| match fields.get(key).and_then(|value| value.kind.as_ref()) {
            None | Some(Kind::NullValue(_)) => Ok(String::new()),
            Some(Kind::StringValue(text)) => Ok(text.clone()),
            Some(_) => Err(Status::invalid_argument(format!("{key} is no text"))),
        };
        let (wanted, signer) = (text("ImpersonatedIdentity")?, text("CertSigner")?);
        let first = caller.identities.first().ok_or_else(|| Status::unauthenticated("authentication failure"))?;
        let identity = if wanted.is_empty() {
            first.clone()
        } else {
            let view = self.control.view().ok_or_else(|| Status::unavailable("the configuration was not read yet"))?;
            impersonation::allowed(&view, &self.node_accounts, &caller, &wanted).map_err(|why| {
                tracing::warn!(caller = %first, wanted, "a certificate for another is refused: {why}");
                // Why is for those who run the mesh.
                Status::permission_denied(format!("{first} may not ask for the certificate of {wanted}"))
            })?
        };
        if !signer.is_empty() {
            return Err(Status::unimplemented("there are no signers but the mesh's own"));
        }
        let _permit = self.signers.acquire().await.map_err(|_| Status::unavailable("shutting down"))?;
        // Before the authority is looked up: what one signs that is being replaced is known to whoever replaces it.
        let asked_for = if asked.validity_duration > 0 { asked.validity_duration } else { self.lifetimes.usual };
        self.keeper.signed(now().saturating_add(asked_for.min(self.lifetimes.most)));
        let (used, lifetimes, name) = (self.keeper.current(), self.lifetimes, identity.to_string());
        let sign = move || used.authority.issue(&asked.csr, &name, asked.validity_duration, lifetimes, now());
        let signed = tokio::task::spawn_blocking(sign).await.map_err(|_| Status::internal("signing ended early"))?;
        match signed {
            Ok(issued) => {
                self.counts.issued.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%identity, ends = issued.not_after, "certificate issued");
                Ok(IstioCertificateResponse { cert_chain: issued.chain })
            }
            Err(error @ (ca::Error::Request(_) | ca::Error::Lifetime { .. })) => {
                self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                Err(Status::invalid_argument(error.to_string()))
            }
            Err(error) => {
                tracing::error!(%identity, "a certificate could not be issued: {error}");
                Err(Status::internal(error.to_string()))
            }
        }
    }
}

impl Door for Secure {
    type Io = TlsStream<TcpStream>;
    type Peer = Peer;

    async fn admit(&self, socket: TcpStream) -> Option<(Self::Io, Peer)> {
        let address = socket.peer_addr().ok().map(|address| address.ip().to_canonical());
        let acceptor = TlsAcceptor::from(self.keeper.current().tls.clone());
        match tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => {
                let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let uris = leaf.map(|leaf| ca::uris_of(leaf)).unwrap_or_default();
                let certified = uris.iter().filter_map(|uri| uri.parse().ok()).collect();
                Some((stream, Peer { certified, address }))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    async fn caller(&self, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Status> {
        Ok(Caller::Known(self.proven(peer, headers).await?.identities))
    }

    async fn other(&self, peer: &Peer, request: Request<Incoming>) -> Answer {
        if request.uri().path() != "/istio.v1.auth.IstioCertificateService/CreateCertificate" {
            return grpc::refuse(Status::unimplemented("no such method"));
        }
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        match self.proven(peer, request.headers()).await {
            Ok(caller) => grpc::unary(request, LONGEST, |asked| self.certificate(caller, asked)).await,
            Err(status) => grpc::refuse(status),
        }
    }
}
