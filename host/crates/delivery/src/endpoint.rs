//! HTTP receivers: URLs and headers, parsed and checked once, with the settings of their configured destination.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};

use super::clients::{Access, LazyClient};
use super::destination::{Destination, Terms};
use super::direct::{Direct, Pool, authority};
use super::http::Http;
use super::signing::signatures;
use super::tls::Tls;

/// Headers about the connection and the length of the body. Only the HTTP client sets them. With a wrong length, the
/// receiver would read the rest of one body as the next request.
const OWN_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers of a signature. If the receiver requires signatures, these headers of a module are dropped.
const SIGNATURE_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// A checked `http:` or `https:` URL.
pub(super) struct Endpoint {
    /// The URL without user and password.
    url: Url,
    authorization: Option<HeaderValue>,
    own: Option<Own>,
    connect_timeout: Duration,
    /// The client for `https:`; `None` for `http:`.
    secure: Option<Rc<LazyClient>>,
    guarded: Rc<LazyClient>,
}

/// The headers and settings of a configured destination.
#[derive(Clone)]
struct Own {
    destination: Arc<Destination>,
    headers: HeaderMap,
}

/// Checked headers together with their endpoint.
pub(super) struct Prepared {
    /// The URL passed to a client that is not [`Direct`].
    pub(super) url: Url,
    /// How the request is sent if no module chose its host.
    pub(super) way: Way,
    /// The client for a request whose host was chosen by a module.
    pub(super) guarded: Rc<LazyClient>,
    headers: HeaderMap,
    own: Option<Own>,
    /// The last `location` to which it was redirected.
    redirected: RefCell<Option<(String, Rc<Prepared>)>>,
}

/// How a request is sent.
pub(super) enum Way {
    /// Without TLS.
    Direct(Direct),
    /// With TLS.
    Secure(Rc<LazyClient>),
}

