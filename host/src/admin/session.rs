//! Sessions of browsers.
//!
//! A page logs in with the token of the API and gets a cookie, which its scripts cannot read and which the browser sends
//! to this host only. A request that changes something must also repeat a second secret in a header, which another site
//! can neither read nor set. Sessions are in memory: a restart of the host ends them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Error;
use super::guard::Admitted;
use super::openapi::Fails;
use super::shape;
use super::token::{Role, Token};

/// The name of the cookie. Cookies do not belong to a port, so a second host on one machine ends the session of the first.
const COOKIE: &str = "hookhost_session";
/// The header with the second secret.
pub(super) const CSRF_HEADER: &str = "x-csrf-token";
/// How long a session lasts.
const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Sessions at a time; a further one ends the oldest.
const MAX_SESSIONS: usize = 64;
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// The sessions of a host. Clones are the same sessions.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<Vec<Session>>>);

/// A session. The secret of the cookie is stored as a hash.
#[derive(Debug, Clone)]
pub(super) struct Session {
    id: Token,
    csrf: String,
    /// What the token allowed with which the session was opened.
    pub(super) role: Role,
    expires: Instant,
}

impl Session {
    #[cfg(test)]
    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether a request repeats the second secret.
    pub(super) fn allows_change(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        let expected = self.csrf.parse::<Token>();
        given.is_some_and(|given| expected.is_ok_and(|expected| expected.is(given)))
    }
}

impl Sessions {
    /// Opens a session and returns the secret of its cookie. `None` if the system gives no random bytes.
    pub(super) fn open(&self, role: Role, now: Instant) -> Option<(String, Session)> {
        let (id, csrf) = (secret()?, secret()?);
        let session = Session {
            id: id.parse().ok()?,
            csrf,
            role,
            expires: now + LIFETIME,
        };
        let mut sessions = self.lock(now);
        if sessions.len() >= MAX_SESSIONS {
            sessions.remove(0);
        }
        sessions.push(session.clone());
        Some((id, session))
    }

    /// The session of a request, if its cookie names one.
    pub(super) fn of(&self, headers: &HeaderMap, now: Instant) -> Option<Session> {
        let id = cookie(headers)?;
        self.lock(now).iter().find(|session| session.id.is(id)).cloned()
    }

    fn close(&self, headers: &HeaderMap, now: Instant) {
        if let Some(id) = cookie(headers) {
            self.lock(now).retain(|session| !session.id.is(id));
        }
    }

    /// The sessions that have not expired, oldest first. A panic leaves no partial change.
    fn lock(&self, now: Instant) -> MutexGuard<'_, Vec<Session>> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.expires > now);
        sessions
    }
}

/// 64 random hex digits.
fn secret() -> Option<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The value of the session's cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// The state of the routes.
#[derive(Clone)]
struct Cookies {
    sessions: Sessions,
    /// Whether browsers may send the cookie over `https:` only.
    is_secure: bool,
}

/// The routes below `/api/v1`. The guard has admitted every request that arrives here. `is_secure`: the API uses TLS.
pub(super) fn routes(sessions: Sessions, is_secure: bool) -> OpenApiRouter {
    OpenApiRouter::default()
        .routes(routes!(show, log_in, log_out))
        .with_state(Cookies { sessions, is_secure })
}

/// Returns the second secret of the session, and the role of the request.
#[utoipa::path(get, path = "/session", responses((status = 200, body = shape::Session)))]
async fn show(
    State(cookies): State<Cookies>,
    Extension(admitted): Extension<Admitted>,
    headers: HeaderMap,
) -> Json<shape::Session> {
    let csrf = cookies
        .sessions
        .of(&headers, Instant::now())
        .map(|session| session.csrf);
    let role = admitted.role.name().to_owned();
    Json(shape::Session { csrf, role })
}

/// Opens a session for a browser.
#[utoipa::path(post, path = "/session", responses(
    (status = 200, body = shape::Session, headers(("set-cookie" = String, description = "The session"))), Fails<500>))]
async fn log_in(State(cookies): State<Cookies>, Extension(admitted): Extension<Admitted>) -> Response {
    let role = admitted.role.name().to_owned();
    match cookies.sessions.open(admitted.role, Instant::now()) {
        Some((id, Session { csrf, .. })) => {
            let cookie = set_cookie(&id, LIFETIME, cookies.is_secure);
            (
                [(header::SET_COOKIE, cookie)],
                Json(shape::Session { csrf: Some(csrf), role }),
            )
                .into_response()
        }
        None => {
            let text = "the system gives no random bytes for a session";
            Error::new(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// Ends the session of the request.
#[utoipa::path(delete, path = "/session", responses(
    (status = 200, body = shape::Session, headers(("set-cookie" = String, description = "An expired cookie")))))]
async fn log_out(
    State(cookies): State<Cookies>,
    Extension(admitted): Extension<Admitted>,
    headers: HeaderMap,
) -> Response {
    let role = admitted.role.name().to_owned();
    cookies.sessions.close(&headers, Instant::now());
    let cookie = set_cookie("", Duration::ZERO, cookies.is_secure);
    (
        [(header::SET_COOKIE, cookie)],
        Json(shape::Session { csrf: None, role }),
    )
        .into_response()
}

fn set_cookie(id: &str, lifetime: Duration, is_secure: bool) -> String {
    let seconds = lifetime.as_secs();
    let secure = if is_secure { "; Secure" } else { "" };
    format!("{COOKIE}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> HeaderMap {
        let name: axum::http::HeaderName = name.parse().unwrap();
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_ends() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (id, session) = sessions.open(Role::Admin, now).unwrap();
        let (other, _) = sessions.open(Role::Admin, now).unwrap();
        assert_ne!(id, other);
        let cookie = with("cookie", &format!("a=b; {COOKIE}={id}"));
        assert_eq!(sessions.of(&cookie, now).unwrap().csrf, session.csrf);
        assert!(sessions.of(&cookie, now + LIFETIME).is_none(), "it expires");
        let (id, _) = sessions.open(Role::Admin, now).unwrap();
        let cookie = with("cookie", &format!("{COOKIE}={id}"));
        sessions.close(&cookie, now);
        assert!(sessions.of(&cookie, now).is_none(), "it is closed");
        for wrong in ["", "hookhost_session=", "hookhost_session", "x"] {
            assert!(sessions.of(&with("cookie", wrong), now).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_cookie_of_a_host_with_tls_needs_tls() {
        let minute = Duration::from_secs(60);
        let cookie = "hookhost_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict";
        assert_eq!(set_cookie("x", minute, false), cookie);
        assert_eq!(set_cookie("x", minute, true), format!("{cookie}; Secure"));
    }

    #[test]
    fn changes_need_the_second_secret() {
        let (_, session) = Sessions::default().open(Role::Admin, Instant::now()).unwrap();
        assert!(session.allows_change(&with(CSRF_HEADER, &session.csrf)));
        assert!(!session.allows_change(&with(CSRF_HEADER, "x")));
        assert!(!session.allows_change(&HeaderMap::new()));
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (first, _) = sessions.open(Role::Admin, now).unwrap();
        for _ in 0..MAX_SESSIONS {
            sessions.open(Role::Admin, now).unwrap();
        }
        assert_eq!(sessions.lock(now).len(), MAX_SESSIONS);
        assert!(
            sessions
                .of(&with("cookie", &format!("{COOKIE}={first}")), now)
                .is_none()
        );
    }
}
