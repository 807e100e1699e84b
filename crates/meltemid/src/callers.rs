//! Who calls: a client certificate of the mesh, a JWT of an issuer that is trusted, or a token of a file. The first that proves an identity
//! counts (`istio: pilot/pkg/bootstrap/server.go`). What a request says of itself counts for nothing.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use http::HeaderMap;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use names::{Name, SpiffeId};
use serde::Deserialize;
use tonic::Status;
use xds::Caller;

/// A token is not longer than this, in bytes.
const LONGEST: usize = 16 * 1024;
/// What service accounts are called in the tokens of Kubernetes.
const ACCOUNT: &str = "system:serviceaccount:";

/// An issuer whose JWTs are trusted, in the words of Istio's `JWT_RULE`.
#[derive(Deserialize, Clone, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtRule {
    /// Who issues.
    pub issuer: String,
    /// For whom tokens must be; any of these.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The issuer's keys.
    #[serde(default)]
    pub jwks: String,
    /// Where they are: `file:///…`.
    #[serde(default, alias = "jwks_uri")]
    pub jwks_uri: String,
}

/// How callers are known.
#[derive(Clone, Default)]
pub(crate) struct Callers(Arc<Known>);

#[derive(Default)]
struct Known {
    /// Tokens, and the namespaces and accounts that they are for.
    tokens: Vec<(String, Name, Name)>,
    issuers: Vec<(JwtRule, JwkSet)>,
}

impl Callers {
    /// Reads the settings: a file with `TOKEN NAMESPACE/ACCOUNT` a line, and an issuer of JWTs.
    ///
    /// # Errors
    /// When they make no sense.
    pub(crate) fn new(tokens: Option<&Path>, rule: Option<&JwtRule>) -> anyhow::Result<Self> {
        let mut known = Known::default();
        if let Some(path) = tokens {
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                // The line is a secret: it is not quoted.
                let read = line.split_once(char::is_whitespace).and_then(|(token, account)| {
                    let (namespace, account) = account.trim().split_once('/')?;
                    (token.len() >= 16).then_some(())?;
                    identity("any", namespace, account)?;
                    Some((token.to_owned(), Name::from(namespace), Name::from(account)))
                });
                let place = || {
                    format!("{}:{}: is not TOKEN NAMESPACE/ACCOUNT, with a token of 16 or more", path.display(), at + 1)
                };
                known.tokens.push(read.with_context(place)?);
            }
        }
        if let Some(rule) = rule {
            let keys = match rule.jwks_uri.strip_prefix("file://") {
                Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?,
                None if rule.jwks_uri.is_empty() => rule.jwks.clone(),
                None => bail!("jwksUri {:?}: only file:// is supported; or put the keys into `jwks`", rule.jwks_uri),
            };
            let keys: JwkSet = serde_json::from_str(&keys).context("reading the keys of the JWT issuer")?;
            ensure!(!rule.audiences.is_empty(), "a JWT rule without audiences would take tokens that are for others");
            known.issuers.push((rule.clone(), keys));
        }
        Ok(Self(Arc::new(known)))
    }

    /// Who calls, by the identities of a verified client certificate and by the headers.
    ///
    /// # Errors
    /// When nothing proves an identity.
    pub(crate) fn authenticate(
        &self,
        certified: &[SpiffeId],
        headers: &HeaderMap,
        domain: &Name,
    ) -> Result<Caller, Status> {
        if !certified.is_empty() {
            return Ok(Caller::Known(certified.to_vec()));
        }
        let bearer = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).filter(|token| token.len() <= LONGEST);
        let known = bearer.and_then(|token| self.token(token, domain).or_else(|| self.jwt(token, domain)));
        let refuse = || Status::unauthenticated("authentication failure");
        known.map(|id| Caller::Known(vec![id])).ok_or_else(refuse)
    }

    fn token(&self, given: &str, domain: &str) -> Option<SpiffeId> {
        let equal =
            |known: &str| aws_lc_rs::constant_time::verify_slices_are_equal(known.as_bytes(), given.as_bytes()).is_ok();
        let known = self.0.tokens.iter().find(|(known, ..)| equal(known));
        known.and_then(|(_, namespace, account)| identity(domain, namespace, account))
    }

    fn jwt(&self, token: &str, domain: &Name) -> Option<SpiffeId> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let verified = self.0.issuers.iter().find_map(|(rule, keys)| {
            let fits = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
            keys.keys.iter().filter(fits).find_map(|key| verify(token, rule, key))
        });
        let subject = verified?;
        let (namespace, account) = subject.strip_prefix(ACCOUNT)?.split_once(':')?;
        identity(domain, namespace, account)
    }
}

/// The identity of an account, if its parts can stand in one.
fn identity(domain: &str, namespace: &str, account: &str) -> Option<SpiffeId> {
    format!("spiffe://{domain}/ns/{namespace}/sa/{account}").parse().ok()
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// Who a token is for, if this key signed it. What algorithms count is for the key to say, not for the token.
fn verify(token: &str, rule: &JwtRule, key: &Jwk) -> Option<String> {
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
    validation.set_audience(&rule.audiences);
    validation.set_issuer(&[&rule.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(key).ok()?;
    jsonwebtoken::decode::<Claims>(token, &key, &validation).ok().map(|data| data.claims.sub)
}

#[cfg(test)]
mod tests;
