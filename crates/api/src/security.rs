//! Group `security.istio.io`: types, one file each, and the rules that they must keep.

mod authorization_policy;
mod peer_authentication;
mod request_authentication;

pub use authorization_policy::*;
pub use peer_authentication::*;
pub use request_authentication::*;

use crate::kinds::spec_kind;
use crate::{Column, Shown};

/// All of them are served at these versions, with one schema.
const VERSIONS: &[&str] = &["v1", "v1beta1"];
const GROUP: &str = "security.istio.io";

const PEER_AUTHENTICATION: Shown = Shown {
    short_name: Some("pa"),
    columns: &[Column::text("Mode", ".spec.mtls.mode", "What is taken from peers."), Column::AGE],
    ..Shown::PLAIN
};
const AUTHORIZATION_POLICY: Shown = Shown {
    short_name: Some("ap"),
    columns: &[Column::text("Action", ".spec.action", "What happens to what a rule fits."), Column::AGE],
    ..Shown::PLAIN
};

spec_kind!(
    PeerAuthentication,
    GROUP,
    VERSIONS,
    "peerauthentications",
    |spec, _, issues| peer_authentication::check(spec, issues),
    PEER_AUTHENTICATION,
);
spec_kind!(
    RequestAuthentication,
    GROUP,
    VERSIONS,
    "requestauthentications",
    |spec, _, issues| request_authentication::check(spec, issues),
    Shown { short_name: Some("ra"), ..Shown::PLAIN },
);
spec_kind!(
    AuthorizationPolicy,
    GROUP,
    VERSIONS,
    "authorizationpolicies",
    authorization_policy::check,
    AUTHORIZATION_POLICY,
);

#[cfg(test)]
mod tests;
