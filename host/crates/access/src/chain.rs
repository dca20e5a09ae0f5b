//! Authentication: the sources in their order, until one decides.
//!
//! A source accepts a client, refuses it, or does not know it; then the next source decides. A client that no source
//! knows is refused, unless it shows no credentials and anonymous clients are allowed. Unknown users and wrong passwords
//! get the same answer after the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::acl_claim::{self, InvalidRules};
use crate::client::{Granted, OwnRules};
use crate::control::Shared;
use crate::jwt::{self, TokenError, TokenRules};
use crate::keys::Keys;
use crate::passwords::Busy;
use crate::rules::{Action, Operation, RuleSet};
use crate::service::{Service, ServiceAnswer};
use crate::settings::{AuthenticationSource, Settings};
use crate::users::{StoredPassword, Users};
use crate::{ClientAccess, Login, Refusal, Verdict};

/// Logins that wait because others failed. More are refused as busy.
const MAX_WAITING_LOGINS: usize = 256;

/// What one source says.
enum Answer {
    Accept(Box<Granted>),
    Refuse(Refusal),
    /// The source does not know the client.
    Unknown,
}

/// Decides whether a client may connect.
pub(crate) async fn authenticate(shared: &Arc<Shared>, login: Login<'_>) -> Verdict {
    let settings = shared.settings();
    if let Some(granted) = without_sources(&settings, &login) {
        return accept(shared, login, granted).await;
    }
    if settings.sources.is_empty() || !login.has_credentials() {
        return refused(Refusal::NotAuthorized, "default");
    }
    // A password that was verified before costs nothing, and shows that the client is no guesser.
    let name = login.username.unwrap_or_default();
    if let Some(granted) = verified(shared, &settings, &login) {
        shared.failures().succeeded(login.address, name);
        return accept(shared, login, granted).await;
    }
    if let Err(Busy) = wait(shared, &login, settings.login_delay).await {
        return refused(Refusal::Busy, "default");
    }
    let mut unknown_in = None;
    for source in &settings.sources {
        let answer = match source {
            AuthenticationSource::Password(users) => {
                if login.username.is_none_or(|name| users.password(name).is_none()) {
                    unknown_in = unknown_in.or_else(|| users.any_hash());
                }
                by_password(shared, users, &login).await
            }
            AuthenticationSource::Jwt(keys, rules) => by_token(keys, rules, &login).await,
            AuthenticationSource::Http(service) => by_service(shared, service, &login).await,
        };
        match answer {
            Answer::Accept(granted) => {
                shared.failures().succeeded(login.address, name);
                return accept(shared, login, *granted).await;
            }
            Answer::Refuse(refusal) => {
                if refusal == Refusal::BadCredentials {
                    shared.failures().failed(login.address, name, Instant::now());
                }
                return refused(refusal, source.name());
            }
            Answer::Unknown => {}
        }
    }
    // Takes as long as a wrong password, so that the time does not tell which users exist.
    if let Some(hash) = unknown_in {
        _ = shared
            .passwords
            .check("", hash, login.password.unwrap_or_default())
            .await;
    }
    shared.failures().failed(login.address, name, Instant::now());
    refused(Refusal::BadCredentials, "default")
}

fn refused(refusal: Refusal, source: &'static str) -> Verdict {
    Verdict::Refused { refusal, source }
}

/// Accepts a client, unless it may not publish its will.
async fn accept(shared: &Arc<Shared>, login: Login<'_>, granted: Granted) -> Verdict {
    let identity = login.identity();
    let source = granted.source;
    let access = ClientAccess::new(Arc::clone(shared), identity, granted);
    if let Some((topic, qos, retain)) = login.will {
        let will = Operation {
            action: Action::Publish,
            topic,
            qos,
            retain,
        };
        if !access.authorize(&will).await.allowed {
            return refused(Refusal::NotAuthorized, source);
        }
    }
    Verdict::Accepted(access)
}

/// What a client gets without any check: everything without sources, and anonymous clients if they are allowed.
fn without_sources(settings: &Settings, login: &Login<'_>) -> Option<Granted> {
    let is_open = settings.sources.is_empty() || !login.has_credentials();
    (settings.allow_anonymous && is_open).then(|| Granted {
        source: "default",
        is_anonymous: true,
        ..Granted::default()
    })
}

fn by_name(source: &AuthenticationSource) -> Granted {
    Granted {
        source: source.name(),
        ..Granted::default()
    }
}

