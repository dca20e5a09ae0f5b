use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hookhost_contract::ticket;
use hookhost_outbox::Flush;

use super::*;

fn open(dir: &Path, max_bytes: usize) -> Backlog {
    Backlog::new(Store::open(dir, Flush::Always).unwrap(), max_bytes).unwrap()
}

fn waiting(text: &'static str) -> Waiting {
    Waiting {
        bytes: Bytes::from_static(text.as_bytes()),
        ticket: None,
    }
}

fn put(backlog: &Backlog, texts: &[&'static str]) {
    let records = texts.iter().map(|text| waiting(text)).collect();
    assert!(backlog.put(records, None).is_ok());
}

fn texts(chunk: &[Numbered]) -> Vec<String> {
    let text = |(_, record): &Numbered| String::from_utf8(record.as_ref().unwrap().to_vec()).unwrap();
    chunk.iter().map(text).collect()
}

fn numbers(chunk: &[Numbered]) -> Vec<u64> {
    chunk.iter().map(|(number, _)| *number).collect()
}

#[test]
fn records_come_in_order_and_stay_until_they_are_moved() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), 1000);
    put(&backlog, &[]);
    assert!(backlog.is_empty());
    put(&backlog, &["a", "b"]);
    let chunk = backlog.next_chunk().unwrap();
    assert_eq!(texts(&chunk), ["a", "b"]);
    put(&backlog, &["c"]);
    backlog.moved(&chunk, &numbers(&chunk));
    assert!(!backlog.is_empty(), "c waits");
    assert_eq!(backlog.waiting(), (1, 1));
    drop(backlog);
    // A new process goes on, and does not use a number twice.
    let backlog = open(dir.path(), 1000);
    assert!(!backlog.is_empty());
    put(&backlog, &["d"]);
    let chunk = backlog.next_chunk().unwrap();
    assert_eq!(texts(&chunk), ["c", "d"]);
    backlog.moved(&chunk, &numbers(&chunk));
    assert!(backlog.is_empty());
    assert_eq!(backlog.waiting(), (0, 0));
}

#[test]
fn a_ticket_is_complete_when_its_record_is_moved() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), 1000);
    let (ticket, completion) = ticket();
    let record = Waiting {
        ticket: Some(ticket),
        ..waiting("a")
    };
    assert!(backlog.put(vec![record], None).is_ok());
    let mut completion = pin!(completion);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(
        completion.as_mut().poll(&mut context),
        Poll::Pending,
        "it is only on this disk"
    );
    let chunk = backlog.next_chunk().unwrap();
    backlog.moved(&chunk, &numbers(&chunk));
    assert_eq!(completion.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

#[test]
fn a_record_that_is_kept_comes_again_after_a_restart_only() {
    let dir = tempfile::tempdir().unwrap();
    let backlog = open(dir.path(), 1000);
    put(&backlog, &["a", "b"]);
    let chunk = backlog.next_chunk().unwrap();
    backlog.moved(&chunk, &numbers(&chunk)[1..]);
    assert!(backlog.is_empty());
    drop(backlog);
    let backlog = open(dir.path(), 1000);
    assert_eq!(texts(&backlog.next_chunk().unwrap()), ["a"]);
}

#[test]
fn a_full_backlog_waits_and_counts_what_a_previous_process_has_left() {
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path(), 10), &["12345678"]);
    let backlog = open(dir.path(), 10);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| backlog.put(vec![waiting("abc")], None).is_ok());
        let chunk = backlog.next_chunk().unwrap();
        assert_eq!(texts(&chunk), ["12345678"]);
        backlog.moved(&chunk, &numbers(&chunk));
        assert!(waits.join().unwrap());
    });
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| backlog.put(vec![waiting("0123456789")], None));
        backlog.close();
        assert!(waits.join().unwrap().is_err(), "it is closed");
    });
    assert!(backlog.next_chunk().is_none());
}
