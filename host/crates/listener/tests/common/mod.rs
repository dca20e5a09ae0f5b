//! Listeners that echo, an authority for certificates, and clients.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookhost_listener::{
    Address, CertificateFiles, ClientCertificates, Handshaken, Kind, ListenerSettings, Listeners, Peer, Serving,
    SocketSettings, TlsFiles, TlsSettings, TlsVersion,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, http::HeaderValue};

pub type TlsClient = tokio_rustls::client::TlsStream<TcpStream>;

/// Limits that no test reaches.
pub fn sockets() -> SocketSettings {
    SocketSettings {
        backlog: 128,
        nodelay: true,
        tcp_keepalive: true,
        reuse_address: true,
        reuse_port: false,
        max_connections: 1_000,
        max_connections_per_address: 0,
        max_connection_rate: 0,
        first_byte_timeout: Duration::from_secs(60),
        tls_handshake_timeout: Duration::from_secs(60),
        websocket_timeout: Duration::from_secs(60),
        max_message_bytes: 1 << 20,
    }
}

/// A listener on a free port.
pub fn settings(kind: Kind) -> ListenerSettings {
    ListenerSettings {
        kind,
        ..ListenerSettings::tcp("test", ([127, 0, 0, 1], 0).into())
    }
}

/// An open listener that echoes what clients send.
pub struct Door {
    serving: Serving,
    peers: Mutex<mpsc::UnboundedReceiver<Peer>>,
}

impl Door {
    pub fn open(listener: ListenerSettings, sockets: SocketSettings) -> Door {
        let (seen, peers) = mpsc::unbounded_channel();
        let listeners = Listeners::bind(&[listener], &sockets).unwrap();
        let serving = listeners.serve(move |client| {
            let seen = seen.clone();
            async move {
                let Handshaken {
                    mut stream,
                    peer,
                    permit,
                } = client;
                seen.send(peer).ok();
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut piece).await {
                    if stream.write_all(&piece[..count]).await.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                }
                drop(stream.shutdown().await);
                drop(permit);
            }
        });
        Door {
            serving,
            peers: Mutex::new(peers),
        }
    }

    pub fn address(&self) -> SocketAddr {
        match self.serving.states()[0].address {
            Address::Network(address) => address,
            Address::Unix(_) => panic!("a Unix socket"),
        }
    }

    /// The next client that has got in.
    pub async fn peer(&self) -> Peer {
        self.peers.lock().await.recv().await.unwrap()
    }

    pub fn tls_files(&self) -> TlsFiles {
        self.serving.tls_files().remove(0)
    }

    /// Waits until a counter has this value.
    pub async fn counts(&self, name: &str, expected: u64) {
        let count = || {
            self.serving
                .counters()
                .into_iter()
                .find(|(counter, _)| *counter == name)
        };
        let reached = async {
            while count().unwrap().1 != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), reached).await;
        assert!(waited.is_ok(), "{name}: {:?}, not {expected}", count());
    }

    pub async fn close(&mut self) {
        self.serving.close().await;
    }
}

/// A certificate and its key.
pub struct Issued {
    certificate: rcgen::Certificate,
    key: KeyPair,
    serial: SerialNumber,
}

impl Issued {
    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }
}

