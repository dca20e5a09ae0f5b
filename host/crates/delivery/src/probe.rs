//! One request, sent now and once, for a person who tests a receiver.
//!
//! A probe uses the credentials, TLS settings and timeouts of its destination, as any request does. It does not pass the
//! queue, is not counted, is not retried and never becomes a dead letter.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hookhost_contract::Method;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::destination::{DestinationSelector, Receivers};
use super::endpoint::Endpoint;
use super::http::{Http, Sent};
use super::request::Reach;
use super::retry::Outcome;

/// How long a probe waits for the rest of the beginning of an answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// A request to send once.
#[derive(Clone)]
pub struct ProbeRequest {
    /// An id for receivers that check signatures.
    pub id: String,
    /// The method.
    pub method: Method,
    /// An `http:` or `https:` URL.
    pub url: String,
    /// Selects the configured destination.
    pub via: DestinationSelector,
    /// The headers, as a module sets them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// How a probe has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The status of the answer; `None` without an answer.
    pub status: Option<u16>,
    /// The first 2 KiB of the answer, unless its status is 2xx.
    pub answer: Vec<u8>,
    /// The time from the start of the probe until the head of the answer arrived, or until the attempt failed.
    pub took: Duration,
    /// Why the receiver did not accept the request; `None` if it did.
    pub failure: Option<ProbeFailure>,
}

/// Why a receiver did not accept a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFailure {
    /// The kind of the failure.
    pub kind: FailureKind,
    /// The details, without secrets.
    pub text: String,
}

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The name of the host cannot be resolved.
    Dns,
    /// Nothing listens at the address.
    Refused,
    /// The TLS connection failed, for example because of the certificate.
    Tls,
    /// There was no answer in time.
    Timeout,
    /// The receiver answered with a status other than 2xx.
    Status,
    /// The request is invalid.
    Invalid,
    /// Anything else, such as a connection that broke.
    Connection,
}

impl FailureKind {
    /// The name in the admin API.
    pub fn name(self) -> &'static str {
        match self {
            FailureKind::Dns => "dns",
            FailureKind::Refused => "refused",
            FailureKind::Tls => "tls",
            FailureKind::Timeout => "timeout",
            FailureKind::Status => "status",
            FailureKind::Invalid => "invalid",
            FailureKind::Connection => "connection",
        }
    }

    /// What happened, in words.
    fn explanation(self) -> &'static str {
        match self {
            FailureKind::Dns => "the name of the host cannot be resolved",
            FailureKind::Refused => "nothing listens at this address",
            FailureKind::Tls => "the TLS connection failed",
            FailureKind::Timeout => "the receiver did not answer in time",
            FailureKind::Status => "the receiver did not accept the request",
            FailureKind::Invalid => "the request cannot be sent",
            FailureKind::Connection => "the connection failed",
        }
    }

    /// The kind of a failure that has this description.
    fn of(text: &str) -> FailureKind {
        let text = text.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["lookup address", "dns error", "name or service not known"]) {
            FailureKind::Dns
        } else if has(&["connection refused"]) {
            FailureKind::Refused
        } else if has(&["timed out", "deadline"]) {
            FailureKind::Timeout
        } else if has(&["certificate", "tls", "handshake", "corrupt message", "peer sent"]) {
            FailureKind::Tls
        } else {
            FailureKind::Connection
        }
    }
}

/// What happened in words, and the details.
impl std::fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.explanation(), self.text)
    }
}

impl ProbeFailure {
    fn new(kind: FailureKind, text: impl Into<String>) -> ProbeFailure {
        ProbeFailure {
            kind,
            text: text.into(),
        }
    }

    fn of(outcome: Outcome) -> ProbeFailure {
        match outcome {
            Outcome::TimedOut => ProbeFailure::new(FailureKind::Timeout, "no answer in time"),
            Outcome::Failed(text) => ProbeFailure::new(FailureKind::of(&text), text),
            Outcome::Invalid(text) | Outcome::Barred(text) => ProbeFailure::new(FailureKind::Invalid, text),
            Outcome::Refused { status, .. } => {
                ProbeFailure::new(FailureKind::Status, format!("answered with status {status}"))
            }
            // An attempt outside of the queue does not end like this.
            Outcome::Accepted(_) | Outcome::Expired => ProbeFailure::new(FailureKind::Connection, "no answer"),
        }
    }
}

/// Sends a request once. Blocks until the answer arrives, at most for the timeouts of its destination. After the head of an
/// answer other than 2xx it waits up to 2 s for the beginning of the body.
pub fn probe(request: &ProbeRequest, receivers: &Receivers) -> Probe {
    let start = Instant::now();
    let result = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let result = LocalSet::new().block_on(&runtime, send(request, receivers));
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(ProbeFailure::new(FailureKind::Connection, error.to_string())),
    };
    match result {
        Ok(Answered { status, body, at }) => Probe {
            status: Some(status),
            answer: body,
            took: at.saturating_duration_since(start),
            failure: (!(200..300).contains(&status)).then(|| {
                let text = format!("answered with status {status}");
                ProbeFailure::new(FailureKind::Status, text)
            }),
        },
        Err(failure) => Probe {
            status: None,
            answer: Vec::new(),
            took: start.elapsed(),
            failure: Some(failure),
        },
    }
}

