//! The reqwest clients of a sender thread. They serve receivers with TLS, HTTP/2 or a proxy, and hosts chosen by a module
//! ([`guard`](super::guard)). All other requests use [`direct`](super::direct).
//!
//! Redirects and the retries of reqwest are disabled, and so are proxies of the environment unless a setting asks for
//! them. A client is built when it sends its first request, and again after [`MAX_CLIENT_AGE`]: its connections then
//! lead to the current addresses of the receiver. A
//! host without `https:` receivers therefore does not load the root certificates of the platform. Endpoints with equal
//! TLS settings and connect timeout share a client. A client for hosts chosen by a module shares no connections with
//! the others. A connection made without the address check is never used where the check is required.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Identity};

use super::guard::PublicOnly;
use super::http_options::{HttpVersion, Proxy};
use super::tls::Tls;
use hookhost_settings::error_line;

/// How long an idle connection stays open. Common receivers use the same time.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// How long a client is used. A receiver that gets a new address is reached after this time at the latest, even if it
/// still answers at the old one.
const MAX_CLIENT_AGE: Duration = Duration::from_secs(300);

/// What a client may connect to, and how.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Access {
    /// Receivers named by the operator.
    Named {
        /// TLS settings of `https:` receivers; `None` for `http:`.
        tls: Option<Tls>,
        version: HttpVersion,
        proxy: Option<Proxy>,
    },
    /// Hosts chosen by a module; public addresses only.
    Chosen {
        /// Whether the client is for `https:`. A client for `http:` loads no certificates.
        is_secure: bool,
    },
}

/// The clients of one sender thread.
pub(super) struct Clients {
    all: RefCell<Vec<Rc<LazyClient>>>,
    /// The address check for hosts chosen by a module.
    pub(super) guard: Arc<PublicOnly>,
}

/// A client that is built on first use.
pub(super) struct LazyClient {
    access: Access,
    connect_timeout: Duration,
    guard: Arc<PublicOnly>,
    /// With the time at which it was built.
    client: RefCell<Option<(Client, Instant)>>,
}

impl Clients {
    /// Creates an empty set of clients.
    pub(super) fn new() -> Clients {
        Clients {
            all: RefCell::default(),
            guard: Arc::new(PublicOnly::new()),
        }
    }

    /// Returns the client with this access and connect timeout.
    pub(super) fn client(&self, access: Access, connect_timeout: Duration) -> Rc<LazyClient> {
        let mut all = self.all.borrow_mut();
        let known = all
            .iter()
            .find(|known| known.connect_timeout == connect_timeout && known.access == access);
        known.cloned().unwrap_or_else(|| {
            let client = Rc::new(LazyClient {
                access,
                connect_timeout,
                guard: Arc::clone(&self.guard),
                client: RefCell::default(),
            });
            all.push(Rc::clone(&client));
            client
        })
    }

    /// Drops the clients that no endpoint uses, and closes their connections.
    pub(super) fn forget_unused(&self) {
        self.all.borrow_mut().retain(|known| Rc::strong_count(known) > 1);
    }
}

impl LazyClient {
    /// Returns the client. Builds it if there is none yet, or if it is too old.
    ///
    /// # Errors
    ///
    /// Why the client cannot be built, in one line.
    pub(super) fn get(&self) -> Result<Client, String> {
        let mut known = self.client.borrow_mut();
        if let Some((client, built)) = &*known
            && built.elapsed() < MAX_CLIENT_AGE
        {
            return Ok(client.clone());
        }
        let client = self.builder()?.build().map_err(reasons)?;
        *known = Some((client.clone(), Instant::now()));
        Ok(client)
    }