/// A certificate authority with files in a folder of its own.
pub struct Authority {
    dir: tempfile::TempDir,
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let authority = Authority {
            dir: tempfile::tempdir().unwrap(),
            certificate,
            issuer: Issuer::new(params, key),
        };
        std::fs::write(authority.path("ca.pem"), authority.certificate.pem()).unwrap();
        authority.write_revoked(Vec::new());
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn signed(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = params;
        let serial = SerialNumber::from(
            ring::digest::digest(&ring::digest::SHA256, &key.serialize_der()).as_ref()[..8].to_vec(),
        );
        params.serial_number = Some(serial.clone());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate,
            key,
            serial,
        }
    }

    /// A client's certificate.
    pub fn issue(&self, name: &str) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        self.signed(params)
    }

    pub fn issue_expired(&self, name: &str) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signed(params)
    }

    /// Puts a certificate on the list of revoked ones.
    pub fn revoke(&self, issued: &Issued) {
        self.write_revoked(vec![RevokedCertParams {
            serial_number: issued.serial.clone(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }]);
    }

    fn write_revoked(&self, revoked_certs: Vec<RevokedCertParams>) {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        std::fs::write(self.path("crl.pem"), list.pem().unwrap()).unwrap();
    }

    /// A server's certificate for this host name, in files.
    pub fn server_files(&self, name: &str) -> CertificateFiles {
        let issued = self.signed(CertificateParams::new(vec![name.to_owned()]).unwrap());
        let files = CertificateFiles {
            certificate: self.path(&format!("{}.pem", name.replace('*', "any"))),
            key: self.path(&format!("{}.key", name.replace('*', "any"))),
        };
        std::fs::write(&files.certificate, issued.certificate.pem()).unwrap();
        std::fs::write(&files.key, issued.key.serialize_pem()).unwrap();
        files
    }

    /// A listener with a certificate for `broker.test`.
    pub fn listener(&self, kind: Kind) -> ListenerSettings {
        ListenerSettings {
            tls: Some(TlsSettings {
                certificates: vec![self.server_files("broker.test")],
                client_certificates: ClientCertificates::None,
                client_ca: Vec::new(),
                client_crl: Vec::new(),
                min_version: TlsVersion::V1_2,
            }),
            ..settings(kind)
        }
    }

    /// The same, which asks clients for certificates.
    pub fn listener_with_clients(&self, asked: ClientCertificates) -> ListenerSettings {
        let mut listener = self.listener(Kind::Tls);
        if let Some(tls) = &mut listener.tls {
            tls.client_certificates = asked;
            tls.client_ca = vec![self.path("ca.pem")];
            tls.client_crl = vec![self.path("crl.pem")];
        }
        listener
    }

    /// A client that trusts this authority.
    pub fn client(&self) -> ClientTls {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        ClientTls {
            roots,
            versions: rustls::ALL_VERSIONS.to_vec(),
            alpn: Vec::new(),
            identity: None,
        }
    }
}

/// TLS of a client.
pub struct ClientTls {
    roots: RootCertStore,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
    identity: Option<(CertificateDer<'static>, Vec<u8>)>,
}

impl ClientTls {
    pub fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> ClientTls {
        self.versions = versions.to_vec();
        self
    }

    pub fn alpn(mut self, protocol: &[u8]) -> ClientTls {
        self.alpn = vec![protocol.to_vec()];
        self
    }

    pub fn certificate(mut self, issued: &Issued) -> ClientTls {
        self.identity = Some((issued.certificate.der().clone(), issued.key.serialize_der()));
        self
    }

    fn config(self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots);
        let mut config = match self.identity {
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        config
    }
}

pub async fn tcp(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Connects with TLS, for this host name.
pub async fn tls(address: SocketAddr, name: &'static str, client: ClientTls) -> std::io::Result<TlsClient> {
    let connector = TlsConnector::from(Arc::new(client.config()));
    connector
        .connect(ServerName::try_from(name).unwrap(), tcp(address).await)
        .await
}

/// Upgrades to WebSocket.
pub async fn websocket(
    address: SocketAddr,
    path: &str,
    subprotocol: Option<&'static str>,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    if let Some(subprotocol) = subprotocol {
        let value = HeaderValue::from_static(subprotocol);
        request.headers_mut().insert("sec-websocket-protocol", value);
    }
    let (client, _) = tokio_tungstenite::client_async(request, tcp(address).await).await?;
    Ok(client)
}

/// Upgrades a TLS connection to WebSocket.
pub async fn wss(stream: TlsClient) -> Result<WebSocketStream<TlsClient>, Error> {
    let mut request = "wss://broker.test/mqtt".into_client_request().unwrap();
    let value = HeaderValue::from_static("mqtt");
    request.headers_mut().insert("sec-websocket-protocol", value);
    let (client, _) = tokio_tungstenite::client_async(request, stream).await?;
    Ok(client)
}

/// Sends something and gets it back.
pub async fn echo(mut client: impl AsyncRead + AsyncWrite + Unpin) {
    client.write_all(b"hello").await.unwrap();
    client.flush().await.unwrap();
    let mut back = [0; 5];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
}
