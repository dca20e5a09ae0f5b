//! One connection from its acceptance to its first MQTT byte: PROXY header, TLS, WebSocket.
//!
//! Each layer has its own timeout, so a client that is silent or slow in one of them ends there. Nothing is answered to a
//! client that fails below TLS or WebSocket; those two send their own alerts and responses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hookhost_event::ByteString;
use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::admission::Permit;
use super::counters::Counters;
use super::peer::Peer;
use super::proxy::{self, HeaderError, ProxyAddresses};
use super::settings::{Kind, SocketSettings};
use super::socket::Accepted;
use super::stream::ClientStream;
use super::tls::{self, TlsFiles};
use super::websocket;

/// What the connections of one listener share.
pub(crate) struct ListenerContext {
    pub(crate) name: ByteString,
    pub(crate) kind: Kind,
    pub(crate) path: String,
    pub(crate) proxies: Vec<IpNet>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) settings: Arc<SocketSettings>,
    pub(crate) counters: Arc<Counters>,
}

/// Why a connection did not get to MQTT.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("no byte within the timeout")]
    Silent,
    #[error("the PROXY header takes too long")]
    ProxySlow,
    #[error(transparent)]
    Proxy(#[from] HeaderError),
    #[error("its address has reached the limit of connections")]
    Refused,
    #[error("the TLS handshake takes too long")]
    TlsSlow,
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    #[error("the WebSocket upgrade takes too long")]
    WebSocketSlow,
    #[error("the WebSocket upgrade failed: {0}")]
    WebSocket(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the connection has failed: {0}")]
    Io(#[from] io::Error),
}

impl ListenerContext {
    /// Opens the layers of a connection. `permit` counts it for the address that it turns out to have.
    pub(crate) async fn open(
        &self,
        accepted: Accepted,
        permit: &mut Permit,
    ) -> Result<(ClientStream, Peer), HandshakeError> {
        let opened = match accepted {
            Accepted::Tcp(stream, from) => self.open_tcp(stream, from, permit).await,
            // The timeout for CONNECT is enough: only programs of this machine get here.
            Accepted::Unix(stream) => Ok((stream.into(), self.peer(None, None))),
        };
        if let Err(error) = &opened {
            self.count(error);
        }
        opened
    }

    async fn open_tcp(
        &self,
        mut stream: TcpStream,
        from: SocketAddr,
        permit: &mut Permit,
    ) -> Result<(ClientStream, Peer), HandshakeError> {
        stream.set_nodelay(self.settings.nodelay)?;
        let mut peer = self.peer(Some(from), stream.local_addr().ok());
        let has_header = self.is_proxy(from);
        if !has_header && permit.name_address(peer.ip()).is_err() {
            return Err(HandshakeError::Refused);
        }
        self.first_byte(&stream).await?;
        if has_header {
            let reading = timeout(self.settings.first_byte_timeout, proxy::read(&mut stream));
            if let ProxyAddresses::Addresses(client, _) = reading.await.map_err(|_| HandshakeError::ProxySlow)?? {
                peer.address = Some(client);
                peer.proxy = Some(from);
            }
            if permit.name_address(peer.ip()).is_err() {
                return Err(HandshakeError::Refused);
            }
        }
        let Some(tls) = &self.tls else {
            let stream = match self.kind.has_websocket() {
                true => self.upgrade(stream).await?.into(),
                false => stream.into(),
            };
            return Ok((stream, peer));
        };
        let accepting = tls.acceptor().accept(stream);
        let accepted = timeout(self.settings.tls_handshake_timeout, accepting).await;
        let stream = accepted
            .map_err(|_| HandshakeError::TlsSlow)?
            .map_err(HandshakeError::Tls)?;
        peer.tls = Some(Arc::new(tls::session(stream.get_ref().1)));
        let stream = match self.kind.has_websocket() {
            true => self.upgrade(stream).await?.into(),
            false => stream.into(),
        };
        Ok((stream, peer))
    }

    /// Waits until the client has sent something, which stays in the socket.
    async fn first_byte(&self, stream: &TcpStream) -> Result<(), HandshakeError> {
        match timeout(self.settings.first_byte_timeout, stream.peek(&mut [0])).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(HandshakeError::Silent),
        }
    }

    async fn upgrade<S>(&self, stream: S) -> Result<websocket::WebSocket<S>, HandshakeError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let upgrading = websocket::upgrade(stream, &self.path, self.settings.max_message_bytes);
        match timeout(self.settings.websocket_timeout, upgrading).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(HandshakeError::WebSocket(Box::new(error))),
            Err(_) => Err(HandshakeError::WebSocketSlow),
        }
    }

    fn is_proxy(&self, from: SocketAddr) -> bool {
        let ip = from.ip().to_canonical();
        self.proxies.iter().any(|network| network.contains(&ip))
    }

    fn peer(&self, address: Option<SocketAddr>, local: Option<SocketAddr>) -> Peer {
        Peer {
            address,
            proxy: None,
            local,
            listener: self.name.clone(),
            kind: self.kind,
            tls: None,
        }
    }

    fn count(&self, error: &HandshakeError) {
        let counters = &self.counters;
        Counters::add(match error {
            HandshakeError::Silent
            | HandshakeError::ProxySlow
            | HandshakeError::TlsSlow
            | HandshakeError::WebSocketSlow => &counters.timed_out,
            HandshakeError::Proxy(_) => &counters.proxy_failed,
            HandshakeError::Refused => &counters.refused_address,
            HandshakeError::Tls(_) => &counters.tls_failed,
            HandshakeError::WebSocket(_) => &counters.websocket_failed,
            HandshakeError::Io(_) => return,
        });
        tracing::debug!(listener = %self.name, %error, "a connection ended before MQTT");
    }
}
