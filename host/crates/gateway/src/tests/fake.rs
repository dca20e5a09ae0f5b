//! Upstreams that do what a test says.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::client::Connect;
use super::*;

/// An upstream that does what the test says.
pub(super) struct Fake(TcpListener);

impl Fake {
    pub(super) async fn listen() -> Fake {
        Fake(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> TcpStream {
        timeout(DEADLINE, self.0.accept()).await.unwrap().unwrap().0
    }

    /// The next connection, after this CONNECT was answered with success.
    pub(super) async fn serve(&self, connect: &Connect) -> TcpStream {
        let mut stream = self.accept().await;
        let bytes = connect.bytes();
        assert_eq!(read(&mut stream, bytes.len()).await, bytes);
        stream.write_all(connack(connect.version)).await.unwrap();
        stream
    }
}

/// So many bytes.
pub(super) async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(DEADLINE, stream.read_exact(&mut bytes))
        .await
        .expect("bytes")
        .unwrap();
    bytes
}

/// What comes until the end.
pub(super) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    drop(timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("an end"));
    bytes
}

/// A gateway to these addresses. What an upstream may take is more than anything here takes, unless a test waits for it.
pub(super) async fn gateway(upstreams: &[SocketAddr], change: impl FnOnce(&mut GatewaySettings, &mut Limits)) -> Host {
    let mut limits = Limits::default();
    let mut gateway = GatewaySettings::new(upstreams.iter().copied().map(at).collect());
    gateway.connect_timeout = DEADLINE;
    change(&mut gateway, &mut limits);
    through(limits, gateway).await
}

/// CONNACK of success.
fn connack(version: u8) -> &'static [u8] {
    if version == 5 {
        &[0x20, 3, 0, 0, 0]
    } else {
        &[0x20, 2, 0, 0]
    }
}

/// A client that has come through the gateway, with its CONNACK read, and its connection at the upstream.
pub(super) async fn joined(host: &Host, fake: &Fake, connect: &Connect) -> (TcpStream, TcpStream) {
    let mut client = TcpStream::connect(host.address()).await.unwrap();
    client.write_all(&connect.bytes()).await.unwrap();
    let upstream = fake.serve(connect).await;
    let connack = connack(connect.version);
    assert_eq!(read(&mut client, connack.len()).await, connack);
    (client, upstream)
}

/// An address where nobody listens, nor anybody else can as long as this is kept.
pub(super) struct Nobody {
    pub(super) address: SocketAddr,
    _kept: TcpSocket,
}

impl Nobody {
    /// At an address of the system's choice.
    pub(super) fn anywhere() -> Nobody {
        Nobody::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// At an address that is free. Whoever wants to listen there again can, with `SO_REUSEADDR`.
    pub(super) fn at(address: SocketAddr) -> Nobody {
        let kept = TcpSocket::new_v4().unwrap();
        kept.set_reuseaddr(true).unwrap();
        kept.bind(address).unwrap();
        Nobody {
            address: kept.local_addr().unwrap(),
            _kept: kept,
        }
    }
}
