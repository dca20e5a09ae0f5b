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
use crate::connect_rules::ConnectRules;
use crate::control::Shared;
use crate::jwt::{self, TokenError, TokenRules};
use crate::keys::Keys;
use crate::passwords::Busy;
use crate::rules::{Action, Operation, Permission, RuleSet};
use crate::service::{Service, ServiceAnswer};
use crate::settings::{AuthenticationSource, CertificateField, Settings};
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
    let has_rules = |source: &AuthenticationSource| matches!(source, AuthenticationSource::Rules(_));
    let may_identify =
        login.has_credentials() || shows_certificate(&settings, &login) || settings.sources.iter().any(has_rules);
    if settings.sources.is_empty() || !may_identify {
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
            AuthenticationSource::Certificate(field) => by_certificate(*field, &login),
            AuthenticationSource::Rules(rules) => by_rules(shared, rules, &login),
        };
        match answer {
            Answer::Accept(granted) => {
                shared.failures().succeeded(login.address, name);
                return accept(shared, login, *granted).await;
            }
            Answer::Refuse(refusal) => {
                // A rule refuses a wrong password as it refuses strangers.
                let is_guess = has_rules(source) && login.has_credentials();
                if refusal == Refusal::BadCredentials || is_guess {
                    shared.failures().failed(login.address, name, Instant::now());
                }
                return refused(refusal, source.name());
            }
            Answer::Unknown => {}
        }
    }
    if let Some(granted) = anonymous(&settings, &login) {
        return accept(shared, login, granted).await;
    }
    if !login.has_credentials() && login.certificate.is_none() {
        return refused(Refusal::NotAuthorized, "default");
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
    let mut identity = login.identity();
    if let Some(name) = &granted.username {
        identity.username = Some(name.clone());
    }
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
    // The certificate says who the client is.
    anonymous(settings, login).filter(|_| !shows_certificate(settings, login))
}

/// What a client gets without credentials, if such clients are accepted. Without sources, credentials are not checked.
fn anonymous(settings: &Settings, login: &Login<'_>) -> Option<Granted> {
    let is_open = settings.sources.is_empty() || !login.has_credentials();
    (settings.allow_anonymous && is_open).then(|| Granted {
        source: "default",
        is_anonymous: true,
        ..Granted::default()
    })
}

/// Whether a client shows a certificate, and a source looks at it.
fn shows_certificate(settings: &Settings, login: &Login<'_>) -> bool {
    let is_asked = |source: &AuthenticationSource| matches!(source, AuthenticationSource::Certificate(_));
    login.certificate.is_some() && settings.sources.iter().any(is_asked)
}

/// The listener has checked the certificate. A client with another user name in CONNECT is left to the next source.
fn by_certificate(field: CertificateField, login: &Login<'_>) -> Answer {
    let name = login.certificate.as_ref().and_then(|certificate| field.of(certificate));
    match name.filter(|name| login.username.is_none_or(|own| own == *name)) {
        Some(name) => Answer::Accept(Box::new(Granted {
            source: "certificate",
            username: Some(name.to_owned()),
            ..Granted::default()
        })),
        None => Answer::Unknown,
    }
}

/// The first rule that matches decides.
fn by_rules(shared: &Shared, rules: &ConnectRules, login: &Login<'_>) -> Answer {
    match rules.decide(login, &shared.passwords) {
        None => Answer::Unknown,
        Some(Permission::Deny) => Answer::Refuse(Refusal::NotAuthorized),
        Some(Permission::Allow) => Answer::Accept(Box::new(Granted {
            source: "rules",
            ..Granted::default()
        })),
    }
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
        let users = match source {
            AuthenticationSource::Password(users) => users,
            AuthenticationSource::Certificate(field) if matches!(by_certificate(*field, login), Answer::Unknown) => {
                continue;
            }
            _ => return None,
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
        &[u8::from(login.username.is_some()), login.protocol],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessControl, CertificateNames, Surroundings};

    const ALICE: CertificateNames<'static> = CertificateNames {
        common_name: Some("alice"),
        dns: Some("alice.example.org"),
        email: None,
        uri: Some(""),
    };

    /// The user name that rules see; the refusal if the client is refused.
    async fn login(
        settings: &str,
        certificate: Option<CertificateNames<'_>>,
        username: Option<&str>,
    ) -> Result<Option<String>, Refusal> {
        let surroundings = Surroundings {
            allow_anonymous: settings.contains("# open").then_some(true),
            ..Surroundings::default()
        };
        let settings = Settings::parse(settings, &surroundings, &|_| unreachable!("it names no files")).unwrap();
        let login = Login {
            client_id: "c",
            username,
            password: Some(b"secret")
                .filter(|_| username.is_some())
                .map(|password| &password[..]),
            address: None,
            protocol: 4,
            certificate,
            will: None,
        };
        match AccessControl::new(settings).authenticate(login).await {
            Verdict::Accepted(access) => Ok(access.username()),
            Verdict::Refused { refusal, .. } => Err(refusal),
        }
    }

    #[tokio::test]
    async fn a_certificate_names_the_user() {
        use Refusal::{BadCredentials, NotAuthorized};
        let by = |field: &str| format!("[[authentication]]\nsource = \"certificate\"\nusername = \"{field}\"\n");
        let cn = by("cn");
        let users = format!("{cn}[[authentication]]\nsource = \"password\"\nusers = {{ bob = \"secret\" }}\n");
        let open = format!("# open\n{cn}");
        let name = |name: &str| Ok(Some(name.to_owned()));
        for (settings, certificate, username, expected) in [
            (&cn, Some(ALICE), None, name("alice")),
            (&cn, Some(ALICE), Some("alice"), name("alice")),
            (&cn, Some(ALICE), Some("bob"), Err(BadCredentials)),
            (&cn, None, None, Err(NotAuthorized)),
            (&cn, None, Some("alice"), Err(BadCredentials)),
            (&by("dns"), Some(ALICE), None, name("alice.example.org")),
            (&by("email"), Some(ALICE), None, Err(BadCredentials)),
            (&by("uri"), Some(ALICE), None, Err(BadCredentials)),
            (&users, Some(ALICE), Some("bob"), name("bob")),
            (&users, None, Some("bob"), name("bob")),
            (&open, None, None, Ok(None)),
            (&open, Some(ALICE), None, name("alice")),
            (&format!("# open\n{}", by("uri")), Some(ALICE), None, Ok(None)),
        ] {
            assert_eq!(
                login(settings, certificate, username).await,
                expected,
                "{settings} {certificate:?} {username:?}"
            );
        }
    }
}
