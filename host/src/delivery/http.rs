//! One attempt over HTTP. The only file that names the HTTP client.
//!
//! A sender thread owns one [`Http`], whose keep-alive pool nobody else uses. URLs and headers are checked and taken
//! apart once ([`Endpoint`], [`Prepared`]); an attempt clones the results and signs, where that is asked for. Redirects, proxies and the client's own
//! retries and timers are off: the policy repeats, and the sender bounds the time of an attempt.
//!
//! Certificates of `https:` receivers are checked against the roots of the platform. They are loaded with the first
//! `https:` request, so that a host which needs none neither pays for them nor fails to start without them. A destination
//! with TLS or a connect timeout of its own has a client of its own, shared by those that have the same.

use std::cell::{OnceCell, RefCell};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::DateTime;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Response, Url};

use super::StartError;
use super::destination::Destination;
use super::request::Method;
use super::retry::Outcome;
use super::signing::signatures;
use super::tls::Tls;

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

/// What a signature consists of. A module that sets them for a receiver with signatures is not listened to.
const SIGNATURE_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// A checked `http:` or `https:` URL.
pub(super) struct Endpoint {
    /// Without user and password.
    url: Url,
    authorization: Option<HeaderValue>,
    own: Option<Own>,
}

/// What the configured destination of an endpoint gives.
#[derive(Clone)]
struct Own {
    destination: Arc<Destination>,
    headers: HeaderMap,
    /// None: the common client.
    connect: Option<Arc<Connect>>,
}

/// How connections to some destinations are made.
struct Connect {
    /// None: for `http:`.
    tls: Option<Tls>,
    timeout: Duration,
    client: OnceLock<Client>,
}

/// Checked headers together with the endpoint they are for.
pub(super) struct Prepared {
    url: Url,
    headers: HeaderMap,
    own: Option<Own>,
}

/// The HTTP client of one sender thread.
pub(super) struct Http {
    plain: Client,
    secure: OnceCell<Client>,
    connect_timeout: Duration,
    own: RefCell<Vec<Arc<Connect>>>,
}

impl Endpoint {
    /// Checks a URL; the error says what is wrong with it, without the URL. `destination` says which configured one it
    /// belongs to.
    pub(super) fn parse(
        http: &Http,
        url: &str,
        destination: impl FnOnce(&Url) -> Option<Arc<Destination>>,
    ) -> Result<Endpoint, String> {
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
        let own = match destination(&url) {
            Some(destination) => Some(Own {
                headers: own_headers(&destination)?,
                connect: http.connect(&destination, &url),
                destination,
            }),
            None => None,
        };
        Ok(Endpoint {
            url,
            authorization: request.headers().get(AUTHORIZATION).cloned(),
            own,
        })
    }

    /// The configured destination that it belongs to.
    pub(super) fn destination(&self) -> Option<&Destination> {
        Some(&self.own.as_ref()?.destination)
    }

    /// Scheme, host and port: what requests must share to be for one destination.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Checks headers for requests to this endpoint. An `authorization` among them replaces that of the URL, and what the
    /// configured destination gives replaces both.
    pub(super) fn prepare(&self, list: &[(String, String)]) -> Result<Prepared, String> {
        let mut map = HeaderMap::with_capacity(list.len() + 2);
        for (name, text) in list {
            let (name, value) = header(name, text)?;
            if OWN_HEADERS.contains(&name.as_str()) || self.own.as_ref().is_some_and(|own| own.takes(&name)) {
                continue;
            }
            map.append(name, value);
        }
        if let Some(own) = &self.own {
            map.extend(own.headers.clone());
        }
        if let Some(authorization) = &self.authorization
            && !map.contains_key(AUTHORIZATION)
        {
            map.insert(AUTHORIZATION, authorization.clone());
        }
        let mut url = self.url.clone();
        if let Some(name) = self.own.as_ref().and_then(Own::server_name)
            && url.scheme() == "https"
        {
            // The client asks for the name that it is given; where that leads is said by its resolver.
            let (host, port) = (self.url.host_str().unwrap_or_default(), self.url.port());
            let authority = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
            let authority = HeaderValue::from_str(&authority).map_err(|_| "URL has no host")?;
            map.entry(HOST).or_insert(authority);
            url.set_host(Some(name))
                .map_err(|_| "`server_name` is no name of a host")?;
        }
        Ok(Prepared {
            url,
            headers: map,
            own: self.own.clone(),
        })
    }
}

