//! The layer through which every request passes: access, the audit log, and the headers that protect a browser.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::dashboard;
use super::guard::Guard;

/// Limit of the characters of a path in the audit log.
const MAX_AUDITED_PATH: usize = 256;

/// Passes a request on, or answers it with a refusal.
pub(super) async fn layer(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let audit = Audited::of(&request);
    let admitted = guard.admit(request.method(), request.uri().path(), request.headers());
    let by = admitted.as_ref().map_or("nobody", |admitted| admitted.by);
    let role = admitted.as_ref().map_or("none", |admitted| admitted.role.name());
    let mut response = match admitted {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted);
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
    if let Some(Audited { method, path }) = audit {
        let status = response.status().as_u16();
        tracing::info!(target: "audit", %method, path, by, role, status, "admin request");
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
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        changes.then(|| Audited {
            method: request.method().clone(),
            path: request.uri().path().chars().take(MAX_AUDITED_PATH).collect(),
        })
    }
}
