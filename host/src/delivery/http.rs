//! One attempt over HTTP. The only file that names the HTTP client, but for the resolver in `guard.rs`.
//!
//! A sender thread owns one [`Http`], whose kept-alive connections nobody else uses. URLs and headers are checked and
//! taken apart once ([`Endpoint`], [`Prepared`]); an attempt clones the results and signs, where that is asked for.
//! Redirects, proxies and the client's own retries and timers are off: the policy repeats, and the sender bounds the time
//! of an attempt. Without TLS requests go the short way of [`direct`](super::direct), which takes half the time, unless
//! their module chose the host: those go through the [`guard`](super::guard).
//!
//! Certificates of `https:` receivers are checked against the roots of the platform. They are loaded with the first
//! `https:` request, so that a host which needs none neither pays for them nor fails to start without them. A destination
//! with TLS or a connect timeout of its own has a client of its own, shared by those that have the same.

use std::cell::{OnceCell, RefCell};
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::DateTime;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, Url};

use super::StartError;
use super::destination::{Destination, Terms};
use super::direct::{Direct, Pool};
use super::guard::{self, Guard};
use super::request::{Method, Reach};
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
    connect_timeout: Duration,
    /// None: the common client.
    connect: Option<Arc<Connect>>,
}

/// What the configured destination of an endpoint gives.
#[derive(Clone)]
struct Own {
    destination: Arc<Destination>,
    headers: HeaderMap,
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
    direct: Option<Direct>,
    own: Option<Own>,
    connect: Option<Arc<Connect>>,
}

/// The HTTP client of one sender thread.
pub(super) struct Http {
    plain: Client,
    secure: OnceCell<Client>,
    guard: Guard,
    connect_timeout: Duration,
    own: RefCell<Vec<Arc<Connect>>>,
}

