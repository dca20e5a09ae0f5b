//! HTTP receivers: URLs and headers, parsed and checked once, with the settings of their configured destination.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};

use super::clients::{Access, LazyClient};
use super::destination::{Destination, Terms};
use super::direct::{Direct, Pool, authority};
use super::http::Http;
use super::http_options::HttpVersion;
use super::oauth2::Token;
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
    /// The client for TLS, HTTP/2 or a proxy; `None`: requests are sent over a [`Pool`].
    client: Option<Rc<LazyClient>>,
    guarded: Rc<LazyClient>,
}

/// The headers and settings of a configured destination.
#[derive(Clone)]
struct Own {
    destination: Arc<Destination>,
    headers: HeaderMap,
    /// The access token, with the client that fetches it.
    token: Option<(Rc<Token>, Rc<LazyClient>)>,
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
    /// Over a connection of a pool.
    Direct(Direct),
    /// With TLS, HTTP/2 or a proxy.
    Client(Rc<LazyClient>),
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
            Some(destination) => Some(Own::new(http, destination)?),
            None => None,
        };
        let destination = own.as_ref().map(|own| &*own.destination);
        let Terms {
            connect_timeout,
            http: options,
            ..
        } = destination.map_or(common, |own| &own.terms);
        let connect_timeout = *connect_timeout;
        let is_secure = url.scheme() == "https";
        let needs_client = is_secure || options.version == HttpVersion::Http2 || options.proxy.is_some();
        let client = needs_client.then(|| {
            let tls = || destination.map_or_else(Tls::default, |own| own.tls.clone());
            let access = Access::Named {
                tls: is_secure.then(tls),
                version: options.version,
                proxy: options.proxy.clone(),
            };
            http.clients.client(access, connect_timeout)
        });
        let guarded = http.clients.client(Access::Chosen { is_secure }, connect_timeout);
        Ok(Endpoint {
            url,
            authorization,
            own,
            connect_timeout,
            client,
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
        let pool = Pool::for_url(&self.url, self.connect_timeout)?;
        pool.set_unix(self.unix());
        Some(Rc::new(pool))
    }

    /// Returns the Unix socket to connect to, in place of host and port.
    pub(super) fn unix(&self) -> Option<&Path> {
        self.destination()?.unix.as_deref()
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
        let way = match (&self.client, pool) {
            (Some(client), _) => {
                if let Some(name) = client.server_name() {
                    // The client requests this name. Its resolver returns the address of the original host.
                    map.insert(HOST, authority(&self.url)?);
                    url.set_host(Some(name))
                        .map_err(|_| "`server_name` is not a valid host name")?;
                }
                Way::Client(Rc::clone(client))
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

    /// Returns the access token of the destination, with the client that fetches it.
    pub(super) fn token(&self) -> Option<(&Token, &LazyClient)> {
        let (token, client) = self.own.as_ref()?.token.as_ref()?;
        Some((token, client))
    }

    /// Returns whether the body is compressed already.
    pub(super) fn is_encoded(&self) -> bool {
        self.headers.contains_key(CONTENT_ENCODING)
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
            Way::Client(client) if is_same => self.at(url, Way::Client(Rc::clone(client))),
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
        let signed = self.own.as_ref().filter(|own| !own.destination.signing.is_empty());
        if let (Some(own), Some(id)) = (signed, id) {
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
    fn new(http: &Http, destination: Arc<Destination>) -> Result<Own, String> {
        let token = destination.oauth2.as_ref().map(|settings| {
            let access = Access::Named {
                tls: Some(Tls {
                    ca: settings.ca.clone(),
                    ..Tls::default()
                }),
                version: HttpVersion::Http1,
                proxy: destination.terms.http.proxy.clone(),
            };
            let client = http.clients.client(access, destination.terms.connect_timeout);
            (http.tokens.token(settings), client)
        });
        Ok(Own {
            headers: own_headers(&destination)?,
            destination,
            token,
        })
    }

    /// Returns whether the module may not set this header. It may never set `host`: another host behind the same
    /// address would receive the credentials.
    fn takes(&self, name: &HeaderName) -> bool {
        let signed = !self.destination.signing.is_empty();
        let is_replaced = name == AUTHORIZATION && self.token.is_some();
        name == HOST
            || is_replaced
            || self.headers.contains_key(name)
            || signed && SIGNATURE_HEADERS.contains(&name.as_str())
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

/// Parses the name of a header that the host adds to requests.
///
/// # Errors
///
/// What is wrong with the name.
pub fn header_name(name: &str) -> Result<HeaderName, String> {
    check_header(name, "")?;
    let (name, _) = header(name, "")?;
    Ok(name)
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
#[path = "endpoint_tests.rs"]
mod tests;