impl Endpoint {
    /// Parses and checks a URL. `destination` returns the configured destination of the URL; without one, the terms are
    /// `common`.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, without the URL itself.
    pub(super) fn parse(
        http: &Http,
        url: &str,
        common: &Terms,
        destination: impl FnOnce(&Url) -> Option<Arc<Destination>>,
    ) -> Result<Endpoint, String> {
        let mut url = Url::parse(url).map_err(|error| format!("URL is not valid: {error}"))?;
        if !url.has_host() {
            return Err("URL has no host".to_owned());
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("unknown URL scheme `{}`", url.scheme()));
        }
        let authorization = take_credentials(&mut url)?;
        let own = match destination(&url) {
            Some(destination) => Some(Own {
                headers: own_headers(&destination)?,
                destination,
            }),
            None => None,
        };
        let destination = own.as_ref().map(|own| &*own.destination);
        let connect_timeout = destination.map_or(common, |own| &own.terms).connect_timeout;
        let is_secure = url.scheme() == "https";
        let secure = is_secure.then(|| {
            let tls = destination.map_or_else(Tls::default, |own| own.tls.clone());
            http.clients.client(Access::Named(tls), connect_timeout)
        });
        let guarded = http.clients.client(Access::Chosen { is_secure }, connect_timeout);
        Ok(Endpoint {
            url,
            authorization,
            own,
            connect_timeout,
            secure,
            guarded,
        })
    }

    /// Returns the configured destination of this endpoint.
    pub(super) fn destination(&self) -> Option<&Destination> {
        Some(&self.own.as_ref()?.destination)
    }

    /// Returns the terms of the configured destination, or `common` without one.
    pub(super) fn terms<'a>(&'a self, common: &'a Terms) -> &'a Terms {
        self.destination().map_or(common, |destination| &destination.terms)
    }

    /// Creates a pool of connections for requests to this origin and destination. Returns `None` if they use TLS.
    pub(super) fn pool(&self) -> Option<Rc<Pool>> {
        Pool::for_url(&self.url, self.connect_timeout).map(Rc::new)
    }

    /// Returns scheme, host and port. Requests of one destination have the same origin.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Checks headers for requests to this endpoint. Requests without TLS use `pool`. An `authorization` header in
    /// `list` replaces the credentials of the URL. The headers of the configured destination replace both.
    ///
    /// # Errors
    ///
    /// What is wrong with the headers, without their values.
    pub(super) fn prepare(&self, list: &[(String, String)], pool: Option<&Rc<Pool>>) -> Result<Prepared, String> {
        // Reserves space for the headers that the connection adds to each copy.
        let mut map = HeaderMap::with_capacity(list.len() + 4);
        for (name, text) in list {
            let (name, value) = header(name, text)?;
            // Connections are kept open, so a request may say so.
            let keeps_open = name == CONNECTION && value == "keep-alive";
            let is_own = OWN_HEADERS.contains(&name.as_str()) && !keeps_open;
            if is_own || self.own.as_ref().is_some_and(|own| own.takes(&name)) {
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
        let way = match (&self.secure, pool) {
            (Some(secure), _) => {
                if let Some(name) = secure.server_name() {
                    // The client requests this name. Its resolver returns the address of the original host.
                    map.insert(HOST, authority(&self.url)?);
                    url.set_host(Some(name))
                        .map_err(|_| "`server_name` is not a valid host name")?;
                }
                Way::Secure(Rc::clone(secure))
            }
            (None, Some(pool)) => Way::Direct(Direct::new(&self.url, pool, &mut map)?),
            (None, None) => return Err("URL has no host".to_owned()),
        };
        Ok(Prepared {
            url,
            way,
            guarded: Rc::clone(&self.guarded),
            headers: map,
            own: self.own.clone(),
            redirected: RefCell::default(),
        })
    }
}

impl Prepared {
    /// Returns whether requests are signed.
    pub(super) fn is_signed(&self) -> bool {
        self.own.as_ref().is_some_and(|own| !own.destination.signing.is_empty())
    }

    /// Returns what to send if a receiver redirects this request to `location`. At another origin the request has neither
    /// credentials nor a signature. Remembers the last location, so that its connections are reused.
    ///
    /// # Errors
    ///
    /// What is wrong with the location, without the location itself.
    pub(super) fn redirected(&self, http: &Http, terms: &Terms, location: &str) -> Result<Rc<Prepared>, String> {
        let mut last = self.redirected.borrow_mut();
        if let Some((known, to)) = &*last
            && known == location
        {
            return Ok(Rc::clone(to));
        }
        let url = self.url.join(location).map_err(|_| "redirected to an invalid URL")?;
        let is_same = url.origin() == self.url.origin();
        let to = match &self.way {
            Way::Direct(direct) if is_same => self.at(url.clone(), Way::Direct(direct.at(&url)?)),
            Way::Secure(secure) if is_same => self.at(url, Way::Secure(Rc::clone(secure))),
            _ => {
                let endpoint = Endpoint::parse(http, url.as_str(), terms, |_| None)
                    .map_err(|error| format!("redirected to a URL that is not valid: {error}"))?;
                let mut to = endpoint.prepare(&[], endpoint.pool().as_ref())?;
                let secrets = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST];
                for (name, value) in &self.headers {
                    let is_signature = SIGNATURE_HEADERS.contains(&name.as_str());
                    if !value.is_sensitive() && !secrets.contains(name) && !is_signature {
                        to.headers.append(name.clone(), value.clone());
                    }
                }
                to
            }
        };
        let to = Rc::new(to);
        *last = Some((location.to_owned(), Rc::clone(&to)));
        Ok(to)
    }

    /// The same request at another URL of the same origin.
    fn at(&self, url: Url, way: Way) -> Prepared {
        Prepared {
            url,
            way,
            guarded: Rc::clone(&self.guarded),
            headers: self.headers.clone(),
            own: self.own.clone(),
            redirected: RefCell::default(),
        }
    }

    /// Returns the headers of one attempt. `id` is the message id of a signed request.
    pub(super) fn headers(&self, id: Option<&str>, now: SystemTime, body: &[u8]) -> Result<HeaderMap, String> {
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
    /// Returns whether the module may not set this header. It may never set `host`: another host behind the same
    /// address would receive the credentials.
    fn takes(&self, name: &HeaderName) -> bool {
        let signed = !self.destination.signing.is_empty();
        name == HOST || self.headers.contains_key(name) || signed && SIGNATURE_HEADERS.contains(&name.as_str())
    }
}

/// Removes user and password from a URL and returns them as a header value.
fn take_credentials(url: &mut Url) -> Result<Option<HeaderValue>, String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let user = percent_decode_str(url.username());
    let password = percent_decode_str(url.password().unwrap_or_default());
    let pair: Vec<u8> = user.chain([b':']).chain(password).collect();
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| "URL is not valid: its user or password")?;
    value.set_sensitive(true);
    // Both calls succeed for a URL with a host.
    url.set_username("")
        .and(url.set_password(None))
        .map_err(|()| "URL has no host")?;
    Ok(Some(value))
}

