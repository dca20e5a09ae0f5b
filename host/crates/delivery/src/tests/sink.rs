//! A small HTTP/1.1 receiver whose answers, valid or invalid, are set by the test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// How to answer a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// This status with an empty body; the connection stays open.
    Status(u16),
    /// This status and these header lines.
    With(u16, &'static str),
    /// Status 200 and a body of this many bytes.
    Body(usize),
    /// Status 200 and this body.
    Text(&'static str),
    /// This status and the length of a body that comes when the gate opens.
    LateBody(u16),
    /// Status 307 to this URL.
    Redirect(String),
    /// These bytes, then the connection is closed.
    Raw(&'static [u8]),
    /// No answer until the gate opens, then status 200.
    Gated,
    /// No answer.
    Silence,
}

/// A received request.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: String,
    pub(super) path: String,
    /// The header lines in lower case.
    pub(super) head: String,
    pub(super) body: String,
    /// The body as it came; `body` has replacements for what is not UTF-8.
    pub(super) bytes: Vec<u8>,
    /// The number of the connection.
    pub(super) connection: usize,
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    log: Arc<Log>,
    gate: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Log {
    list: Mutex<Vec<Received>>,
    grown: Condvar,
}

impl Sink {
    /// Starts a receiver on any port.
    pub(super) fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Sink {
        Sink::at("127.0.0.1:0".parse().unwrap(), answer)
    }

    /// Starts a receiver on a port that was free a moment ago.
    pub(super) fn at(address: SocketAddr, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Sink {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let sink = Sink::new(address, runtime);
        let (log, gate, answer) = (Arc::clone(&sink.log), sink.gate.subscribe(), Arc::new(answer));
        sink.runtime().spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(serve(stream, number, Arc::clone(&log), answer.clone(), gate.clone()));
            }
        });
        sink
    }

    /// Starts a receiver on a Unix socket. Its address means nothing.
    pub(super) fn on_unix(path: &Path, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Sink {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let entered = runtime.enter();
        let listener = UnixListener::bind(path).unwrap();
        drop(entered);
        let sink = Sink::new("127.0.0.1:9".parse().unwrap(), runtime);
        let (log, gate, answer) = (Arc::clone(&sink.log), sink.gate.subscribe(), Arc::new(answer));
        sink.runtime().spawn(async move {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(serve(stream, number, Arc::clone(&log), answer.clone(), gate.clone()));
            }
        });
        sink
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().unwrap()
    }

    fn new(address: SocketAddr, runtime: tokio::runtime::Runtime) -> Sink {
        let log = Arc::new(Log {
            list: Mutex::default(),
            grown: Condvar::new(),
        });
        Sink {
            address,
            log,
            gate: watch::channel(false).0,
            runtime: Some(runtime),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.log.list.lock().unwrap().clone()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.received().into_iter().map(|received| received.body).collect()
    }

    /// Waits until this many requests have arrived.
    pub(super) fn wait_for(&self, count: usize) -> Vec<Received> {
        let end = Instant::now() + Duration::from_secs(120);
        let mut list = self.log.list.lock().unwrap();
        while list.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} requests arrived: {list:#?}", list.len());
            list = self.log.grown.wait_timeout(list, left).unwrap().0;
        }
        list.clone()
    }

    /// Answers the requests that wait at the gate, and all later ones.
    pub(super) fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    /// Stops the receiver and closes its connections.
    pub(super) fn stop(mut self) {
        self.runtime.take().unwrap().shutdown_timeout(Duration::from_secs(5));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    log: Arc<Log>,
    answer: Arc<impl Fn(&Received) -> Reply>,
    mut gate: watch::Receiver<bool>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let received = read(&mut stream, &mut buffer, number).await?;
        let reply = answer(&received);
        log.list.lock().unwrap().push(received);
        log.grown.notify_all();
        let (status, more, length) = match reply {
            Reply::Status(status) => (status, "", 0),
            Reply::With(status, more) => (status, more, 0),
            Reply::Body(length) => (200, "", length),
            Reply::Text(text) => {
                let length = text.len();
                let answer = format!("HTTP/1.1 200 x\r\ncontent-length: {length}\r\n\r\n{text}");
                stream.write_all(answer.as_bytes()).await.ok()?;
                continue;
            }
            Reply::LateBody(status) => {
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: 1\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                gate.wait_for(|open| *open).await.ok()?;
                stream.write_all(b"x").await.ok()?;
                continue;
            }
            Reply::Redirect(to) => {
                let head = format!("HTTP/1.1 307 x\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                continue;
            }
            Reply::Gated => {
                gate.wait_for(|open| *open).await.ok()?;
                (200, "", 0)
            }
            Reply::Silence => std::future::pending().await,
            Reply::Raw(bytes) => {
                stream.write_all(bytes).await.ok()?;
                return None;
            }
        };
        let head = format!("HTTP/1.1 {status} x\r\n{more}content-length: {length}\r\n\r\n");
        let answer = [head.into_bytes(), vec![b'x'; length]].concat();
        stream.write_all(&answer).await.ok()?;
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, connection: usize) -> Option<Received> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        (stream.read_buf(buffer).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    while buffer.len() < length {
        (stream.read_buf(buffer).await.ok()? > 0).then_some(())?;
    }
    let bytes: Vec<u8> = buffer.drain(..length).collect();
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Some(Received {
        method,
        path,
        head,
        body,
        bytes,
        connection,
    })
}
