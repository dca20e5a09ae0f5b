//! The settings of listeners, checked.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hookhost_event::ByteString;
use ipnet::IpNet;

/// One listener, `[[listener]]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerSettings {
    /// Its name in events, access rules and logs. Unique.
    pub name: ByteString,
    /// What clients speak on it.
    pub kind: Kind,
    /// Where it listens; a Unix socket if and only if the kind is [`Kind::Unix`].
    pub address: Address,
    /// TLS; present if and only if the kind has TLS.
    pub tls: Option<TlsSettings>,
    /// Path of WebSocket requests. `/mqtt`.
    pub path: String,
    /// Addresses of the proxies that begin each connection with a PROXY header, version 1 or 2. Empty: no proxy. A
    /// connection from another address never has a header.
    pub proxies: Vec<IpNet>,
    /// Permissions of a Unix socket. 0o660: its owner and group.
    pub mode: u32,
}

impl ListenerSettings {
    /// A plain TCP listener.
    pub fn tcp(name: impl Into<ByteString>, address: SocketAddr) -> ListenerSettings {
        ListenerSettings {
            name: name.into(),
            kind: Kind::Tcp,
            address: Address::Network(address),
            tls: None,
            path: "/mqtt".to_owned(),
            proxies: Vec::new(),
            mode: 0o660,
        }
    }
}

/// What clients speak on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MQTT over TCP.
    Tcp,
    /// MQTT over TLS.
    Tls,
    /// MQTT over WebSocket.
    WebSocket,
    /// MQTT over WebSocket over TLS.
    SecureWebSocket,
    /// MQTT over a Unix socket.
    Unix,
}

impl Kind {
    /// All kinds, with the names that settings and logs use.
    pub const NAMES: [(&'static str, Kind); 5] = [
        ("tcp", Kind::Tcp),
        ("tls", Kind::Tls),
        ("ws", Kind::WebSocket),
        ("wss", Kind::SecureWebSocket),
        ("unix", Kind::Unix),
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp",
            Kind::Tls => "tls",
            Kind::WebSocket => "ws",
            Kind::SecureWebSocket => "wss",
            Kind::Unix => "unix",
        }
    }

    /// Whether clients speak TLS on it.
    pub fn has_tls(self) -> bool {
        matches!(self, Kind::Tls | Kind::SecureWebSocket)
    }

    /// Whether clients speak WebSocket on it.
    pub fn has_websocket(self) -> bool {
        matches!(self, Kind::WebSocket | Kind::SecureWebSocket)
    }
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port; port 0 takes any free port.
    Network(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The IP address and port; `None` for a Unix socket.
    pub fn network(&self) -> Option<SocketAddr> {
        match self {
            Address::Network(address) => Some(*address),
            Address::Unix(_) => None,
        }
    }

    /// Whether only programs on this machine can reach it.
    pub fn is_local(&self) -> bool {
        self.network()
            .is_none_or(|address| address.ip().to_canonical().is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Network(address) => address.fmt(f),
            Address::Unix(path) => path.display().fmt(f),
        }
    }
}

/// TLS of a listener. All files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The listener's certificates. The client's host name (SNI) chooses one; the first one is for all other clients.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients show a certificate.
    pub client_certificates: ClientCertificates,
    /// The authorities that may sign clients' certificates.
    pub client_ca: Vec<PathBuf>,
    /// Lists of revoked certificates. With a list, a certificate whose authority has no list here is accepted.
    pub client_crl: Vec<PathBuf>,
    /// The oldest version that is accepted. 1.2.
    pub min_version: TlsVersion,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, followed by those of its authorities.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    None,
    /// They may show one, which must then be valid.
    Optional,
    /// They must show a valid one.
    Required,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// What all listeners share.
#[derive(Debug, Clone, PartialEq)]
pub struct SocketSettings {
    /// Connections that the kernel keeps until they are accepted.
    pub backlog: u32,
    /// Whether the system sends small packets at once.
    pub nodelay: bool,
    /// Whether the system probes idle connections.
    pub tcp_keepalive: bool,
    /// Whether a listener can take an address on which connections of an earlier process are closing.
    pub reuse_address: bool,
    /// Whether several processes may listen on one address.
    pub reuse_port: bool,
    /// Connections of all listeners; more are closed at once.
    pub max_connections: usize,
    /// Connections of one IP address; more are closed at once. 0: no limit.
    pub max_connections_per_address: usize,
    /// Connections that are accepted in a second; more wait in the kernel. 0: no limit.
    pub max_connection_rate: u32,
    /// Longest time from the connection to its first byte.
    pub first_byte_timeout: Duration,
    /// Longest time for the TLS handshake, from its first byte.
    pub tls_handshake_timeout: Duration,
    /// Longest time for the WebSocket upgrade, from the end of the TLS handshake or the first byte.
    pub websocket_timeout: Duration,
    /// Longest WebSocket message in bytes.
    pub max_message_bytes: usize,
}
