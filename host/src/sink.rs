//! An HTTP/1.1 server that prints the requests it receives: a destination of webhooks for experiments.
//!
//! It answers every request with the same status, after an optional delay, to simulate failures. In quiet mode it only
//! counts requests, which is fast enough to measure senders. It stores nothing. The number of connections, the headers
//! (by the HTTP library), bodies and the printed part of a body are limited. A peer may be arbitrarily slow, so the
//! sink is not for public networks.

mod print;

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

pub use hyper::StatusCode;

/// Open connections; more wait in the backlog. A sender that reuses its connections opens far fewer.
const MAX_CONNECTIONS: usize = 10_000;
/// Bytes of a body; a larger one is answered with 413. The largest usual payload as base64 is a tenth of it.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Bytes of a body that are printed.
const MAX_PRINTED_BYTES: usize = 64 << 10;
/// How long pending requests may take after the stop signal.
const GRACE: Duration = Duration::from_secs(1);

/// Settings of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSettings {
    /// Address to listen on; port 0 picks a free port.
    pub listen: SocketAddr,
    /// Print request counts instead of requests.
    pub quiet: bool,
    /// Status of every answer.
    pub status: StatusCode,
    /// Time to wait before each response; requests do not wait for each other.
    pub delay: Duration,
}

/// The sink could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The runtime or the signal handlers cannot be set up.
    #[error("cannot start")]
    Start(#[source] io::Error),
}

/// Totals of what a sink received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Requests with a complete body.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Requests with a body too large or cut off.
    pub refused: u64,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary {
            requests,
            bytes,
            refused,
        } = self;
        write!(f, "received {requests} requests with {bytes} bytes, refused {refused}")
    }
}

/// Receives until SIGINT or SIGTERM, and prints to standard output: first `listening on http://ADDRESS/`, at the end a
/// [`Summary`]. Blocks.
///
/// # Errors
///
/// [`SinkError`] if it cannot start. After that it ends only at a signal, or when standard output is closed.
pub fn run(settings: &SinkSettings) -> Result<(), SinkError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(SinkError::Start)?;
    runtime.block_on(async {
        let stop = (|| Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)))();
        let (mut interrupt, mut terminate) = stop.map_err(SinkError::Start)?;
        let cannot_listen = |source| SinkError::Listen {
            address: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(cannot_listen)?;
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        serve(listener, settings, io::stdout(), stop)
            .await
            .map_err(cannot_listen)?;
        Ok(())
    })
}

/// Receives at `listener` until `stop` is ready or `out` fails, and prints to `out`.
///
/// # Errors
///
/// The listener has no address.
pub async fn serve(
    listener: TcpListener,
    settings: &SinkSettings,
    out: impl Write + Send + 'static,
    stop: impl Future<Output = ()>,
) -> io::Result<Summary> {
    let sink = Arc::new(Sink::new(settings, out));
    sink.print(&format!("listening on http://{}/\n", listener.local_addr()?));
    let (ending, ended) = watch::channel(());
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut counted = 0;
    loop {
        tokio::select! {
            accepted = accept(&listener, &room) => {
                if let Some((stream, peer, place)) = accepted {
                    let (sink, ended) = (Arc::clone(&sink), ended.clone());
                    connections.spawn(async move {
                        sink.connection(stream, peer, ended).await;
                        drop(place);
                    });
                }
            }
            Some(_) = connections.join_next() => {}
            _ = second.tick(), if settings.quiet => {
                let requests = sink.requests.load(Relaxed);
                if requests > counted {
                    sink.print(&format!("{} requests/s, {requests} in all\n", requests - counted));
                }
                counted = requests;
            }
            () = sink.unread.notified() => break,
            () = &mut stop => break,
        }
    }
    drop(listener);
    drop(ending);
    let rest = async { while connections.join_next().await.is_some() {} };
    // Connections that are still open are dropped with the set.
    drop(tokio::time::timeout(GRACE, rest).await);
    let summary = sink.summary();
    sink.print(&format!("{summary}\n"));
    Ok(summary)
}

/// Returns the next connection and its permit. Returns `None` after a short wait if accepting failed, because the
/// process may be out of file descriptors.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

struct Sink {
    /// Held for one write, never across an await.
    out: Mutex<Box<dyn Write + Send>>,
    /// Notified when writing to `out` fails.
    unread: Notify,
    quiet: bool,
    status: StatusCode,
    delay: Duration,
    requests: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

impl Sink {
    fn new(settings: &SinkSettings, out: impl Write + Send + 'static) -> Sink {
        Sink {
            out: Mutex::new(Box::new(out)),
            unread: Notify::new(),
            quiet: settings.quiet,
            status: settings.status,
            delay: settings.delay,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, mut ended: watch::Receiver<()>) {
        // This fails only for a closed socket, and reading reports that.
        drop(stream.set_nodelay(true));
        let service = service_fn(|request| {
            let sink = Arc::clone(&self);
            async move { Ok::<_, Infallible>(sink.answer(request, peer).await) }
        });
        let mut connection = pin!(
            http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service)
        );
        let closed = tokio::select! {
            biased;
            closed = &mut connection => closed,
            _ = ended.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = closed {
            tracing::debug!(%peer, %error, "connection failed");
        }
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Empty<Bytes>> {
        let (head, body) = request.into_parts();
        let status = match self.receive(body).await {
            Ok(body) => {
                self.requests.fetch_add(1, Relaxed);
                self.bytes.fetch_add(body.length as u64, Relaxed);
                if !self.quiet {
                    self.print(&print::request(&head, peer, &body.shown, body.length));
                }
                if !self.delay.is_zero() {
                    tokio::time::sleep(self.delay).await;
                }
                self.status
            }
            Err(status) => {
                self.refused.fetch_add(1, Relaxed);
                status
            }
        };
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        response
    }

    /// Reads a body to its end and keeps the part that is printed.
    async fn receive<B>(&self, mut body: B) -> Result<Received, StatusCode>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let (mut shown, mut length) = (Vec::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else {
                continue;
            };
            length += data.len();
            if length > MAX_BODY_BYTES {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            if !self.quiet {
                let room = MAX_PRINTED_BYTES - shown.len();
                shown.extend(data.iter().take(room));
            }
        }
        Ok(Received { shown, length })
    }

    fn print(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.unread.notify_one();
        }
    }

    fn summary(&self) -> Summary {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        Summary {
            requests: of(&self.requests),
            bytes: of(&self.bytes),
            refused: of(&self.refused),
        }
    }
}

/// A complete body.
struct Received {
    /// The beginning of the body; empty in quiet mode.
    shown: Vec<u8>,
    /// Length of the body in bytes.
    length: usize,
}

#[cfg(test)]
mod tests;
