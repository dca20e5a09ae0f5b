//! The receiver: HTTP/1.1 with keep-alive, implemented by hand on one thread. It is fast enough not to limit the
//! result, and records every webhook once.
//!
//! `POST /begin?run=N&publishers=N` starts a new record, `GET /report?from=NS&to=NS` answers with its content. `POST
//! /answer?status=N` sets the status of the answers to webhooks from then on; only those with 200 are recorded.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::page::Page;

/// The niceness of the receiver: more than that of the host's threads. With the same niceness, each request would make the
/// receiver interrupt the thread that has sent it. A receiver on a machine of its own does not do that.
const NICENESS: i32 = 2;

/// Serves until the process ends. Prints its address first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    rustix::process::setpriority_process(None, NICENESS)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let page = Rc::new(RefCell::new(Page::new(0, 0)));
    let status = Rc::new(Cell::new(200));
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async move {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(connection(stream, page.clone(), status.clone()));
            }
        })
        .await
}

async fn connection(mut stream: TcpStream, page: Rc<RefCell<Page>>, status: Rc<Cell<u64>>) {
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
                target if target.starts_with(b"/answer") => {
                    status.set(arguments(target).get("status").copied().unwrap_or(200));
                    answer(&mut output, "");
                }
                _ if status.get() == 200 => {
                    page.borrow_mut().enter(request.body, request.length);
                    output.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
                _ => {
                    let head = format!("HTTP/1.1 {} No\r\ncontent-length: 0\r\n\r\n", status.get());
                    output.extend_from_slice(head.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

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