impl Prepared {
    /// Whether requests are signed.
    pub(super) fn is_signed(&self) -> bool {
        self.own.as_ref().is_some_and(|own| !own.destination.signing.is_empty())
    }

    /// The headers of one attempt; `id` is that of a signed request.
    fn headers(&self, id: Option<&str>, now: SystemTime, body: &[u8]) -> Result<HeaderMap, String> {
        let mut headers = self.headers.clone();
        if let (Some(own), Some(id)) = (&self.own, id) {
            let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            let signature = signatures(&own.destination.signing, id, seconds, body);
            for (name, text) in SIGNATURE_HEADERS.iter().zip([id, &seconds.to_string(), &signature]) {
                let (name, value) = header(name, text)?;
                headers.insert(name, value);
            }
        }
        Ok(headers)
    }
}

impl Own {
    /// Whether a header is not the module's to set.
    fn takes(&self, name: &HeaderName) -> bool {
        let signed = !self.destination.signing.is_empty();
        self.headers.contains_key(name) || signed && SIGNATURE_HEADERS.contains(&name.as_str())
    }

    fn server_name(&self) -> Option<&str> {
        Some(&self.destination.tls.server_name.as_ref()?.name)
    }
}

/// A header, checked. The value may be a secret, so it is not part of the error.
fn header(name: &str, text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("header name {name:?} is not valid"))?;
    let value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| format!("value of header `{name}` is not valid: it has control characters"))?;
    Ok((name, value))
}

/// The headers of a destination as they are sent.
fn own_headers(destination: &Destination) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(destination.headers.len());
    for (name, secret) in &destination.headers {
        let (name, mut value) = header(name, secret.expose())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Checks a header that every request to a destination is to have.
///
/// # Errors
///
/// What is wrong, without the value.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let (name, _) = header(name, value)?;
    if OWN_HEADERS.contains(&name.as_str()) || name == HOST {
        return Err(format!("header `{name}` belongs to the connection: the host sets it"));
    }
    Ok(())
}

/// Checks whether connections could be made so: whether certificate and key belong together.
///
/// # Errors
///
/// What is wrong, in one line.
pub fn check_tls(tls: &Tls) -> Result<(), String> {
    install_crypto();
    secure(tls, Duration::ZERO)?.build().map(drop).map_err(reasons)
}

impl Http {
    /// A client without connections.
    pub(super) fn new(connect_timeout: Duration) -> Result<Http, StartError> {
        install_crypto();
        let plain = builder(connect_timeout)
            .tls_certs_only([])
            .build()
            .map_err(|e| StartError::Http(e.into()))?;
        Ok(Http {
            plain,
            secure: OnceCell::new(),
            connect_timeout,
            own: RefCell::default(),
        })
    }

    /// How connections to a destination are made; none: as all others are.
    fn connect(&self, destination: &Destination, url: &Url) -> Option<Arc<Connect>> {
        let timeout = destination.terms.connect_timeout;
        let tls = (url.scheme() == "https").then_some(&destination.tls);
        if timeout == self.connect_timeout && tls.is_none_or(|tls| *tls == Tls::default()) {
            return None;
        }
        let mut own = self.own.borrow_mut();
        let known = own
            .iter()
            .find(|known| known.timeout == timeout && known.tls.as_ref() == tls);
        let connect = known.cloned().unwrap_or_else(|| {
            let connect = Arc::new(Connect {
                tls: tls.cloned(),
                timeout,
                client: OnceLock::new(),
            });
            own.push(Arc::clone(&connect));
            connect
        });
        Some(connect)
    }

