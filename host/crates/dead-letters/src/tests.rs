//! Tests of the store with a file and in memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;

const TIME: Duration = Duration::from_secs(60);

fn limits(records: usize) -> impl Fn(Kind) -> Limits {
    move |_| Limits {
        records,
        bytes: 1 << 20,
        age: None,
    }
}

fn opened(dir: Option<&Path>, records: usize) -> Store {
    match dir {
        Some(dir) => Store::open(dir, limits(records)).unwrap(),
        None => Store::in_memory(limits(records)),
    }
}

fn content(collection: &Collection, number: u64) -> Option<String> {
    let kept = collection.get(number).unwrap()?;
    Some(String::from_utf8(kept.content.into()).unwrap())
}

fn put(collection: &Collection, text: &str) -> u64 {
    collection.put("g", 7, text.as_bytes(), None)
}

#[test]
fn records_survive_a_restart_and_numbers_are_used_once() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path(), limits(9)).unwrap();
    let store = open();
    let (requests, events) = (store.collection(Kind::Requests), store.collection(Kind::Events));
    for text in ["one", "two", "three"] {
        put(&requests, text);
    }
    assert_eq!(put(&events, "event"), 1, "each collection has its own numbers");
    assert!(requests.remove(1) && requests.remove(3) && !requests.remove(3));
    drop((store, requests, events));
    let store = open();
    let (requests, events) = (store.collection(Kind::Requests), store.collection(Kind::Events));
    assert_eq!(requests.numbers(None, None, 9), [2]);
    assert_eq!(requests.get(2).unwrap().unwrap().at, 7);
    assert_eq!(
        (content(&requests, 2).as_deref(), content(&requests, 1)),
        (Some("two"), None)
    );
    assert_eq!(content(&events, 1).as_deref(), Some("event"));
    assert_eq!((put(&requests, "four"), requests.usage("g").records), (4, 2));
    drop((store, requests, events));
    let requests = Store::open(dir.path(), limits(1)).unwrap().collection(Kind::Requests);
    assert_eq!(requests.numbers(None, None, 9), [4], "lower limits apply at the start");
}

#[test]
fn what_depends_on_a_record_runs_when_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [None, Some(dir.path())] {
        let store = opened(dir, 1);
        let requests = store.collection(Kind::Requests);
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let count = Arc::clone(&count);
            let stored = Box::new(move || {
                count.fetch_add(1, SeqCst);
            });
            requests.put("g", 0, b"x", Some(stored));
        }
        assert!(requests.flush(TIME));
        assert_eq!((count.load(SeqCst), requests.numbers(None, None, 9)), (3, vec![3]));
        assert_eq!(requests.usage("g").evicted, 2);
    }
}

#[test]
fn taken_records_can_be_put_back() {
    let dir = tempfile::tempdir().unwrap();
    for dir in [None, Some(dir.path())] {
        let store = opened(dir, 9);
        let events = store.collection(Kind::Events);
        put(&events, "one");
        put(&events, "two");
        let kept = events.get(1).unwrap().unwrap();
        assert!(events.remove(1));
        assert!(events.flush(TIME));
        assert_eq!((events.numbers(None, None, 9), content(&events, 1)), (vec![2], None));
        events.put_back("g", &kept);
        assert_eq!(events.numbers(Some("g"), None, 9), [2, 1]);
        assert_eq!(content(&events, 1).as_deref(), Some("one"));
    }
}

#[test]
fn old_records_are_dropped() {
    let store = Store::in_memory(|_| Limits {
        age: Some(TIME),
        ..limits(9)(Kind::Events)
    });
    let events = store.collection(Kind::Events);
    put(&events, "1970");
    assert_eq!((events.numbers(None, None, 9), content(&events, 1)), (vec![], None));
    assert_eq!(events.usage("g").evicted, 1);
}

#[test]
fn a_second_host_and_another_version_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path(), limits(9)).map(drop);
    let store = Store::open(dir.path(), limits(9)).unwrap();
    assert!(matches!(open(), Err(StoreError::File(FileError::InUse { .. }))));
    drop(store);
    open().unwrap();
    let file = dir.path().join("dead-letters.redb");
    std::fs::remove_file(&file).unwrap();
    let database = redb::Database::create(&file).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&str, &str>::new("hookhost");
    let version = ("content", "dead letters, version 2");
    transaction
        .open_table(table)
        .unwrap()
        .insert(version.0, version.1)
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = open().unwrap_err().to_string();
    assert!(
        error.contains("dead letters, version 2") && error.contains("dead letters, version 1"),
        "{error}"
    );
}

#[test]
fn damaged_records_affect_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Store::open(dir.path(), limits(9)).unwrap();
    let store = open();
    let requests = store.collection(Kind::Requests);
    for text in ["record a", "record b", "record c"] {
        put(&requests, text);
    }
    drop((store, requests));
    let file = dir.path().join("dead-letters.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let places: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(b"record b"))
        .collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at] = b'R');
    std::fs::write(&file, bytes).unwrap();
    let store = open();
    let requests = store.collection(Kind::Requests);
    assert_eq!(requests.numbers(None, None, 9), [3, 1]);
    assert_eq!(put(&requests, "next"), 4);
}
