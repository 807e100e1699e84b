//! What all replicas remember of a replacement of the authority: a Secret beside the authority's own, which holds keys as they do.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;

use crate::Cluster;

/// Its name.
const NAME: &str = "meltemi-ca-state";

/// What is remembered, as it was read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The Secret's version; nothing when there is none.
    version: Option<String>,
    /// What it holds.
    pub entries: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({:?}, keys {:?})", self.version, self.entries.keys())
    }
}

impl From<Secret> for State {
    fn from(secret: Secret) -> Self {
        let data = secret.data.unwrap_or_default();
        let entries = data.into_iter().map(|(key, ByteString(bytes))| (key, bytes)).collect();
        Self { version: secret.metadata.resource_version, entries }
    }
}

/// Reads it; an empty one when there is none.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn read(cluster: &Cluster, namespace: &str) -> kube::Result<State> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    Ok(secrets.get_opt(NAME).await?.map(State::from).unwrap_or_default())
}

/// Puts other entries in place of those of `before`; gives what is there now, or nothing when somebody else was faster.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn write(
    cluster: &Cluster,
    namespace: &str,
    before: &State,
    entries: &BTreeMap<String, Vec<u8>>,
) -> kube::Result<Option<State>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let meta = ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(namespace.to_owned()),
        resource_version: before.version.clone(),
        ..ObjectMeta::default()
    };
    let data = entries.iter().map(|(key, bytes)| (key.clone(), ByteString(bytes.clone()))).collect();
    let secret = Secret { metadata: meta, data: Some(data), ..Secret::default() };
    let written = match &before.version {
        Some(_) => secrets.replace(NAME, &PostParams::default(), &secret).await,
        None => secrets.create(&PostParams::default(), &secret).await,
    };
    match written {
        Ok(now) => Ok(Some(now.into())),
        // Somebody was faster, or it is gone.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        Err(error) => Err(error),
    }
}
