//! Attempts over HTTP, with the client of a sender thread.
//!
//! A sender thread owns one [`Http`] and does not share its kept-alive connections. URLs and headers are parsed and
//! checked once ([`Endpoint`](super::endpoint::Endpoint), [`Prepared`]). An attempt clones the results, and signs the
//! request if the destination requires it. This module has no timers. The sender limits the time of an attempt, and the
//! policy decides about retries. Requests without TLS use [`direct`](super::direct), which takes half the time. If the
//! module chose the host, requests go through the [`guard`](super::guard) instead.
//!
//! An attempt ends with the head of the response; [`drain`](super::drain) reads the body. With
//! [`RetryPolicy::follow_redirects`](super::RetryPolicy::follow_redirects) an attempt continues at the `location` of an
//! answer 307 or 308. These two keep method and body.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::DateTime;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};

use super::clients::{Clients, reasons};
use super::destination::Terms;
use super::drain::{Drains, MAX_BODY_BYTES};
use super::endpoint::{Prepared, Way};
use super::excerpt::{Excerpt, ExcerptWriter};
use super::guard;
use super::http_options::HttpOptions;
use super::oauth2::Tokens;
use super::request::Reach;
use super::retry::Outcome;
use hookhost_contract::Method;

/// Limit of the redirects of one attempt.
const MAX_REDIRECTS: usize = 10;

/// The HTTP client of one sender thread.
pub(super) struct Http {
    pub(super) clients: Clients,
    pub(super) tokens: Tokens,
    drains: Drains,
}

/// What is the same for all hops of an attempt.
pub(super) struct Sent<'a> {
    pub(super) reach: Reach,
    pub(super) method: Method,
    pub(super) body: Bytes,
    /// The `content-encoding` of the body, if it is compressed here.
    pub(super) encoding: Option<&'static str>,
    /// The message id of a request that is signed or has it in a header.
    pub(super) id: Option<&'a str>,
    /// The number of the attempt, from 1.
    pub(super) attempt: u32,
    pub(super) terms: &'a Terms,
}

/// The head of a response.
struct Head {
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The `location` of a redirect that keeps method and body.
    location: Option<String>,
    /// The beginning of the body, unless the status is 2xx.
    excerpt: Option<Excerpt>,
}

impl Http {
    /// Creates a client without connections.
    pub(super) fn new() -> Http {
        Http {
            clients: Clients::new(),
            tokens: Tokens::default(),
            drains: Drains::default(),
        }
    }

    /// Sends a request and returns the outcome as soon as the head of the response is there, with the beginning of the body
    /// if the answer is not 2xx. Does not send a request to an address outside its `reach`. Has no timeout; dropping the
    /// future closes the connection.
    pub(super) async fn attempt(&self, to: &Prepared, sent: &Sent<'_>) -> (Outcome, Option<Excerpt>) {
        let compressed = match sent.compressed(to) {
            Ok(compressed) => compressed,
            Err(error) => return (Outcome::Failed(error), None),
        };
        match self.follow(to, compressed.as_ref().unwrap_or(sent)).await {
            Ok(head) => (head.outcome(), head.excerpt),
            Err(outcome) => (outcome, None),
        }
    }

    /// As [`attempt`](Http::attempt), with the status of every answer.
    ///
    /// # Errors
    ///
    /// How the attempt has ended without an answer.
    pub(super) async fn probe(&self, to: &Prepared, sent: &Sent<'_>) -> Result<(StatusCode, Option<Excerpt>), Outcome> {
        let compressed = sent.compressed(to).map_err(Outcome::Failed)?;
        let head = self.follow(to, compressed.as_ref().unwrap_or(sent)).await?;
        Ok((head.status, head.excerpt))
    }

