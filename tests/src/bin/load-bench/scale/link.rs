//! One client's connection over TCP, TLS or WebSocket: packets out, packets in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, ensure};
use futures::{SinkExt, StreamExt};
use hookhost_tests::Version;
use hookhost_tests::packet::{self, Connect, Packet, kind};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Where and how to connect.
#[derive(Clone)]
pub(super) enum Transport {
    Tcp(SocketAddr),
    Tls(SocketAddr, TlsConnector),
    WebSocket(SocketAddr),
}

impl Transport {
    /// What the table says behind a figure.
    pub(super) fn suffix(&self) -> &'static str {
        match self {
            Transport::Tcp(_) => "",
            Transport::Tls(..) => " over TLS",
            Transport::WebSocket(_) => " over WebSocket",
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Transport::Tcp(address) | Transport::Tls(address, _) | Transport::WebSocket(address) => *address,
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

enum Bytes {
    Stream(Box<dyn Stream>),
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

/// A connected MQTT client that answers nothing by itself.
pub(super) struct Link {
    bytes: Bytes,
    input: Vec<u8>,
    /// Bytes of `input` that are decoded already.
    decoded: usize,
}

impl Link {
    /// Connects with a clean session. `source` chooses the address of this machine that the client comes from, so that
    /// there are enough ports for many clients.
    pub(super) async fn open(
        transport: &Transport,
        source: u16,
        id: &str,
        user: Option<(&str, &str)>,
    ) -> anyhow::Result<Link> {
        let socket = TcpSocket::new_v4()?;
        let [high, low] = source.to_be_bytes();
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, high, low.max(1))), 0))?;
        let stream = socket.connect(transport.address()).await?;
        stream.set_nodelay(true)?;
        let bytes = match transport {
            Transport::Tcp(_) => Bytes::Stream(Box::new(stream)),
            Transport::Tls(address, connector) => {
                let name = ServerName::IpAddress(address.ip().into());
                Bytes::Stream(Box::new(connector.connect(name, stream).await?))
            }
            Transport::WebSocket(address) => {
                let mut request = format!("ws://{address}/mqtt").into_client_request()?;
                let protocol = HeaderValue::from_static("mqtt");
                request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
                let (stream, _) = tokio_tungstenite::client_async(request, stream).await?;
                Bytes::WebSocket(Box::new(stream))
            }
        };
        let mut link = Link {
            bytes,
            input: Vec::new(),
            decoded: 0,
        };
        let connect = Connect {
            keep_alive: 600,
            username: user.map(|(name, _)| name.into()),
            password: user.map(|(_, password)| password.into()),
            ..Connect::new(Version::V311, id)
        };
        link.send(connect.encode()).await?;
        let connack = link.receive().await?;
        ensure!(connack.kind() == kind::CONNACK && connack.body[1] == 0, "{connack:?}");
        Ok(link)
    }

    /// Subscribes with QoS 0.
    pub(super) async fn subscribe(&mut self, filter: &str) -> anyhow::Result<()> {
        self.send(packet::subscribe(Version::V311, 1, &[(filter, 0)], None))
            .await?;
        let suback = self.receive().await?;
        ensure!(suback.kind() == kind::SUBACK && suback.body[2] == 0, "{suback:?}");
        Ok(())
    }

    /// Sends packets.
    pub(super) async fn send(&mut self, packets: Vec<u8>) -> anyhow::Result<()> {
        match &mut self.bytes {
            Bytes::Stream(stream) => {
                stream.write_all(&packets).await?;
                stream.flush().await?;
            }
            Bytes::WebSocket(stream) => stream.send(Message::Binary(packets.into())).await?,
        }
        Ok(())
    }

    /// The next packet.
    pub(super) async fn receive(&mut self) -> anyhow::Result<Packet> {
        loop {
            if let Some(packet) = self.received() {
                return Ok(packet);
            }
            self.input.drain(..self.decoded);
            self.decoded = 0;
            match &mut self.bytes {
                Bytes::Stream(stream) => {
                    ensure!(stream.read_buf(&mut self.input).await? > 0, "the broker closed");
                }
                Bytes::WebSocket(stream) => {
                    let message = stream.next().await.context("the broker closed")??;
                    self.input.extend_from_slice(&message.into_data());
                }
            }
        }
    }

    /// The next packet that has arrived already.
    pub(super) fn received(&mut self) -> Option<Packet> {
        let (packet, length) = packet::decode(&self.input[self.decoded..])?;
        self.decoded += length;
        Some(packet)
    }
}
