//! The server of the API. It accepts a limited number of connections and closes them.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio_io_timeout::TimeoutStream;

use super::token::TokenError;

/// Open connections; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// Timeout of the head of a request, and of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a write to a client that does not read, for example of a live stream.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long pending requests may delay the end of the server.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// The API cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its address cannot be used.
    #[error("the admin API cannot listen on {address} (--admin, [admin] listen); choose another address, or \"off\"")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The token cannot be read.
    #[error("the admin API needs its token")]
    Token(#[source] TokenError),
    /// The thread or its runtime cannot be created.
    #[error("cannot start the thread of the admin API")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// Whether the address is in use.
    pub fn is_in_use(&self) -> bool {
        matches!(self, StartError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
    }
}

/// The running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(address: SocketAddr, router: Router) -> Result<Server, StartError> {
        let listener = StdListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = listener.map_err(|source| StartError::Listen { address, source })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_name("admin-work")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                let listener = match TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!(%error, "the admin API cannot be served"),
                };
                tokio::select! {
                    () = accept(listener, router) => {}
                    // An error means that the sender was dropped.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(DRAIN_TIMEOUT);
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(serve);
        Ok(Server {
            address,
            stop: Some(stop),
            thread: Some(thread.map_err(StartError::Thread)?),
        })
    }

    /// The address of the API.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The panic was already reported.
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve(stream, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin API cannot accept a connection");
                // The process may be out of file descriptors.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let stream = Box::pin(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // The client sees the error as well.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the admin API failed");
    }
}
