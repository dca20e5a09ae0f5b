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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use hookhost_listener::{TlsFileError, TlsFiles};

use super::token::TokenError;

/// Open connections; more wait in the backlog.
const MAX_CONNECTIONS: usize = 64;
/// Timeout of the head of a request, and of an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout of a write to a client that does not read, for example of a live stream.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout of the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// The answer to a request without TLS where TLS is expected.
const PLAIN_REFUSED: &str = r#"{"error": "the admin API expects https: at this address"}"#;
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
    #[error("the admin API cannot use its token")]
    Token(#[source] TokenError),
    /// A TLS file cannot be used.
    #[error("the admin API cannot use its TLS files ([admin])")]
    Tls(#[from] TlsFileError),
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
    tls: Option<TlsFiles>,
    /// Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(address: SocketAddr, tls: Option<TlsFiles>, router: Router) -> Result<Server, StartError> {
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
        let files = tls.clone();
        let serve = move || {
            runtime.block_on(async {
                let listener = match TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!(%error, "the admin API cannot be served"),
                };
                tokio::select! {
                    () = accept(listener, files, router) => {}
                    // An error means that the sender was dropped.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(DRAIN_TIMEOUT);
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(serve);
        Ok(Server {
            address,
            tls,
            stop: Some(stop),
            thread: Some(thread.map_err(StartError::Thread)?),
        })
    }

    /// The address of the API, with `https://` before it if it expects TLS.
    pub fn address(&self) -> String {
        let scheme = self.tls.as_ref().map_or("", |_| "https://");
        format!("{scheme}{}", self.address)
    }

    /// Its TLS files, to be read again when they change.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        self.tls.clone()
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

async fn accept(listener: TcpListener, tls: Option<TlsFiles>, router: Router) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (router, tls) = (router.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, router).await,
                        Some(tls) => serve_tls(stream, &tls, router).await,
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the admin API cannot accept a connection{}", hookhost_listener::advice(&error));
                // The process may be out of file descriptors.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Opens TLS and serves a connection. Answers a request without TLS with an error that says so.
async fn serve_tls(mut stream: TcpStream, tls: &TlsFiles, router: Router) {
    let opening = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [TLS_HANDSHAKE] {
            // Unread bytes would reset the connection before the client has the answer.
            let _ = stream.read(&mut [0; 16 << 10]).await?;
            let head =
                "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
            let answer = format!("{head}: {}\r\n\r\n{PLAIN_REFUSED}", PLAIN_REFUSED.len());
            stream.write_all(answer.as_bytes()).await?;
            return Err(io::Error::other("a request without TLS"));
        }
        tls.acceptor().accept(stream).await
    };
    match timeout(HANDSHAKE_TIMEOUT, opening).await {
        Ok(Ok(stream)) => serve(stream, router).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the admin API failed"),
        Err(_) => tracing::debug!("the TLS handshake of a connection to the admin API took too long"),
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + 'static, router: Router) {
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
