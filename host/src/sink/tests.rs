//! The sink on a real socket.

use std::io::Read;
use std::net::{Ipv4Addr, Shutdown, TcpStream as Client};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};

use hyper::body::Frame;
use tokio::sync::oneshot;

use super::*;

/// A sink on its own thread.
struct Running {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<u8>>>,
    stop: oneshot::Sender<()>,
    ended: std::thread::JoinHandle<Summary>,
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Running {
    fn start(quiet: bool, status: u16, delay: Duration) -> Running {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, (stop, stopped), (tell, told)) = (Shared(Arc::clone(&lines)), oneshot::channel(), mpsc::channel());
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = SinkSettings {
            listen,
            quiet,
            status: StatusCode::from_u16(status).unwrap(),
            delay,
        };
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(settings.listen).await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, &settings, out, async { drop(stopped.await) })
                    .await
                    .unwrap()
            })
        });
        Running {
            address: told.recv().unwrap(),
            lines,
            stop,
            ended,
        }
    }

    fn connect(&self) -> Client {
        let client = Client::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        client
    }

    /// All bytes until the sink closes.
    fn exchange(&self, request: &[u8]) -> String {
        let mut client = self.connect();
        client.write_all(request).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    fn stop(self) -> (Summary, String) {
        self.stop.send(()).unwrap();
        let summary = self.ended.join().unwrap();
        let lines = String::from_utf8(self.lines.lock().unwrap().clone()).unwrap();
        (summary, lines)
    }
}

/// A body without a length.
struct Pieces(Vec<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(|piece| Ok(Frame::data(piece))))
    }
}

/// Reads one answer without a body.
fn answer(client: &mut Client) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn requests_of_one_connection_are_printed_and_answered() {
    let sink = Running::start(false, 200, Duration::ZERO);
    let mut client = sink.connect();
    let body = r#"{"b":1,"a":"x"}"#;
    client
        .write_all(
            format!(
                "POST /hook?x HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
        .unwrap();
    let first = answer(&mut client);
    assert!(
        first.starts_with("HTTP/1.1 200 OK\r\n") && first.contains("content-length: 0\r\n"),
        "{first}"
    );
    client
        .write_all(
            b"PUT /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\n\x1bd\r\n0\r\n\r\n",
        )
        .unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
    let (peer, address) = (client.local_addr().unwrap(), sink.address);
    let (summary, lines) = sink.stop();
    assert_eq!(
        summary,
        Summary {
            requests: 2,
            bytes: 20,
            refused: 0
        }
    );
    let expected = format!(
        "listening on http://{address}/\n\
         POST /hook?x from {peer}, 15 bytes\n  content-type: application/json\n{{\n  \"b\": 1,\n  \"a\": \"x\"\n}}\n\n\
         PUT /b from {peer}, 5 bytes\nabc\\u{{1b}}d\n\n\
         received 2 requests with 20 bytes, refused 0\n"
    );
    assert_eq!(lines, expected);
}

#[test]
fn failures_can_be_tried() {
    let sink = Running::start(true, 503, Duration::from_millis(30));
    let begun = std::time::Instant::now();
    let answer = sink.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(begun.elapsed() >= Duration::from_millis(30));
    let (summary, lines) = sink.stop();
    assert_eq!(summary.requests, 1);
    assert!(!lines.contains("GET"), "{lines}");
}

#[test]
fn bad_requests_harm_nobody_else() {
    let sink = Running::start(true, 200, Duration::ZERO);
    assert!(sink.exchange(b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let cut = sink.exchange(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    assert!(cut.is_empty() || cut.starts_with("HTTP/1.1 400 "), "{cut}");
    let large = sink.exchange(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 16777217\r\n\r\n");
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    let fine = sink.exchange(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc");
    assert!(fine.starts_with("HTTP/1.1 200 "), "{fine}");
    let (summary, _) = sink.stop();
    assert_eq!((summary.requests, summary.bytes), (1, 3));
    assert_eq!(summary.refused, 2);
}

/// A body of unknown length that grows too large, and a body of which only the beginning is shown.
#[test]
fn bodies_are_bounded() {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let settings = SinkSettings {
        listen,
        quiet: false,
        status: StatusCode::OK,
        delay: Duration::ZERO,
    };
    let sink = Sink::new(&settings, io::sink());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let receive = |pieces: usize| {
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        runtime
            .block_on(sink.receive(Pieces(vec![piece; pieces])))
            .map(|received| (received.shown.len(), received.length))
    };
    assert_eq!(receive(16), Ok((MAX_PRINTED_BYTES, MAX_BODY_BYTES)));
    assert_eq!(receive(17), Err(StatusCode::PAYLOAD_TOO_LARGE));
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let sink = Running::start(true, 200, Duration::ZERO);
    let mut client = sink.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    answer(&mut client);
    let begun = std::time::Instant::now();
    sink.stop();
    assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "closed");
}