/// Accepts a client whose password was verified before, if no source of another kind comes first.
fn verified(shared: &Shared, settings: &Settings, login: &Login<'_>) -> Option<Granted> {
    let name = login.username?;
    let password = login.password.unwrap_or_default();
    for source in &settings.sources {
        let AuthenticationSource::Password(users) = source else {
            return None;
        };
        if let Some(stored) = users.password(name) {
            let is_verified = shared.passwords.is_verified(name, stored, password);
            return is_verified.then(|| by_name(source));
        }
    }
    None
}

/// A token that no key of this source has signed may be for the next source.
async fn by_token(keys: &Keys, rules: &TokenRules, login: &Login<'_>) -> Answer {
    let Some(token) = jwt::token(rules.from, login) else {
        return Answer::Unknown;
    };
    let keys = keys.current(jwt::key_id(token).as_deref()).await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(u64::MAX, |since| since.as_secs());
    match jwt::verify(token, &keys, rules, login, now) {
        Ok(granted) => Answer::Accept(Box::new(granted)),
        Err(TokenError::NoToken | TokenError::UnknownKey | TokenError::Signature) => Answer::Unknown,
        Err(TokenError::Time | TokenError::Claims) => Answer::Refuse(Refusal::BadCredentials),
    }
}

async fn by_service(shared: &Shared, service: &Service, login: &Login<'_>) -> Answer {
    let address = login.address.map(|address| address.to_string()).unwrap_or_default();
    let key = shared.passwords.fingerprint(&[
        login.client_id.as_bytes(),
        &[u8::from(login.username.is_some())],
        login.username.unwrap_or_default().as_bytes(),
        login.password.unwrap_or_default(),
        address.as_bytes(),
    ]);
    match service.ask_cached(key, login).await {
        ServiceAnswer::Allow(answer) => match granted_by(&answer) {
            Ok(granted) => Answer::Accept(Box::new(granted)),
            Err(InvalidRules) => {
                tracing::warn!("the access rules in the answer of the web service for authentication are invalid");
                Answer::Refuse(Refusal::NotAuthorized)
            }
        },
        ServiceAnswer::Deny => Answer::Refuse(Refusal::BadCredentials),
        ServiceAnswer::Ignore => Answer::Unknown,
        ServiceAnswer::Failed if service.continues_after_error => Answer::Unknown,
        ServiceAnswer::Failed => Answer::Refuse(Refusal::Unavailable),
    }
}

/// What the answer of a web service grants.
fn granted_by(answer: &Map<String, Value>) -> Result<Granted, InvalidRules> {
    let own = match answer.get("acl") {
        None => None,
        Some(acl) => {
            let (rules, is_complete) = acl_claim::read(acl)?;
            Some(OwnRules {
                rules: RuleSet::new(rules),
                is_complete,
                source: "http",
            })
        }
    };
    Ok(Granted {
        source: "http",
        is_superuser: answer.get("is_superuser") == Some(&Value::Bool(true)),
        attributes: jwt::attributes(answer.get("client_attrs")),
        own,
        expires_at: answer.get("expire_at").and_then(Value::as_u64),
        ..Granted::default()
    })
}

async fn by_password(shared: &Shared, users: &Users, login: &Login<'_>) -> Answer {
    let Some(name) = login.username else {
        return Answer::Unknown;
    };
    let Some(stored) = users.password(name) else {
        return Answer::Unknown;
    };
    let password = login.password.unwrap_or_default();
    match check(shared, name, stored, password).await {
        Ok(true) => Answer::Accept(Box::new(Granted {
            source: "password",
            ..Granted::default()
        })),
        Ok(false) => Answer::Refuse(Refusal::BadCredentials),
        Err(Busy) => Answer::Refuse(Refusal::Busy),
    }
}

async fn check(shared: &Shared, name: &str, stored: &StoredPassword, password: &[u8]) -> Result<bool, Busy> {
    shared.passwords.check(name, stored, password).await
}

/// Waits as long as earlier failures demand.
async fn wait(shared: &Shared, login: &Login<'_>, max_wait: Duration) -> Result<(), Busy> {
    let name = login.username.unwrap_or_default();
    let wait = shared
        .failures()
        .wait(login.address, name, max_wait, Instant::now())
        .ok_or(Busy)?;
    if wait.is_zero() {
        return Ok(());
    }
    let _waiting = Waiting::begin(&shared.waiting).ok_or(Busy)?;
    tokio::time::sleep(wait).await;
    Ok(())
}

/// Counts a login that waits, also if its client goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Option<Waiting<'a>> {
        let waiting = Waiting(count);
        (count.fetch_add(1, Ordering::Relaxed) < MAX_WAITING_LOGINS).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
