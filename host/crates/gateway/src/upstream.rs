//! The upstream brokers: which one to try, and how to reach it.
//!
//! The first upstream that works is used. An upstream that has just failed is tried last for a while, so that not every
//! client has to wait for it; if all have failed, all are tried.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use smallvec::SmallVec;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::proxy;
use super::settings::{GatewaySettings, Upstream};
use super::stream::UpstreamStream;
use super::tls;
use hookhost_broker::Limits;
use hookhost_listener::Peer;

/// How long an upstream that has failed is tried last.
const PENALTY: Duration = Duration::from_secs(5);

/// A broker in this process.
pub(crate) trait LocalBroker: Send + Sync {
    /// Its name, for the log.
    fn name(&self) -> &'static str;
    /// Connects to it; the broker accepts MQTT of all versions.
    fn connect(&self) -> Box<dyn UpstreamStream>;
    /// The broker as what it is.
    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any;
    /// Counts since its start, by name.
    fn counters(&self) -> Vec<(&'static str, u64)>;
}

/// The upstream brokers.
pub(crate) struct Upstreams {
    list: Vec<Target>,
    tls: Option<Tls>,
    proxy_protocol: bool,
    start: Instant,
}

struct Target {
    address: Address,
    /// Milliseconds after the start up to which it is tried last.
    shunned: AtomicU64,
}

enum Address {
    Network(Upstream),
    Local(Box<dyn LocalBroker>),
}

struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Upstreams {
    /// Reads the TLS files, if they are needed; starts the broker in this process, if the list of upstreams is empty.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, or why the broker in this process does not start, as a sentence.
    pub(crate) async fn new(settings: &GatewaySettings, limits: &Limits) -> Result<Upstreams, String> {
        let tls = if settings.upstreams.iter().any(|upstream| upstream.tls) {
            let name = settings.tls.server_name.clone().map(ServerName::try_from).transpose();
            Some(Tls {
                connector: TlsConnector::from(Arc::new(tls::client(&settings.tls)?)),
                name: name.map_err(|_| "server_name is neither a host name nor an IP address".to_owned())?,
            })
        } else {
            None
        };
        let addresses = if settings.upstreams.is_empty() {
            vec![Address::Local(start_local(settings, limits).await?)]
        } else {
            settings.upstreams.iter().cloned().map(Address::Network).collect()
        };
        let target = |address| Target {
            address,
            shunned: AtomicU64::new(0),
        };
        Ok(Upstreams {
            list: addresses.into_iter().map(target).collect(),
            tls,
            proxy_protocol: settings.proxy_protocol,
            start: Instant::now(),
        })
    }

    /// In which order to try them, by their places in the list.
    pub(crate) fn order(&self) -> SmallVec<[usize; 4]> {
        let now = self.elapsed();
        let shunned = |place: &usize| self.list.get(*place).is_some_and(|target| target.is_shunned(now));
        let mut order: SmallVec<[usize; 4]> = (0..self.list.len()).collect();
        // Stable: among equals the order of the list holds.
        order.sort_by_key(shunned);
        order
    }

    /// One has failed.
    pub(crate) fn failed(&self, place: usize) {
        if let Some(target) = self.list.get(place) {
            let until = self.elapsed() + PENALTY.as_millis() as u64;
            target.shunned.store(until, Ordering::Relaxed);
        }
    }

    /// One works.
    pub(crate) fn worked(&self, place: usize) {
        if let Some(target) = self.list.get(place)
            && target.shunned.load(Ordering::Relaxed) > 0
        {
            target.shunned.store(0, Ordering::Relaxed);
        }
    }

    /// The name of an upstream, for the log.
    pub(crate) fn name(&self, place: usize) -> String {
        self.list
            .get(place)
            .map_or_else(String::new, |target| match &target.address {
                Address::Network(upstream) => upstream.to_string(),
                Address::Local(broker) => broker.name().to_owned(),
            })
    }

    /// What the broker in this process counts; empty for brokers elsewhere.
    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        let counters = |target: &Target| match &target.address {
            Address::Network(_) => Vec::new(),
            Address::Local(broker) => broker.counters(),
        };
        self.list.iter().flat_map(counters).collect()
    }

    /// The broker in this process, if it is of this type.
    #[cfg(test)]
    pub(crate) fn local<T: 'static>(&self) -> Option<&T> {
        self.list.iter().find_map(|target| match &target.address {
            Address::Network(_) => None,
            Address::Local(broker) => broker.as_any().downcast_ref(),
        })
    }

    /// Connects to one for a client; without one, for the host itself.
    pub(crate) async fn connect(&self, place: usize, client: Option<&Peer>) -> io::Result<Box<dyn UpstreamStream>> {
        let address = match self.list.get(place).map(|target| &target.address) {
            Some(Address::Network(address)) => address,
            Some(Address::Local(broker)) => return Ok(broker.connect()),
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        let mut socket = dial(address).await?;
        if self.proxy_protocol {
            socket
                .write_all(&proxy::header(
                    client.and_then(|client| client.address),
                    client.and_then(|client| client.local),
                ))
                .await?;
        }
        let Some(tls) = self.tls.as_ref().filter(|_| address.tls) else {
            return Ok(Box::new(socket));
        };
        let name = match &tls.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(address.host.clone())
                .map_err(|_| io::Error::other("not a name that a certificate can have"))?,
        };
        let stream = tls.connector.connect(name, socket).await?;
        Ok(Box::new(stream))
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

/// Starts the broker in this process.
#[cfg(feature = "rumqttd")]
async fn start_local(settings: &GatewaySettings, limits: &Limits) -> Result<Box<dyn LocalBroker>, String> {
    let started = super::rumqttd::Rumqttd::start(settings, limits).await;
    let broker = started.map_err(|error| format!("rumqttd does not start: {error}"))?;
    Ok(Box::new(broker))
}

/// This build has no broker to start.
#[cfg(not(feature = "rumqttd"))]
async fn start_local(_: &GatewaySettings, _: &Limits) -> Result<Box<dyn LocalBroker>, String> {
    Err("this build has no rumqttd: give the address of a broker, or build with the feature \"rumqttd\"".to_owned())
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