    /// Sends a request, and sends it again to where it is redirected if the policy says so.
    async fn follow(&self, to: &Prepared, sent: &Sent<'_>) -> Result<Head, Outcome> {
        let redirected = |to: &Prepared, location: &str| {
            let to = to.redirected(self, sent.terms, location);
            to.map_err(Outcome::Failed)
        };
        let mut head = self.send(to, sent).await?;
        let mut next = match &head.location {
            Some(location) if sent.terms.retry.follow_redirects => redirected(to, location)?,
            _ => return Ok(head),
        };
        for _ in 1..MAX_REDIRECTS {
            head = self.send(&next, sent).await?;
            let Some(location) = &head.location else {
                return Ok(head);
            };
            next = redirected(&next, location)?;
        }
        Err(Outcome::Failed(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// Sends a request to one URL. With an access token that is refused, sends it a second time with a new one.
    async fn send(&self, to: &Prepared, sent: &Sent<'_>) -> Result<Head, Outcome> {
        let Some((token, client)) = to.token() else {
            return self.send_once(to, sent, None).await;
        };
        let value = token.value(&client.get().map_err(Outcome::Failed)?).await;
        let value = value.map_err(Outcome::Failed)?;
        let head = self.send_once(to, sent, Some(value.clone())).await?;
        if head.status != StatusCode::UNAUTHORIZED || !token.refused(&value).await {
            return Ok(head);
        }
        let value = token.value(&client.get().map_err(Outcome::Failed)?).await;
        self.send_once(to, sent, Some(value.map_err(Outcome::Failed)?)).await
    }

    async fn send_once(
        &self,
        to: &Prepared,
        sent: &Sent<'_>,
        authorization: Option<HeaderValue>,
    ) -> Result<Head, Outcome> {
        let mut headers = to
            .headers(sent.id, SystemTime::now(), &sent.body)
            .map_err(Outcome::Invalid)?;
        let HttpOptions {
            id_header,
            attempt_header,
            ..
        } = &sent.terms.http;
        if let (Some(name), Some(id)) = (id_header, sent.id.and_then(|id| id.parse().ok())) {
            headers.insert(name.clone(), id);
        }
        if let Some(name) = attempt_header {
            headers.insert(name.clone(), sent.attempt.into());
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        if let Some(encoding) = sent.encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let method = http_method(sent.method);
        // This check comes first, so that no setting of a destination bypasses the guard.
        let client = match (sent.reach, &to.way) {
            (Reach::Public, _) => {
                let checked = self.clients.guard.check_literal(&to.url);
                checked.map_err(|error| Outcome::Barred(error.to_string()))?;
                &to.guarded
            }
            (Reach::Anywhere, Way::Direct(direct)) => {
                let answer = direct.send(method, headers, sent.body.clone()).await;
                let answer = answer.map_err(Outcome::Failed)?;
                let (head, excerpt) = Head::new(answer.status(), answer.headers());
                answer.finish(excerpt).await;
                return Ok(head);
            }
            (Reach::Anywhere, Way::Client(client)) => client,
        };
        let client = client.get().map_err(Outcome::Failed)?;
        let mut request = reqwest::Request::new(method, to.url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(sent.body.clone().into());
        let response = client.execute(request).await.map_err(|error| {
            if error.is_builder() {
                return Outcome::Invalid(reasons(error));
            }
            match guard::cause(&error) {
                Some(cause) => Outcome::Barred(cause.to_string()),
                None => Outcome::Failed(reasons(error)),
            }
        })?;
        let (head, excerpt) = Head::new(response.status(), response.headers());
        self.drains.run(Box::pin(read(response, excerpt))).await;
        Ok(head)
    }
}

impl<'a> Sent<'a> {
    /// With the body compressed, if the terms ask for that and it is not compressed yet.
    ///
    /// # Errors
    ///
    /// What went wrong, in one line.
    fn compressed(&self, to: &Prepared) -> Result<Option<Sent<'a>>, String> {
        match self.terms.http.compression {
            Some(compression) if !self.body.is_empty() && !to.is_encoded() => Ok(Some(Sent {
                body: compression.compress(&self.body)?,
                encoding: Some(compression.encoding()),
                ..*self
            })),
            _ => Ok(None),
        }
    }
}

impl Head {
    /// Returns a head, with the writer of its excerpt.
    fn new(status: StatusCode, headers: &HeaderMap) -> (Head, Option<ExcerptWriter>) {
        let mut head = Head {
            status,
            retry_after: None,
            location: None,
            excerpt: None,
        };
        let mut writer = None;
        if !status.is_success() {
            let (excerpt, of_excerpt) = Excerpt::new();
            (head.excerpt, writer) = (Some(excerpt), Some(of_excerpt));
            let after = headers.get(RETRY_AFTER);
            head.retry_after = after.and_then(|value| retry_after(value, SystemTime::now()));
        }
        if matches!(status.as_u16(), 307 | 308) {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            head.location = location.map(str::to_owned);
        }
        (head, writer)
    }

    fn outcome(&self) -> Outcome {
        if self.status.is_success() {
            return Outcome::Accepted(Some(self.status.as_u16()));
        }
        Outcome::Refused {
            status: self.status.as_u16(),
            retry_after: self.retry_after,
        }
    }
}

/// Reads the body up to the limit. An error has no effect, because the status has already decided about the request.
async fn read(mut response: Response, excerpt: Option<ExcerptWriter>) {
    let mut length = 0;
    while length <= MAX_BODY_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                length += chunk.len();
                if let Some(excerpt) = &excerpt {
                    excerpt.push(&chunk);
                }
            }
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
#[path = "http_tests.rs"]
mod tests;
