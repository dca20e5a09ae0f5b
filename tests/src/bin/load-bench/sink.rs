//! The receiver: HTTP/1.1 with keep-alive, implemented by hand on one thread. It is fast enough not to limit the
//! result, and records every webhook once.
//!
//! `POST /begin?run=N&publishers=N` starts a new record, `GET /report?from=NS&to=NS` answers with its content.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stamp::{Stamp, now};

/// Maximum latency that is recorded exactly, in microseconds. Longer latencies are not distinguished.
const LONGEST: usize = 2_000_000;
/// Nanoseconds in a step of the time line.
const STEP: u64 = 10_000_000;

/// Serves until the process ends. Prints its address first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let page = Rc::new(RefCell::new(Page::new(0, 0)));
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(connection(stream, page.clone()));
            }
        })
        .await
}

async fn connection(mut stream: TcpStream, page: Rc<RefCell<Page>>) {
    let mut input = Vec::with_capacity(64 << 10);
    let mut output = Vec::new();
    while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
        let mut done = 0;
        while let Some(request) = Request::parse(&input[done..]) {
            match request.target {
                target if target.starts_with(b"/begin") => {
                    let arguments = arguments(target);
                    let argument = |name| arguments.get(name).copied().unwrap_or_default();
                    *page.borrow_mut() = Page::new(argument("run") as u16, argument("publishers") as usize);
                    answer(&mut output, "");
                }
                target if target.starts_with(b"/report") => {
                    let arguments = arguments(target);
                    let argument = |name| arguments.get(name).copied().unwrap_or_default();
                    answer(&mut output, &page.borrow().report(argument("from"), argument("to")));
                }
                _ => {
                    page.borrow_mut().enter(request.body);
                    output.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
            }
            done += request.length;
        }
        input.drain(..done);
        if stream.write_all(&output).await.is_err() {
            return;
        }
        output.clear();
    }
}

fn answer(output: &mut Vec<u8>, body: &str) {
    output.extend_from_slice(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}

fn arguments(target: &[u8]) -> HashMap<String, u64> {
    let text = String::from_utf8_lossy(target);
    let query = text.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

/// A request at the beginning of a buffer.
struct Request<'a> {
    target: &'a [u8],
    body: &'a [u8],
    length: usize,
}

impl Request<'_> {
    /// `None` if it is not complete.
    fn parse(buffer: &[u8]) -> Option<Request<'_>> {
        let (mut target, mut body_length) = (None, 0);
        let mut start = 0;
        loop {
            let end = start + buffer[start..].iter().position(|byte| *byte == b'\n')?;
            let line = buffer[start..end].strip_suffix(b"\r").unwrap_or(&buffer[start..end]);
            start = end + 1;
            match target {
                None => target = Some(line.split(|byte| *byte == b' ').nth(1).unwrap_or_default()),
                Some(_) if line.is_empty() => break,
                Some(_) => body_length = content_length(line).unwrap_or(body_length),
            }
        }
        let body = buffer.get(start..start + body_length)?;
        Some(Request {
            target: target.unwrap_or_default(),
            body,
            length: start + body_length,
        })
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    let name = b"content-length:";
    if !line.get(..name.len())?.eq_ignore_ascii_case(name) {
        return None;
    }
    std::str::from_utf8(&line[name.len()..]).ok()?.trim().parse().ok()
}

/// The record of one run.
struct Page {
    run: u16,
    begun: u64,
    publishers: Vec<Publisher>,
    /// Webhooks without a stamp of this run.
    foreign: u64,
    received: u64,
    doubled: u64,
    /// Webhooks that arrived after one with a higher number of the same publisher.
    disordered: u64,
    first: u64,
    last: u64,
    /// Count per microsecond of latency.
    latencies: Vec<u32>,
    /// Count per [`STEP`] since the beginning.
    line: Vec<u32>,
}

#[derive(Default, Clone)]
struct Publisher {
    seen: Vec<u64>,
    highest: Option<u32>,
}

impl Page {
    fn new(run: u16, publishers: usize) -> Page {
        Page {
            run,
            begun: now(),
            publishers: vec![Publisher::default(); publishers],
            foreign: 0,
            received: 0,
            doubled: 0,
            disordered: 0,
            first: 0,
            last: 0,
            latencies: vec![0; LONGEST + 1],
            line: Vec::new(),
        }
    }

