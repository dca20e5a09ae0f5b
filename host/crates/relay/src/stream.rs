//! A connection to an upstream.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::packet::ConnackPacket;

/// A connection to an upstream: MQTT over TCP, over TLS, or over memory to a broker in this process.
pub trait UpstreamStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// What the CONNACK that was read means, in the terms of MQTT 5. Some brokers in this process know more than a packet
    /// of an older version can carry; for all others this is `None`.
    fn connack(&self) -> Option<ConnackPacket> {
        None
    }

    /// Why the upstream has closed, if it is because of what the client has sent: the code of MQTT 5. Known of brokers in
    /// this process only.
    fn violation(&self) -> Option<u8> {
        None
    }
}

impl UpstreamStream for TcpStream {}

impl UpstreamStream for TlsStream<TcpStream> {}

impl UpstreamStream for Box<dyn UpstreamStream> {
    fn connack(&self) -> Option<ConnackPacket> {
        (**self).connack()
    }

    fn violation(&self) -> Option<u8> {
        (**self).violation()
    }
}
