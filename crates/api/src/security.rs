//! Group `security.istio.io`: types, one file each, and the rules that they must keep.

mod peer_authentication;

pub use peer_authentication::*;

use crate::{ApiKind, Body, Issues, Kind, ObjectMeta};

/// All of them are served at these versions, with one schema.
const VERSIONS: &[&str] = &["v1", "v1beta1"];

impl ApiKind for PeerAuthentication {
    const KIND: Kind = Kind::PeerAuthentication;
    const GROUP: &'static str = "security.istio.io";
    const VERSIONS: &'static [&'static str] = VERSIONS;
    const PLURAL: &'static str = "peerauthentications";
    const NAMESPACED: bool = true;
    const BODY: Body = Body::Spec;

    fn check(&self, _: &ObjectMeta, issues: &mut Issues) {
        peer_authentication::check(self, issues);
    }
}

#[cfg(test)]
mod tests;
