//! Access to the API.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use axum::http::{HeaderMap, Method, StatusCode, header};

use super::dashboard;
use super::error::Error;
use super::openapi;
use super::session::Sessions;
use super::token::{Role, Tokens};

/// The paths to which a viewer may send requests other than GET: sessions, and trials, which change nothing.
const VIEWER_PATHS: [&str; 2] = ["/api/v1/session", "/api/v1/event-trials"];

/// The conditions for a request.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    tokens: Option<Tokens>,
    /// Without a token: the Host header must name this machine, not a domain that points to it.
    local: bool,
    sessions: Sessions,
}

/// The paths that need no token, so that process monitors need none.
const HEALTH_PATHS: [&str; 3] = ["/api/v1/health", "/healthz", "/readyz"];

impl Guard {
    pub(super) fn new(address: SocketAddr, tokens: Option<Tokens>) -> Guard {
        let local = address.ip().is_loopback() && tokens.is_none();
        Guard {
            tokens,
            local,
            sessions: Sessions::default(),
        }
    }

    /// The sessions of browsers, which need no token.
    pub(super) fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }

    /// Finds out who sends a request, and refuses what pages of other sites make a browser send.
    pub(super) fn authenticate(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<Admitted, Error> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if self.local && !is_local(host) {
            let text = "requests to a loopback address must name it: Host should be an IP address or localhost";
            return Err(Error::new(StatusCode::FORBIDDEN, text));
        }
        let foreign = |origin: &str| !is_own(origin, host);
        // A value that is not text is never the same origin.
        if !reads(method) && headers.contains_key(header::ORIGIN) && text(header::ORIGIN).is_none_or(foreign) {
            let text = "requests of pages from elsewhere (Origin) may change nothing";
            return Err(Error::new(StatusCode::FORBIDDEN, text));
        }
        let Some(tokens) = self.tokens.as_ref().filter(|_| !is_open(path)) else {
            return Ok(Admitted::new(Role::Admin, "none"));
        };
        if let Some(given) = text(header::AUTHORIZATION).and_then(bearer) {
            let unknown = || Error::new(StatusCode::UNAUTHORIZED, "this is not the token of this host");
            let role = tokens.role(given).ok_or_else(unknown)?;
            return Ok(Admitted::new(role, "token"));
        }
        let Some(session) = self.sessions.of(headers, Instant::now()) else {
            let text = "a token is needed: Authorization: Bearer TOKEN";
            return Err(Error::new(StatusCode::UNAUTHORIZED, text));
        };
        Ok(Admitted {
            lacks_csrf: !session.allows_change(headers),
            ..Admitted::new(session.role, "session")
        })
    }
}

/// Whether a path needs no token.
pub(super) fn is_open(path: &str) -> bool {
    HEALTH_PATHS.contains(&path) || path == openapi::PATH || dashboard::is_file(path)
}

/// Whether requests with this method change nothing.
pub(super) fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) role: Role,
    /// `token`, `session` or `none`.
    pub(super) by: &'static str,
    /// Whether it has the cookie of a session without its second secret: another site may have made the browser send it.
    lacks_csrf: bool,
}

impl Admitted {
    fn new(role: Role, by: &'static str) -> Admitted {
        Admitted {
            role,
            by,
            lacks_csrf: false,
        }
    }

    /// Allows or refuses a request of this sender.
    pub(super) fn authorize(&self, method: &Method, path: &str) -> Result<(), Error> {
        let refused = |text: &str| Err(Error::new(StatusCode::FORBIDDEN, text));
        match self {
            _ if reads(method) => Ok(()),
            Admitted { lacks_csrf: true, .. } => refused("changes in a session need the header X-CSRF-Token"),
            Admitted { role: Role::Viewer, .. } if !VIEWER_PATHS.contains(&path) => {
                refused("this is the token of a viewer, who may change nothing")
            }
            _ => Ok(()),
        }
    }
}

/// Whether a Host header names an IP address or localhost. A foreign domain can point to this machine, and a browser
/// would treat the answer as content of that domain.
fn is_local(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest
            .split_once(']')
            .is_some_and(|(address, port)| address.parse::<Ipv6Addr>().is_ok() && is_port(port));
    }
    let (name, port) = host.find(':').map_or((host, ""), |colon| host.split_at(colon));
    (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()) && is_port(port)
}

/// An empty text, or a colon and digits.
fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether an Origin is a page of the host that the request is for.
fn is_own(origin: &str, host: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    !host.is_empty() && authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
