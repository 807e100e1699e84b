//! RequestAuthentication as users write it, and its rules.

use names::Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scalars::Duration;
use crate::schema::{Alias, HEADER_NAME, Rule, required};
use crate::selectors::{self, MatchSelector, PolicyTargetReference, one_target};
use crate::{Issues, rules};

/// Which tokens of end users are taken.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = one_target())]
pub struct RequestAuthentication {
    /// The workloads it is for; all of the namespace without.
    pub selector: Option<MatchSelector>,
    /// What it is attached to: the older form.
    pub target_ref: Option<PolicyTargetReference>,
    /// What it is attached to.
    #[schemars(length(max = 16))]
    pub target_refs: Vec<PolicyTargetReference>,
    /// Issuers of tokens, and their keys.
    #[schemars(length(max = 4096))]
    pub jwt_rules: Vec<JwtRule>,
}

/// One issuer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(transform = Rule(
    "[has(self.jwksUri), has(self.jwks_uri), has(self.jwks)].filter(said, said).size() <= 1",
    "jwksUri and jwks exclude each other",
))]
#[schemars(transform = Alias("jwksUri", "jwks_uri"))]
pub struct JwtRule {
    /// Who issued the token, as in claim iss.
    #[schemars(length(min = 1))]
    pub issuer: Name,
    /// Whom tokens may be for: any of these.
    #[schemars(inner(length(min = 1)))]
    pub audiences: Vec<Name>,
    /// Address of the keys of the issuer.
    #[serde(alias = "jwks_uri")]
    #[schemars(length(min = 1, max = 2048))]
    #[schemars(transform = Rule("url(self).getScheme() in ['http', 'https']", "an http or https address is needed"))]
    pub jwks_uri: Name,
    /// The keys of the issuer, as JSON.
    pub jwks: Name,
    /// Headers that hold a token.
    pub from_headers: Vec<JwtHeader>,
    /// Parameters that hold a token.
    #[schemars(inner(length(min = 1)))]
    pub from_params: Vec<Name>,
    /// Cookies that hold a token.
    #[schemars(inner(length(min = 1)))]
    pub from_cookies: Vec<Name>,
    /// Header that the payload of the token is put into, in base64.
    pub output_payload_to_header: Name,
    /// Whether the token is passed on to the workload.
    pub forward_original_token: bool,
    /// Claims that become headers.
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// How long fetching the keys may take.
    pub timeout: Option<Duration>,
    /// Claims that hold several words.
    #[schemars(length(max = 64), inner(length(min = 1)))]
    pub space_delimited_claims: Vec<Name>,
    /// Whether a token must be there.
    pub presence: Option<Presence>,
}

/// A header that holds a token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JwtHeader {
    /// Name of the header.
    #[schemars(length(min = 1), transform = required)]
    pub name: Name,
    /// What stands before the token.
    pub prefix: Name,
}

/// A claim that becomes a header.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimToHeader {
    /// Name of the header.
    #[schemars(length(min = 1), regex(pattern = HEADER_NAME), transform = required)]
    pub header: Name,
    /// Name of the claim; nested ones with dots.
    #[schemars(length(min = 1), transform = required)]
    pub claim: Name,
}

crate::scalars::keywords! {
    /// Whether a token must be there.
    pub enum Presence { Optional = "OPTIONAL", Required = "REQUIRED" }
}

pub(super) fn check(spec: &RequestAuthentication, issues: &mut Issues) {
    selectors::check(spec.selector.as_ref(), spec.target_ref.as_ref(), &spec.target_refs, issues);
    for (at, rule) in spec.jwt_rules.iter().enumerate() {
        jwt(&format!("spec.jwtRules[{at}]"), rule, issues);
    }
}

fn jwt(path: &str, rule: &JwtRule, issues: &mut Issues) {
    if rule.issuer.is_empty() && rule.jwks_uri.is_empty() {
        issues.error(format!("{path}.issuer"), "an issuer or a jwksUri is needed");
    }
    for (name, list) in [
        ("audiences", &rule.audiences),
        ("fromParams", &rule.from_params),
        ("fromCookies", &rule.from_cookies),
        ("spaceDelimitedClaims", &rule.space_delimited_claims),
    ] {
        for (at, _) in list.iter().enumerate().filter(|(_, value)| value.is_empty()) {
            issues.error(format!("{path}.{name}[{at}]"), "must not be empty");
        }
    }
    if !rule.jwks_uri.is_empty() {
        let web = ["http://", "https://"].iter().any(|scheme| rule.jwks_uri.starts_with(scheme));
        if !web || rule.jwks_uri.len() > 2048 {
            issues.error(format!("{path}.jwksUri"), "an http or https address of at most 2048 characters is needed");
        }
        if !rule.jwks.is_empty() {
            issues.error(format!("{path}.jwks"), "jwksUri and jwks exclude each other");
        }
    }
    if !rule.jwks.is_empty() && !is_key_set(&rule.jwks) {
        issues.error(format!("{path}.jwks"), "not a set of keys: JSON with a list \"keys\" is needed");
    }
    for (at, header) in rule.from_headers.iter().enumerate().filter(|(_, header)| header.name.is_empty()) {
        let _: &JwtHeader = header;
        issues.error(format!("{path}.fromHeaders[{at}].name"), "a header needs a name");
    }
    for (at, claim) in rule.output_claim_to_headers.iter().enumerate() {
        let path = format!("{path}.outputClaimToHeaders[{at}]");
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if claim.header.is_empty() || !claim.header.bytes().all(token) {
            issues.error(format!("{path}.header"), "a header's name of letters, digits, - and _ is needed");
        }
        if claim.claim.is_empty() {
            issues.error(format!("{path}.claim"), "a claim is needed");
        }
    }
    if let Some(timeout) = rule.timeout {
        rules::duration(&format!("{path}.timeout"), timeout, issues);
    }
    if rule.space_delimited_claims.len() > 64 {
        issues.error(format!("{path}.spaceDelimitedClaims"), "at most 64 claims");
    }
}

fn is_key_set(text: &str) -> bool {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    // A single key will do.
    read.is_ok_and(|value| value.get("keys").is_some_and(serde_json::Value::is_array) || value.get("kty").is_some())
}