/// Parses and checks a header. The value may be a secret, so the error does not contain it.
fn header(name: &str, text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("header name {name:?} is not valid"))?;
    let value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| format!("value of header `{name}` is not valid: it has control characters"))?;
    Ok((name, value))
}

/// Returns the headers of a destination as they are sent.
fn own_headers(destination: &Destination) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(destination.headers.len());
    for (name, secret) in &destination.headers {
        let (name, mut value) = header(name, secret.expose())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Checks a header that a destination adds to every request.
///
/// # Errors
///
/// What is wrong with the header, without its value.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let (name, _) = header(name, value)?;
    if OWN_HEADERS.contains(&name.as_str()) || name == HOST {
        return Err(format!("header `{name}` belongs to the connection: the host sets it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::destination::tests::destination;
    use super::super::secret::Secret;
    use super::super::signing::SigningKey;
    use super::super::tls::ServerName;
    use super::*;

    fn http() -> Http {
        Http::new()
    }

    fn prepare(endpoint: &Endpoint, list: &[(&str, &str)]) -> Result<Prepared, String> {
        endpoint.prepare(&pairs(list), endpoint.pool().as_ref())
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn urls_are_checked_once() {
        for (url, origin) in [
            ("http://127.0.0.1:5656/hook?x=1", "http://127.0.0.1:5656"),
            ("HTTP://Example.COM:80", "http://example.com"),
            ("https://[::1]/a b", "https://[::1]"),
            ("http://user:secret@host/", "http://host"),
        ] {
            let endpoint = Endpoint::parse(&http(), url, &Terms::default(), |_| None).unwrap();
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
            let error = Endpoint::parse(&http(), url, &Terms::default(), |_| None)
                .err()
                .unwrap_or_else(|| panic!("{url} is not valid"));
            assert!(error.contains("URL"), "{url}: {error}");
        }
    }

    #[test]
    fn user_and_password_become_a_header_that_an_own_one_replaces() {
        let endpoint = Endpoint::parse(&http(), "https://me:p%40ss@host/", &Terms::default(), |_| None).unwrap();
        assert_eq!(endpoint.url.as_str(), "https://host/");
        let prepared = prepare(&endpoint, &[]).unwrap();
        assert_eq!(prepared.headers[AUTHORIZATION], "Basic bWU6cEBzcw==");
        assert!(prepared.headers[AUTHORIZATION].is_sensitive());
        let prepared = prepare(&endpoint, &[("Authorization", "Bearer x")]).unwrap();
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
        let list = [
            ("Authorization", "Basic bW9kdWxl"),
            ("X-One", "module"),
            ("x-one", "module"),
            ("x-two", "module"),
            ("webhook-id", "module"),
            ("Host", "other"),
        ];
        let prepared = prepare(&configured(destination.clone(), "https://u:p@host/"), &list).unwrap();
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
        let prepared = prepare(&configured(destination, "https://host/"), &list).unwrap();
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
        let prepared = prepare(&configured(destination.clone(), "https://10.0.0.1:8443/a?b"), &[]).unwrap();
        assert_eq!(prepared.url.as_str(), "https://inner.example:8443/a?b");
        assert_eq!(prepared.headers[HOST], "10.0.0.1:8443");
        let plain = prepare(&configured(destination, "http://10.0.0.1/"), &[]).unwrap();
        assert_eq!(plain.url.as_str(), "http://10.0.0.1/");
        assert_eq!(plain.headers[HOST], "10.0.0.1");
    }

    #[test]
    fn headers_are_checked_and_those_of_the_connection_left_out() {
        let endpoint = Endpoint::parse(&http(), "https://host/", &Terms::default(), |_| None).unwrap();
        let list = [
            ("Content-Type", "a/b"),
            ("x", "1"),
            ("X", "é"),
            ("Content-Length", "7"),
            ("connection", "close"),
            ("Connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
        ];
        let prepared = prepare(&endpoint, &list).unwrap();
        assert_eq!(prepared.headers.len(), 5);
        assert_eq!(prepared.headers[CONNECTION], "keep-alive");
        assert_eq!(prepared.headers.get_all("x").iter().count(), 2);
        for (name, value, at_fault) in [
            ("", "1", "\"\""),
            ("a b", "1", "\"a b\""),
            ("a\r\nb", "1", "\"a\\r\\nb\""),
            ("x-token", "secret\r\nEvil: 1", "`x-token`"),
            ("x-token", "secret\0", "`x-token`"),
        ] {
            let error = prepare(&endpoint, &[(name, value)]).err().unwrap();
            assert!(error.contains(at_fault) && !error.contains("secret"), "{error}");
        }
    }
}
