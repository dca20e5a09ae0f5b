use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::ExportCounts;
use crate::span::tests::attempted;
use hookhost_activity::{Activity, AttemptResult, SampleRatio};

/// Exports to a receiver with the header `x-key`.
fn exporter(receiver: &TcpListener, log: &ActivityLog) -> Exporter {
    let settings = Settings {
        url: format!("http://{}/v1/traces", receiver.local_addr().unwrap()),
        headers: vec![("x-key".to_owned(), Secret::new("k"))],
        sample_ratio: SampleRatio::ALL,
    };
    let resource = Resource {
        instance: "node".to_owned(),
        version: "1",
    };
    Exporter::start(&settings, resource, log).unwrap()
}

/// Records an attempt, which has one span.
fn record(log: &ActivityLog) {
    let Activity::Attempt(entry) = attempted(99, AttemptResult::Delivered, Some(Duration::from_millis(2))) else {
        unreachable!("it is an attempt")
    };
    log.attempt((*entry).clone());
}

/// Reads one request: its head and its body.
fn read_request(stream: &mut TcpStream) -> (String, String) {
    let mut text = String::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        assert_ne!(count, 0, "the connection has ended after {text}");
        text.push_str(std::str::from_utf8(&part[..count]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if length.is_some_and(|length| body.len() == length.parse::<usize>().unwrap()) {
            return (head.to_owned(), body.to_owned());
        }
    }
}

fn wait_for(counters: &ExportCounters, wanted: impl Fn(ExportCounts) -> bool) -> ExportCounts {
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    loop {
        let counts = counters.read();
        if wanted(counts) {
            return counts;
        }
        assert!(std::time::Instant::now() < deadline, "{counts:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_is_retried_once() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = ActivityLog::new();
    let exporter = exporter(&receiver, &log);
    record(&log);
    let mut requests = Vec::new();
    for answer in [
        "503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0",
        "200 OK\r\nContent-Length: 2",
    ] {
        let (mut stream, _) = receiver.accept().unwrap();
        requests.push(read_request(&mut stream));
        write!(stream, "HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n").unwrap();
        if answer.starts_with("200") {
            stream.write_all(b"{}").unwrap();
        }
    }
    let [(head, body), (_, again)] = &*requests else {
        panic!("{requests:?}")
    };
    assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
    for header in ["content-type: application/json", "x-key: k"] {
        assert!(head.lines().any(|line| line == header), "{head}");
    }
    assert_eq!(body, again);
    let counts = wait_for(&exporter.counters(), |counts| counts.exported > 0);
    let expected = ExportCounts {
        exported: 1,
        ..ExportCounts::default()
    };
    assert_eq!(counts, expected);
    exporter.stop(Duration::from_secs(120));
}

#[test]
fn a_request_that_is_refused_is_not_retried() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = ActivityLog::new();
    let exporter = exporter(&receiver, &log);
    record(&log);
    let (mut stream, _) = receiver.accept().unwrap();
    read_request(&mut stream);
    stream
        .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    let counts = wait_for(&exporter.counters(), |counts| counts != ExportCounts::default());
    let expected = ExportCounts {
        rejected: 1,
        ..ExportCounts::default()
    };
    assert_eq!(counts, expected);
    receiver.set_nonblocking(true).unwrap();
    exporter.stop(Duration::from_secs(120));
    assert_eq!(
        receiver.accept().map(drop).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}

#[test]
fn a_collector_that_does_not_answer_costs_only_spans() {
    const ENTRIES: u64 = 6_000;
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = ActivityLog::new();
    let exporter = exporter(&receiver, &log);
    record(&log);
    let (mut stream, _) = receiver.accept().unwrap();
    read_request(&mut stream);
    for _ in 0..ENTRIES {
        record(&log);
    }
    let dropped = exporter.counters().read().dropped;
    assert!(dropped > 0 && dropped < ENTRIES, "{dropped}");
    // The thread is left behind.
    exporter.stop(Duration::ZERO);
}
