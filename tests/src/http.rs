//! A request with exactly the head that a test writes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The status line and the headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON. Panics if it is something else.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends the head of a request unchanged, without the empty line.
pub async fn send(address: SocketAddr, head: String) -> Answer {
    send_with(address, head, Vec::new()).await
}

async fn send_with(address: SocketAddr, head: String, body: Vec<u8>) -> Answer {
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// Sends a request as programs on this machine do: `what` is a method and a path, `headers` are further lines, each
/// after a line end.
pub async fn ask(address: SocketAddr, what: &str, headers: &str) -> Answer {
    send(address, format!("{what} HTTP/1.1\r\nHost: {address}{headers}")).await
}

/// As [`ask`], with a JSON body.
pub async fn ask_with(address: SocketAddr, what: &str, headers: &str, body: &serde_json::Value) -> Answer {
    ask_with_bytes(address, what, headers, body.to_string().into_bytes()).await
}

/// As [`ask`], with any body.
pub async fn ask_with_bytes(address: SocketAddr, what: &str, headers: &str, body: Vec<u8>) -> Answer {
    let length = body.len();
    let head = format!("{what} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}{headers}");
    send_with(address, head, body).await
}

/// Asks until the answer is as wanted, and returns it. Panics with the last answer if that takes too long.
pub async fn ask_until(address: SocketAddr, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = ask(address, what, "").await;
        if wanted(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: {answer:?}");
    }
}
