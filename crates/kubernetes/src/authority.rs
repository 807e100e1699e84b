//! The Secrets that hold the certificate authority of a mesh (`istio: security/pkg/pki/ca/ca.go`): what an administrator plugged in, or what
//! the first control plane made. Another control plane's is taken as it is, so that there is never a second root.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, ResourceExt};

use crate::Cluster;

/// Plugged in by an administrator.
const PLUGGED: &str = "cacerts";
/// Made by a control plane.
pub const MADE: &str = "istio-ca-secret";
/// Its key with the certificate.
const CERT: &str = "ca-cert.pem";
const MADE_TYPE: &str = "istio.io/ca-root";
/// Between two attempts to reach the API server.
const AGAIN: Duration = Duration::from_secs(1);

/// The content of a Secret that holds an authority.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// The Secret's name.
    pub name: String,
    /// Its keys; what they stand for is Istio's convention.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({}, keys {:?})", self.name, self.files.keys())
    }
}

/// The authority of the control planes in `namespace`: `cacerts` where there is one, else `istio-ca-secret`. Where there is neither, what
/// `make` makes becomes it, unless another replica was faster.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn find(
    cluster: &Cluster,
    namespace: &str,
    make: impl Fn() -> anyhow::Result<BTreeMap<String, Vec<u8>>>,
) -> anyhow::Result<Held> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    loop {
        for name in [PLUGGED, MADE] {
            if let Some(held) = secrets.get_opt(name).await?.and_then(held) {
                return Ok(held);
            }
        }
        let files = make()?;
        let data = files.iter().map(|(key, bytes)| (key.clone(), ByteString(bytes.clone()))).collect();
        let meta =
            ObjectMeta { name: Some(MADE.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() };
        let secret =
            Secret { metadata: meta, type_: Some(MADE_TYPE.to_owned()), data: Some(data), ..Secret::default() };
        match secrets.create(&PostParams::default(), &secret).await {
            Ok(_) => {
                tracing::warn!("there was no authority: a self-signed one was made, in Secret {namespace}/{MADE}");
                return Ok(Held { name: MADE.to_owned(), files });
            }
            // Another replica was faster: its authority is ours.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts other files into `istio-ca-secret`, whose certificate is still `before`; says false when it is not, or when somebody was faster.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn renew(
    cluster: &Cluster,
    namespace: &str,
    before: &[u8],
    files: BTreeMap<String, Vec<u8>>,
) -> kube::Result<bool> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let Some(mut secret) = secrets.get_opt(MADE).await? else { return Ok(false) };
    let data = secret.data.get_or_insert_default();
    if data.get(CERT).is_none_or(|ByteString(cert)| cert != before) {
        return Ok(false);
    }
    data.extend(files.into_iter().map(|(key, bytes)| (key, ByteString(bytes))));
    match secrets.replace(MADE, &PostParams::default(), &secret).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The content of a Secret; nothing when it has none.
fn held(secret: Secret) -> Option<Held> {
    let name = secret.name_any();
    let files: BTreeMap<String, Vec<u8>> =
        secret.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect();
    (!files.is_empty()).then_some(Held { name, files })
}

/// Tells `sink` each time that the authority is another. A Secret that is deleted takes nothing away: what signs goes on signing.
pub async fn follow(cluster: Cluster, namespace: String, mut sink: impl FnMut(Held)) {
    let mut events = stream::select(named(&cluster, &namespace, PLUGGED), named(&cluster, &namespace, MADE)).boxed();
    let mut plugged = false;
    while let Some(found) = events.next().await {
        plugged |= found.name == PLUGGED;
        // Where both are, the one that was plugged in counts.
        if found.name == PLUGGED || !plugged {
            sink(found);
        }
    }
}

/// A Secret's contents as they come.
fn named(cluster: &Cluster, namespace: &str, name: &'static str) -> impl Stream<Item = Held> + use<> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}")).timeout(cluster.turn());
    watcher(secrets, config).filter_map(|event| async {
        match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => held(secret),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!("the authority's Secret cannot be watched now: {error}");
                tokio::time::sleep(AGAIN).await;
                None
            }
        }
    })
}
