//! Limits requests whose host was chosen by a module to the public Internet.
//!
//! An operator may name any host. A grant that leaves the host open is different: a module, or a client that sends it
//! payloads, could choose an internal address. Such addresses reach services of this machine, its neighbours, or the
//! metadata service of its cloud.
//!
//! These requests therefore use separate clients, whose resolver returns only public addresses ([`special`]). The
//! client connects to the address that was checked, so a later change of the name has no effect (no DNS rebinding). A
//! host written as an address never reaches a resolver. [`PublicOnly::check_literal`] checks it before the attempt.
//! Redirects and proxies would bypass these checks, so both are disabled.
//!
//! Other requests do not share the connection pools of these clients. A connection made without the check is never used
//! with it.

use std::error::Error;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::Host;

use super::address::special;

/// Limit of concurrent name lookups per sender thread. A lookup blocks a thread until the system times out, and a
/// module may choose names whose name server never answers. The remaining threads serve files and the receivers that an
/// operator has named.
const MAX_LOOKUPS: usize = 16;

/// A module chose a host whose address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the module chose a host whose address {address} is {kind}; only a host named in a grant may be non-public")]
pub(super) struct NotPublic {
    address: IpAddr,
    kind: &'static str,
}

/// Returns the rejected address if an attempt failed because of the guard.
pub(super) fn cause(error: &reqwest::Error) -> Option<NotPublic> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(cause) = error.downcast_ref::<NotPublic>() {
            return Some(*cause);
        }
        source = error.source();
    }
    None
}

/// The resolver for hosts chosen by a module. It resolves names and returns only public addresses.
#[derive(Clone)]
pub(super) struct PublicOnly {
    lookups: Arc<Semaphore>,
    /// Resolves a name. Blocks as long as the resolver of the system does.
    lookup: fn(&str) -> std::io::Result<Vec<SocketAddr>>,
    /// Classifies an address: [`special`], or a substitute in tests.
    special: fn(IpAddr) -> Option<&'static str>,
}

impl PublicOnly {
    /// Creates a guard that uses the resolver of the system.
    pub(super) fn new() -> PublicOnly {
        PublicOnly {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            lookup: |name| Ok((name, 0).to_socket_addrs()?.collect()),
            special,
        }
    }

    /// Checks a URL whose host is an address, in any notation. Such a host never reaches a resolver.
    ///
    /// # Errors
    ///
    /// [`NotPublic`] if the address is not public.
    pub(super) fn check_literal(&self, url: &Url) -> Result<(), NotPublic> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        (self.special)(address).map_or(Ok(()), |kind| Err(NotPublic { address, kind }))
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookups, lookup, special) = (Arc::clone(&self.lookups), self.lookup, self.special);
        Box::pin(async move {
            // The lookup itself holds the permit, because the task that waits for it may be cancelled earlier.
            let permit = lookups.acquire_owned().await?;
            let found = tokio::task::spawn_blocking(move || {
                let found = lookup(name.as_str());
                drop(permit);
                found
            });
            let public = public(found.await??, special)?;
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Returns the public addresses of `found`. Returns an error if `found` contains only other addresses.
fn public(found: Vec<SocketAddr>, special: fn(IpAddr) -> Option<&'static str>) -> Result<Vec<SocketAddr>, NotPublic> {
    let first = found.first().map(SocketAddr::ip);
    let public: Vec<_> = found
        .into_iter()
        .filter(|address| special(address.ip()).is_none())
        .collect();
    match first.and_then(|address| Some((address, special(address)?))) {
        Some((address, kind)) if public.is_empty() => Err(NotPublic { address, kind }),
        _ => Ok(public),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_recognised_however_they_are_written() {
        let guard = PublicOnly::new();
        for text in [
            "http://127.0.0.1/",
            "http://127.1:8080/x",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1./",
            "http://0/",
            "https://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[fe80::1]/",
        ] {
            assert!(guard.check_literal(&url(text)).is_err(), "{text}");
        }
        for text in [
            "http://8.8.8.8/",
            "http://[2606:4700::1111]/",
            "http://localhost/",
            "https://example.com/",
        ] {
            assert_eq!(guard.check_literal(&url(text)), Ok(()), "{text}: no special address");
        }
    }

    #[test]
    fn of_a_name_only_public_addresses_are_left() {
        let parse = |list: &[&str]| -> Vec<SocketAddr> { list.iter().map(|text| text.parse().unwrap()).collect() };
        for (found, left) in [
            (&["8.8.8.8:0"][..], Some(&["8.8.8.8:0"][..])),
            (
                &["127.0.0.1:0", "8.8.8.8:0", "[::1]:0", "[2606:4700::1]:0"],
                Some(&["8.8.8.8:0", "[2606:4700::1]:0"]),
            ),
            (&[], Some(&[])),
            (&["127.0.0.1:0"], None),
            (&["10.0.0.1:0", "[::ffff:8.8.8.8]:0"], None),
        ] {
            assert_eq!(public(parse(found), special).ok(), left.map(parse), "{found:?}");
        }
        let error = public(parse(&["10.0.0.1:0"]), special).unwrap_err().to_string();
        assert!(error.contains("10.0.0.1 is private"), "{error}");
    }

    fn client(resolver: PublicOnly) -> reqwest::Client {
        let builder = crate::clients::builder(std::time::Duration::from_secs(1))
            .no_proxy()
            .tls_certs_only([]);
        builder.dns_resolver(Arc::new(resolver)).build().unwrap()
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work)
    }

    /// A receiver on 127.0.0.1 that counts its connections and answers 200.
    fn receiver() -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 1024];
                drop(stream.read(&mut head));
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
            }
        });
        (port, count)
    }

    #[test]
    fn a_name_that_leads_home_is_not_followed() {
        let (port, count) = receiver();
        run(async {
            let url = url(&format!("http://localhost:{port}/"));
            let client = client(PublicOnly::new());
            let error = client.get(url).send().await.unwrap_err();
            assert_eq!(cause(&error).unwrap().kind, "loopback");
        });
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    /// Treats 127.0.0.2 as not public, so the test contacts no other machine.
    #[test]
    fn a_name_with_both_leads_to_the_public_address_only() {
        fn all_but_one(address: IpAddr) -> Option<&'static str> {
            (address != IpAddr::from([127, 0, 0, 1])).then_some("not that one")
        }
        let (port, count) = receiver();
        let client = client(PublicOnly {
            lookups: Arc::new(Semaphore::new(1)),
            lookup: |name| match name {
                "both.test" => Ok(vec![([127, 0, 0, 2], 0).into(), ([127, 0, 0, 1], 0).into()]),
                "none.test" => Ok(vec![([127, 0, 0, 2], 0).into()]),
                _ => Err(std::io::ErrorKind::NotFound.into()),
            },
            special: all_but_one,
        });
        run(async {
            let at = |name: &str| url(&format!("http://{name}:{port}/"));
            assert!(client.get(at("both.test")).send().await.unwrap().status().is_success());
            let error = client.get(at("none.test")).send().await.unwrap_err();
            assert!(cause(&error).is_some());
            // A later lookup may find the name, so the guard did not cause this failure.
            let error = client.get(at("lost.test")).send().await.unwrap_err();
            assert!(cause(&error).is_none(), "{error:?}");
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
