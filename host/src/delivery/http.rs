//! One attempt over HTTP. The only file that names the HTTP client, but for the resolver in `guard.rs`.
//!
//! A sender thread owns one [`Http`], whose kept-alive connections nobody else uses. URLs and headers are checked and
//! taken apart once ([`Endpoint`], [`Prepared`]); an attempt clones the results. Redirects, proxies and the client's own
//! retries and timers are off: the policy repeats, and the sender bounds the time of an attempt. Without TLS requests
//! go the short way of [`direct`](super::direct), which takes half the time.
//!
//! Certificates of `https:` receivers are checked against the roots of the platform. They are loaded with the first
//! `https:` request, so that a host which needs none neither pays for them nor fails to start without them.

use std::cell::OnceCell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::DateTime;
use http_body_util::Full;
use hyper::Uri;
use reqwest::header::{ACCEPT, AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};

use super::StartError;
use super::direct::Pool;
use super::guard::{self, Guard};
use super::request::{Method, Reach};
use super::retry::Outcome;

/// So much of an answer's body is read, so that its connection can be used again; beyond, the connection is closed.
const ANSWER_BYTES: usize = 64 << 10;

/// Connections that are kept although unused, per receiver: as long as common receivers keep theirs.
const IDLE: Duration = Duration::from_secs(60);

/// Headers that describe the connection or how long the body is. They are the client's own: a wrong length would make
/// the receiver take the rest of one body for the next request.
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A checked `http:` or `https:` URL.
pub(super) struct Endpoint {
    /// Without user and password.
    url: Url,
    authorization: Option<HeaderValue>,
}

/// The short way, without TLS.
struct Direct {
    pool: Rc<Pool>,
    /// Path and query.
    path: Uri,
}

/// Checked headers together with the endpoint they are for.
pub(super) struct Prepared {
    url: Url,
    headers: HeaderMap,
    direct: Option<Direct>,
}

/// The HTTP client of one sender thread.
pub(super) struct Http {
    plain: Client,
    secure: OnceCell<Client>,
    guard: Guard,
    connect_timeout: Duration,
}

impl Endpoint {
    /// Checks a URL; the error says what is wrong with it, without the URL.
    pub(super) fn parse(http: &Http, url: &str) -> Result<Endpoint, String> {
        // The builder moves user and password from the URL into a header.
        let request = http
            .plain
            .get(url)
            .build()
            .map_err(|e| format!("URL is not valid: {}", reasons(e)))?;
        let url = request.url().clone();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("unknown URL scheme `{}`", url.scheme()));
        }
        Ok(Endpoint {
            authorization: request.headers().get(AUTHORIZATION).cloned(),
            url,
        })
    }

    /// A pool of connections for requests to this origin; none if they need TLS.
    pub(super) fn pool(&self, http: &Http) -> Option<Rc<Pool>> {
        let host = self.url.host_str().filter(|_| self.url.scheme() == "http")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_or_known_default()?;
        Some(Rc::new(Pool::new(host, port, http.connect_timeout)))
    }

    /// Scheme, host and port: what requests must share to be for one destination.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Checks headers for requests to this endpoint, which go over the pool of its origin if that has one. An
    /// `authorization` among them replaces that of the URL.
    pub(super) fn prepare(&self, list: &[(String, String)], pool: Option<&Rc<Pool>>) -> Result<Prepared, String> {
        let mut map = HeaderMap::with_capacity(list.len() + 2);
        for (name, text) in list {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("header name {name:?} is not valid"))?;
            if OWN_HEADERS.contains(&name.as_str()) {
                continue;
            }
            // The value may be a secret, so it is not part of the error.
            let value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| format!("value of header `{name}` is not valid: it has control characters"))?;
            map.append(name, value);
        }
        if let Some(authorization) = &self.authorization
            && !map.contains_key(AUTHORIZATION)
        {
            map.insert(AUTHORIZATION, authorization.clone());
        }
        let direct = pool.map(|pool| self.direct(pool, &mut map)).transpose()?;
        Ok(Prepared {
            url: self.url.clone(),
            headers: map,
            direct,
        })
    }

    /// The short way; adds the headers that are the client's to set.
    fn direct(&self, pool: &Rc<Pool>, headers: &mut HeaderMap) -> Result<Direct, String> {
        if !headers.contains_key(HOST) {
            headers.insert(HOST, host(&self.url)?);
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        let path = match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        };
        Ok(Direct {
            pool: Rc::clone(pool),
            path: path.parse().map_err(|_| "URL is not valid: its path or query")?,
        })
    }
}

impl Http {
    /// A client without connections.
    pub(super) fn new(connect_timeout: Duration) -> Result<Http, StartError> {
        // Process-wide, and the first one stays: whoever else installed one, all of them do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let plain = plain(connect_timeout).build().map_err(|e| StartError::Http(e.into()))?;
        Ok(Http {
            plain,
            secure: OnceCell::new(),
            guard: Guard::new(),
            connect_timeout,
        })
    }

