//! Attempts over HTTP, with the client of a sender thread.
//!
//! A sender thread owns one [`Http`] and does not share its kept-alive connections. URLs and headers are parsed and
//! checked once ([`Endpoint`](super::endpoint::Endpoint), [`Prepared`]). An attempt clones the results, and signs the
//! request if the destination requires it. This module has no timers. The sender limits the time of an attempt, and the
//! policy decides about retries. Requests without TLS use [`direct`](super::direct), which takes half the time. If the
//! module chose the host, requests go through the [`guard`](super::guard) instead.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::DateTime;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::clients::{Clients, reasons};
use super::endpoint::{Prepared, Way};
use super::guard;
use super::request::Reach;
use super::retry::Outcome;
use hookhost_contract::Method;

/// Limit of the bytes read of a response body. After a shorter body the connection is reused; after a longer one it is
/// closed.
const ANSWER_BYTES: usize = 64 << 10;

/// The HTTP client of one sender thread.
pub(super) struct Http {
    pub(super) clients: Clients,
}

impl Http {
    /// Creates a client without connections.
    pub(super) fn new() -> Http {
        Http {
            clients: Clients::new(),
        }
    }

    /// Sends a request and reads the response. Does not send a request to an address outside its `reach`. `id` is the
    /// message id of a signed request. Has no timeout; dropping the future closes the connection.
    pub(super) async fn attempt(
        &self,
        to: &Prepared,
        reach: Reach,
        method: Method,
        body: Bytes,
        id: Option<&str>,
    ) -> Outcome {
        let headers = match to.headers(id, SystemTime::now(), &body) {
            Ok(headers) => headers,
            Err(error) => return Outcome::Invalid(error),
        };
        // This check comes first, so that no setting of a destination bypasses the guard.
        let client = match (reach, &to.way) {
            (Reach::Public, _) => {
                if let Err(error) = self.clients.guard.check_literal(&to.url) {
                    return Outcome::Barred(error.to_string());
                }
                &to.guarded
            }
            (Reach::Anywhere, Way::Direct(direct)) => {
                return match direct.send(http_method(method), headers, body).await {
                    Ok(answer) => {
                        let outcome = outcome(answer.status(), answer.headers());
                        answer.finish(ANSWER_BYTES).await;
                        outcome
                    }
                    Err(error) => Outcome::Failed(error),
                };
            }
            (Reach::Anywhere, Way::Secure(secure)) => secure,
        };
        let client = match client.get() {
            Ok(client) => client,
            Err(error) => return Outcome::Failed(error),
        };
        let mut request = reqwest::Request::new(http_method(method), to.url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        let response = match client.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Outcome::Invalid(reasons(error)),
            Err(error) => {
                return match guard::cause(&error) {
                    Some(cause) => Outcome::Barred(cause.to_string()),
                    None => Outcome::Failed(reasons(error)),
                };
            }
        };
        let outcome = outcome(response.status(), response.headers());
        read(response).await;
        outcome
    }
}

/// Returns the outcome for the head of a response.
fn outcome(status: StatusCode, headers: &HeaderMap) -> Outcome {
    if status.is_success() {
        return Outcome::Taken;
    }
    let retry_after = match status.as_u16() {
        429 | 503 => headers
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value, SystemTime::now())),
        _ => None,
    };
    Outcome::Refused {
        status: status.as_u16(),
        retry_after,
    }
}

/// Reads the body up to the limit. An error has no effect, because the status has already decided whether the request
/// is delivered.
async fn read(mut response: Response) {
    let mut length = 0;
    while length <= ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Parses `Retry-After`: seconds, or an HTTP date relative to `now`.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::from(DateTime::parse_from_rfc2822(text).ok()?);
    Some(date.duration_since(now).unwrap_or_default())
}

fn http_method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, want) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-5", None),
            ("soon", None),
            ("99999999999999999999999", None),
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(retry_after(&value, now), want.map(Duration::from_secs), "{text}");
        }
    }
}
