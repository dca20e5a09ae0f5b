//! The layer through which every request passes: access, the audit log, and the headers that protect a browser.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::dashboard;
use super::guard::{Admitted, Guard, reads};
use crate::logging::REFUSED_TARGET;

/// Limit of the characters of a path in the audit log.
const MAX_AUDITED_PATH: usize = 256;

/// Passes a request on, or answers it with a refusal.
pub(super) async fn layer(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let audit = Audited::of(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let sender = guard.authenticate(&method, &path, request.headers());
    let known = sender.as_ref().ok().copied();
    let mut response = match sender.and_then(|sender| sender.authorize(&method, &path).map(|()| sender)) {
        Ok(sender) => {
            request.extensions_mut().insert(sender);
            next.run(request).await
        }
        Err(error) => {
            let mut response = error.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let scheme = header::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    };
    if let Some(audit) = audit {
        audit.log(known, response.status());
    }
    dashboard::protect(response.headers_mut());
    response
}

/// A request that may change something, for the audit log.
struct Audited {
    method: Method,
    /// Without the query, which may contain anything.
    path: String,
}

impl Audited {
    fn of(request: &Request) -> Option<Audited> {
        (!reads(request.method())).then(|| Audited {
            method: request.method().clone(),
            path: request.uri().path().chars().take(MAX_AUDITED_PATH).collect(),
        })
    }

    /// Writes the line. Without a known sender it has a target of its own, whose lines are limited.
    fn log(self, sender: Option<Admitted>, status: StatusCode) {
        let Audited { method, path } = self;
        let status = status.as_u16();
        match sender {
            Some(Admitted { by, role, .. }) => {
                let role = role.name();
                tracing::info!(target: "audit", %method, path, by, role, status, "admin request");
            }
            None => {
                let (by, role) = ("unknown", "none");
                tracing::info!(target: REFUSED_TARGET, %method, path, by, role, status, "admin request");
            }
        }
    }
}
