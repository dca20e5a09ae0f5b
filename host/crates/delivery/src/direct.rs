//! Connections to receivers without TLS, over TCP or a Unix socket.
//!
//! A webhook sends small requests, mostly to the same receiver. A general client parses the URL, passes layers and uses
//! a pool shared by threads. For a small request this costs as much as sending it. Here each receiver has a [`Pool`] of
//! kept-alive connections that belongs to one sender thread. A request goes to the hyper connection unchanged.
//!
//! The receiver may have closed a kept connection just before its use. A request that was not yet written is then sent
//! over another connection. A request that was written is never repeated here.
//!
//! A connection is used for [`MAX_AGE`] at most. Each new connection resolves the name of the receiver, so a receiver that
//! gets a new address is reached after this time at the latest, even if it still answers at the old one.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout};
use url::Url;

use super::drain::{Drains, MAX_BODY_BYTES};
use super::excerpt::ExcerptWriter;
use hookhost_settings::error_line;

/// The receiver of requests to one URL.
pub(super) struct Direct {
    pool: Rc<Pool>,
    /// Path and query.
    path: Uri,
}

impl Direct {
    /// Creates the target of requests to `url` over a pool of its origin. Adds the headers that the client sets.
    pub(super) fn new(url: &Url, pool: &Rc<Pool>, headers: &mut HeaderMap) -> Result<Direct, String> {
        if !headers.contains_key(HOST) {
            headers.insert(HOST, authority(url)?);
        }
        Ok(Direct {
            pool: Rc::clone(pool),
            path: path(url)?,
        })
    }

    /// Returns the target of requests to another URL of the same origin.
    pub(super) fn at(&self, url: &Url) -> Result<Direct, String> {
        Ok(Direct {
            pool: Rc::clone(&self.pool),
            path: path(url)?,
        })
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// # Errors
    ///
    /// What went wrong, in one line.
    pub(super) async fn send(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        self.pool.send(request).await
    }
}

/// The kept-alive connections to one receiver. Requires a `LocalSet`.
pub(super) struct Pool {
    host: String,
    port: u16,
    connect_timeout: Cell<Duration>,
    /// The socket to connect to, in place of host and port.
    unix: RefCell<Option<PathBuf>>,
    /// The most recently used connection is used first, so that unneeded connections expire.
    idle: RefCell<Vec<Idle>>,
    drains: Drains,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    opened: Instant,
}

/// How long an idle connection stays open. Common receivers use the same time.
const LONGEST_IDLE: Duration = Duration::from_secs(60);

/// How long a connection is used.
const MAX_AGE: Duration = Duration::from_secs(300);

/// A response and its connection.
pub(super) struct Answer {
    response: Response<Incoming>,
    connection: Connection,
    pool: Rc<Pool>,
}

impl Pool {
    /// Creates an empty pool for the origin of a URL. Returns `None` if the origin uses TLS.
    pub(super) fn for_url(url: &Url, connect_timeout: Duration) -> Option<Pool> {
        let host = url.host_str().filter(|_| url.scheme() == "http")?;
        Some(Pool {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_or_known_default()?,
            connect_timeout: Cell::new(connect_timeout),
            unix: RefCell::default(),
            idle: RefCell::default(),
            drains: Drains::default(),
        })
    }

    /// Sets the timeout of connecting, from now on.
    pub(super) fn connect_within(&self, timeout: Duration) {
        self.connect_timeout.set(timeout);
    }

    /// Connects to this socket from now on; `None`: to host and port. Closes the idle connections if that is a change.
    pub(super) fn set_unix(&self, path: Option<&Path>) {
        if self.unix.borrow().as_deref() != path {
            self.unix.replace(path.map(Path::to_owned));
            self.idle.borrow_mut().clear();
        }
    }

    async fn send(self: &Rc<Pool>, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
        loop {
            let (mut connection, kept) = match self.kept().await {
                Some(connection) => (connection, true),
                None => (self.connect().await?, false),
            };
            let mut error = match connection.requests.try_send_request(request).await {
                Ok(response) => {
                    return Ok(Answer {
                        response,
                        connection,
                        pool: Rc::clone(self),
                    });
                }
                Err(error) => error,
            };
            match error.take_message() {
                Some(unsent) if kept => request = unsent,
                _ => return Err(format!("error sending request: {}", error_line(&error.into_error()))),
            }
        }
    }