    fn enter(&mut self, body: &[u8]) {
        let key = b"\"payload\":\"";
        let at = body
            .windows(key.len())
            .position(|window| window == key)
            .map(|at| at + key.len());
        let stamp = at
            .and_then(|at| Stamp::decode(&body[at..]))
            .filter(|stamp| stamp.run == self.run);
        let Some((stamp, publisher)) =
            stamp.and_then(|stamp| Some((stamp, self.publishers.get_mut(usize::from(stamp.publisher))?)))
        else {
            self.foreign += 1;
            return;
        };
        let (word, bit) = (stamp.number as usize / 64, 1u64 << (stamp.number % 64));
        if publisher.seen.len() <= word {
            publisher.seen.resize(word + 1, 0);
        }
        if publisher.seen[word] & bit != 0 {
            self.doubled += 1;
            return;
        }
        publisher.seen[word] |= bit;
        self.disordered += u64::from(publisher.highest.is_some_and(|highest| highest > stamp.number));
        publisher.highest = publisher.highest.max(Some(stamp.number));

        let now = now();
        if self.received == 0 {
            self.first = now;
        }
        self.received += 1;
        self.last = now;
        let latency = now.saturating_sub(stamp.sent) / 1000;
        self.latencies[(latency as usize).min(LONGEST)] += 1;
        let step = (now.saturating_sub(self.begun) / STEP) as usize;
        if self.line.len() <= step {
            self.line.resize(step + 1, 0);
        }
        self.line[step] += 1;
    }

    /// The record as JSON. `between` counts the webhooks that arrived between two times, rounded to the step.
    fn report(&self, from: u64, to: u64) -> String {
        let step = |time: u64| (time.saturating_sub(self.begun) / STEP) as usize;
        let line = self
            .line
            .get(step(from).min(self.line.len())..step(to).min(self.line.len()));
        let between: u64 = line.unwrap_or_default().iter().map(|count| u64::from(*count)).sum();
        json!({
            "received": self.received,
            "doubled": self.doubled,
            "disordered": self.disordered,
            "foreign": self.foreign,
            "first": self.first,
            "last": self.last,
            "between": between,
            "p50": self.percentile(0.50),
            "p99": self.percentile(0.99),
        })
        .to_string()
    }

    /// The latency in microseconds that this share of all webhooks did not exceed.
    fn percentile(&self, part: f64) -> usize {
        let rank = (self.received as f64 * part).ceil() as u64;
        let mut passed = 0;
        for (latency, count) in self.latencies.iter().enumerate() {
            passed += u64::from(*count);
            if passed >= rank {
                return latency;
            }
        }
        LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn each_webhook_is_entered_once() {
        let mut page = Page::new(1, 2);
        let body = |run, publisher, number| {
            let stamp = Stamp {
                run,
                publisher,
                number,
                sent: now(),
            };
            let text = base64::engine::general_purpose::STANDARD.encode([&stamp.bytes()[..], b"x"].concat());
            format!("{{\"dup\":false,\"payload\":\"{text}\",\"ts\":1}}").into_bytes()
        };
        for (run, publisher, number) in [
            (1, 0, 0),
            (1, 1, 0),
            (1, 0, 2),
            (1, 0, 1),
            (1, 0, 1),
            (2, 0, 5),
            (1, 2, 0),
        ] {
            page.enter(&body(run, publisher, number));
        }
        page.enter(b"{}");
        assert_eq!(
            (page.received, page.doubled, page.disordered, page.foreign),
            (4, 1, 1, 3)
        );
        assert!(page.percentile(0.99) < LONGEST);
    }

    #[test]
    fn requests_are_cut_where_they_end() {
        let two = b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nx: y\r\n\r\nabGET /report?from=1 HTTP/1.1\r\n\r\n";
        let first = Request::parse(two).unwrap();
        assert_eq!((first.target, first.body), (&b"/a"[..], &b"ab"[..]));
        let second = Request::parse(&two[first.length..]).unwrap();
        assert_eq!((second.target, second.body), (&b"/report?from=1"[..], &b""[..]));
        assert_eq!(arguments(second.target)["from"], 1);
        assert!((0..first.length).all(|end| Request::parse(&two[..end]).is_none()));
    }
}