    /// Sends a request and reads the answer; `id` is that of a signed request. Takes as long as the receiver likes; dropping the future closes the
    /// connection.
    pub(super) async fn attempt(&self, to: &Prepared, method: Method, body: Bytes, id: Option<&str>) -> Outcome {
        let client = match self.client(to) {
            Ok(client) => client,
            Err(error) => return Outcome::Failed(error),
        };
        let mut request = reqwest::Request::new(method.into(), to.url.clone());
        match to.headers(id, SystemTime::now(), &body) {
            Ok(headers) => *request.headers_mut() = headers,
            Err(error) => return Outcome::Invalid(error),
        }
        *request.body_mut() = Some(body.into());
        let response = match client.execute(request).await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Outcome::Invalid(reasons(error)),
            Err(error) => return Outcome::Failed(reasons(error)),
        };
        let status = response.status();
        let retry_after = match status.as_u16() {
            429 | 503 => response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| retry_after(value, SystemTime::now())),
            _ => None,
        };
        read(response).await;
        match status.is_success() {
            true => Outcome::Taken,
            false => Outcome::Refused {
                status: status.as_u16(),
                retry_after,
            },
        }
    }

    fn client<'a>(&'a self, to: &'a Prepared) -> Result<&'a Client, String> {
        if let Some(connect) = to.own.as_ref().and_then(|own| own.connect.as_ref()) {
            return connect.client();
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

impl Connect {
    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let builder = match &self.tls {
            Some(tls) => secure(tls, self.timeout)?,
            None => builder(self.timeout).tls_certs_only([]),
        };
        let client = builder.build().map_err(reasons)?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// Process-wide, and the first one stays: whoever else installed one, all of them do.
fn install_crypto() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// A client for `https:` with TLS of its own.
fn secure(tls: &Tls, connect_timeout: Duration) -> Result<ClientBuilder, String> {
    let mut builder = builder(connect_timeout);
    if let Some(ca) = &tls.ca {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca.pem()).map_err(reasons)?);
    }
    if let Some(identity) = &tls.identity {
        let pem = [identity.certificates.pem(), b"\n", identity.key.pem()].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(reasons)?);
    }
    if !tls.verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(server_name) = &tls.server_name {
        builder = builder.dns_resolver(Arc::new(LeadsTo(server_name.host.as_str().into())));
    }
    Ok(builder)
}

/// Resolves every name to the addresses of one host.
struct LeadsTo(Arc<str>);

impl Resolve for LeadsTo {
    fn resolve(&self, _: Name) -> Resolving {
        let host = Arc::clone(&self.0);
        Box::pin(async move {
            // The port is put in by the client.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((&*host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
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
            let endpoint = Endpoint::parse(&http, url, |_| None).unwrap();
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
            let error = Endpoint::parse(&http, url, |_| None)
                .err()
                .unwrap_or_else(|| panic!("{url} is not valid"));
            assert!(error.contains("URL"), "{url}: {error}");
        }
    }

    #[test]
    fn user_and_password_become_a_header_that_an_own_one_replaces() {
        let endpoint = Endpoint::parse(&http(), "http://me:p%40ss@host/", |_| None).unwrap();
        assert_eq!(endpoint.url.as_str(), "http://host/");
        let prepared = endpoint.prepare(&[]).unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Basic bWU6cEBzcw==");
        let prepared = endpoint.prepare(&pairs(&[("Authorization", "Bearer x")])).unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Bearer x");
        assert_eq!(prepared.headers.len(), 1);
    }

    #[test]
    fn headers_are_checked_and_those_of_the_connection_left_out() {
        let endpoint = Endpoint::parse(&http(), "http://host/", |_| None).unwrap();
        let list = [
            ("Content-Type", "a/b"),
            ("x", "1"),
            ("X", "é"),
            ("Content-Length", "7"),
            ("connection", "close"),
        ];
        let prepared = endpoint.prepare(&pairs(&list)).unwrap();
        assert_eq!(prepared.headers.len(), 3);
        assert_eq!(prepared.headers.get_all("x").iter().count(), 2);
        for (name, value, at_fault) in [
            ("", "1", "\"\""),
            ("a b", "1", "\"a b\""),
            ("a\r\nb", "1", "\"a\\r\\nb\""),
            ("x-token", "secret\r\nEvil: 1", "`x-token`"),
            ("x-token", "secret\0", "`x-token`"),
        ] {
            let error = endpoint.prepare(&pairs(&[(name, value)])).err().unwrap();
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