    /// Returns a connection that was used before and is still open.
    async fn kept(&self) -> Option<Connection> {
        loop {
            let Idle { mut connection, since } = self.idle.borrow_mut().pop()?;
            // The connections below are even older.
            if since.elapsed() > LONGEST_IDLE {
                self.idle.borrow_mut().clear();
                return None;
            }
            let requests = &mut connection.requests;
            if requests.is_ready() || !requests.is_closed() && requests.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let unix = self.unix.borrow().clone();
        let connecting = async {
            match unix {
                Some(path) => handshake(unix_stream(&path).await?).await,
                None => {
                    let stream = self.reach().await?;
                    stream.set_nodelay(true)?;
                    handshake(stream).await
                }
            }
        };
        match timeout(self.connect_timeout.get(), connecting).await {
            Ok(Ok(requests)) => Ok(Connection {
                requests,
                opened: Instant::now(),
            }),
            Ok(Err(error)) => Err(format!("cannot connect: {}", error_line(&error))),
            Err(_) => Err("cannot connect: timed out".to_owned()),
        }
    }

    /// Connects to the first address that accepts the connection.
    async fn reach(&self) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> = lookup_host((self.host.as_str(), self.port)).await?.collect();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        for address in addresses {
            // An address that does not answer leaves time for the others.
            match timeout(self.connect_timeout.get() / count, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }

    fn keep(&self, connection: Connection) {
        let since = Instant::now();
        if !connection.requests.is_closed() && since.saturating_duration_since(connection.opened) < MAX_AGE {
            self.idle.borrow_mut().push(Idle { connection, since });
        }
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> io::Result<http1::SendRequest<Full<Bytes>>> {
    // Copying a small body behind its head costs less than a write that collects both.
    let (requests, driver) = http1::Builder::new()
        .writev(false)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // The request that waits for the response also receives the error.
    spawn_local(async move { drop(driver.await) });
    Ok(requests)
}

#[cfg(unix)]
async fn unix_stream(path: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(not(unix))]
async fn unix_stream(_: &Path) -> io::Result<TcpStream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no Unix sockets",
    ))
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Reads the body, in the background if it has not arrived yet, and then puts the connection back into its pool. An
    /// error has no effect, because the status has already decided about the request. `excerpt` gets the beginning.
    pub(super) async fn finish(self, excerpt: Option<ExcerptWriter>) {
        let drains = self.pool.drains.clone();
        let read = ReadBody {
            body: self.response.into_body(),
            length: 0,
            excerpt,
            connection: Some((self.pool, self.connection)),
        };
        drains.run(read).await;
    }
}

/// Reads a body to its end or to the limit.
struct ReadBody {
    body: Incoming,
    length: usize,
    excerpt: Option<ExcerptWriter>,
    /// `None` at the end. Dropping it before closes the connection.
    connection: Option<(Rc<Pool>, Connection)>,
}

impl Future for ReadBody {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        while !self.body.is_end_stream() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let data = frame.data_ref().map_or(&[][..], |data| data);
                    self.length += data.len();
                    if let Some(excerpt) = &self.excerpt {
                        excerpt.push(data);
                    }
                }
                Some(Err(_)) => return Poll::Ready(()),
                None => break,
            }
            if self.length > MAX_BODY_BYTES {
                return Poll::Ready(());
            }
        }
        if let Some((pool, connection)) = self.connection.take() {
            pool.keep(connection);
        }
        Poll::Ready(())
    }
}

/// Returns path and query of a URL.
fn path(url: &Url) -> Result<Uri, String> {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    path.parse()
        .map_err(|_| "URL is not valid: its path or query".to_owned())
}

/// Returns host and port of a URL, as the `host` header has them.
pub(super) fn authority(url: &Url) -> Result<HeaderValue, String> {
    let host = url.host_str().unwrap_or_default();
    let text = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    text.parse().map_err(|_| "URL is not valid: its host".to_owned())
}