    fn builder(&self) -> Result<ClientBuilder, String> {
        Ok(match &self.access {
            Access::Named { tls, version, proxy } => {
                let mut builder = match tls {
                    Some(tls) => with_tls(tls, self.connect_timeout)?,
                    None if proxy.as_ref().is_some_and(Proxy::needs_certificates) => builder(self.connect_timeout),
                    None => builder(self.connect_timeout).tls_certs_only([]),
                };
                builder = match proxy {
                    None => builder.no_proxy(),
                    Some(Proxy::Environment) => builder,
                    Some(Proxy::Url(url)) => builder.proxy(reqwest::Proxy::all(url.expose()).map_err(reasons)?),
                };
                match (version, tls) {
                    (HttpVersion::Http1, _) => builder.http1_only(),
                    (HttpVersion::Http2, None) => builder.http2_prior_knowledge(),
                    (HttpVersion::Http2, Some(_)) => builder,
                }
            }
            Access::Chosen { is_secure } => {
                let builder = builder(self.connect_timeout).no_proxy().http1_only();
                let builder = builder.dns_resolver(Arc::clone(&self.guard));
                if *is_secure {
                    builder
                } else {
                    builder.tls_certs_only([])
                }
            }
        })
    }

    /// Returns the name that the certificate of the receiver must have, if it differs from the host of the URL.
    pub(super) fn server_name(&self) -> Option<&str> {
        match &self.access {
            Access::Named { tls, .. } => Some(&tls.as_ref()?.server_name.as_ref()?.name),
            Access::Chosen { .. } => None,
        }
    }
}

/// Checks TLS settings: certificate and key must belong together.
///
/// # Errors
///
/// What is wrong, in one line.
pub fn check_tls(tls: &Tls) -> Result<(), String> {
    with_tls(tls, Duration::ZERO)?.build().map(drop).map_err(reasons)
}

/// Builds a client for requests other than webhooks, with the same rules: no redirects, no proxies, no retries.
///
/// # Errors
///
/// What is wrong with the TLS settings, in one line.
pub fn http_client(tls: &Tls, connect_timeout: Duration) -> Result<Client, String> {
    let builder = with_tls(tls, connect_timeout)?.no_proxy().http1_only();
    builder.build().map_err(reasons)
}

/// Returns a client builder that uses the root certificates of the platform. The caller decides about proxies and the
/// version of HTTP.
pub(super) fn builder(connect_timeout: Duration) -> ClientBuilder {
    // The provider is process-wide. Every caller installs the same one, so a second call has no effect.
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(MAX_IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .tcp_nodelay(true)
}

fn with_tls(tls: &Tls, connect_timeout: Duration) -> Result<ClientBuilder, String> {
    let mut builder = builder(connect_timeout);
    if let Some(ca) = &tls.ca {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca.pem()).map_err(reasons)?);
    }
    if let Some(identity) = &tls.identity {
        let pem = [identity.certificates.pem(), b"\n", identity.key.pem()].concat();
        builder = builder.identity(Identity::from_pem(&pem).map_err(reasons)?);
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
            // The client sets the port.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((&*host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Formats an error and its sources in one line. Leaves out the URL, which may contain a token.
pub(super) fn reasons(error: reqwest::Error) -> String {
    error_line(&error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_shared_by_what_they_are_made_of() {
        let clients = Clients::new();
        let second = Duration::from_secs(1);
        let named = |tls, version| Access::Named {
            tls: Some(tls),
            version,
            proxy: None,
        };
        let unchecked = || {
            let tls = Tls {
                verify: false,
                ..Tls::default()
            };
            named(tls, HttpVersion::Http1)
        };
        let chosen = |is_secure| Access::Chosen { is_secure };
        let one = clients.client(unchecked(), second);
        assert!(Rc::ptr_eq(&one, &clients.client(unchecked(), second)));
        let others = [
            clients.client(unchecked(), 2 * second),
            clients.client(named(Tls::default(), HttpVersion::Http1), second),
            clients.client(named(Tls::default(), HttpVersion::Http2), second),
            clients.client(chosen(true), second),
            clients.client(chosen(false), second),
            clients.client(chosen(false), 2 * second),
        ];
        assert!(others.iter().all(|other| !Rc::ptr_eq(&one, other)));
        assert_eq!(clients.all.borrow().len(), 7);
        assert!(Rc::ptr_eq(&others[4], &clients.client(chosen(false), second)));
        drop(others);
        clients.forget_unused();
        assert_eq!(clients.all.borrow().len(), 1, "one is still used");
    }
}
