//! What the API server says of a token: a TokenReview. What follows from it is for those who asked.

pub use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus, UserInfo};

use k8s_openapi::api::authentication::v1::TokenReviewSpec;
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
