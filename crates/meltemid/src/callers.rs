//! Who calls: a client certificate of the mesh, a token of a file, a JWT of an issuer that is trusted, a token that the API server knows,
//! or a certificate that a trusted gateway saw. The first that proves an identity counts (`istio: pilot/pkg/bootstrap/server.go`). What a
//! request says of itself counts for nothing.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;
use kubernetes::Cluster;
use names::{Name, SpiffeId};
use tonic::Status;

use crate::settings::Settings;

mod forwarded;
mod jwt;
mod keys;
mod review;
mod tokens;

use jwt::Issuer;
use review::Reviewer;
use tokens::Tokens;

/// A token is not longer than this, in bytes.
const LONGEST: usize = 16 * 1024;
/// What service accounts are called in the tokens of Kubernetes.
const ACCOUNT: &str = "system:serviceaccount:";

/// The pod that a token was made for, as its issuer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PodRef {
    /// Its name.
    pub(crate) name: Name,
    /// What tells it from others that had its name.
    pub(crate) uid: Name,
}

/// What was proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proven {
    /// One of these identities, or all of them. Never empty.
    pub(crate) identities: Vec<SpiffeId>,
    /// The pod, where that was proved too.
    pub(crate) pod: Option<PodRef>,
}

/// The other side of a connection.
#[derive(Clone, Default, Debug)]
pub(crate) struct Peer {
    /// The identities of its verified certificate.
    pub(crate) certified: Vec<SpiffeId>,
    /// Where it calls from.
    pub(crate) address: Option<IpAddr>,
}

/// How callers are known.
#[derive(Clone)]
pub(crate) struct Callers(Arc<Known>);

struct Known {
    tokens: Tokens,
    issuers: Vec<Issuer>,
    reviewer: Option<Reviewer>,
    /// Whose word counts on who called them.
    gateways: Vec<IpNet>,
}

impl Callers {
    /// Reads the settings; tokens are shown to the API server where there is one.
    ///
    /// # Errors
    /// When they make no sense.
    pub(crate) fn new(settings: &Settings, api: Option<&Cluster>) -> anyhow::Result<Self> {
        let tokens = settings.token_file.as_deref().map(Tokens::read).transpose()?.unwrap_or_default();
        let issuers = settings.jwt_rule.iter().map(|rule| Issuer::new(rule, settings.jwks_roots.as_deref()));
        let issuers = issuers.collect::<anyhow::Result<_>>()?;
        let gateways = settings.trusted_gateway_cidr.clone();
        let reviewer = api.map(|api| Reviewer::new(settings, api.clone())).transpose()?;
        Ok(Self(Arc::new(Known { tokens, issuers, reviewer, gateways })))
    }

    /// Who calls, by the connection and the headers.
    ///
    /// # Errors
    /// When nothing proves an identity, or that cannot be found out now.
    pub(crate) async fn authenticate(&self, peer: &Peer, headers: &HeaderMap, domain: &Name) -> Result<Proven, Status> {
        if !peer.certified.is_empty() {
            return Ok(Proven { identities: peer.certified.clone(), pod: None });
        }
        let shown = match bearer(headers) {
            Some(token) => self.0.token(token, headers, domain).await,
            None => Ok(None),
        };
        let trusted = |address| self.0.gateways.iter().any(|gateways| gateways.contains(&address));
        match shown {
            Ok(Some(proven)) => Ok(proven),
            other => match peer.address.filter(|address| trusted(*address)).and(forwarded::identities(headers)) {
                Some(identities) => Ok(Proven { identities, pod: None }),
                None => Err(other.err().unwrap_or_else(|| Status::unauthenticated("authentication failure"))),
            },
        }
    }
}

impl Known {
    /// Whose token it is; nobody's when it is not good.
    async fn token(&self, token: &str, headers: &HeaderMap, domain: &Name) -> Result<Option<Proven>, Status> {
        if let Some(identity) = self.tokens.identity(token, domain) {
            return Ok(Some(Proven { identities: vec![identity], pod: None }));
        }
        for issuer in &self.issuers {
            if let Some(proven) = issuer.verify(token, domain).await {
                return Ok(Some(proven));
            }
        }
        let Some(reviewer) = &self.reviewer else { return Ok(None) };
        match reviewer.review(token, headers, domain).await {
            Ok(proven) => Ok(Some(proven)),
            Err(review::Fault::Refused(why)) => {
                tracing::debug!("a token is refused: {why}");
                Ok(None)
            }
            Err(review::Fault::Unknown(why)) => {
                tracing::warn!("the API server does not say whether a token is good: {why}");
                Err(Status::unavailable("tokens cannot be reviewed now"))
            }
        }
    }
}

/// The token of a call.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").filter(|token| !token.is_empty() && token.len() <= LONGEST)
}

/// The identity of an account, if its parts can stand in one.
fn identity(domain: &str, namespace: &str, account: &str) -> Option<SpiffeId> {
    format!("spiffe://{domain}/ns/{namespace}/sa/{account}").parse().ok()
}

/// The identity that the subject of a service account's token stands for.
fn of_subject(domain: &str, subject: &str) -> Option<SpiffeId> {
    let (namespace, account) = subject.strip_prefix(ACCOUNT)?.split_once(':')?;
    identity(domain, namespace, account)
}

#[cfg(test)]
mod tests;
