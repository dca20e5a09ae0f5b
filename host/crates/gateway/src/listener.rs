//! The listener, which accepts clients.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use super::connection;
use super::shared::Shared;
use hookhost_broker::Limits;

/// How long the listener waits after a client could not be accepted, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens; returns the listener and its address with the port in use.
pub(super) fn bind(listen: SocketAddr, limits: &Limits) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(limits.reuse_address)?;
    socket.set_reuseport(limits.reuse_port)?;
    // Accepted sockets inherit it.
    socket.set_keepalive(limits.tcp_keepalive)?;
    socket.bind(listen)?;
    let listener = socket.listen(limits.backlog)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Accepts clients without end, each into a task of its own.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let limit = shared.limits.max_connections.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(limit));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let (client, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                shared.report("-", &format!("no connection can be accepted: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        shared.counts.accepted.fetch_add(1, Ordering::Relaxed);
        if client.set_nodelay(shared.limits.nodelay).is_err() {
            // The client has gone already.
            continue;
        }
        let guard = shared.begin();
        tokio::spawn(async move {
            connection::serve(guard, client, peer).await;
            drop(permit);
        });
    }
}
