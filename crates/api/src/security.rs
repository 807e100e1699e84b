//! Group `security.istio.io`: types, one file each, and the rules that they must keep.

mod authorization_policy;
mod peer_authentication;
mod request_authentication;

pub use authorization_policy::*;
pub use peer_authentication::*;
pub use request_authentication::*;

use crate::kinds::spec_kind;

/// All of them are served at these versions, with one schema.
const VERSIONS: &[&str] = &["v1", "v1beta1"];
const GROUP: &str = "security.istio.io";

spec_kind!(PeerAuthentication, GROUP, VERSIONS, "peerauthentications", |spec, _, issues| {
    peer_authentication::check(spec, issues);
});
spec_kind!(RequestAuthentication, GROUP, VERSIONS, "requestauthentications", |spec, _, issues| {
    request_authentication::check(spec, issues);
});
spec_kind!(AuthorizationPolicy, GROUP, VERSIONS, "authorizationpolicies", authorization_policy::check);

#[cfg(test)]
mod tests;
