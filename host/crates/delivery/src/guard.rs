//! Requests whose host a module has chosen: they reach the public Internet and nothing else.
//!
//! An operator who names a host may name any. A grant that leaves the host open would let a module, or whoever feeds it
//! payloads, reach what only this machine can: its own services, its neighbours, the metadata of its cloud. So such a
//! request goes through clients of its own, whose resolver gives public addresses only ([`special`]): what was checked
//! is what is connected to, and a name that means something else a moment later gains nothing. Hosts that are written
//! as addresses never reach a resolver and are checked before the attempt ([`PublicOnly::check_literal`]). Neither redirects nor proxies
//! lead past it: both are off.
//!
//! The pools are not shared with other requests: a connection that was made without the check is not used with it.

use std::error::Error;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::Host;

use super::address::special;

/// Names looked up at a time, per sender thread. A lookup holds a thread until the system gives it up, and a module may
/// choose names that nobody answers for; the other threads are for files and for receivers that an operator has named.
const MAX_LOOKUPS: usize = 16;

/// A host that a module chose and that is none of the public Internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the module chose a host whose address {address} is {kind}; only public ones are granted without being named")]
pub(super) struct NotPublic {
    address: IpAddr,
    kind: &'static str,
}

/// Whether an attempt failed because of the guard.
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

/// The resolver of clients for hosts that a module chose: looks names up and returns public addresses only.
#[derive(Clone)]
pub(super) struct PublicOnly {
    lookups: Arc<Semaphore>,
    /// Blocks as long as the system's resolver does.
    lookup: fn(&str) -> std::io::Result<Vec<SocketAddr>>,
    /// [`special`], but for tests.
    special: fn(IpAddr) -> Option<&'static str>,
}

impl PublicOnly {
    /// Looks names up with the system's resolver.
    pub(super) fn new() -> PublicOnly {
        PublicOnly {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            lookup: |name| Ok((name, 0).to_socket_addrs()?.collect()),
            special,
        }
    }

    /// Checks a URL whose host is an address, in whatever spelling: such a host never reaches a resolver.
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
            // Held by the lookup itself: who waits for it may go away before.
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

/// The public ones of the addresses; an error if there are only others.
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
        let builder = crate::clients::builder(std::time::Duration::from_secs(1)).tls_certs_only([]);
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

    /// The rule with 127.0.0.2 in the place of all that is not public: nothing outside of this machine is asked.
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
            // A name that is not found may be found later: no fault of the guard.
            let error = client.get(at("lost.test")).send().await.unwrap_err();
            assert!(cause(&error).is_none(), "{error:?}");
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
