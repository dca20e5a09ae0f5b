//! How an upstream is reached: over TCP, over TLS, or in this process.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use crate::proxy;
use crate::settings::{GatewaySettings, Upstream, UpstreamTls};
use crate::stream::UpstreamStream;
use crate::tls;
use hookhost_listener::Peer;

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

/// Where an upstream is.
pub(super) enum Address {
    Network(Upstream),
    Local(Box<dyn LocalBroker>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Network(upstream) => upstream.fmt(f),
            Address::Local(broker) => f.write_str(broker.name()),
        }
    }
}

/// Connects to upstreams.
pub(super) struct Dialer {
    tls_settings: UpstreamTls,
    /// Made when the first upstream needs it.
    tls: OnceLock<Tls>,
    proxy_protocol: bool,
}

struct Tls {
    connector: TlsConnector,
    name: Option<ServerName<'static>>,
}

impl Dialer {
    pub(super) fn new(settings: &GatewaySettings) -> Dialer {
        Dialer {
            tls_settings: settings.tls.clone(),
            tls: OnceLock::new(),
            proxy_protocol: settings.proxy_protocol,
        }
    }

    /// Reads the TLS files, if one of these upstreams needs them and they were not read before.
    ///
    /// # Errors
    ///
    /// What is wrong with the files, as a sentence.
    pub(super) fn prepare(&self, upstreams: &[Upstream]) -> Result<(), String> {
        if upstreams.iter().any(|upstream| upstream.tls) && self.tls.get().is_none() {
            let name = self.tls_settings.server_name.clone();
            let name = name.map(ServerName::try_from).transpose();
            let tls = Tls {
                connector: TlsConnector::from(Arc::new(tls::client(&self.tls_settings)?)),
                name: name.map_err(|_| "server_name is neither a host name nor an IP address".to_owned())?,
            };
            // Another caller may have set it meanwhile; it has read the same files.
            drop(self.tls.set(tls));
        }
        Ok(())
    }

    /// Connects for a client; without one, for the host itself.
    pub(super) async fn connect(
        &self,
        address: &Address,
        client: Option<&Peer>,
    ) -> io::Result<Box<dyn UpstreamStream>> {
        let address = match address {
            Address::Network(address) => address,
            Address::Local(broker) => return Ok(broker.connect()),
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
        if !address.tls {
            return Ok(Box::new(socket));
        }
        let tls = self
            .tls
            .get()
            .ok_or_else(|| io::Error::other("the TLS files are not read"))?;
        let name = match &tls.name {
            Some(name) => name.clone(),
            None => ServerName::try_from(address.host.clone())
                .map_err(|_| io::Error::other("not a name that a certificate can have"))?,
        };
        let stream = tls.connector.connect(name, socket).await?;
        Ok(Box::new(stream))
    }
}

/// Connects to the first address of a name that answers. The name is looked up each time.
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
