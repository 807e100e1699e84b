//! JWTs of an issuer whose keys are known: verified here, without asking anybody
//! (`istio: security/pkg/server/ca/authenticate/oidc.go`).

use std::path::Path;

use anyhow::ensure;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use names::Name;
use serde::Deserialize;

use super::keys::Keys;
use super::{PodRef, Proven, of_subject};
use crate::settings::JwtRule;

/// An issuer.
pub(super) struct Issuer {
    rule: JwtRule,
    keys: Keys,
}

/// What a token claims.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "kubernetes.io", default)]
    kubernetes: Kubernetes,
}

/// Who issued it, as it says.
#[derive(Deserialize)]
struct Issued {
    iss: String,
}

/// What an API server adds to the tokens of pods.
#[derive(Deserialize, Default)]
struct Kubernetes {
    pod: Option<Bound>,
}

#[derive(Deserialize)]
struct Bound {
    name: Name,
    uid: Name,
}

impl Issuer {
    /// Reads the rule; the server of its keys is vouched for by a file of `roots`, or by those of this machine.
    ///
    /// # Errors
    /// When it would take tokens that are for others, or has keys that are none.
    pub(super) fn new(rule: &JwtRule, roots: Option<&Path>) -> anyhow::Result<Self> {
        ensure!(!rule.audiences.is_empty(), "a JWT rule without audiences would take tokens that are for others");
        Ok(Self { rule: rule.clone(), keys: Keys::new(rule, roots)? })
    }

    /// Who a token is for, if this issuer made it.
    pub(super) async fn verify(&self, token: &str, domain: &Name) -> Option<Proven> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        // For what others issue no keys are fetched. That it is this one's is proved below.
        let told = jsonwebtoken::dangerous::insecure_decode::<Issued>(token).ok()?.claims;
        if told.iss != self.rule.issuer {
            return None;
        }
        let keys = self.keys.with(header.kid.as_deref()).await?;
        let fits = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
        let claims = keys.keys.iter().filter(fits).find_map(|key| self.signed(token, key))?;
        let identity = of_subject(domain, &claims.sub)?;
        let pod = claims.kubernetes.pod.map(|pod| PodRef { name: pod.name, uid: pod.uid });
        Some(Proven { identities: vec![identity], pod })
    }

    /// What a token claims, if this key signed it. What algorithms count is for the key to say, not for the token.
    fn signed(&self, token: &str, key: &Jwk) -> Option<Claims> {
        let algorithms = match &key.algorithm {
            AlgorithmParameters::RSA(_) => {
                use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
                vec![RS256, RS384, RS512, PS256, PS384, PS512]
            }
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
            // A shared secret proves nothing of who signed; of further kinds nothing is known.
            _ => return None,
        };
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms;
        validation.set_audience(&self.rule.audiences);
        validation.set_issuer(&[&self.rule.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        let key = DecodingKey::from_jwk(key).ok()?;
        jsonwebtoken::decode::<Claims>(token, &key, &validation).ok().map(|data| data.claims)
    }
}
