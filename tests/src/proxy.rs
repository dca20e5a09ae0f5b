//! A TCP proxy on loopback whose network can be cut: connections stay open, and no byte passes in either direction.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The proxy. Dropping it ends its listener.
pub struct Proxy {
    address: SocketAddr,
    /// True while bytes pass.
    passes: watch::Sender<bool>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Starts it on a free port. Bytes pass.
    pub async fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (passes, passing) = watch::channel(true);
        let acceptor = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, to, passing.clone()));
            }
        });
        Proxy {
            address,
            passes,
            acceptor,
        }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the network. What is sent from now on arrives after [`Proxy::mend`], if the connection still exists.
    pub fn cut(&self) {
        self.passes.send_replace(false);
    }

    /// Lets bytes pass again.
    pub fn mend(&self) {
        self.passes.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn connection(client: TcpStream, to: SocketAddr, mut passing: watch::Receiver<bool>) {
    // During a cut, also a new connection gets no answer.
    if passing.wait_for(|passes| *passes).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(to).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        copy(from_client, to_server, passing.clone()),
        copy(from_server, to_client, passing),
    );
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut passing: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if passing.wait_for(|passes| *passes).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}