/// An answer of the receiver.
struct Answered {
    status: u16,
    /// The first 2 KiB, unless the status is 2xx.
    body: Vec<u8>,
    /// When the head of the answer arrived.
    at: Instant,
}

async fn send(request: &ProbeRequest, receivers: &Receivers) -> Result<Answered, ProbeFailure> {
    let invalid = |text: String| ProbeFailure::new(FailureKind::Invalid, text);
    let http = Http::new();
    let find = |url: &url::Url| receivers.destinations.find(&request.via, url).cloned();
    let endpoint = Endpoint::parse(&http, &request.url, &receivers.terms, find).map_err(invalid)?;
    let terms = endpoint.terms(&receivers.terms);
    let prepared = endpoint
        .prepare(&request.headers, endpoint.pool().as_ref())
        .map_err(invalid)?;
    let sent = Sent {
        reach: Reach::Anywhere,
        method: request.method,
        body: request.body.clone(),
        encoding: None,
        id: Some(&request.id),
        attempt: 1,
        terms,
    };
    let answered = timeout(terms.http_timeout, http.probe(&prepared, &sent)).await;
    let (status, excerpt) = answered.unwrap_or(Err(Outcome::TimedOut)).map_err(ProbeFailure::of)?;
    let at = Instant::now();
    let body = match excerpt {
        Some(excerpt) => {
            // The answer counts even if its end never arrives.
            timeout(ANSWER_TIME, excerpt.completed()).await.ok();
            excerpt.bytes()
        }
        None => Vec::new(),
    };
    let status = status.as_u16();
    Ok(Answered { status, body, at })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::Terms;

    fn request(url: &str) -> ProbeRequest {
        ProbeRequest {
            id: "01".to_owned(),
            method: Method::Post,
            url: url.to_owned(),
            via: DestinationSelector::Url,
            headers: Vec::new(),
            body: Bytes::from_static(b"{}"),
        }
    }

    /// Answers one connection with a text; without one it never answers. Keeps the connection open until the other side
    /// closes it.
    fn receiver(answer: Option<&'static str>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            drop(stream.read(&mut head));
            if let Some(answer) = answer {
                drop(stream.write_all(answer.as_bytes()));
            }
            drop(stream.read(&mut head));
        });
        port
    }

    #[test]
    fn every_failure_has_its_kind() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = free.local_addr().unwrap().port();
        drop(free);
        let plain = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let refused = "HTTP/1.1 422 no\r\ncontent-length: 8\r\n\r\nnot this";
        let receivers = Receivers {
            terms: Terms {
                http_timeout: Duration::from_secs(2),
                ..Terms::default()
            },
            ..Receivers::default()
        };
        let ended = |url: String| {
            let ended = probe(&request(&url), &receivers);
            let kind = ended.failure.as_ref().map(|failure| failure.kind);
            (ended.status, String::from_utf8(ended.answer).unwrap(), kind)
        };
        let none = String::new;
        assert_eq!(
            ended(format!("http://127.0.0.1:{}/", receiver(Some(plain)))),
            (Some(200), none(), None)
        );
        assert_eq!(
            ended(format!("http://127.0.0.1:{}/", receiver(Some(refused)))),
            (Some(422), "not this".to_owned(), Some(FailureKind::Status))
        );
        let kind = |url: String| ended(url).2.unwrap();
        assert_eq!(kind(format!("http://127.0.0.1:{closed}/")), FailureKind::Refused);
        assert_eq!(kind("http://nothing.invalid/".to_owned()), FailureKind::Dns);
        assert_eq!(
            kind(format!("https://127.0.0.1:{}/", receiver(Some(plain)))),
            FailureKind::Tls
        );
        assert_eq!(
            kind(format!("http://127.0.0.1:{}/", receiver(None))),
            FailureKind::Timeout
        );
        assert_eq!(kind("http://".to_owned()), FailureKind::Invalid);
    }

    #[test]
    fn the_time_of_a_probe_ends_with_the_head_of_the_answer() {
        // The body never arrives.
        let port = receiver(Some("HTTP/1.1 422 no\r\ncontent-length: 8\r\n\r\nnot"));
        let start = Instant::now();
        let ended = probe(&request(&format!("http://127.0.0.1:{port}/")), &Receivers::default());
        assert_eq!((ended.status, &*ended.answer), (Some(422), b"not".as_slice()));
        let rest = start.elapsed() - ended.took;
        assert!(
            rest >= ANSWER_TIME,
            "the wait for the body is not part of {:?}",
            ended.took
        );
    }
}
