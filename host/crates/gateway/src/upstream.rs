//! The upstream brokers: which one to try, and how to reach it.
//!
//! The first one that works is used. One that has just failed is tried last for a while, so that not every client has
//! to wait for it; when all have failed, all are tried.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use smallvec::{SmallVec, smallvec};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::proxy;
use super::rumqttd::Rumqttd;
use super::settings::{GatewaySettings, Upstream};
use super::stream::Stream;
use super::tls;
use hookhost_broker::Limits;

/// How long one that has failed is tried last.
const PENALTY: Duration = Duration::from_secs(5);

/// The upstream brokers.
pub(super) struct Upstreams {
    list: Vec<Target>,
    /// In place of the list.
    rumqttd: Option<Rumqttd>,
    tls: Option<Tls>,
    proxy_protocol: bool,
    start: Instant,
}

struct Target {
    address: Upstream,
    /// Milliseconds after the start up to which it is tried last.
    shunned: AtomicU64,
}

struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Upstreams {
    /// Reads the files of TLS, if it is needed; starts rumqttd, if there is no other upstream.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, or why rumqttd does not start, as a sentence.
    pub(super) async fn new(settings: &GatewaySettings, limits: &Limits) -> Result<Upstreams, String> {
        let rumqttd = if settings.upstreams.is_empty() {
            let started = Rumqttd::start(limits).await;
            Some(started.map_err(|error| format!("rumqttd does not start: {error}"))?)
        } else {
            None
        };
        let tls = if settings.upstreams.iter().any(|upstream| upstream.tls) {
            let name = settings.tls.server_name.clone().map(ServerName::try_from).transpose();
            Some(Tls {
                connector: TlsConnector::from(Arc::new(tls::client(&settings.tls)?)),
                name: name.map_err(|_| "server_name is neither a host name nor an IP address".to_owned())?,
            })
        } else {
            None
        };
        Ok(Upstreams {
            rumqttd,
            list: settings
                .upstreams
                .iter()
                .map(|address| Target {
                    address: address.clone(),
                    shunned: AtomicU64::new(0),
                })
                .collect(),
            tls,
            proxy_protocol: settings.proxy_protocol,
            start: Instant::now(),
        })
    }

    /// In which order to try them, by their places in the list.
    pub(super) fn order(&self) -> SmallVec<[usize; 4]> {
        let now = self.elapsed();
        if self.rumqttd.is_some() {
            return smallvec![0];
        }
        let shunned = |place: &usize| self.list.get(*place).is_some_and(|target| target.is_shunned(now));
        let mut order: SmallVec<[usize; 4]> = (0..self.list.len()).collect();
        // Stable: among equals the order of the list holds.
        order.sort_by_key(shunned);
        order
    }

    /// One has failed.
    pub(super) fn failed(&self, place: usize) {
        if let Some(target) = self.list.get(place) {
            let until = self.elapsed() + PENALTY.as_millis() as u64;
            target.shunned.store(until, Ordering::Relaxed);
        }
    }

    /// One works.
    pub(super) fn worked(&self, place: usize) {
        if let Some(target) = self.list.get(place)
            && target.shunned.load(Ordering::Relaxed) > 0
        {
            target.shunned.store(0, Ordering::Relaxed);
        }
    }

    /// rumqttd, if it is the upstream.
    pub(super) fn rumqttd(&self) -> Option<&Rumqttd> {
        self.rumqttd.as_ref()
    }

    /// What one is called.
    pub(super) fn name(&self, place: usize) -> String {
        let listed = self.list.get(place).map(|target| target.address.to_string());
        listed.unwrap_or_else(|| "rumqttd".to_owned())
    }

    /// Connects to one for a client.
    pub(super) async fn connect(&self, place: usize, client: SocketAddr, local: SocketAddr) -> io::Result<Stream> {
        if let Some(rumqttd) = &self.rumqttd {
            let socket = TcpStream::connect(rumqttd.address()).await?;
            socket.set_nodelay(true)?;
            return Ok(Stream::Tcp(socket));
        }
        let Some(Target { address, .. }) = self.list.get(place) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut socket = dial(address).await?;
        if self.proxy_protocol {
            socket.write_all(&proxy::header(client, local)).await?;
        }
        let Some(tls) = self.tls.as_ref().filter(|_| address.tls) else {
            return Ok(Stream::Tcp(socket));
        };
        let name = match &tls.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(address.host.clone())
                .map_err(|_| io::Error::other("not a name that a certificate can have"))?,
        };
        let stream = tls.connector.connect(name, socket).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Target {
    fn is_shunned(&self, now: u64) -> bool {
        self.shunned.load(Ordering::Relaxed) > now
    }
}

/// Connects to the first address of a name that answers.
async fn dial(upstream: &Upstream) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in lookup_host((upstream.host.as_str(), upstream.port)).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // So that the end of a host behind a silent network is noticed at last.
        socket.set_keepalive(true)?;
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_has_failed_is_tried_last_until_it_works() {
        let list = ["mqtt://a", "mqtt://b", "mqtt://c"].map(|text| text.parse().unwrap());
        let upstreams = Upstreams::new(&GatewaySettings::new(list.to_vec()), &Limits::default())
            .await
            .unwrap();
        let order = || upstreams.order().to_vec();
        assert_eq!(order(), [0, 1, 2]);
        upstreams.failed(0);
        assert_eq!(order(), [1, 2, 0]);
        upstreams.failed(1);
        upstreams.failed(2);
        assert_eq!(order(), [0, 1, 2]);
        upstreams.worked(2);
        assert_eq!(order(), [2, 0, 1]);
    }
}
