//! Tokens of an identity provider (OpenID Connect, OAuth 2): signed JSON that says who somebody is, checked against
//! the provider's public keys. Only signatures with keys of two halves are taken, and only those that are allowed: never
//! `none`, and never a secret that the verifier would share.
//!
//! Sources: RFC 7515 (JWS), 7517 (JWK), 7518 (algorithms), 7519 (JWT), 8725 (best practices), 9068 (access tokens).

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cordada_core::suggest::did_you_mean;
use cordada_core::units::Span;
use cordada_core::{Error, Result, yaml};
use serde::Deserialize;
use serde_json::Value;

use super::jwk::{Algorithm, PublicKey};
use crate::users::Role;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 << 10;
/// The longest name of a user.
const LONGEST_NAME: usize = 256;

/// Whose tokens are taken, and what they mean here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Who has to have issued them: `iss`, to the letter.
    pub issuer: String,
    /// Whom they have to be for: one of these has to be in `aud`.
    #[serde(deserialize_with = "yaml::one_or_many")]
    pub audience: Vec<String>,
    /// The provider's public keys: the address or the file of a JWKS. What the issuer's OpenID configuration says by
    /// default.
    #[serde(default)]
    pub keys: Option<String>,
    /// The algorithms that are allowed.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that is the user's name.
    #[serde(default = "default_user")]
    pub user: String,
    /// The claim that gives roles; without one, only those that `users:` gives to that name.
    #[serde(default)]
    pub roles: Option<RoleClaim>,
    /// The user's attributes, and the claims that give them.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// By how much clocks may differ.
    #[serde(default = "default_leeway")]
    pub leeway: Span,
}

/// The claim that gives roles.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleClaim {
    /// Its name; dots reach into what is nested: `realm_access.roles`.
    pub claim: String,
    /// What each of its values means here; without it, values are names of roles.
    #[serde(default)]
    pub map: Option<BTreeMap<String, String>>,
}

/// Who a token says somebody is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// What the header of a token says.
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Option<String>,
}

