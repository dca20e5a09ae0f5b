//! A real HTTP/1.1 receiver on its own port, optionally over TLS. It keeps every request and answers as the test
//! requests: with a status, late, never, with invalid bytes, with half an answer. It can go down, so that connections
//! are refused, and come up again on the same port.
//!
//! It implements the necessary part of HTTP by hand, because a library would not let it misbehave. It keeps requests
//! from the moment they are complete, whatever the answer. Going down lets each connection finish the request that it
//! is reading, so both sides know every answered request. Only answers after which the connection is closed can leave
//! the sender in doubt.

mod http;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// When it was complete.
    pub at: Instant,
    /// The same as wall-clock time.
    pub time: SystemTime,
    /// The number of its connection.
    pub connection: usize,
    /// Over TLS, the server name that the sender requested.
    pub server_name: Option<String>,
    /// `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header names in lower case with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body, usually JSON. A byte that is not UTF-8 is the text `\xff` with its value.
    pub body: String,
    /// The status of the answer; `None` without a valid answer.
    pub status: Option<u16>,
}

impl Received {
    /// Value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in body {}", self.body))
    }

    /// Whether it was answered with 2xx.
    pub fn accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// The sink's reaction to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A valid answer without body.
    Status(u16),
    /// A valid answer after a delay.
    After(Duration, u16),
    /// 302 to this place.
    Redirect(String),
    /// No answer; the connection stays open until the sender closes it.
    Hang,
    /// No answer; the connection is closed.
    Close,
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// 200 and a body that never ends.
    Endless,
}

type Script = Arc<dyn Fn(&Received, usize) -> Answer + Send + Sync>;

struct Shared {
    requests: Mutex<Vec<Arc<Received>>>,
    count: watch::Sender<usize>,
    script: Mutex<Script>,
    /// True while it is up.
    up: watch::Sender<bool>,
}

/// The receiver.
pub struct Sink {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
    /// Holds the port while it is down: bound but not listening. Connections are refused and no other program takes it.
    parked: Option<TcpSocket>,
    next: usize,
}

impl Sink {
    /// Starts it. Every request is answered with 200.
    pub async fn start() -> Sink {
        Sink::over(None)
    }

    /// Starts it with TLS.
    pub async fn start_tls(config: rustls::ServerConfig) -> Sink {
        Sink::over(Some(Arc::new(config).into()))
    }

    fn over(tls: Option<TlsAcceptor>) -> Sink {
        let socket = bind("127.0.0.1:0".parse().expect("an address"));
        let address = socket.local_addr().expect("a bound socket has an address");
        let script: Script = Arc::new(|_, _| Answer::Status(200));
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            count: watch::Sender::new(0),
            script: Mutex::new(script),
            up: watch::Sender::new(false),
        });
        let mut sink = Sink {
            address,
            tls,
            shared,
            acceptor: None,
            parked: Some(socket),
            next: 0,
        };
        sink.up();
        sink
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// An `http://` or `https://` URL for a path on this sink.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Sets the answers from now on. The closure also gets the number of earlier requests.
    pub fn answer(&self, script: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// Refuses connections from now on. Returns when the last open one has ended.
    pub async fn down(&mut self) {
        self.shared.up.send_replace(false);
        if let Some(acceptor) = self.acceptor.take() {
            drop(acceptor.await);
        }
        self.shared.up.closed().await;
        self.parked = Some(bind(self.address));
    }

    /// Serves again on the same port.
    pub fn up(&mut self) {
        let listener = self
            .parked
            .take()
            .expect("it is down")
            .listen(1024)
            .expect("the port is ours");
        self.shared.up.send_replace(true);
        self.acceptor = Some(tokio::spawn(http::accept(
            listener,
            self.tls.clone(),
            self.shared.clone(),
            self.shared.up.subscribe(),
        )));
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The number of requests so far.
    pub fn count(&self) -> usize {
        *self.shared.count.borrow()
    }

    /// The number of requests, with updates.
    pub fn arrivals(&self) -> watch::Receiver<usize> {
        self.shared.count.subscribe()
    }

    /// Waits until `enough` returns true for all requests so far, and returns these.
    pub async fn wait_until(
        &self,
        what: &str,
        patience: Duration,
        enough: impl Fn(&[Arc<Received>]) -> bool,
    ) -> Vec<Arc<Received>> {
        let mut count = self.shared.count.subscribe();
        let wait = async {
            loop {
                count.mark_unchanged();
                {
                    // Checked in place: a copy at each arrival would be quadratic.
                    let requests = self.shared.requests.lock().unwrap();
                    if enough(&requests) {
                        return requests.clone();
                    }
                }
                if count.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(requests) => requests,
            Err(_) => panic!("the sink waited {patience:?} for {what}; {}", self.arrived()),
        }
    }

    /// Waits until this number of requests has arrived.
    pub async fn wait_for(&self, count: usize, patience: Duration) -> Vec<Arc<Received>> {
        let mut arrived = self.shared.count.subscribe();
        if tokio::time::timeout(patience, arrived.wait_for(|arrived| *arrived >= count))
            .await
            .is_err()
        {
            panic!("the sink waited {patience:?} for {count} requests; {}", self.arrived());
        }
        self.requests()
    }

    /// The next request that no earlier call has returned.
    pub async fn next_within(&mut self, patience: Duration) -> Arc<Received> {
        let requests = self.wait_for(self.next + 1, patience).await;
        self.next += 1;
        requests[self.next - 1].clone()
    }

    fn arrived(&self) -> String {
        let requests = self.requests();
        let last = &requests[requests.len().saturating_sub(40)..];
        let lines: Vec<_> = last
            .iter()
            .map(|r| format!("{} {:?} {}", r.path, r.status, r.body))
            .collect();
        format!("{} came, the last of them:\n{}", requests.len(), lines.join("\n"))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.up.send_replace(false);
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option of every socket");
    socket
        .bind(address)
        .unwrap_or_else(|error| panic!("cannot bind {address}: {error}"));
    socket
}

impl Shared {
    fn take(&self, mut request: Received) -> Answer {
        let script = self.script.lock().unwrap().clone();
        let mut requests = self.requests.lock().unwrap();
        let answer = script(&request, requests.len());
        request.status = match &answer {
            Answer::Status(status) | Answer::After(_, status) => Some(*status),
            Answer::Redirect(_) => Some(302),
            // Its status line is valid.
            Answer::Endless => Some(200),
            Answer::Hang | Answer::Close | Answer::Bytes(_) => None,
        };
        requests.push(Arc::new(request));
        self.count.send_replace(requests.len());
        answer
    }
}
