//! What the API server says of a token and of an account: a TokenReview, a SubjectAccessReview. What follows is for those who asked.

pub use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus, UserInfo};

use k8s_openapi::api::authentication::v1::TokenReviewSpec;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;

use crate::Cluster;

/// Asks about a token that is to be for one of the audiences; for the API server itself when there are none.
///
/// # Errors
/// When the API server cannot be asked, or does not answer such questions of ours.
pub async fn token(cluster: &Cluster, token: &str, audiences: &[String]) -> anyhow::Result<TokenReview> {
    let audiences = (!audiences.is_empty()).then(|| audiences.to_vec());
    let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences };
    let asked = TokenReview { spec, ..TokenReview::default() };
    Ok(Api::all(cluster.client()).create(&PostParams::default(), &asked).await?)
}

/// Asks whether a service account may list the Secrets of its namespace.
///
/// # Errors
/// When the API server cannot be asked, or does not answer such questions of ours.
pub async fn lists_secrets(cluster: &Cluster, namespace: &str, account: &str) -> anyhow::Result<bool> {
    let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}"), "system:authenticated"];
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{namespace}:{account}")),
        groups: Some(groups.map(str::to_owned).to_vec()),
        resource_attributes: Some(ResourceAttributes {
            namespace: Some(namespace.to_owned()),
            resource: Some("secrets".to_owned()),
            verb: Some("list".to_owned()),
            ..ResourceAttributes::default()
        }),
        ..SubjectAccessReviewSpec::default()
    };
    let asked = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::all(cluster.client()).create(&PostParams::default(), &asked).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