fn default_algorithms() -> Vec<Algorithm> {
    use Algorithm::*;
    vec![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
}

fn default_user() -> String {
    "sub".to_owned()
}

fn default_leeway() -> Span {
    Span::seconds(60)
}

impl Jwt {
    /// Checks what can be wrong before anybody is let in.
    ///
    /// # Errors
    /// Config: nobody or nothing that tokens are for, a role that is not one.
    pub(crate) fn check(&self, roles: &BTreeMap<String, Role>) -> Result<()> {
        const DOING: &str = "configuring the identity provider";
        let missing = [
            ("issuer", self.issuer.is_empty()),
            (
                "audience",
                self.audience.is_empty() || self.audience.iter().any(String::is_empty),
            ),
            ("algorithms", self.algorithms.is_empty()),
            ("user", self.user.is_empty()),
        ];
        if let Some((key, _)) = missing.iter().find(|(_, is_missing)| *is_missing) {
            return Err(Error::config(DOING, format!("`{key}` is empty"))
                .hint("tokens of anybody, or for anything, would be taken"));
        }
        let map = self.roles.iter().flat_map(|roles| &roles.map).flatten();
        for (value, role) in map {
            if !roles.contains_key(role) {
                let hint = did_you_mean(role, "the roles are", roles.keys().map(String::as_str));
                return Err(Error::config(DOING, format!("`{value}` means the unknown role `{role}`")).hint(hint));
            }
        }
        Ok(())
    }

    /// Whether a text looks like a JWT.
    pub(crate) fn is_one(text: &str) -> bool {
        text.len() <= LONGEST && text.split('.').count() == 3
    }

    /// The header of a token, if it is one that may be taken.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn header(&self, token: &str) -> Result<Header, String> {
        let header = token.split('.').next().and_then(json).ok_or("it is damaged")?;
        if header.get("crit").is_some() {
            return Err("it asks for an extension".to_owned());
        }
        let kind = header.get("typ").and_then(Value::as_str).unwrap_or("JWT");
        let kind = kind.trim_start_matches("application/");
        if !["JWT", "at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Err("it is another kind of token".to_owned());
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        let algorithm = algorithm.filter(|algorithm| self.algorithms.contains(algorithm));
        Ok(Header {
            algorithm: algorithm.ok_or("its algorithm is not allowed")?,
            key: header.get("kid").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Who the token says somebody is: signed with one of these keys, at `now` since 1970.
    ///
    /// # Errors
    /// Why it is not taken, without repeating what is in it.
    pub(crate) fn verify(&self, token: &str, keys: &[&PublicKey], now: Duration) -> Result<Vouched, String> {
        let header = self.header(token)?;
        let (signed, signature) = token.rsplit_once('.').ok_or("it is damaged")?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| "it is damaged")?;
        let verifies = |key: &&PublicKey| key.verifies(header.algorithm, signed.as_bytes(), &signature);
        if !keys.iter().any(verifies) {
            return Err("its signature is not the provider's".to_owned());
        }
        let claims = signed.split('.').nth(1).and_then(json).ok_or("it is damaged")?;
        self.claimed(&claims, now)
    }

    /// Who these claims say somebody is; whoever asks has verified their signature.
    pub(super) fn claimed(&self, claims: &Value, now: Duration) -> Result<Vouched, String> {
        self.check_claims(claims, now)?;
        self.vouched(claims)
    }

    fn check_claims(&self, claims: &Value, now: Duration) -> Result<(), String> {
        if claims.get("iss").and_then(Value::as_str) != Some(&*self.issuer) {
            return Err("its issuer is another".to_owned());
        }
        let is_ours = |audience: &Value| {
            audience
                .as_str()
                .is_some_and(|audience| self.audience.iter().any(|ours| ours == audience))
        };
        let is_for_us = match claims.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !is_for_us {
            return Err("it is for another audience".to_owned());
        }
        let (now, leeway) = (now.as_secs_f64(), self.leeway.0.as_secs_f64());
        let time = |claim: &str| match claims.get(claim) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(format!("its `{claim}` is no time")),
        };
        if time("exp")?.ok_or("it never expires")? <= now - leeway {
            return Err("it has expired".to_owned());
        }
        for claim in ["nbf", "iat"] {
            if time(claim)?.is_some_and(|time| time > now + leeway) {
                return Err("it is not good yet".to_owned());
            }
        }
        Ok(())
    }

    fn vouched(&self, claims: &Value) -> Result<Vouched, String> {
        let name = find(claims, &self.user).and_then(Value::as_str).unwrap_or_default();
        let is_name = (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(char::is_control);
        if !is_name {
            return Err(format!("its `{}` names nobody", self.user));
        }
        if self.user == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err("its e-mail address was not verified".to_owned());
        }
        let roles = self.roles.as_ref().map(|roles| roles.of(claims)).unwrap_or_default();
        let attribute = |(name, claim): (&String, &String)| {
            let value = match find(claims, claim)? {
                Value::String(text) => text.clone(),
                value @ (Value::Number(_) | Value::Bool(_)) => value.to_string(),
                _ => return None,
            };
            Some((name.clone(), value))
        };
        Ok(Vouched {
            name: name.to_owned(),
            roles,
            attributes: self.attributes.iter().filter_map(attribute).collect(),
        })
    }
}

impl RoleClaim {
    fn of(&self, claims: &Value) -> Vec<String> {
        let values = find(claims, &self.claim).map(texts).unwrap_or_default();
        let mut roles: Vec<String> = match &self.map {
            Some(map) => values.iter().filter_map(|value| map.get(value).cloned()).collect(),
            None => values,
        };
        roles.sort();
        roles.dedup();
        roles
    }
}

/// A part of a token as JSON.
fn json(part: &str) -> Option<Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    let value: Value = serde_json::from_slice(&bytes).ok()?;
    value.is_object().then_some(value)
}

/// A claim by its name, or by the way to it: names may have dots themselves.
fn find<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    let whole = claims.get(name);
    whole.or_else(|| name.split('.').try_fold(claims, |value, part| value.get(part)))
}

/// The texts of a claim that is one, or several; scopes are separated by blanks.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