impl Endpoint {
    /// Checks a URL; the error says what is wrong with it, without the URL. `destination` says which configured one it
    /// belongs to; if it is none, the terms are `common`.
    pub(super) fn parse(
        http: &Http,
        url: &str,
        common: &Terms,
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
                destination,
            }),
            None => None,
        };
        let destination = own.as_ref().map(|own| &*own.destination);
        let connect_timeout = destination.map_or(common, |own| &own.terms).connect_timeout;
        Ok(Endpoint {
            connect: http.connect(connect_timeout, destination.map(|own| &own.tls), &url),
            connect_timeout,
            authorization: request.headers().get(AUTHORIZATION).cloned(),
            own,
            url,
        })
    }

    /// The configured destination that it belongs to.
    pub(super) fn destination(&self) -> Option<&Destination> {
        Some(&self.own.as_ref()?.destination)
    }

    /// The terms of its configured destination, or else `common`.
    pub(super) fn terms<'a>(&'a self, common: &'a Terms) -> &'a Terms {
        self.destination().map_or(common, |destination| &destination.terms)
    }

    /// A pool of connections for requests to this origin and destination; none if they need TLS.
    pub(super) fn pool(&self) -> Option<Rc<Pool>> {
        Pool::for_url(&self.url, self.connect_timeout).map(Rc::new)
    }

    /// Scheme, host and port: what requests must share to be for one destination.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Checks headers for requests to this endpoint, which go over the pool if there is one. An `authorization` among them
    /// replaces that of the URL, and what the configured destination gives replaces both.
    pub(super) fn prepare(&self, list: &[(String, String)], pool: Option<&Rc<Pool>>) -> Result<Prepared, String> {
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
        let direct = pool.map(|pool| Direct::new(&self.url, pool, &mut map)).transpose()?;
        let mut url = self.url.clone();
        if let Some(name) = self.own.as_ref().and_then(Own::server_name)
            && url.scheme() == "https"
        {
            // The client asks for the name that it is given; where that leads is said by its resolver.
            let (host, port) = (self.url.host_str().unwrap_or_default(), self.url.port());
            let authority = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
            let authority = HeaderValue::from_str(&authority).map_err(|_| "URL has no host")?;
            map.insert(HOST, authority);
            url.set_host(Some(name))
                .map_err(|_| "`server_name` is no name of a host")?;
        }
        Ok(Prepared {
            url,
            headers: map,
            direct,
            own: self.own.clone(),
            connect: self.connect.clone(),
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
    /// Whether a header is not the module's to set. `host` is none of its own either: behind one address another host
    /// would get the credentials.
    fn takes(&self, name: &HeaderName) -> bool {
        let signed = !self.destination.signing.is_empty();
        name == HOST || self.headers.contains_key(name) || signed && SIGNATURE_HEADERS.contains(&name.as_str())
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
        let plain = plain(connect_timeout).build().map_err(|e| StartError::Http(e.into()))?;
        Ok(Http {
            plain,
            secure: OnceCell::new(),
            guard: Guard::new(),
            connect_timeout,
            own: RefCell::default(),
        })
    }

    /// How connections are made with this timeout and TLS; none: as all others are.
    fn connect(&self, timeout: Duration, tls: Option<&Tls>, url: &Url) -> Option<Arc<Connect>> {
        let usual = Tls::default();
        let tls = (url.scheme() == "https").then(|| tls.unwrap_or(&usual));
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

    /// Forgets clients that no endpoint has any more.
    pub(super) fn forget_unused(&self) {
        self.own.borrow_mut().retain(|known| Arc::strong_count(known) > 1);
    }

    /// Sends a request and reads the answer; does not send it where it may not reach. `id` is that of a signed request.
    /// Takes as long as the receiver likes; dropping the future closes the connection.
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
        match (reach, &to.direct) {
            (Reach::Public, _) => {
                if let Err(error) = self.guard.literal(&to.url) {
                    return Outcome::Barred(error.to_string());
                }
            }
            (Reach::Anywhere, Some(direct)) => {
                return match direct.send(method.into(), headers, body).await {
                    Ok(answer) => {
                        let outcome = outcome(answer.status(), answer.headers());
                        answer.finish(ANSWER_BYTES).await;
                        outcome
                    }
                    Err(error) => Outcome::Failed(error),
                };
            }
            (Reach::Anywhere, None) => {}
        }
        let client = match self.client(to, reach) {
            Ok(client) => client,
            Err(error) => return Outcome::Failed(error),
        };
        let mut request = reqwest::Request::new(method.into(), to.url.clone());
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

    fn client<'a>(&'a self, to: &'a Prepared, reach: Reach) -> Result<&'a Client, String> {
        // First of all: nothing that a destination gives leads past the guard.
        if reach == Reach::Public {
            let builder = |is_secure| match is_secure {
                true => builder(self.connect_timeout),
                false => plain(self.connect_timeout),
            };
            return self.guard.client(&to.url, builder).map_err(reasons);
        }
        if let Some(connect) = &to.connect {
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
            None => plain(self.timeout),
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
    use super::super::destination::tests::destination;
    use super::super::secret::Secret;
    use super::super::signing::SigningKey;
    use super::super::tls::ServerName;
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
            let endpoint = Endpoint::parse(&http, url, &Terms::default(), |_| None).unwrap();
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
            let error = Endpoint::parse(&http, url, &Terms::default(), |_| None)
                .err()
                .unwrap_or_else(|| panic!("{url} is not valid"));
            assert!(error.contains("URL"), "{url}: {error}");
        }
    }

    #[test]
    fn user_and_password_become_a_header_that_an_own_one_replaces() {
        let endpoint = Endpoint::parse(&http(), "http://me:p%40ss@host/", &Terms::default(), |_| None).unwrap();
        assert_eq!(endpoint.url.as_str(), "http://host/");
        let prepared = endpoint.prepare(&[], None).unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Basic bWU6cEBzcw==");
        let prepared = endpoint
            .prepare(&pairs(&[("Authorization", "Bearer x")]), None)
            .unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Bearer x");
        assert_eq!(prepared.headers.len(), 1);
    }

    fn configured(destination: Destination, url: &str) -> Endpoint {
        Endpoint::parse(&http(), url, &Terms::default(), |_| Some(Arc::new(destination))).unwrap()
    }

    #[test]
    fn what_a_destination_gives_takes_the_place_of_what_a_module_made() {
        let mut destination = destination("d", &["https://host/"]);
        destination.headers = [("authorization", "Bearer own"), ("x-one", "own")]
            .map(|(name, value)| (name.to_owned(), Secret::new(value)))
            .to_vec();
        let list = pairs(&[
            ("Authorization", "Basic bW9kdWxl"),
            ("X-One", "module"),
            ("x-one", "module"),
            ("x-two", "module"),
            ("webhook-id", "module"),
            ("Host", "other"),
        ]);
        let prepared = configured(destination.clone(), "https://u:p@host/")
            .prepare(&list, None)
            .unwrap();
        let got: Vec<_> = prepared
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            got,
            [
                ("x-two", "module"),
                ("webhook-id", "module"),
                ("authorization", "Bearer own"),
                ("x-one", "own")
            ]
        );
        assert!(!format!("{:?}", prepared.headers).contains("own"));

        destination.signing = vec![SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
        let prepared = configured(destination, "https://host/").prepare(&list, None).unwrap();
        assert!(prepared.is_signed() && !prepared.headers.contains_key("webhook-id"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_614_265_330_999);
        let id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek");
        let headers = prepared.headers(id, now, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(headers["webhook-id"], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(
            headers["webhook-signature"],
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(
            (&headers["x-one"], headers.len()),
            (&HeaderValue::from_static("own"), 6)
        );
    }

    #[test]
    fn a_server_name_is_asked_for_and_the_host_is_still_told() {
        let mut destination = destination("d", &["https://10.0.0.1:8443/"]);
        destination.tls.server_name = Some(ServerName {
            name: "inner.example".into(),
            host: "10.0.0.1".into(),
        });
        let prepared = configured(destination.clone(), "https://10.0.0.1:8443/a?b")
            .prepare(&[], None)
            .unwrap();
        assert_eq!(prepared.url.as_str(), "https://inner.example:8443/a?b");
        assert_eq!(prepared.headers[HOST], "10.0.0.1:8443");
        let plain = configured(destination, "http://10.0.0.1/").prepare(&[], None).unwrap();
        assert_eq!((plain.url.as_str(), plain.headers.len()), ("http://10.0.0.1/", 0));
    }

    #[test]
    fn clients_are_shared_by_what_they_are_made_of() {
        let http = http();
        let timeout = Duration::from_secs(1);
        let mut common = destination("a", &["https://a/"]);
        common.terms.connect_timeout = timeout;
        let unchecked = Destination {
            tls: Tls {
                verify: false,
                ..Tls::default()
            },
            ..common.clone()
        };
        let mut patient = unchecked.clone();
        patient.terms.connect_timeout = 2 * timeout;
        let url = |scheme: &str| Url::parse(&format!("{scheme}://a/")).unwrap();
        let connect = |destination: &Destination, scheme: &str| {
            http.connect(destination.terms.connect_timeout, Some(&destination.tls), &url(scheme))
        };
        assert!(connect(&common, "https").is_none() && connect(&unchecked, "http").is_none());
        let one = connect(&unchecked, "https").unwrap();
        assert!(Arc::ptr_eq(&one, &connect(&unchecked, "https").unwrap()));
        assert!(!Arc::ptr_eq(&one, &connect(&patient, "https").unwrap()));
        assert!(connect(&patient, "http").unwrap().tls.is_none());
        assert_eq!(http.own.borrow().len(), 3);
    }

    #[test]
    fn headers_are_checked_and_those_of_the_connection_left_out() {
        let endpoint = Endpoint::parse(&http(), "http://host/", &Terms::default(), |_| None).unwrap();
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
