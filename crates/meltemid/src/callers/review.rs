//! Tokens of service accounts, about which the API server is asked
//! (`istio: security/pkg/k8s/tokenreview/k8sauthn.go`, `security/pkg/server/ca/authenticate/kubeauth/kube_jwt.go`).

use std::time::Duration;

use http::HeaderMap;
use kubernetes::Cluster;
use kubernetes::review::{self, TokenReview, UserInfo};
use names::Name;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{PodRef, Proven, of_subject};
use crate::authority::now;
use crate::settings::{JwtPolicy, Settings};

/// What all service accounts belong to.
const ACCOUNTS: &str = "system:serviceaccounts";
/// The keys under which the API server names the pod of a token.
const POD: [&str; 2] = ["authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"];
/// Reviews at a time: a storm of agents is not to become one at the API server.
const AT_ONCE: usize = 64;
/// Reviews that are under way or wait.
const WAITING: usize = 1024;
/// A review takes no longer, waiting included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a token proves nothing.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not good.
    Refused(String),
    /// Nobody can tell now.
    Unknown(String),
}

/// What a token says of itself.
#[derive(Deserialize)]
struct Told {
    aud: Audiences,
    exp: i64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

/// Who asks the API server.
pub(super) struct Reviewer {
    api: Cluster,
    /// For whom tokens must be, any of these; none for the API server itself.
    audiences: Vec<String>,
    /// The cluster whose tokens these are.
    cluster: String,
    at_once: Semaphore,
    queue: Semaphore,
}

impl Reviewer {
    /// As the settings say.
    ///
    /// # Errors
    /// When they would take tokens that are for others.
    pub(super) fn new(settings: &Settings, api: Cluster) -> anyhow::Result<Self> {
        let audiences = match settings.jwt_policy {
            JwtPolicy::ThirdPartyJwt => {
                let named = settings.token_audiences.iter().filter(|audience| !audience.is_empty());
                let named: Vec<String> = named.cloned().collect();
                anyhow::ensure!(!named.is_empty(), "without audiences tokens that are for others would be taken");
                named
            }
            JwtPolicy::FirstPartyJwt => {
                tracing::warn!(
                    "tokens for the API server itself are taken: who steals one of them is its workload here too"
                );
                Vec::new()
            }
        };
        let (at_once, queue) = (Semaphore::new(AT_ONCE), Semaphore::new(WAITING));
        let cluster = settings.cluster_id.clone();
        Ok(Self { api, audiences, cluster, at_once, queue })
    }

    /// Whose token it is.
    pub(super) async fn review(&self, token: &str, headers: &HeaderMap, domain: &Name) -> Result<Proven, Fault> {
        // Agents name the cluster whose token they show; tokens of others are not for this API server to see.
        if let Some(other) =
            headers.get("clusterid").filter(|value| !value.is_empty() && *value != self.cluster.as_str())
        {
            return Err(Fault::Refused(format!("it is of cluster {other:?}, this is {}", self.cluster)));
        }
        self.plausible(token)?;
        let _place = self.queue.try_acquire().map_err(|_| Fault::Unknown("too many wait for it".to_owned()))?;
        let asked = tokio::time::timeout(PATIENCE, self.ask(token)).await;
        let review = asked.map_err(|_| Fault::Unknown("it takes too long".to_owned()))?;
        self.judge(review.map_err(|error| Fault::Unknown(format!("{error:#}")))?, domain)
    }

    /// Tokens that cannot be good are not shown to the API server: it is not for strangers to keep it busy, nor to be shown what is
    /// meant for others.
    fn plausible(&self, token: &str) -> Result<(), Fault> {
        if self.audiences.is_empty() {
            return Ok(());
        }
        let refuse = |why: &str| Err(Fault::Refused(why.to_owned()));
        let Ok(told) = jsonwebtoken::dangerous::insecure_decode::<Told>(token) else { return refuse("it is no JWT") };
        let Told { aud, exp } = told.claims;
        let named = match &aud {
            Audiences::One(one) => std::slice::from_ref(one),
            Audiences::Many(many) => many,
        };
        match named.iter().any(|audience| self.audiences.contains(audience)) {
            false => refuse("it is for others"),
            true if exp <= now() => refuse("it has ended"),
            true => Ok(()),
        }
    }

    async fn ask(&self, token: &str) -> anyhow::Result<TokenReview> {
        let _permit = self.at_once.acquire().await?;
        review::token(&self.api, token, &self.audiences).await
    }

    /// What the API server's answer proves.
    fn judge(&self, review: TokenReview, domain: &Name) -> Result<Proven, Fault> {
        let refuse = |why: &str| Err(Fault::Refused(why.to_owned()));
        let Some(status) = review.status else { return refuse("there is no answer") };
        if let Some(error) = status.error.filter(|error| !error.is_empty()) {
            return Err(Fault::Refused(error));
        }
        if status.authenticated != Some(true) {
            return refuse("it is not authenticated");
        }
        // An API server that knows no audiences says so by naming none.
        let fits = |audience: &String| self.audiences.contains(audience);
        if !self.audiences.is_empty() && !status.audiences.unwrap_or_default().iter().any(fits) {
            return refuse("it is for others");
        }
        let UserInfo { groups, username, extra, .. } = status.user.unwrap_or_default();
        if !groups.unwrap_or_default().iter().any(|group| group == ACCOUNTS) {
            return refuse("it is of no service account");
        }
        let username = username.unwrap_or_default();
        let Some(identity) = of_subject(domain, &username) else { return refuse("its user is no service account") };
        let extra = extra.unwrap_or_default();
        let [name, uid] = POD.map(|key| extra.get(key).and_then(|values| values.first()).map(Name::from));
        let pod = name.zip(uid).map(|(name, uid)| PodRef { name, uid });
        Ok(Proven { identities: vec![identity], pod })
    }
}

#[cfg(test)]
mod tests;
