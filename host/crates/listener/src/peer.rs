//! What is known of a client before its first MQTT packet.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hookhost_event::{ByteString, Certificate, Transport};

use super::{ClientCertificate, Kind};

/// Where a client comes from, and what its TLS session says. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The client's address: that of the socket, or the one that a trusted proxy named in its PROXY header. `None` for a
    /// Unix socket.
    pub address: Option<SocketAddr>,
    /// The proxy in between: the address of the socket, if a PROXY header named another one.
    pub proxy: Option<SocketAddr>,
    /// The host's end of the socket. `None` for a Unix socket.
    pub local: Option<SocketAddr>,
    /// Name of the listener.
    pub listener: ByteString,
    /// Kind of the listener.
    pub kind: Kind,
    /// The TLS session, on listeners with TLS.
    pub tls: Option<Arc<TlsSession>>,
}

/// What a TLS handshake has settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSession {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The host name that the client asked for (SNI).
    pub server_name: Option<String>,
    /// The client's certificate, checked against the listener's authorities and revocation lists. `None` if the client
    /// showed none.
    pub certificate: Option<ClientCertificate>,
}

impl Peer {
    /// The client's IP address, without its port; an IPv4 address in an IPv6 one counts as IPv4.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.map(|address| address.ip().to_canonical())
    }

    /// The client's certificate, if it showed one.
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.certificate.as_ref()
    }

    /// The certificate as events show it.
    pub fn event_certificate(&self) -> Option<Box<Certificate>> {
        self.certificate().map(|certificate| {
            Box::new(Certificate {
                common_name: certificate.common_name.as_deref().unwrap_or_default().into(),
                subject: certificate.subject.as_str().into(),
            })
        })
    }

    /// The transport as events show it.
    pub fn transport(&self) -> Transport {
        match self.kind {
            Kind::Tcp => Transport::Tcp,
            Kind::Tls => Transport::Tls,
            Kind::WebSocket => Transport::Websocket,
            Kind::SecureWebSocket => Transport::WebsocketTls,
            Kind::Unix => Transport::Other,
        }
    }
}
