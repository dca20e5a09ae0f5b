//! The general HTTP clients, for what the short way of [`direct`](super::direct) does not do: TLS, and hosts that a
//! module chose ([`guard`](super::guard)).
//!
//! Redirects, proxies and the client's own retries are off. Certificates of `https:` receivers are checked against the
//! roots of the platform. They are loaded with the first `https:` request, so that a host which needs none neither pays
//! for them nor fails to start without them. Destinations with the same TLS and connect timeout share a client.

use std::cell::{OnceCell, RefCell};
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Identity};

use super::tls::Tls;

/// Connections that are kept although unused, per receiver: as long as common receivers keep theirs.
const IDLE: Duration = Duration::from_secs(60);

/// The clients for `https:` of one sender thread.
#[derive(Default)]
pub(super) struct Clients(RefCell<Vec<Rc<Secure>>>);

/// A client for `https:`, made when it is first needed.
pub(super) struct Secure {
    tls: Tls,
    connect_timeout: Duration,
    client: OnceCell<Client>,
}

impl Clients {
    /// The one that makes its connections so.
    pub(super) fn secure(&self, tls: &Tls, connect_timeout: Duration) -> Rc<Secure> {
        let mut all = self.0.borrow_mut();
        let known = all
            .iter()
            .find(|known| known.connect_timeout == connect_timeout && known.tls == *tls);
        known.cloned().unwrap_or_else(|| {
            let secure = Rc::new(Secure {
                tls: tls.clone(),
                connect_timeout,
                client: OnceCell::new(),
            });
            all.push(Rc::clone(&secure));
            secure
        })
    }

    /// Forgets those that no endpoint has any more.
    pub(super) fn forget_unused(&self) {
        self.0.borrow_mut().retain(|known| Rc::strong_count(known) > 1);
    }
}

impl Secure {
    /// The client.
    ///
    /// # Errors
    ///
    /// Why none can be made, in one line.
    pub(super) fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = with_tls(&self.tls, self.connect_timeout)?.build().map_err(reasons)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// The name that the receiver's certificate must have, if it is not the URL's host.
    pub(super) fn server_name(&self) -> Option<&str> {
        Some(&self.tls.server_name.as_ref()?.name)
    }
}

/// Checks whether connections could be made so: whether certificate and key belong together.
///
/// # Errors
///
/// What is wrong, in one line.
pub fn check_tls(tls: &Tls) -> Result<(), String> {
    with_tls(tls, Duration::ZERO)?.build().map(drop).map_err(reasons)
}

/// A client for `http:` only: no certificates are loaded.
pub(super) fn plain(connect_timeout: Duration) -> ClientBuilder {
    builder(connect_timeout).tls_certs_only([])
}

/// A client for `https:` with the roots of the platform.
pub(super) fn builder(connect_timeout: Duration) -> ClientBuilder {
    // Process-wide, and the first one stays: whoever else installed one, all of them do.
    rustls::crypto::ring::default_provider().install_default().ok();
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
            // The port is put in by the client.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((&*host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// An error and its sources in one line, without the URL: it may hold a token.
pub(super) fn reasons(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_shared_by_what_they_are_made_of() {
        let clients = Clients::default();
        let (common, second) = (Tls::default(), Duration::from_secs(1));
        let unchecked = Tls {
            verify: false,
            ..Tls::default()
        };
        let one = clients.secure(&unchecked, second);
        assert!(Rc::ptr_eq(&one, &clients.secure(&unchecked.clone(), second)));
        for other in [clients.secure(&unchecked, 2 * second), clients.secure(&common, second)] {
            assert!(!Rc::ptr_eq(&one, &other));
        }
        assert_eq!(clients.0.borrow().len(), 3);
        clients.forget_unused();
        assert_eq!(clients.0.borrow().len(), 1, "one is still held");
    }
}
