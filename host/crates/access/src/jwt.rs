//! JSON Web Tokens: what a token says about a client. Pure; keys and the time come in as arguments.
//!
//! A token is accepted if a key of the settings has signed it, it has not expired, and its claims are as expected. The
//! kind of the key decides which algorithms are accepted: a token that names another one, such as `none`, or an HMAC
//! with a public key as its secret, is refused.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::Login;
use crate::acl_claim;
use crate::client::{Granted, OwnRules};
use crate::rules::RuleSet;
use crate::template::Template;

/// Longest token in bytes. Longer ones are refused before they are decoded.
const MAX_TOKEN_BYTES: usize = 16 << 10;
/// How far the clocks of this host and of the issuer may differ, in seconds.
const LEEWAY_SECONDS: u64 = 5;

/// A key that signs tokens.
#[derive(Clone)]
pub(crate) struct Key {
    /// Its id (`kid`), if it has one.
    pub(crate) id: Option<String>,
    /// The algorithms that it can be used with, all of one family.
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) key: DecodingKey,
    /// A text that only equal keys have.
    pub(crate) fingerprint: [u8; 32],
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        (&self.id, &self.algorithms, self.fingerprint) == (&other.id, &other.algorithms, other.fingerprint)
    }
}

/// Only its id.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {:?})", self.id, self.algorithms)
    }
}

/// Where in CONNECT the token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenField {
    /// The password.
    Password,
    /// The user name.
    Username,
}

/// Which claims of a token grant rights to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// As in EMQX 5: `is_superuser`, and access rules as a list or an object.
    Emqx5,
    /// As in RMQTT: `superuser`, and access rules as a list.
    Rmqtt,
}

/// What a token must say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TokenRules {
    /// Where in CONNECT the token is.
    pub(crate) from: TokenField,
    /// Claims, each with the values of which it must have one.
    pub(crate) claims: Vec<(String, Vec<Template>)>,
    /// Name of the claim with the client's own access rules.
    pub(crate) acl_claim: String,
    /// Which claims grant rights.
    pub(crate) rights: Rights,
    /// Whether the connection ends when the token expires.
    pub(crate) disconnects_after_expiry: bool,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// The client shows no token.
    NoToken,
    /// No key has the id or the algorithm of the token.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// The token has expired, or is not valid yet.
    Time,
    /// A claim is missing or has another value, or the access rules in it are invalid.
    Claims,
}

/// Returns the token of a login; `None` if the login has no token.
pub(crate) fn token<'a>(from: TokenField, login: &Login<'a>) -> Option<&'a str> {
    let text = match from {
        TokenField::Password => std::str::from_utf8(login.password?).ok()?,
        TokenField::Username => login.username?,
    };
    let is_token = text.len() <= MAX_TOKEN_BYTES && text.split('.').count() == 3;
    is_token.then_some(text)
}

/// The id of the key that has signed a token, as the token says it.
pub(crate) fn key_id(text: &str) -> Option<String> {
    jsonwebtoken::decode_header(text).ok()?.kid
}

/// Checks a token. `now`: seconds since 1970.
///
/// # Errors
///
/// [`TokenError`] says why it is not accepted.
pub(crate) fn verify(
    text: &str,
    keys: &[Key],
    rules: &TokenRules,
    login: &Login<'_>,
    now: u64,
) -> Result<Granted, TokenError> {
    let header = jsonwebtoken::decode_header(text).map_err(|_| TokenError::NoToken)?;
    let has_id = |key: &&Key| key.id.is_none() || header.kid.is_none() || key.id == header.kid;
    let candidates = keys
        .iter()
        .filter(|key| key.algorithms.contains(&header.alg))
        .filter(has_id);
    let mut error = TokenError::UnknownKey;
    let mut claims = None;
    for key in candidates {
        let mut validation = Validation::new(header.alg);
        validation.algorithms.clone_from(&key.algorithms);
        // The time is checked below, with the time that the caller passes.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        match jsonwebtoken::decode::<Map<String, Value>>(text, &key.key, &validation) {
            Ok(token) => {
                claims = Some(token.claims);
                break;
            }
            Err(_) => error = TokenError::Signature,
        }
    }
    let claims = claims.ok_or(error)?;
    let expires_at = check_time(&claims, now)?;
    check_claims(&claims, rules, login)?;
    let acl = claims.get(&rules.acl_claim);
    let (superuser_claim, read) = match rules.rights {
        Rights::Emqx5 => ("is_superuser", acl.map(acl_claim::read).transpose()),
        Rights::Rmqtt => {
            let list = acl.map(acl_claim::read_of_rmqtt).transpose();
            ("superuser", list.map(|list| list.flatten().map(|list| (list, false))))
        }
    };
    let own = read
        .map_err(|_| TokenError::Claims)?
        .map(|(list, is_complete)| OwnRules {
            rules: RuleSet::new(list),
            is_complete,
            source: "jwt",
        });
    Ok(Granted {
        source: "jwt",
        is_superuser: claims.get(superuser_claim) == Some(&Value::Bool(true)),
        attributes: attributes(claims.get("client_attrs")),
        own,
        expires_at: expires_at.filter(|_| rules.disconnects_after_expiry),
        ..Granted::default()
    })
}

/// Checks `exp` and `nbf`; returns the former.
fn check_time(claims: &Map<String, Value>, now: u64) -> Result<Option<u64>, TokenError> {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        // A fraction of a second does not matter.
        Some(Value::Number(number)) => {
            let seconds = number
                .as_u64()
                .or_else(|| number.as_f64().map(|seconds| seconds as u64));
            seconds.map(Some).ok_or(TokenError::Time)
        }
        Some(_) => Err(TokenError::Time),
    };
    let (expires_at, not_before) = (time("exp")?, time("nbf")?);
    if expires_at.is_some_and(|expires_at| expires_at.saturating_add(LEEWAY_SECONDS) <= now)
        || not_before.is_some_and(|not_before| not_before > now.saturating_add(LEEWAY_SECONDS))
    {
        return Err(TokenError::Time);
    }
    Ok(expires_at)
}

fn check_claims(claims: &Map<String, Value>, rules: &TokenRules, login: &Login<'_>) -> Result<(), TokenError> {
    for (name, templates) in &rules.claims {
        let expected = templates.iter().map(|template| template.fill_text(login));
        let expected: Vec<String> = expected.collect::<Option<_>>().ok_or(TokenError::Claims)?;
        let is_equal = |claim: &Value| match claim {
            Value::String(text) => expected.contains(text),
            Value::Number(number) => expected.contains(&number.to_string()),
            Value::Bool(value) => expected.contains(&value.to_string()),
            _ => false,
        };
        let has_value = match claims.get(name) {
            // A token may be for several audiences (RFC 7519 §4.1.3).
            Some(Value::Array(audiences)) if name == "aud" => audiences.iter().any(is_equal),
            claim => claim.is_some_and(is_equal),
        };
        if !has_value {
            return Err(TokenError::Claims);
        }
    }
    Ok(())
}

/// Names and texts of an object; other values are left out.
pub(crate) fn attributes(object: Option<&Value>) -> Vec<(String, String)> {
    /// More attributes than this are left out: they are in every event of the client.
    const MAX_ATTRIBUTES: usize = 32;
    let pairs = object.and_then(Value::as_object).into_iter().flatten();
    let texts = pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    texts.take(MAX_ATTRIBUTES).collect()
}

#[cfg(test)]
mod tests;