    /// Sends a request and reads the answer; does not send it where it may not reach. Takes as long as the receiver
    /// likes; dropping the future closes the connection.
    pub(super) async fn attempt(&self, to: &Prepared, reach: Reach, method: Method, body: Bytes) -> Outcome {
        // The short way leads anywhere and has connections that were made without the guard.
        match (reach, &to.direct) {
            (Reach::Anywhere, Some(direct)) => return direct.attempt(&to.headers, method, body).await,
            (Reach::Anywhere, None) => {}
            (Reach::Public, _) => {
                if let Err(error) = self.guard.literal(&to.url) {
                    return Outcome::Barred(error.to_string());
                }
            }
        }
        let client = match self.client(to, reach) {
            Ok(client) => client,
            Err(error) => return Outcome::Failed(error),
        };
        let mut request = reqwest::Request::new(method.into(), to.url.clone());
        *request.headers_mut() = to.headers.clone();
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

    fn client(&self, to: &Prepared, reach: Reach) -> Result<&Client, String> {
        if reach == Reach::Public {
            let builder = |is_secure| match is_secure {
                true => builder(self.connect_timeout),
                false => plain(self.connect_timeout),
            };
            return self.guard.client(&to.url, builder).map_err(reasons);
        }
        if to.url.scheme() == "http" {
            return Ok(&self.plain);
        }
        if let Some(client) = self.secure.get() {
            return Ok(client);
        }
        let client = builder(self.connect_timeout).build().map_err(reasons)?;
        Ok(self.secure.get_or_init(|| client))
    }
}

impl Direct {
    async fn attempt(&self, headers: &HeaderMap, method: Method, body: Bytes) -> Outcome {
        let mut request = hyper::Request::new(Full::new(body));
        *request.method_mut() = method.into();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers.clone();
        match self.pool.send(request).await {
            Ok(answer) => {
                let outcome = outcome(answer.response.status(), answer.response.headers());
                answer.finish(ANSWER_BYTES).await;
                outcome
            }
            Err(error) => Outcome::Failed(error),
        }
    }
}

/// The `host` header for a URL.
fn host(url: &Url) -> Result<HeaderValue, String> {
    let host = url.host_str().unwrap_or_default();
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    text.parse().map_err(|_| "URL is not valid: its host".to_owned())
}

/// What the head of an answer means.
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

/// For `http:` only: no certificates are loaded.
fn plain(connect_timeout: Duration) -> ClientBuilder {
    builder(connect_timeout).tls_certs_only([])
}

fn builder(connect_timeout: Duration) -> ClientBuilder {
    Client::builder()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .tcp_nodelay(true)
}

/// Reads the body up to the bound. What goes wrong now changes nothing: the status has said whether the request is
/// taken.
async fn read(mut response: Response) {
    let mut length = 0;
    while length <= ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => length += chunk.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Seconds, or an HTTP date seen from `now`.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::from(DateTime::parse_from_rfc2822(text).ok()?);
    Some(date.duration_since(now).unwrap_or_default())
}

/// An error and its sources in one line, without the URL: it may hold a token.
fn reasons(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl From<Method> for reqwest::Method {
    fn from(method: Method) -> reqwest::Method {
        match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http() -> Http {
        Http::new(Duration::from_secs(1)).unwrap()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn urls_are_checked_once() {
        let http = http();
        for (url, origin) in [
            ("http://127.0.0.1:5656/hook?x=1", "http://127.0.0.1:5656"),
            ("HTTP://Example.COM:80", "http://example.com"),
            ("https://[::1]/a b", "https://[::1]"),
            ("http://user:secret@host/", "http://host"),
        ] {
            let endpoint = Endpoint::parse(&http, url).unwrap();
            assert_eq!(endpoint.origin(), origin);
        }
        for url in [
            "",
            "http://",
            "http://a b/",
            "hook",
            "/hook",
            "ftp://host/",
            "http://h:99999/",
            "http://[::1",
        ] {
            let error = Endpoint::parse(&http, url)
                .err()
                .unwrap_or_else(|| panic!("{url} is not valid"));
            assert!(error.contains("URL"), "{url}: {error}");
        }
    }

    #[test]
    fn user_and_password_become_a_header_that_an_own_one_replaces() {
        let endpoint = Endpoint::parse(&http(), "http://me:p%40ss@host/").unwrap();
        assert_eq!(endpoint.url.as_str(), "http://host/");
        let prepared = endpoint.prepare(&[], None).unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Basic bWU6cEBzcw==");
        let prepared = endpoint
            .prepare(&pairs(&[("Authorization", "Bearer x")]), None)
            .unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Bearer x");
        assert_eq!(prepared.headers.len(), 1);
    }

    #[test]
    fn headers_are_checked_and_those_of_the_connection_left_out() {
        let endpoint = Endpoint::parse(&http(), "http://host/").unwrap();
        let list = [
            ("Content-Type", "a/b"),
            ("x", "1"),
            ("X", "é"),
            ("Content-Length", "7"),
            ("connection", "close"),
        ];
        let prepared = endpoint.prepare(&pairs(&list), None).unwrap();
        assert_eq!(prepared.headers.len(), 3);
        assert_eq!(prepared.headers.get_all("x").iter().count(), 2);
        for (name, value, at_fault) in [
            ("", "1", "\"\""),
            ("a b", "1", "\"a b\""),
            ("a\r\nb", "1", "\"a\\r\\nb\""),
            ("x-token", "secret\r\nEvil: 1", "`x-token`"),
            ("x-token", "secret\0", "`x-token`"),
        ] {
            let error = endpoint.prepare(&pairs(&[(name, value)]), None).err().unwrap();
            assert!(error.contains(at_fault) && !error.contains("secret"), "{error}");
        }
    }

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
